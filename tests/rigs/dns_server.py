"""A DNS server on loopback with a small zone, over UDP, TCP and TLS."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

ZONE = {
    ("www.example.test.", "A"): ["192.0.2.10", "192.0.2.11"],
    ("www.example.test.", "AAAA"): ["2001:db8::10"],
    ("example.test.", "MX"): ["10 mail.example.test.", "20 backup.example.test."],
    ("example.test.", "TXT"): ['"v=spf1 -all"', '"two " "parts"'],
    ("example.test.", "NS"): ["ns1.example.test."],
    ("example.test.", "SOA"): ["ns1.example.test. admin.example.test. 2026010203 7200 900 1209600 300"],
    ("example.test.", "CAA"): ['0 issue "letsencrypt.org"'],
    ("_imap._tcp.example.test.", "SRV"): ["0 1 993 mail.example.test."],
    ("10.2.0.192.in-addr.arpa.", "PTR"): ["www.example.test."],
    ("big.example.test.", "TXT"): [f'"{index:03d}{"x" * 200}"' for index in range(20)],
}
Answer = Callable[[dns.message.Message], dns.message.Message | bytes | None]


def answer(query: dns.message.Message) -> dns.message.Message:
    """As a small resolver would: records, a CNAME with its target, NXDOMAIN, AD when asked for it."""
    response = dns.message.make_response(query, recursion_available=True)
    question = query.question[0]
    name, kind = question.name.to_text().lower(), dns.rdatatype.to_text(question.rdtype)
    if name == "alias.example.test.":
        response.answer.append(dns.rrset.from_text(name, 60, "IN", "CNAME", "www.example.test."))
        name = "www.example.test."
    if (name, kind) in ZONE:
        response.answer.append(dns.rrset.from_text(name, 300, "IN", kind, *ZONE[name, kind]))
    elif name == "broken.example.test.":
        response.set_rcode(dns.rcode.SERVFAIL)
    elif not any(known == name for known, _ in ZONE):
        response.set_rcode(dns.rcode.NXDOMAIN)
    if query.flags & dns.flags.AD and name == "www.example.test.":
        response.flags |= dns.flags.AD
    return response


def wire_of(reply: dns.message.Message | bytes, limit: int) -> bytes:
    if isinstance(reply, bytes):
        return reply
    try:
        return reply.to_wire(max_size=limit)
    except dns.exception.TooBig:
        reply.answer.clear()
        reply.flags |= dns.flags.TC
        return reply.to_wire()


@contextmanager
def responder(respond: Answer = answer, *, secured: ssl.SSLContext | None = None) -> Iterator[str]:
    """`127.0.0.1:port` of a server for UDP and TCP (with TLS if a context is given) on one port."""
    stream = socket.create_server(("127.0.0.1", 0))
    port = stream.getsockname()[1]
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind(("127.0.0.1", port))
    datagrams.settimeout(0.1)
    over = threading.Event()

    def serve_datagrams() -> None:
        while not over.is_set():
            with suppress(TimeoutError):
                wire, peer = datagrams.recvfrom(65_535)
                reply = respond(dns.message.from_wire(wire))
                if reply is not None:
                    datagrams.sendto(wire_of(reply, 1232), peer)

    def serve_streams() -> None:
        stream.settimeout(0.1)
        while not over.is_set():
            with suppress(OSError):
                connection, _ = stream.accept()
                connection.settimeout(5)
                if secured is not None:
                    connection = secured.wrap_socket(connection, server_side=True)
                with connection:
                    size = int.from_bytes(connection.recv(2))
                    reply = respond(dns.message.from_wire(connection.recv(size)))
                    if reply is not None:
                        wire = wire_of(reply, 65_535)
                        connection.sendall(len(wire).to_bytes(2) + wire)

    threads = [threading.Thread(target=target, daemon=True) for target in (serve_datagrams, serve_streams)]
    for thread in threads:
        thread.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        over.set()
        for thread in threads:
            thread.join(10)
        stream.close()
        datagrams.close()
