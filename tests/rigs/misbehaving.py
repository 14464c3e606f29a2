"""Ways in which a server on a stream misbehaves, whatever its protocol is."""

from __future__ import annotations

import socket
from collections.abc import Callable

from tests.rigs.check_servers import until_closed

Serve = Callable[[socket.socket], None]


def closes_at_once(connection: socket.socket) -> None:
    """Half-closed: it takes what comes, and says nothing any more."""
    connection.shutdown(socket.SHUT_WR)
    until_closed(connection)


def garbage(connection: socket.socket) -> None:
    connection.sendall(bytes(range(256)) * 4)
    until_closed(connection)


def endless(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"x" * 65_536)


def zeros(connection: socket.socket) -> None:
    while True:
        connection.sendall(bytes(65_536))


def web_server(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\n\r\n<html></html>")
    closes_at_once(connection)


def says(*pieces: bytes) -> Serve:
    """Each piece after something came in; then silence."""

    def serve(connection: socket.socket) -> None:
        for piece in pieces:
            connection.recv(4096)
            connection.sendall(piece)
        until_closed(connection)

    return serve


def then_closes(*pieces: bytes) -> Serve:
    def serve(connection: socket.socket) -> None:
        for piece in pieces:
            connection.recv(4096)
            connection.sendall(piece)
        closes_at_once(connection)

    return serve
