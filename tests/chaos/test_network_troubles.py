"""The uplink is cut, the name server is dead: results are unknown, one alert says so, nobody is said to be down.

The server runs in a network namespace of its own, with a cable to its targets that can be cut.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from networks import FAR, Cable, NameServer, Unavailable, inside
from tests.rigs.changeable import Target, wait_for
from trouble import Group, Records, TroubledHook, charged


class Scene:
    def __init__(self, cable: Cable) -> None:
        self.cable = cable
        with inside(cable.far):
            self.far = Target(["/"], FAR)
            self.names = NameServer()
        self.near, self.hook = Target(["/"]), TroubledHook()
        port = self.far.url.rpartition(":")[2]
        check = "every: 1s, timeout: 2s, confirm: {failures: 2, recheck: 200ms}, recover: {successes: 1}"
        config = f"""
monitors:
  near: {{http: {self.near.url}/, {check}}}
  far: {{http: {self.far.url}/, {check}}}
  named: {{http: "http://shop.chaos.test:{port}/", {check}}}
channels:
  hook: {{webhook: {{url: {self.hook.url}/x}}}}
"""
        self.server = Group(config, MAINSTAY_UPLINK_TARGETS=f"{FAR}:{port}")
        self.server.program = ["ip", "netns", "exec", cable.near, sys.executable, "-m", "mainstay"]
        self.server.start()
        self.records = Records(self.server.data)

    def wait_for(self, **wanted: str) -> None:
        def fits() -> bool:
            states = self.records.states()
            return all(states.get(name) == state for name, state in wanted.items())

        wait_for(fits, 40, f"{wanted}, but they are {self.records.states()}")

    def told(self, newest: int) -> list[tuple[str, str]]:
        wanted = ("uplink.", "alert.", "monitor.went_")
        return [
            (kind, subject)
            for kind, subject, _ in self.records.events(newest)
            if kind.startswith(wanted) and subject != "monitor/mainstay"
        ]

    def close(self) -> None:
        self.server.__exit__(None, None, None)
        for part in (self.near, self.far, self.hook, self.names):
            part.close()


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    try:
        cable = Cable().__enter__()
    except Unavailable as error:
        pytest.skip(f"no network namespaces here: {error}")
    with inside(cable.near):
        made = Scene(cable)
        yield made
        made.close()
    cable.__exit__()


def test_a_cut_uplink_is_one_alert_and_nobody_is_down(scene: Scene) -> None:
    scene.wait_for(near="up", far="up", named="up")
    newest = scene.records.newest()
    scene.cable.cut()
    scene.wait_for(near="up", far="unknown", named="unknown")
    wait_for(lambda: scene.hook.accepted, what="it is told")
    asked = scene.near.asked
    wait_for(lambda: scene.near.asked > asked + 3, what="checks go on")
    scene.cable.mend()
    scene.wait_for(near="up", far="up", named="up")
    wait_for(lambda: len(scene.hook.accepted) == 2, what="its end is told")
    told = scene.told(newest)
    kinds = [kind for kind, _ in told if kind not in ("monitor.went_up", "alert.told")]
    # What is told together is written together, so the alert may stand before or after the monitors.
    assert [kind for kind in kinds if not kind.startswith("alert.")] == [
        "uplink.lost",
        "monitor.went_unknown",
        "monitor.went_unknown",
        "uplink.restored",
    ]
    assert [kind for kind in kinds if kind.startswith("alert.")] == ["alert.fired", "alert.resolved"]
    assert {subject for kind, subject in told if kind == "monitor.went_up"} == {"monitor/far", "monitor/named"}
    assert [body["status"] for _, body in scene.hook.accepted] == ["firing", "resolved"]


def test_a_dead_name_server_makes_names_unknown_and_nobody_down(scene: Scene) -> None:
    scene.wait_for(near="up", far="up", named="up")
    newest = scene.records.newest()
    scene.names.alive = False
    scene.wait_for(near="up", far="up", named="unknown")
    wait_for(lambda: ("uplink.lost", "uplink/resolver") in scene.told(newest), what="the guard sees it")
    scene.names.alive = True
    scene.wait_for(near="up", far="up", named="up")
    wait_for(lambda: "uplink.restored" in scene.records.kinds(newest), what="the guard sees that it is back")
    subjects = {subject for kind, subject in scene.told(newest) if kind.startswith("monitor.")}
    assert subjects == {"monitor/named"}
    assert "monitor.went_down" not in scene.records.kinds(newest)


def test_afterwards_no_downtime_is_charged(scene: Scene) -> None:
    """The last test: it ends the server."""
    uids = dict(scene.records.rows("SELECT name, uid FROM monitor_state"))
    assert scene.server.stop() == 0
    for name in ("near", "far", "named"):
        seconds = charged(scene.server.data, uids[name])
        assert seconds["up"] > 0
        assert seconds.get("down", 0.0) == 0.0, name
        assert (seconds.get("unknown", 0.0) > 0) == (name != "near")
    scene.records.check_transitions()
    assert "Traceback" not in scene.server.log
