"""What happens in nodes."""

from __future__ import annotations

from typing import Annotated

from mainstay.kernel.event import Event
from mainstay.kernel.subject import Trouble

Node = Annotated[str, "the server's id"]
Session = Annotated[str, "which start of it"]


class NodeJoined(Event):
    """A server began to share the work on this database."""

    kind, icon, title, over = "node.joined", "up", "Server joined", "it is heard again"
    node: Node
    session: Session
    version: Annotated[str, "of Mainstay"]
    address: Annotated[str, "where it is reached"]


class NodeLeft(Event):
    """A server stopped in good order; others have its share."""

    kind, icon, title, over = "node.left", "paused", "Server left", "it is heard again"
    node: Node
    session: Session


class NodeLost(Trouble, kw_only=True):
    """A server is not heard any more; others take its share over."""

    kind, icon, title = "node.lost", "down", "Server lost"
    node: Node
    session: Session


class NodeReturned(Event):
    """A server that was out of touch is back."""

    kind, icon, title, over = "node.returned", "up", "Server is back", "it is heard again"
    node: Node
    session: Session
    seconds: Annotated[float, "seconds since it was missed"]


class NodeDrainingBegan(Event):
    """A person let a server hand over its share."""

    kind, icon, title = "node.draining_began", "maintenance", "Server began to drain"
    node: Node


class NodeDrainingEnded(Event):
    """A server takes a share again."""

    kind, icon, title = "node.draining_ended", "up", "Server takes work again"
    node: Node


class NodeForgotten(Event):
    """A server that is gone for good was removed."""

    kind, icon, title, over = "node.forgotten", "trash", "Server removed", "it was forgotten"
    node: Node


EVENTS = (NodeJoined, NodeLeft, NodeLost, NodeReturned, NodeDrainingBegan, NodeDrainingEnded, NodeForgotten)
