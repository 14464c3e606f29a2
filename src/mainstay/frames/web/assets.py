"""Addresses of static files that change with their content, so that browsers may keep them for good."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "static"


@cache
def asset_url(path: str) -> str:
    """`/static/<path>?v=<first digits of its SHA-256>`; KeyError for a file that does not exist."""
    # Templates hand over a subclass of str, which pathlib does not take.
    file = FOLDER / str.__str__(path)
    if not file.is_file():
        raise KeyError(f"there is no static file {path}")
    return f"/static/{path}?v={hashlib.sha256(file.read_bytes()).hexdigest()[:10]}"
