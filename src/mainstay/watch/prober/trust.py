"""Which certificates checks trust: SSL_CERT_FILE, else the system's, else those that Mainstay brings along."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

# Where Linux distributions keep the file (Debian, Fedora, openSUSE, Alpine, macOS).
_PLACES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


def default_ca_file() -> str:
    """Path of a PEM file; empty if there is none, and then no certificate is accepted."""
    given = os.environ.get("SSL_CERT_FILE")
    if given:
        return given
    known = ssl.get_default_verify_paths().cafile
    for place in (*_PLACES, *([known] if known else [])):
        if Path(place).is_file():
            return place
    try:
        import certifi
    except ModuleNotFoundError:
        return ""
    return certifi.where()
