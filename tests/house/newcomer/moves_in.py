"""Run by test_capability_contract in a process of its own: a capability moves in, and the house is asked about it."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import mainstay
from mainstay.runtime import capabilities

HERE = Path(__file__).parent
mainstay.__path__.append(str(HERE))
sys.path.append(str(HERE.parents[2] / "tools"))
capabilities.NAMES += ("drills",)  # the one line

from mainstay.frames.boot import load_settings, migrate, start_django  # noqa: E402

settings = load_settings(data=sys.argv[1], database="")
start_django(settings)
migrate()

import reference  # noqa: E402
from django.test import Client  # noqa: E402
from mainstay.drills import parts  # type: ignore[import-not-found] # noqa: E402
from mainstay.drills.settings import DRILL_DAYS  # type: ignore[import-not-found] # noqa: E402

from mainstay.accounts import verbs  # noqa: E402
from mainstay.accounts.models import User  # noqa: E402
from mainstay.accounts.spec import role_scopes  # noqa: E402
from mainstay.alerting.background import said_of  # noqa: E402
from mainstay.alerting.queries import alerts  # noqa: E402
from mainstay.kernel.actor import command  # noqa: E402
from mainstay.kernel.errors import Forbidden  # noqa: E402
from mainstay.runtime.app import commands, run  # noqa: E402
from mainstay.runtime.composition import Parts  # noqa: E402
from mainstay.runtime.metrics import metrics_answer  # noqa: E402
from mainstay.store.columns.sql import Condition  # noqa: E402
from mainstay.store.declared_settings import take_declared  # noqa: E402
from mainstay.store.journal import Filter, entries  # noqa: E402
from mainstay.store.resources.apply import declare  # noqa: E402
from mainstay.store.resources.schema import file_schema  # noqa: E402

ME = command("test")
FOUND: dict[str, object] = {"roles": [role for role in ("support", "operations") if "drills:run" in role_scopes(role)]}

declare(ME, "drill", "fire", {"minutes": 5}, manager="web")
FOUND["schema"] = "drills" in file_schema()["properties"]
FOUND["event"] = parts.begin(ME, "fire") == next(iter(entries(Filter(kind="drill.began")))).seq
FOUND["guard"] = parts.SEEN == ["drill/fire"]
try:
    parts.begin(ME.__class__("user", "x"), "fire")
except Forbidden as refused:
    FOUND["refused"] = "drills:run" in refused.message

declare(ME, "settings", "settings", {"drill_days": 3}, manager="web")
take_declared(settings)
FOUND["setting"] = [settings[DRILL_DAYS], settings.origin("drill_days")]

parts.end(ME, "fire", late=True)
(alert,) = alerts()
FOUND["alert"] = [alert.subject, alert.title, alert.severity, alert.status]
FOUND["page_of_alert"], FOUND["said"] = alert.page, getattr(said_of(alert), "text", "")
parts.end(ME, "fire")
FOUND["ended_by"] = alerts(status="")[0].resolved_reason

verbs.create_user(ME, "first@example.com", "admin")
browser = Client(HTTP_HOST="localhost")
browser.force_login(
    User.objects.get(email="first@example.com"), backend="allauth.account.auth_backends.AuthenticationBackend"
)
page = browser.get("/drills/").content.decode()
FOUND["page"] = 'href="/drills/" aria-current="page"' in page and ">Act</summary>" in page
found = browser.get("/search?q=practise").content.decode()
FOUND["find"] = 'href="/drills/"' in found.partition('id="main"')[2] and "Practise fire" in found
FOUND["journal"] = "Drill began" in browser.get("/journal/").content.decode()
FOUND["editor"] = "fire: {}" in browser.get("/resources/new?kind=drill&as=yaml").content.decode()
FOUND["form"] = "Steps of drills" in browser.get("/resources/settings/settings/edit").content.decode()
FOUND["shown"] = "MAINSTAY_DRILL_DAYS" in browser.get("/health/").content.decode()
FOUND["operation"] = browser.get("/api/v1/drills/").json()
FOUND["openapi"] = "/api/v1/drills/" in browser.get("/api/v1/openapi.json").json()["paths"]
FOUND["command"] = list(commands()).index("drills") - list(commands()).index("notify")


FOUND["documented"] = [
    "| `MAINSTAY_DRILL_DAYS` | `drill_days` | `30` |" in "\n".join(reference.settings()),
    "| `mainstay_drills_total` | counter | Drills since start. |" in list(reference.metrics()),
]


async def serve() -> None:
    running = Parts(settings, None)
    lanes = running._lanes()
    running._register_health()
    FOUND["probe"] = (await running.health.services())["drills"]
    FOUND["health"] = "drills" not in running.health._vital
    FOUND["kept"] = running.telemetry.columns.days("drill_days")
    text = (await metrics_answer("", running.context))[1]
    FOUND["metric"] = "mainstay_drills_total 1" in text.splitlines()
    columns, step = running.telemetry.columns, (1, "fire", "everybody out", {"floor": "2"})
    columns.append(parts.STEPS, [step])
    columns.flush()
    FOUND["columns"] = columns.rows(parts.STEPS, [Condition("labels", "label", "2", "floor")], (0, 2), 5) == [step]
    task = asyncio.create_task(lanes.pop("drills"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    FOUND["lane"] = parts.SEEN[-1] == "turn"
    task.cancel()
    task = asyncio.create_task(lanes.pop("drills.notes"))
    await asyncio.to_thread(parts.FOLLOWED.wait, 30)
    assert parts.SEEN[-1] == "after drill/fire"
    FOUND["follower"] = (await running.health.services())["drills.notes"]
    task.cancel()
    for lane in lanes.values():
        lane.close()
    running.telemetry.close()
    running.heartbeats.close()
    running.writer.stop()


asyncio.run(serve())
try:
    run(["drills"])
except SystemExit as ended:
    FOUND["ended"] = ended.code
print(json.dumps(FOUND))
