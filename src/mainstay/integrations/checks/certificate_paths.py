"""Which of a server's certificates count: the path from its own one to one that is trusted here.

A server may send more than is needed, such as a cross-signed root for old clients, and leaves its root out. OpenSSL
verifies one path, and looks among what it trusts first (X509_V_FLAG_TRUSTED_FIRST); a certificate above the server's
own that is trusted ends it, also where it is an intermediate one (X509_V_FLAG_PARTIAL_CHAIN). libcurl tells what was
sent, not which path was taken, so the path is found again here, by the same rules for every kind of check.
"""

from __future__ import annotations

import re
import ssl
import warnings
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cryptography import x509

PATH_LIMIT = 10  # certificates
_FRESH = 3600.0  # seconds that a path is kept: another one may be chosen when a certificate ends
_PEM = re.compile(r"-----BEGIN (?:TRUSTED )?CERTIFICATE-----.+?-----END (?:TRUSTED )?CERTIFICATE-----", re.DOTALL)


def path_of(sent: Sequence[bytes], ca: str, ca_file: str, now: float) -> tuple[bytes, ...]:
    """DER of the path, the server's own certificate first; `sent` is DER in the order in which it came.

    `ca`: PEM text of what is trusted, else `ca_file` holds it. Where nothing trusted is reached, the path ends early.
    """
    return _path(tuple(sent), ca, "" if ca else ca_file, now // _FRESH) if sent else ()


@lru_cache(maxsize=512)
def _path(sent: tuple[bytes, ...], ca: str, ca_file: str, turn: float) -> tuple[bytes, ...]:
    now = turn * _FRESH
    found = _load(sent[0])
    if found is None:
        return sent[:1]
    offered = [certificate for der in sent[1:] if (certificate := _load(der)) is not None]
    trusted = _trusted(ca, ca_file)
    path = [found]
    while len(path) < PATH_LIMIT and (len(path) == 1 or path[-1] not in trusted.get(path[-1].subject, ())):
        wanted = path[-1].issuer
        issuer = _issuer(path[-1], trusted.get(wanted, ()), now) or _issuer(path[-1], offered, now)
        if issuer is None or issuer in path:
            break
        path.append(issuer)
    return tuple(_der(certificate) for certificate in path)


def _issuer(of: x509.Certificate, among: Iterable[x509.Certificate], now: float) -> x509.Certificate | None:
    """One whose time it is, else the one that ended last."""
    signers = [one for one in among if one.subject == of.issuer and _signed(of, one)]
    valid = (
        one for one in signers if one.not_valid_before_utc.timestamp() <= now <= one.not_valid_after_utc.timestamp()
    )
    return next(valid, max(signers, key=lambda one: one.not_valid_after_utc, default=None))


def _signed(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, TypeError, ValueError):
        return False
    except UnsupportedAlgorithm:  # OpenSSL may know it; the names agree
        return True
    return True


def _load(der: bytes) -> x509.Certificate | None:
    from cryptography import x509

    with warnings.catch_warnings():  # of roots that break a rule, which systems trust all the same
        warnings.simplefilter("ignore")
        try:
            return x509.load_der_x509_certificate(der)
        except ValueError:
            return None


def _der(certificate: x509.Certificate) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.DER)


def _trusted(ca: str, ca_file: str) -> dict[x509.Name, list[x509.Certificate]]:
    stamp = 0.0
    if ca_file:
        try:
            stamp = Path(ca_file).stat().st_mtime
        except OSError:
            return {}
    return _read_trusted(ca, ca_file, stamp)


@lru_cache(maxsize=16)
def _read_trusted(ca: str, ca_file: str, stamp: float) -> dict[x509.Name, list[x509.Certificate]]:  # noqa: ARG001
    """By subject. What cannot be read is left out: OpenSSL has taken, or refused, the file already."""
    text = ca or (Path(ca_file).read_text(encoding="utf-8", errors="replace") if ca_file else "")
    found: dict[x509.Name, list[x509.Certificate]] = {}
    for pem in _PEM.findall(text):
        try:
            certificate = _load(ssl.PEM_cert_to_DER_cert(pem))
            if certificate is not None:
                found.setdefault(certificate.subject, []).append(certificate)
        except ValueError:
            continue
    return found
