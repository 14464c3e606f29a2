"""Badges of heartbeats in all formats, and who gets to see them."""

from __future__ import annotations

import asyncio
from xml.etree import ElementTree as ET

import pytest
from django.db import connections
from tests.rigs.compat_rig import Rig, rigged
from tests.rigs.pinging import ACTOR, heartbeat

from mainstay.heartbeats.badges import badge_key, badge_svg, check_badge_key, signature, tag_badges
from mainstay.store.resources.apply import remove

pytestmark = pytest.mark.usefixtures("store")

SVG = "{http://www.w3.org/2000/svg}"


def _texts(svg: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(svg).iter(f"{SVG}text")][1::2]


def test_a_badge_is_a_flat_badge_of_20_pixels() -> None:
    drawn = ET.fromstring(badge_svg("build <&>", "up", "#4c1"))
    assert (drawn.tag, drawn.get("height")) == (f"{SVG}svg", "20")
    widths = [int(one.get("width", "0")) for one in drawn.iter(f"{SVG}rect")]
    assert int(drawn.get("width", "0")) == widths[0] == widths[1] + widths[2] == widths[3]
    assert _texts(badge_svg("build <&>", "up", "#4c1")) == ["build <&>", "up"]
    # shields.io draws `build | passing` 88 pixels wide; the widths of Verdana's letters agree with that.
    assert abs(int(ET.fromstring(badge_svg("build", "passing", "#4c1")).get("width", "0")) - 88) <= 4


def test_badges_tell_the_worst_of_their_heartbeats(clock: object) -> None:
    good = heartbeat("good", tags=["prod", "a/b"])
    bad = heartbeat("bad", tags=["prod"], title="Bad & Co")

    async def test(rig: Rig) -> None:
        for view, signal in ((good, ""), (bad, "/fail")):
            assert (await rig.client.get(f"/ping/{view.uuid}{signal}")).status_code == 200
        prod = tag_badges("", "prod")
        assert (await rig.client.get(prod["json"])).json() == {"status": "down", "total": 2, "grace": 0, "down": 1}
        shields = (await rig.client.get(prod["shields3"])).json()
        assert shields == {"schemaVersion": 1, "label": "prod", "message": "down", "color": "critical"}
        svg = await rig.client.get(prod["svg"])
        assert svg.headers["content-type"].startswith("image/svg+xml")
        assert svg.headers["cross-origin-resource-policy"] == "cross-origin"  # images in pages of other hosts
        assert svg.headers["access-control-allow-origin"] == "*"
        assert _texts(svg.text) == ["prod", "down"]
        assert (await rig.client.get(tag_badges("", "a/b")["json3"])).json()["status"] == "up"
        assert (await rig.client.get(tag_badges("", "*")["json"])).json()["total"] == 2
        own = f"/b/2/{check_badge_key(bad.uid)}"
        assert _texts((await rig.client.get(f"{own}.svg")).text) == ["Bad & Co", "down"]
        assert (await rig.client.get(f"{own}.json")).json() == {"status": "down", "total": 1, "grace": 0, "down": 1}

    rigged(clock, test)


def test_badges_follow_what_is_declared_and_deleted_at_once(clock: object) -> None:
    heartbeat("first", tags=["t"])

    async def test(rig: Rig) -> None:
        badges = tag_badges("", "t")["json"]
        assert (await rig.client.get(badges)).json()["total"] == 1
        made = await asyncio.to_thread(heartbeat, "second", tags=["t"])
        assert (await rig.client.get(badges)).json()["total"] == 2
        own = f"/b/2/{check_badge_key(made.uid)}.svg"
        assert (await rig.client.get(own)).status_code == 200
        await asyncio.to_thread(remove, ACTOR, "heartbeat", "second", manager="api")
        assert (await rig.client.get(own)).status_code == 404
        await asyncio.to_thread(connections.close_all)

    rigged(clock, test)


def test_late_is_up_unless_three_states_are_asked_for(clock: object) -> None:
    view = heartbeat("late", every="1s", tags=["t"])

    async def test(rig: Rig) -> None:
        # The clock of the rig stands years ahead of now or behind it; the reader's clock is the real one.
        import time

        clock.at = time.time() - 5  # type: ignore[attr-defined]
        await rig.client.get(f"/ping/{view.uuid}")
        badges = tag_badges("", "t")
        assert (await rig.client.get(badges["json"])).json() == {"status": "up", "total": 1, "grace": 1, "down": 0}
        assert (await rig.client.get(badges["json3"])).json()["status"] == "late"
        three = badges["json"].replace(f"{signature('t')}-2", f"{signature('t')}-3")
        assert (await rig.client.get(three)).json()["status"] == "late"
        assert (await rig.client.get(f"/b/3/{check_badge_key(view.uid)}.shields")).json()["color"] == "important"

    rigged(clock, test)


def test_addresses_that_are_not_ours_show_nothing(clock: object) -> None:
    heartbeat("one", tags=["prod"])
    key, signed = badge_key(), signature("prod")

    async def test(rig: Rig) -> None:
        for path in (
            f"/badge/{key}/{signed}/other.svg",
            f"/badge/{key}/{'x' * 8}/prod.svg",
            f"/badge/{'0' * 36}/{signed}/prod.svg",
            f"/badge/{key}/{signed}/prod.png",
            f"/badge/{key}/{signed}/{'x' * 700}.svg",
            "/badge/",
            "/b/2/00000000-0000-4000-8000-000000000000.svg",
            "/b/4/x.svg",
        ):
            assert (await rig.client.get(path)).status_code == 404, path
        assert (await rig.client.post(tag_badges("", "prod")["svg"])).status_code == 405

    rigged(clock, test)
