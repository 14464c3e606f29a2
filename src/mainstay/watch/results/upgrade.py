"""Files of before pictures had files of their own: the newest are taken out of the table, the others are let go.

Once for each file, because all evidence must be read for it.
"""

from __future__ import annotations

from pathlib import Path

import duckdb
import structlog

from mainstay.watch.results.pictures import FOLDER, INLINE, PER_MONITOR, Pictures, name_of

log = structlog.get_logger("telemetry")

_AT_ONCE = 100  # pictures in memory
_INLINE = f'{INLINE}[^"]*'
_HAS_ONE = f"contains(evidence, '{INLINE}')"
_NEWEST = (
    f"SELECT uid, at_us FROM sample WHERE {_HAS_ONE} "
    f"QUALIFY row_number() OVER (PARTITION BY uid ORDER BY at_us DESC) <= {PER_MONITOR}"
)
_THESE = (
    f"SELECT uid, at_us, regexp_extract(evidence, '{_INLINE}') FROM sample WHERE {_HAS_ONE} "
    "AND (uid, at_us) IN (SELECT unnest($1::VARCHAR[]), unnest($2::BIGINT[]))"
)
# The name is that of pictures.name_of.
_NAMED = (
    f"UPDATE sample SET evidence = regexp_replace(evidence, '{_INLINE}', uid || '-' || (at_us // 1000) || '.jpg', 'g') "
    f"WHERE {_HAS_ONE}"
)


def take_out_pictures(connection: duckdb.DuckDBPyConnection, data: Path) -> bool:
    """Whether there were any. `data`: the folder of the file."""
    newest = connection.execute(_NEWEST).fetchall()
    pictures = Pictures(data / FOLDER)
    for start in range(0, len(newest), _AT_ONCE):
        uids, times = zip(*newest[start : start + _AT_ONCE], strict=True)
        for uid, at_us, inline in connection.execute(_THESE, [list(uids), list(times)]).fetchall():
            pictures.keep(name_of(uid, at_us), inline)
    if newest:
        connection.execute(_NAMED)
        log.info("screenshots moved out of the telemetry file", kept=len(newest), folder=str(data / FOLDER))
    return bool(newest)
