"""Who this server is among several on one database: an id that stays, a session of this start, its keys."""

from __future__ import annotations

import hashlib
import os
import socket
import uuid

from mainstay import __version__
from mainstay.frames.boot import secret_key
from mainstay.kernel.settings import Settings
from mainstay.nodes.settings import NODE
from mainstay.nodes.verbs import Identity
from mainstay.store.seals.documents import public_key

_FILE = "node.id"


def identity(settings: Settings) -> Identity:
    """A new session at each call."""
    return Identity(
        id=_id(settings),
        session=uuid.uuid4().hex,
        name=node_name(settings),
        version=__version__,
        address=settings.listen[:300],
        keys=fingerprint(settings),
    )


def node_name(settings: Settings) -> str:
    """What people call this server."""
    return (settings[NODE] or socket.gethostname() or "node")[:100]


def fingerprint(settings: Settings) -> str:
    """Of the keys that sign sessions, links and seals; says nothing about them. Made if they are missing."""
    text = f"mainstay keys {secret_key(settings.key_folder)} {public_key(settings)}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _id(settings: Settings) -> str:
    path = settings.data / _FILE
    try:
        found = path.read_text().strip()
    except FileNotFoundError:
        found = ""
    if found:
        return found[:32]
    made = uuid.uuid4().hex
    temporary = path.with_name(f".{_FILE}.{os.getpid()}")
    temporary.write_text(f"{made}\n")
    temporary.replace(path)  # the lock of the data folder is held: nobody else makes one
    return made
