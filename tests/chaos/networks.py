"""Networks of their own for tests: two namespaces with a cable between them that can be cut. Needs root on Linux.

near   the server lives here, with a loopback and a default route through the cable
far    what it watches lives here, with a name server
"""

from __future__ import annotations

import ctypes
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import dns.flags
import dns.message
import dns.rrset

NEAR, FAR = "9.9.8.2", "9.9.8.1"  # they look public, and nothing leads out of here
_CLONE_NEWNET = 0x40000000


class Unavailable(Exception):
    """This machine does not let us make networks; the text says why."""


class Cable:
    """Use as a context manager. `near` and `far` are names of namespaces."""

    def __init__(self) -> None:
        self.near, self.far = f"chaos-near-{os.getpid()}", f"chaos-far-{os.getpid()}"

    def __enter__(self) -> Self:
        if shutil.which("ip") is None:
            raise Unavailable("there is no command `ip`")
        try:
            self._make()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._remove()

    def _make(self) -> None:
        for name in (self.near, self.far):
            _ip("netns", "add", name)
            _ip("-n", name, "link", "set", "lo", "up")
        _ip("-n", self.near, "link", "add", "near", "type", "veth", "peer", "name", "far", "netns", self.far)
        for name, link, address in ((self.near, "near", NEAR), (self.far, "far", FAR)):
            _ip("-n", name, "address", "add", f"{address}/24", "dev", link)
            _ip("-n", name, "link", "set", link, "up")
        _ip("-n", self.near, "route", "add", "default", "via", FAR)
        resolver = Path("/etc/netns") / self.near / "resolv.conf"
        resolver.parent.mkdir(parents=True, exist_ok=True)
        resolver.write_text(f"nameserver {FAR}\noptions timeout:1 attempts:1\n")
        _ip("netns", "exec", self.near, "true")

    def _remove(self) -> None:
        for name in (self.near, self.far):
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)
        shutil.rmtree(Path("/etc/netns") / self.near, ignore_errors=True)

    def cut(self) -> None:
        _ip("-n", self.far, "link", "set", "far", "down")

    def mend(self) -> None:
        _ip("-n", self.far, "link", "set", "far", "up")


class Wire:
    """A cable from here to a namespace of its own, where sockets can be opened. `address` is of its far end.

    What is sent while it is cut is sent again by TCP, and arrives after it is mended.
    """

    def __init__(self, number: int) -> None:
        if shutil.which("ip") is None:
            raise Unavailable("there is no command `ip`")
        self.name, self._near = f"chaos-wire-{os.getpid()}-{number}", f"cw{os.getpid() % 100_000}-{number}"
        self.address, near = f"9.9.{10 + number}.1", f"9.9.{10 + number}.2"
        try:
            _ip("netns", "add", self.name)
            _ip("link", "add", self._near, "type", "veth", "peer", "name", "far", "netns", self.name)
            _ip("address", "add", f"{near}/30", "dev", self._near)
            _ip("-n", self.name, "address", "add", f"{self.address}/30", "dev", "far")
            _ip("link", "set", self._near, "up")
            self.mend()
        except BaseException:
            self.close()
            raise

    def listen(self) -> socket.socket:
        with inside(self.name):
            return socket.create_server((self.address, 0), backlog=64)

    def cut(self) -> None:
        _ip("-n", self.name, "link", "set", "far", "down")

    def mend(self) -> None:
        _ip("-n", self.name, "link", "set", "far", "up")

    def close(self) -> None:
        subprocess.run(["ip", "netns", "delete", self.name], check=False, capture_output=True)


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], check=False, capture_output=True, text=True)
    if done.returncode:
        raise Unavailable(f"`ip {' '.join(arguments)}` says: {done.stderr.strip() or done.stdout.strip()}")


@contextmanager
def inside(namespace: str) -> Iterator[None]:
    """This thread's new sockets, and processes and threads that it starts, belong to the namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/thread-self/ns/net") as home, open(f"/run/netns/{namespace}") as there:
        _enter(libc, there.fileno())
        try:
            yield
        finally:
            _enter(libc, home.fileno())


def _enter(libc: ctypes.CDLL, descriptor: int) -> None:
    if libc.setns(descriptor, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


class NameServer:
    """Answers every question for an address with FAR while it is `alive`, and nothing at all while not."""

    def __init__(self) -> None:
        self.alive = True
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((FAR, 53))
        self._socket.settimeout(0.1)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while not self._ended.is_set():
            try:
                data, client = self._socket.recvfrom(2000)
            except TimeoutError:
                continue
            if self.alive:
                self._socket.sendto(_answer(data), client)

    def close(self) -> None:
        self._ended.set()
        self._thread.join()
        self._socket.close()


def _answer(data: bytes) -> bytes:
    query = dns.message.from_wire(data)
    reply = dns.message.make_response(query)
    reply.flags |= dns.flags.RA
    question = query.question[0]
    if dns.rdatatype.to_text(question.rdtype) == "A":
        reply.answer.append(dns.rrset.from_text(question.name, 1, "IN", "A", FAR))
    return reply.to_wire()
