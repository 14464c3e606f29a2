"""One bounded SMTP session: guarded addresses, one time limit for everything, bounded replies, verified TLS."""

from __future__ import annotations

import base64
import contextlib
import hmac
import smtplib
import socket
import ssl
import threading
from types import TracebackType
from typing import Any

from mainstay.integrations.http_client import trusted_certificates
from mainstay.integrations.idn import ascii_host
from mainstay.integrations.proxied import tunnel
from mainstay.kernel.ports import AddressGuard

_REPLIES_LIMIT = 256 * 1024  # bytes of all replies in a session
_CHALLENGES = 5  # of one sign-in


class Session(smtplib.SMTP):
    """Connected and encrypted when made. OSError or SMTPException if that, or anything later, fails."""

    def __init__(
        self, host: str, port: int, security: str, guard: AddressGuard, timeout: float, *, proxy: str = ""
    ) -> None:
        self._guard = guard
        self._security = security
        self._proxy = proxy
        self._raw: socket.socket | None = None
        self._late = False
        self._watchdog = threading.Timer(timeout, self._end)
        self._watchdog.daemon = True
        self._watchdog.start()
        try:
            super().__init__(ascii_host(host), port, local_hostname=_own_name(), timeout=timeout)
            if security == "starttls":
                self.starttls(context=_tls())
            elif security == "opportunistic":
                self.ehlo_or_helo_if_needed()
                if self.has_extn("starttls"):
                    self.starttls(context=_any_tls())
        except (OSError, smtplib.SMTPException, ValueError) as error:
            self.close()
            self._stop_watchdog(error)
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The mail was taken or not before QUIT; how the session ends does not matter.
        with contextlib.suppress(OSError, smtplib.SMTPException):
            super().__exit__(kind, error, trace)
        self.close()
        self._stop_watchdog(error)

    def _stop_watchdog(self, error: BaseException | None) -> None:
        self._watchdog.cancel()
        self._watchdog.join()
        if self._late and error is not None:
            raise TimeoutError from None

    def _end(self) -> None:
        """Time is up: break the connection under whatever waits for it."""
        self._late = True
        current = self.sock or self._raw
        if current is not None:
            # SSLSocket.shutdown would meddle with the state that the other thread works on. OSError: closed already.
            with contextlib.suppress(OSError):
                socket.socket.shutdown(current, socket.SHUT_RDWR)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        if self._proxy:
            self._raw = tunnel(self._proxy, host, port, self._guard, timeout)
            return self._encrypted(self._raw, host)
        last: OSError = OSError("its name could not be looked up")
        for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            if reason := self._guard.refuses(str(address[0])):
                last = OSError(reason)
                continue
            opened = socket.socket(family, kind, protocol)
            self._raw = opened
            try:
                opened.settimeout(timeout)
                opened.connect(address)
                return self._encrypted(opened, host)
            except OSError as error:
                self._raw.close()
                last = error
        raise last

    def _encrypted(self, opened: socket.socket, host: str) -> socket.socket:
        """With TLS from the first byte on, where that is asked for."""
        if self._security != "tls":
            return opened
        self._raw = secured = _tls().wrap_socket(opened, server_hostname=host, do_handshake_on_connect=False)
        secured.do_handshake()
        return secured

    def auth(self, mechanism: str, authobject: Any, *, initial_response_ok: bool = True) -> tuple[int, bytes]:
        """As smtplib does it, but in UTF-8 (RFC 4616, 2), where that knows ASCII only."""
        first = authobject() if initial_response_ok else None
        said = None if first is None else base64.b64encode(first.encode()).decode()
        code, answer = self.docmd("AUTH", mechanism if said is None else f"{mechanism} {said}")
        for _ in range(_CHALLENGES):
            if code != 334:
                break
            response = authobject(base64.decodebytes(answer))
            code, answer = self.docmd(base64.b64encode(response.encode()).decode())
        if code in (235, 503):
            return code, answer
        raise smtplib.SMTPAuthenticationError(code, answer)

    def auth_login(self, challenge: Any = None) -> str:
        return self.user if challenge is None else self.password

    def auth_cram_md5(self, challenge: Any = None) -> Any:
        if challenge is None:
            return None
        return f"{self.user} {hmac.new(self.password.encode(), challenge, 'md5').hexdigest()}"

    def getreply(self) -> tuple[int, bytes]:
        if self.file is None and self.sock is not None:
            self.file = _Bounded(self.sock.makefile("rb"))
        return super().getreply()


class _Bounded:
    """Replies that end: a server may not fill the memory."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._left = _REPLIES_LIMIT

    def readline(self, limit: int) -> bytes:
        line: bytes = self._file.readline(limit)
        self._left -= len(line)
        if self._left < 0:
            raise OSError("the mail server's answer is too long")
        return line

    def close(self) -> None:
        self._file.close()


def _tls() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=trusted_certificates())


def _any_tls() -> ssl.SSLContext:
    """Encryption with whoever is there. Where plain text is good enough, a proof of identity protects from nobody:
    who stands between could as well take the offer of encryption away (RFC 7435)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _own_name() -> str:
    """What to say in EHLO, without asking a name server."""
    name = socket.gethostname()
    return name if name.isascii() and name.replace("-", "").replace(".", "").isalnum() else "localhost"
