"""Snapshots: everything that Mainstay remembers as one file, taken while it runs, restored elsewhere.

    taking.py     a snapshot, step by step          restoring.py  its opposite, into an empty place
    moving.py     SQLite to PostgreSQL, resumable   versions.py   which program may open which data
    state.py, telemetry_copy.py  the two stores     rows.py, source.py, postgres.py  tables as plain rows
    archive.py, manifest.py, sealing.py  the file   places.py, retention.py          where files lie, which stay
    control.py    asking the running server, which alone may read its telemetry

A snapshot is a tar that ordinary tools open (docs/adr says which, also for an encrypted one). Nothing here
may change the source, and nothing half done may ever look whole.
"""
