"""The commands `token`, `users` and `journal`, as a person types them."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from mainstay.accounts.rules import parse_token


@pytest.fixture
def run(tmp_path: Path):  # type: ignore[no-untyped-def]
    environment = {**os.environ, "MAINSTAY_DATA": str(tmp_path / "data")}

    def mainstay(*arguments: str, code: int = 0) -> str:
        command = [sys.executable, "-W", "error::DeprecationWarning:mainstay", "-m", "mainstay", *arguments]
        done = subprocess.run(
            command, env=environment, input="{}", capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == code, done.stderr[-2000:]
        assert "Traceback" not in done.stderr
        return done.stdout if code == 0 else done.stdout + done.stderr

    mainstay("apply", "--yes", "-")
    return mainstay


def test_tokens_people_and_the_journal_from_the_command_line(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    token = parse_token(run("token", "create", "scraper", "--scope", "metrics:read", "--expires", "30d").strip())
    assert token is not None
    assert run("users", "add", "first@example.com", "--role", "admin").startswith("http://127.0.0.1:8800/join/")
    (listed,) = json.loads(run("token", "list", "--json"))
    assert (listed["id"], listed["name"], listed["state"]) == (token.id, "scraper", "active")
    assert listed["scopes"] == ["metrics:read"]
    assert "did you mean `metrics:read`" in run("token", "create", "x", "--scope", "metric:read", code=1)
    assert "--scope, --role or --service" in run("token", "create", "x", code=1)
    run("token", "revoke", str(token))
    (person,) = json.loads(run("users", "list", "--json"))
    assert (person["role"], person["invited"]) == ("admin", True)
    entries = [json.loads(line) for line in run("journal", "--json").splitlines()]
    assert [entry["kind"] for entry in entries] == ["token.created", "user.created", "token.revoked"]
    assert all(entry["actor"].startswith("command:") for entry in entries)
    assert "API token created" in run("journal", "--kind", "token.created"), "people read titles"
    assert "token.created" not in run("journal", "--kind", "token.created")
    target = tmp_path / "out.jsonl"
    run("journal", "export", "--kind", "token.*", "-o", str(target))
    assert len(target.read_text().splitlines()) == 2
    assert "is not a time" in run("journal", "--since", "soon", code=1)
    assert "4 entries" in run("journal", "verify")
    with sqlite3.connect(tmp_path / "data" / "state.sqlite3") as database:
        database.execute("UPDATE journal SET actor = 'user:intruder' WHERE seq = 2")
    database.close()
    assert "entry 2" in run("journal", "verify", code=1)


def test_a_token_is_rotated_from_the_command_line(run) -> None:  # type: ignore[no-untyped-def]
    old = parse_token(run("token", "create", "wall", "--scope", "monitors:read", "--limit", "team=core").strip())
    assert old is not None
    new = parse_token(run("token", "rotate", str(old), "--overlap", "1h").strip())
    assert new is not None
    listed = {one["id"]: one for one in json.loads(run("token", "list", "--json"))}
    assert listed[new.id]["limits"] == listed[old.id]["limits"] == ['team="core"']
    assert listed[old.id]["expires_at"] < listed[new.id]["expires_at"]
    run("token", "rotate", old.id, "--overlap", "0s")
    assert "no longer works" in run("token", "rotate", old.id, code=1)
    assert "for example --overlap 24h" in run("token", "rotate", new.id, "--overlap", "soon", code=1)
    assert "declare it under" in run("token", "create", "x", "--service", "nobody", code=1)
