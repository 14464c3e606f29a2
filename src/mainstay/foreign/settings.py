"""Settings of compatible APIs."""

from __future__ import annotations

from mainstay.kernel.settings import Setting

BLACKBOX_MODULES = Setting(
    "blackbox_modules",
    "",
    "file of the Prometheus blackbox exporter whose modules `/probe` knows besides the built-in ones; read again "
    "when it, or a file that it names, changes",
)

SETTINGS = (BLACKBOX_MODULES,)
