"""Fail if a model was changed without a migration."""

from __future__ import annotations

import tempfile

from mainstay.frames.boot import load_settings, start_django

with tempfile.TemporaryDirectory() as folder:
    start_django(load_settings(data=folder))
    from django.core.management import call_command

    call_command("makemigrations", check=True, dry_run=True, verbosity=1)
