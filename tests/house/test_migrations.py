"""A migration that a database may have applied is never edited: what it would add now would be missing there.

Another change of the tables is another migration, and its line is added here.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2] / "src" / "mainstay"
APPLIED = {
    "accounts/0001_initial": "78f44dbb786b112c",
    "alerting/0001_initial": "49f62ae1be4c0379",
    "alerting/0002_claims": "f07669ae5d8d39e5",
    "alerting/0003_mutes_and_notes": "249fa0369c25818c",
    "alerting/0004_stages": "cbacfef91bdcf05c",
    "alerting/0005_groups": "6f88b7e69000a9f3",
    "alerting/0006_devices": "b3a82055c733f9fe",
    "heartbeats/0001_initial": "866b2906ff3ebbbe",
    "heartbeats/0002_late_reports": "74b00cda45bc2adb",
    "nodes/0001_initial": "93d0edcb6fe66063",
    "sources/0001_initial": "f68de70657a4a866",
    "oncall/0001_initial": "9fd0cfa55ca6e0c4",
    "store/0001_initial": "3524bf09032580a0",
    "store/0002_vault": "fd88fea35de9dcb6",
    "store/0003_followers": "cd86876a1ef46470",
    "store/0004_references": "41b4ac9195c9bff0",
    "store/0005_seals": "d5ff965f1b8eb98a",
    "watch/0001_initial": "67178167dbbcac65",
    "watch/0002_locations": "98aa16b6a1a3d1c4",
}


def test_no_applied_migration_was_edited() -> None:
    found = {
        f"{path.parents[1].name}/{path.stem}": hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        for path in SOURCE.glob("*/migrations/0*.py")
    }
    assert found == APPLIED
