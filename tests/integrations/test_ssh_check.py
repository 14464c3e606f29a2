"""The check `ssh` against OpenSSH, against asyncssh for other algorithms, and against servers that misbehave."""

from __future__ import annotations

import asyncio
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from pydantic import ValidationError
from tests.rigs import misbehaving
from tests.rigs.check_servers import free_port, run_check, tcp_server, until_closed
from tests.rigs.real_servers import answers, free_ports, program, running, short_folder

from mainstay.integrations.checks.ssh.fields import Fields, mpint
from mainstay.integrations.checks.ssh.keys import verify
from mainstay.integrations.checks.ssh.spec import KIND
from mainstay.kernel.probing import CheckFault

TYPES = ("ed25519", "ecdsa", "rsa")


@pytest.fixture(scope="module")
def openssh() -> Iterator[tuple[int, dict[str, str]]]:
    """Its port, and the fingerprint of each of its keys as ssh-keygen tells it."""
    (port,) = free_ports(1)
    fingerprints = {}
    with short_folder() as folder:
        for kind in TYPES:
            key = str(folder / kind)
            subprocess.run([program("ssh-keygen"), "-q", "-t", kind, "-N", "", "-f", key], check=True)
            listed = subprocess.run([program("ssh-keygen"), "-lf", key], check=True, capture_output=True, text=True)
            fingerprints[kind] = listed.stdout.split()[1]
        lines = [f"Port {port}", "ListenAddress 127.0.0.1", f"PidFile {folder}/pid", "UsePAM no"]
        (folder / "conf").write_text("\n".join(lines + [f"HostKey {folder}/{kind}" for kind in TYPES]))
        arguments = [program("sshd"), "-D", "-e", "-f", str(folder / "conf")]
        with _separation_folder(), running(arguments, lambda: answers(port), folder / "log"):
            yield port, fingerprints


@contextmanager
def _separation_folder() -> Iterator[None]:
    """Debian's sshd, started by root, wants this folder, which its start script makes otherwise."""
    folder = Path("/run/sshd")
    if os.geteuid() != 0 or folder.exists():
        yield
        return
    folder.mkdir(mode=0o755)
    try:
        yield
    finally:
        folder.rmdir()


def test_banner_and_best_host_key(openssh: tuple[int, dict[str, str]]) -> None:
    port, fingerprints = openssh
    expect = {"banner": "OpenSSH", "host_key": fingerprints["ed25519"]}
    result = run_check("ssh", f"127.0.0.1:{port}", expect)
    assert (result.verdict, result.code, result.message) == ("up", "", "")
    assert result.evidence["banner"].startswith("SSH-2.0-OpenSSH")
    assert result.evidence["host_key"] == {
        "type": "ssh-ed25519",
        "bits": 256,
        "fingerprint": fingerprints["ed25519"],
    }
    assert set(result.phases) == {"lookup", "connect", "wait", "transfer"}


@pytest.mark.parametrize("kind", TYPES)
def test_each_type_of_host_key(openssh: tuple[int, dict[str, str]], kind: str) -> None:
    port, fingerprints = openssh
    target = {"address": f"127.0.0.1:{port}", "key_type": kind}
    result = run_check("ssh", target, {"host_key": [fingerprints[kind]]})
    assert result.verdict == "up", result.message
    other = fingerprints["rsa" if kind != "rsa" else "ecdsa"]
    changed = run_check("ssh", target, {"host_key": other})
    assert (changed.verdict, changed.code) == ("down", "expect.host_key")
    assert fingerprints[kind] in changed.message


def test_what_is_not_as_expected(openssh: tuple[int, dict[str, str]]) -> None:
    address = f"127.0.0.1:{openssh[0]}"
    banner = run_check("ssh", address, {"banner": "dropbear"})
    assert (banner.verdict, banner.code) == ("down", "expect.banner")
    slow = run_check("ssh", address, {"degraded_after": "0ms"})
    assert (slow.verdict, slow.code) == ("degraded", "expect.latency")


@contextmanager
def asyncssh_server(**options: Any) -> Iterator[int]:
    loop = asyncio.new_event_loop()

    async def listen() -> Any:
        return await asyncssh.listen("127.0.0.1", 0, **options)

    server = loop.run_until_complete(listen())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def end() -> None:
        server.close()
        await server.wait_closed()
        await asyncio.sleep(0)

    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        asyncio.run_coroutine_threadsafe(end(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


@pytest.mark.filterwarnings("ignore:Diffie-Hellman over finite fields")  # how the other implementation does it
@pytest.mark.parametrize(
    "agreement",
    [
        "curve25519-sha256",
        "curve25519-sha256@libssh.org",
        "ecdh-sha2-nistp256",
        "diffie-hellman-group14-sha256",
    ],
)
@pytest.mark.parametrize("algorithm", ["ssh-ed25519", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"])
def test_every_agreement_and_key_with_another_implementation(agreement: str, algorithm: str) -> None:
    key = asyncssh.generate_private_key(algorithm)
    with asyncssh_server(server_host_keys=[key], kex_algs=[agreement]) as port:
        result = run_check("ssh", f"127.0.0.1:{port}", {"host_key": key.get_fingerprint()})
    assert (result.verdict, result.message) == ("up", "")
    assert result.evidence["key_agreement"] == agreement
    assert result.evidence["host_key"]["type"] == algorithm


def test_a_server_of_other_algorithms() -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    with asyncssh_server(server_host_keys=[key], kex_algs=["diffie-hellman-group16-sha512"]) as port:
        result = run_check("ssh", f"127.0.0.1:{port}")
        assert (result.verdict, result.code) == ("down", "expect.algorithms")
        assert "no key agreement that is supported here; it offers diffie-hellman-group16-sha512" in result.message
    with asyncssh_server(server_host_keys=[key]) as port:
        result = run_check("ssh", {"address": f"127.0.0.1:{port}", "key_type": "rsa"})
    assert (result.code, "no rsa key" in result.message) == ("expect.algorithms", True)


def test_a_key_that_signed_something_else_is_an_impostor() -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    signature = key.sign(b"this", b"ssh-ed25519")
    assert verify(key.public_data, signature, b"this") == ("ssh-ed25519", 256)
    with pytest.raises(CheckFault, match="impostor"):
        verify(key.public_data, signature, b"that")
    for blob, sent in ((b"", signature), (key.public_data, b"\0\0"), (b"\0\0\0\x03abc", signature)):
        with pytest.raises(CheckFault, match="cannot be read"):
            verify(blob, sent, b"this")


def kexinit(*lists: bytes) -> bytes:
    payload = b"\x14" + bytes(16) + b"".join(len(one).to_bytes(4, "big") + one for one in lists)
    return packet(payload)


def packet(payload: bytes) -> bytes:
    padding = 16 - (len(payload) + 5) % 8
    return (len(payload) + padding + 1).to_bytes(4, "big") + bytes((padding,)) + payload + bytes(padding)


HELLO = b"hello, this is\r\nSSH-2.0-test\r\n"
LISTS = kexinit(b"curve25519-sha256", b"ssh-ed25519", *[b""] * 8)
BYE = packet(b"\x01\0\0\0\x0c\0\0\0\x04full\0\0\0\0")


@pytest.mark.parametrize(
    ("serve", "code", "says"),
    [
        (until_closed, "wait.timeout", "the banner did not arrive within 300 ms"),
        (misbehaving.closes_at_once, "wait.closed", "without sending anything"),
        (misbehaving.then_closes(b"SSH-2.0-ha"), "wait.closed", "in the middle of its answer"),
        (misbehaving.garbage, "wait.malformed", "not an SSH server"),
        (misbehaving.endless, "wait.malformed", "a line of more than 8192 bytes"),
        (misbehaving.web_server, "wait.malformed", "HTTP/1.1 400"),
        (misbehaving.says(b"chat\r\n" * 60), "wait.malformed", "no version in its first 50 lines"),
        (misbehaving.says(b"SSH-1.5-old\r\n"), "wait.malformed", "does not speak SSH 2: `SSH-1.5-old`"),
        (misbehaving.says(HELLO), "transfer.timeout", "key agreement did not arrive"),
        (misbehaving.then_closes(HELLO), "transfer.closed", "closed the connection"),
        (misbehaving.says(HELLO, b"\xff\xff\xff\xff"), "wait.malformed", "a packet of 4294967295 bytes"),
        (misbehaving.says(HELLO, packet(b"\x14abc")), "wait.malformed", "list of algorithms cannot be read"),
        (misbehaving.says(HELLO, packet(b"\x63")), "wait.malformed", "not part of a key agreement"),
        (misbehaving.says(HELLO, packet(b"\x02") * 30), "wait.malformed", "not part of a key agreement"),
        (misbehaving.says(HELLO, BYE), "wait.refused", "ends the connection: full (code 12)"),
        (misbehaving.says(HELLO, packet(b"\x04") + LISTS, packet(b"\x1f\0\0")), "wait.malformed", "part of the key"),
        (misbehaving.says(HELLO, LISTS, packet(b"\x1f" + b"\0\0\0\x01x" * 3)), "wait.malformed", "part of the key"),
    ],
)
def test_servers_that_misbehave(serve: Any, code: str, says: str) -> None:
    with tcp_server(serve) as port:
        result = run_check("ssh", f"127.0.0.1:{port}", limit=0.3)
    assert (result.verdict, result.code) == ("down", code), result.message
    assert says in result.message


def test_numbers_are_written_as_the_standard_has_them() -> None:
    """The examples of RFC 4251, section 5."""
    assert mpint(0) == bytes.fromhex("00000000")
    assert mpint(0x9A378F9B2E332A7) == bytes.fromhex("0000000809a378f9b2e332a7")
    assert mpint(0x80) == bytes.fromhex("000000020080")
    assert Fields(mpint(0x80)).mpint() == 0x80
    with pytest.raises(ValueError, match="negative"):
        Fields(bytes.fromhex("00000002edcc")).mpint()


def test_refused_and_mistakes() -> None:
    assert run_check("ssh", f"127.0.0.1:{free_port()}").code == "connect.refused"
    assert KIND.address(KIND.target.model_validate({"address": "a.test"})) == "a.test:22"
    for wrong in ("MD5:aa:bb", "SHA256:abc", "SHA256:%%", "SHA256:" + "A" * 43 + "="):
        with pytest.raises(ValidationError, match="is not a fingerprint"):
            KIND.expect.model_validate({"host_key": wrong})
