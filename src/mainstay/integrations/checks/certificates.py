"""What a server's certificates say, and what it means when they are not accepted.

Trust is decided by OpenSSL during the handshake; this room only reads certificates and puts reasons in words.
"""

from __future__ import annotations

import importlib
import ssl
import tempfile
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from mainstay.integrations.checks.certificate_paths import path_of
from mainstay.integrations.checks.endpoints import ip_address
from mainstay.integrations.checks.streams import connection_failure
from mainstay.integrations.idn import ascii_host
from mainstay.kernel.probing import CheckFault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography import x509

    from mainstay.integrations.checks.progress import Steps
    from mainstay.integrations.checks.streams import Stream

CHAIN_LIMIT = 10  # certificates that are read; OpenSSL itself limits the chain to 100 kB
NAMES_LIMIT = 100  # names of one certificate that go into evidence
DAY = 86_400.0

# Results of X509_verify_cert, see openssl/x509_vfy.h.
_NOT_YET_VALID, _EXPIRED, _SELF_SIGNED = 9, 10, 18
_NAME_MISMATCH = {62, 64}
_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


@dataclass(frozen=True, slots=True)
class Trust:
    """What a handshake goes by: `ca` (PEM text), or else `ca_file`, holds what is trusted."""

    context: ssl.SSLContext
    ca: str
    ca_file: str


@lru_cache(maxsize=64)
def trust(
    ca: str, ca_file: str, verify: bool, versions: tuple[str, str] = ("", ""), client: tuple[str, str] = ("", "")
) -> Trust:
    """Of a client, kept because reading the system's certificates takes tens of milliseconds.

    `ca`: PEM text of certificates to trust instead of the system's. CheckFault if it is none.
    `versions`: oldest and newest version of TLS, "1.2" or "1.3", empty where it does not matter.
    `client`: certificate and key to show, as PEM texts.
    """
    try:
        context = ssl.create_default_context(cafile=None if ca else ca_file or None, cadata=ca or None)
    except (ssl.SSLError, ValueError) as error:
        raise CheckFault("check.bad_ca", "`ca` holds no certificates in PEM form", verdict="unknown") from error
    except OSError as error:
        reason = f"the certificates to trust cannot be read from {ca_file}: {error.strerror}"
        raise CheckFault("check.bad_ca", reason, verdict="unknown") from error
    # As libcurl has it in the checks over HTTP: whatever is trusted ends a path, and no more is asked of it.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.hostname_checks_common_name = False  # RFC 9525, 2: names are those of subjectAltName
    oldest, newest = versions
    if oldest:
        context.minimum_version = _VERSIONS[oldest]
    if newest:
        context.maximum_version = _VERSIONS[newest]
    if client[0]:
        _show(context, *client)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return Trust(context, ca, ca_file)


def _show(context: ssl.SSLContext, certificate: str, key: str) -> None:
    """Python takes a client's certificate from a file only: this one is ours alone and gone at once."""
    with tempfile.NamedTemporaryFile("w") as handle:  # mode 0600
        handle.write(f"{certificate}\n{key}\n")
        handle.flush()
        try:
            context.load_cert_chain(handle.name, password="")  # an encrypted key fails rather than asks
        except (ssl.SSLError, ValueError) as error:
            reason = "the client certificate and its key cannot be used together"
            raise CheckFault("check.bad_tls_options", reason, verdict="unknown") from error


def load_reader() -> None:
    """Import what reads certificates, once and before any check: it takes a twentieth of a second."""
    importlib.import_module("cryptography.x509")


async def shake_hands(steps: Steps, stream: Stream, trusted: Trust, server_name: str) -> None:
    """Phase `tls`. What was sent goes into evidence whether or not it is accepted; CheckFault `tls.*`."""
    fault: CheckFault | None = None
    with steps.phase("tls"):
        try:
            await stream.start_tls(trusted.context, ascii_host(server_name))
        except (ssl.SSLError, OSError, ValueError) as error:
            fault = _failure(error, server_name)
    if stream.tls is None:
        raise fault or CheckFault("tls.failed", "there was no handshake")
    chain = sent_chain(stream.tls)
    now = time.time()
    path = path_of(chain, trusted.ca, trusted.ca_file, now)
    steps.path = describe_chain(path, now)
    if chain:
        steps.evidence["certificates"] = [
            facts if der in path else facts | {"surplus": True}
            for der, facts in zip(chain, describe_chain(chain, now), strict=True)
        ]
    steps.evidence["tls"] = {
        "version": stream.tls.version() or "",
        "cipher": (stream.tls.cipher() or ("",))[0],
        "verified": fault is None and trusted.context.verify_mode == ssl.CERT_REQUIRED,
    }
    if fault is not None:
        raise explain(fault, steps.path, server_name, now)


def sent_chain(connection: ssl.SSLObject) -> list[bytes]:
    """DER of the certificates as the server sent them, leaf first; also after a handshake that failed.

    Public from Python 3.13; before, only the object underneath knows it.
    """
    public = getattr(connection, "get_unverified_chain", None)
    if public is not None:
        return [bytes(certificate) for certificate in (public() or ())][:CHAIN_LIMIT]
    inner: Any = getattr(connection, "_sslobj", None)
    found = (inner.get_unverified_chain() or ()) if inner is not None else ()
    return [bytes(certificate.public_bytes(_DER)) for certificate in found][:CHAIN_LIMIT]


_DER = 2  # _ssl.ENCODING_DER


def describe_chain(chain: Sequence[bytes], now: float) -> list[dict[str, Any]]:
    """One mapping for each certificate; times are epoch seconds."""
    found = []
    for der in chain:
        facts = dict(_read(der))
        if "not_after" in facts:
            facts["days_left"] = round((facts["not_after"] - now) / DAY, 2)
        found.append(facts)
    return found


@lru_cache(maxsize=512)
def _read(der: bytes) -> dict[str, Any]:
    """Kept, because a server shows the same certificates at every check."""
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256

    try:
        certificate = x509.load_der_x509_certificate(der)
        return {
            "subject": certificate.subject.rfc4514_string(),
            "issuer": certificate.issuer.rfc4514_string(),
            "names": _names(certificate)[:NAMES_LIMIT],
            "not_before": certificate.not_valid_before_utc.timestamp(),
            "not_after": certificate.not_valid_after_utc.timestamp(),
            "serial": f"{certificate.serial_number:x}",
            "fingerprint_sha256": certificate.fingerprint(SHA256()).hex(),
            "key": _key(certificate),
            "signature": _signature(certificate),
        }
    except _unreadable() as error:
        return {"error": f"the certificate cannot be read: {error}"[:200]}


def _unreadable() -> tuple[type[Exception], ...]:
    """What the library raises for certificates that break the standard."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm

    odd = (x509.InvalidVersion, x509.DuplicateExtension, x509.UnsupportedGeneralNameType)
    return ValueError, UnsupportedAlgorithm, *odd


def _names(certificate: x509.Certificate) -> list[str]:
    from cryptography import x509

    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return found.get_values_for_type(x509.DNSName) + [str(ip) for ip in found.get_values_for_type(x509.IPAddress)]


def _key(certificate: x509.Certificate) -> str:
    """`RSA 2048`, `EC secp256r1`, `Ed25519`."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    try:
        key = certificate.public_key()
    except UnsupportedAlgorithm:
        return certificate.public_key_algorithm_oid.dotted_string
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA {key.key_size}"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"EC {key.curve.name}"
    return type(key).__name__.removesuffix("PublicKey").strip("_")


def _signature(certificate: x509.Certificate) -> str:
    """`ECDSA with SHA256`, else the object identifier."""
    from cryptography.x509.oid import SignatureAlgorithmOID

    oid = certificate.signature_algorithm_oid
    known = {value: name for name, value in vars(SignatureAlgorithmOID).items() if not name.startswith("__")}
    return known[oid].replace("_WITH_", " with ").replace("_", "-") if oid in known else oid.dotted_string


def covers(names: list[str], host: str) -> bool:
    """Whether a certificate with these names is good for `host` (RFC 6125: a wildcard stands for one label)."""
    wanted = ip_address(host)
    if wanted is not None:
        return any(ip_address(name) == wanted for name in names)
    host = ascii_host(host).rstrip(".").lower()
    _, _, parent = host.partition(".")
    return any(name.lower() == host or (parent and name.lower() == f"*.{parent}") for name in names)


def _failure(error: Exception, server_name: str) -> CheckFault:
    """The code of a failed handshake; `explain` adds what the certificates tell."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return CheckFault(_verification_code(error.verify_code), error.verify_message)
    if isinstance(error, ssl.SSLEOFError):
        return CheckFault("tls.handshake", "the server closed the connection in the middle of the handshake")
    if isinstance(error, ssl.SSLError):
        if error.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNEXPECTED_MESSAGE", "RECORD_LAYER_FAILURE"):
            return CheckFault("tls.handshake", "the server does not speak TLS on this port")
        reason = (error.reason or str(error)).replace("_", " ").lower()
        return CheckFault("tls.handshake", f"the handshake failed: {reason}")
    if isinstance(error, OSError):
        return connection_failure(error, "the server", "tls")
    return CheckFault("tls.handshake", f"`{server_name[:80]}` cannot be a server's name: {error}", verdict="unknown")


def _verification_code(result: int) -> str:
    if result == _EXPIRED:
        return "tls.expired"
    if result == _NOT_YET_VALID:
        return "tls.not_yet_valid"
    if result == _SELF_SIGNED:
        return "tls.self_signed"
    if result in _NAME_MISMATCH:
        return "tls.name_mismatch"
    return "tls.untrusted"


def explain(fault: CheckFault, facts: list[dict[str, Any]], server_name: str, now: float) -> CheckFault:
    """The same finding in a sentence that names the certificate at fault."""
    readable = [fact for fact in facts if "subject" in fact]
    if not readable or fault.code == "tls.handshake":
        return fault
    leaf, last = readable[0], readable[-1]
    code, message = fault.code, fault.message
    if code == "tls.expired":
        late = next((fact for fact in readable if fact["not_after"] < now), leaf)
        message = f"the certificate {late['subject']} expired {_days(now - late['not_after'])} ago"
    elif code == "tls.not_yet_valid":
        early = next((fact for fact in readable if fact["not_before"] > now), leaf)
        message = f"the certificate {early['subject']} is not valid for another {_days(early['not_before'] - now)}"
    elif code == "tls.name_mismatch":
        named = ", ".join(leaf["names"][:5]) or "no name at all, since a common name does not count (RFC 9525)"
        message = f"the certificate is for {named}, not for {server_name}"
    elif code == "tls.self_signed":
        message = f"the certificate {leaf['subject']} is self-signed, so nothing vouches for it"
    elif last["subject"] == last["issuer"]:
        message = f"the authority {last['subject']} is not trusted here: {fault.message}"
    else:
        message = (
            f"the chain ends at {last['issuer']}, which the server does not send and this machine does not trust: "
            f"an intermediate certificate is missing, or the authority is private ({fault.message})"
        )
    return CheckFault(code, message, verdict=fault.verdict)


def enough_days(path: list[dict[str, Any]], days: float | None) -> None:
    """CheckFault `expect.days` (degraded) where a certificate of the path ends too soon, the first to end told.

    Without `days`, a third of the lifetime of the server's own counts, which is when renewal by ACME is overdue.
    """
    readable = [fact for fact in path if "not_after" in fact]
    if not readable:
        raise CheckFault("tls.handshake", "the server sent no readable certificate")
    leaf = readable[0]
    wanted = days if days is not None else (leaf["not_after"] - leaf["not_before"]) / DAY / 3
    first = min(readable, key=lambda fact: float(fact["not_after"]))
    if first["days_left"] < wanted:
        whose = "certificate" if first is leaf else "certificate above it"
        sentence = f"the {whose}, {first['subject']}, ends in {first['days_left']:.1f} days, under {wanted:.0f}"
        raise CheckFault("expect.days", sentence, verdict="degraded")


def _days(seconds: float) -> str:
    days = seconds / DAY
    return f"{days:.0f} days" if days >= 2 else f"{seconds / 3600:.0f} h"
