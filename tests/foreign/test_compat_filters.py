"""What pings over HTTP count as where methods and keywords are declared."""

from __future__ import annotations

import pytest
from tests.rigs.pinging import heartbeat, serving

from mainstay.heartbeats import queries

pytestmark = pytest.mark.usefixtures("store")


def _kinds(uid: str) -> list[str]:
    return [ping.kind for ping in reversed(queries.pings(uid))]


def test_other_methods_than_post_are_kept_without_effect(clock: object) -> None:
    view = heartbeat("posted", methods="POST")
    with serving(clock) as served:
        served.turn()
        for method in ("GET", "HEAD", "POST"):
            assert served.client.request(method, f"/ping/{view.uuid}").status_code == 200
    assert _kinds(view.uid) == ["ign", "ign", "success"]
    assert queries.heartbeat("posted").pings == 3


def test_keywords_in_bodies_decide_what_every_ping_means(clock: object) -> None:
    words = {"success": "OK,fine", "failure": "ERROR", "start": "begin", "http_body": True}
    view = heartbeat("worded", keywords=words)
    strict = heartbeat("strict", keywords={"success": "OK", "http_body": True, "default_fail": True})
    mail_only = heartbeat("mailed", keywords={"failure": "ERROR", "subject": True})
    with serving(clock) as served:
        served.turn()
        for body in ("all OK", "OK but ERROR", "begin", "nothing of it", ""):
            served.client.post(f"/ping/{view.uuid}", content=body)
        served.client.post(f"/ping/{view.uuid}/fail", content="OK")  # whatever its address says
        served.client.post(f"/ping/{view.uuid}/0", content="ERROR")
        served.client.get(f"/ping/{strict.uuid}")
        served.client.post(f"/ping/{mail_only.uuid}", content="ERROR")
    assert _kinds(view.uid) == ["success", "fail", "start", "ign", "ign", "success", "fail"]
    assert _kinds(strict.uid) == ["fail"]
    assert _kinds(mail_only.uid) == ["success"]
