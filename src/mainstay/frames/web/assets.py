"""Addresses of static files that change with their content, so that browsers may keep them for good.

The style sheet is one address, and one request of a page: what lies in `static/css`, put together. A new component is
a new file there.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "static"
SHEET = "mainstay.css"


@cache
def style_sheet() -> bytes:
    """Tokens and elements first, since components build on them; of those, none depends on its place."""
    styles = FOLDER / "css"
    files = [styles / "tokens.css", styles / "elements.css", *sorted((styles / "components").glob("*.css"))]
    return b"\n".join(file.read_bytes() for file in files)


@cache
def asset_url(path: str) -> str:
    """`/static/<path>?v=<first digits of its SHA-256>`; KeyError for a file that does not exist."""
    # Templates hand over a subclass of str, which pathlib does not take.
    name = str.__str__(path)
    file = FOLDER / name
    if name != SHEET and not file.is_file():
        raise KeyError(f"there is no static file {path}")
    content = style_sheet() if name == SHEET else file.read_bytes()
    return f"/static/{path}?v={hashlib.sha256(content).hexdigest()[:10]}"
