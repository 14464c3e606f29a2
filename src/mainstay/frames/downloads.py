"""Long answers: a reader that is slow holds one of the few threads for pages, so only some may be under way at once.

Whoever reads nothing at all is cut off by the connection (runtime/http_protocol.py).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

from django.http import StreamingHttpResponse
from django.utils.http import content_disposition_header

from mainstay.kernel.errors import StoreBusy
from mainstay.store.journal import Entry

SLOTS = 3  # of the eight threads
_PIECE = 65_536  # bytes of a file
_free = threading.BoundedSemaphore(SLOTS)


class _Slot:
    """The pieces of one download; the slot is free again once it is closed, which Django does in any case."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = pieces
        self._held = True

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._pieces)

    def close(self) -> None:
        if self._held:
            self._held = False
            _free.release()
            close = getattr(self._pieces, "close", None)
            if close is not None:
                close()


def download(pieces: Iterable[bytes], kind: str, name: str) -> StreamingHttpResponse:
    """An attachment of this media type and file name. StoreBusy where too many are under way."""
    if not _free.acquire(blocking=False):
        raise StoreBusy(f"{SLOTS} downloads are already running", hint="try again when one of them has finished")
    response = StreamingHttpResponse(_Slot(pieces), content_type=kind)
    response["Content-Disposition"] = str(content_disposition_header(as_attachment=True, filename=name))
    response["Cache-Control"] = "no-store"
    return response


def json_lines(found: Iterable[Entry]) -> Iterator[bytes]:
    """One JSON object a line."""
    for entry in found:
        yield json.dumps(entry.as_dict(), ensure_ascii=False).encode() + b"\n"


def file_pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as handle:
        while piece := handle.read(_PIECE):
            yield piece
