"""A server of datagrams on loopback for the tests of checks."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Answer = Callable[[bytes, int], list[bytes]]


@contextmanager
def udp_server(answer: Answer, host: str = "127.0.0.1") -> Iterator[int]:
    """`answer` gets a packet and how many came before it, and gives the packets to send back."""
    server = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((host, 0))
    server.settimeout(0.05)
    ended = threading.Event()

    def serve() -> None:
        count = 0
        while not ended.is_set():
            try:
                data, peer = server.recvfrom(65_535)
            except TimeoutError:
                continue
            for piece in answer(data, count):
                server.sendto(piece, peer)
            count += 1

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield server.getsockname()[1]
    finally:
        ended.set()
        thread.join()
        server.close()
