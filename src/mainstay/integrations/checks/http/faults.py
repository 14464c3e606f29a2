"""What libcurl's errors mean: the phase, a code and a sentence.

Numbers are those of libcurl-errors(3). The kernel's error number of a failed connection and OpenSSL's result of
the verification tell more than libcurl's own number.
"""

from __future__ import annotations

import errno
from typing import Any

import pycurl

from mainstay.integrations.checks.progress import describe_seconds
from mainstay.kernel.probing import CheckFault

_CONNECT = {
    errno.ECONNREFUSED: ("connect.refused", "the connection was refused: nothing listens there"),
    errno.ECONNRESET: ("connect.reset", "the connection was reset while being opened"),
    errno.ENETUNREACH: ("connect.unreachable", "there is no route to the network"),
    errno.EHOSTUNREACH: ("connect.unreachable", "there is no route to the host"),
    errno.ENETDOWN: ("connect.unreachable", "the network is down"),
    errno.ETIMEDOUT: ("connect.timeout", "the connection timed out"),
}
# Errors of this machine say nothing about the target.
_OURS = {
    errno.EMFILE: "this process has no file descriptors left",
    errno.ENFILE: "this machine has no file descriptors left",
    errno.EADDRNOTAVAIL: "this machine has no local port or address for the connection",
    errno.EACCES: "this machine does not permit the connection",
    errno.EPERM: "this machine does not permit the connection",
    errno.ENOBUFS: "this machine has no memory left for the connection",
}
# X509_V_ERR_* of openssl/x509_vfy.h
_VERIFY = {
    9: ("tls.not_yet_valid", "the certificate is not valid yet"),
    10: ("tls.expired", "the certificate has expired"),
    18: ("tls.self_signed", "the certificate is self-signed"),
    19: ("tls.untrusted", "the certificate was issued by an authority that is not trusted"),
    20: (
        "tls.untrusted",
        "the certificate's issuer is not known; an intermediate certificate may be missing",
    ),
    21: (
        "tls.untrusted",
        "the certificate's issuer is not known; an intermediate certificate may be missing",
    ),
    62: ("tls.name_mismatch", "the certificate is for other names"),
    64: ("tls.name_mismatch", "the certificate is for other addresses"),
}
_LATE = {
    "connect": "no connection within {limit}",
    "tls": "the TLS handshake was not finished within {limit}",
    "wait": "no answer within {limit}",
    "transfer": "the answer was not complete within {limit}",
}
_TRANSFER = {
    1: ("wait.malformed", "the answer is not HTTP"),
    8: ("wait.malformed", "the answer is not valid HTTP"),
    16: ("wait.malformed", "the HTTP/2 conversation failed"),
    18: ("transfer.truncated", "the answer ended before it was complete"),
    52: ("wait.closed", "the connection was closed without an answer"),
    61: ("transfer.encoding", "the compressed answer cannot be decompressed"),
    80: ("transfer.truncated", "the TLS connection was not closed properly"),
    92: ("transfer.truncated", "the HTTP/2 stream was aborted"),
    95: ("wait.malformed", "the HTTP/3 conversation failed"),
    97: ("connect.proxy", "the proxy refused"),
    100: ("transfer.headers_too_large", "the headers of the answer are too large"),
}


def explain(curl: Any, code: int, text: str, *, secure: bool, limit: float) -> CheckFault:
    """The finding for an error of a transfer; `limit` is the check's whole time in seconds."""
    if code == pycurl.E_OPERATION_TIMEDOUT:
        phase = phase_of(curl, secure=secure)
        return CheckFault(f"{phase}.timeout", _LATE[phase].format(limit=describe_seconds(limit)))
    if code in _EXPLAINED:
        return _EXPLAINED[code](curl, text)
    if code in (pycurl.E_RECV_ERROR, pycurl.E_SEND_ERROR):
        return _broken_off(curl, text, secure=secure)
    known = _TRANSFER.get(code)
    if known is not None:
        return CheckFault(known[0], f"{known[1]}: {_reason(text)}" if text else known[1])
    return CheckFault("transfer.failed", f"the transfer failed: {_reason(text)} (libcurl {code})")


def phase_of(curl: Any, *, secure: bool) -> str:
    """The phase in which a transfer stopped."""
    if not curl.getinfo(pycurl.CONNECT_TIME_T):
        return "connect"
    if secure and not curl.getinfo(pycurl.APPCONNECT_TIME_T):
        return "tls"
    return "transfer" if curl.getinfo(pycurl.STARTTRANSFER_TIME_T) and curl.getinfo(pycurl.RESPONSE_CODE) else "wait"


def _no_connection(curl: Any, text: str) -> CheckFault:
    if "CONNECT tunnel" in text:
        return CheckFault("connect.proxy", f"the proxy refused: {_reason(text)}")
    number = curl.getinfo(pycurl.OS_ERRNO)
    if number in _OURS:
        return CheckFault("check.resources", _OURS[number], verdict="unknown")
    code, sentence = _CONNECT.get(number, ("connect.failed", f"no connection: {_reason(text)}"))
    return CheckFault(code, sentence)


def _not_verified(curl: Any, text: str) -> CheckFault:
    known = _VERIFY.get(curl.getinfo(pycurl.SSL_VERIFYRESULT))
    if known is None and "subject name" in text:
        known = _VERIFY[62]
    if known is None:
        return CheckFault("tls.untrusted", f"the certificate is not accepted: {_reason(text)}")
    return CheckFault(*known)


def _no_handshake(_curl: Any, text: str) -> CheckFault:
    return CheckFault("tls.handshake", f"the TLS handshake failed: {_reason(text)}")


def _bad_tls_options(_curl: Any, text: str) -> CheckFault:
    return CheckFault("check.bad_tls_options", f"the TLS options cannot be used: {_reason(text)}", verdict="unknown")


def _no_memory(_curl: Any, text: str) -> CheckFault:
    reason = f"libcurl could not start: {_reason(text)}"
    return CheckFault("check.resources", reason, verdict="unknown")


def _no_address(_curl: Any, _text: str) -> CheckFault:
    return CheckFault("lookup.not_found", "the name has no address of the requested IP version")


def _broken_off(curl: Any, text: str, *, secure: bool) -> CheckFault:
    if "Too large response headers" in text:  # libcurl's bound of 300 kB
        return CheckFault(*_TRANSFER[100])
    phase = phase_of(curl, secure=secure)
    code = {"connect": "connect.reset", "tls": "tls.handshake", "wait": "wait.closed"}.get(phase, "transfer.truncated")
    return CheckFault(code, f"the connection was lost: {_reason(text)}")


def _reason(text: str) -> str:
    """libcurl's text, bounded; it may quote what the server sent."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text[:160]) or "no reason given"


_EXPLAINED = {
    pycurl.E_COULDNT_CONNECT: _no_connection,
    pycurl.E_COULDNT_RESOLVE_HOST: _no_address,
    pycurl.E_COULDNT_RESOLVE_PROXY: _no_address,
    pycurl.E_PEER_FAILED_VERIFICATION: _not_verified,
    pycurl.E_SSL_CONNECT_ERROR: _no_handshake,
    pycurl.E_SSL_CERTPROBLEM: _bad_tls_options,
    pycurl.E_BAD_FUNCTION_ARGUMENT: _bad_tls_options,  # what a key that cannot be read is called
    pycurl.E_OUT_OF_MEMORY: _no_memory,
    pycurl.E_FAILED_INIT: _no_memory,
    pycurl.E_SSL_CACERT_BADFILE: _bad_tls_options,
    pycurl.E_SSL_CIPHER: _bad_tls_options,
}
