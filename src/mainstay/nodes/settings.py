"""Settings of a server among several."""

from __future__ import annotations

from mainstay.kernel.settings import Setting

NODE = Setting("node", "", "name of this server among several on one database; empty: the host name")

SETTINGS = (NODE,)
