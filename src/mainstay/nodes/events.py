"""What happens in nodes."""

from __future__ import annotations

from typing import Annotated

from mainstay.kernel.event import Event
from mainstay.kernel.subject import Trouble

Node = Annotated[str, "the server's id"]
Session = Annotated[str, "the id of its session"]


class NodeJoined(Event):
    """A server began to share the work on this database."""

    kind, icon, title, over = "node.joined", "up", "Server joined", "it reports again"
    node: Node
    session: Session
    version: Annotated[str, "of Mainstay"]
    address: Annotated[str, "its address"]


class NodeLeft(Event):
    """A server shut down cleanly; others have its share."""

    kind, icon, title, over = "node.left", "paused", "Server left", "it reports again"
    node: Node
    session: Session


class NodeLost(Trouble, kw_only=True):
    """A server has stopped reporting; others take over its share."""

    kind, icon, title = "node.lost", "down", "Server lost"
    node: Node
    session: Session


class NodeReturned(Event):
    """A server that had lost contact is back."""

    kind, icon, title, over = "node.returned", "up", "Server is back", "it reports again"
    node: Node
    session: Session
    seconds: Annotated[float, "seconds that it was silent"]


class NodeDrainingBegan(Event):
    """A person told a server to hand over its share."""

    kind, icon, title = "node.draining_began", "maintenance", "Server began to drain"
    node: Node


class NodeDrainingEnded(Event):
    """A server takes a share again."""

    kind, icon, title = "node.draining_ended", "up", "Server accepts work again"
    node: Node


class NodeForgotten(Event):
    """A server that is permanently gone was removed."""

    kind, icon, title, over = "node.forgotten", "trash", "Server removed", "it was removed"
    node: Node


EVENTS = (NodeJoined, NodeLeft, NodeLost, NodeReturned, NodeDrainingBegan, NodeDrainingEnded, NodeForgotten)
