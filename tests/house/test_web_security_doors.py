"""No page, no operation, no socket and no verb is open by accident: each declares its scope, or that it is public."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from typing import Any

import pytest
from tests.rigs.door_list import SOURCES, Way, fast_ways, operations, pages, patterns, running_doors, verbs

from mainstay.kernel.actor import Actor, all_scopes
from mainstay.kernel.capability import CAPABILITIES
from mainstay.kernel.errors import Forbidden
from mainstay.runtime.api import api

# Guarded by the libraries' own checks, which tests/runtime/test_every_door.py tries one by one.
BORROWED = ("accounts/", "api/v1/")
OPEN = {
    "a/<str:token>",
    "oncall/feed/<str:secret>.ics",
    "join/<str:secret>",
    "recover/<str:secret>",
    "setup/<str:token>",
}  # the address is a secret
OPEN |= {"service-worker.js"}  # a script, the same for everybody
OPEN |= {"accounts/confirm-email/", "accounts/email/", "accounts/3rdparty/", "accounts/3rdparty/signup/"}  # lead away
OPEN |= {f"accounts/oidc/<slug:provider_id>/login/{step}" for step in ("", "callback/")}  # single sign-on
OPEN |= {"recover/<str:secret>", "accounts/3rdparty/", "accounts/3rdparty/signup/"}
OPEN |= {f"accounts/oidc/<slug:provider_id>/login/{part}" for part in ("", "callback/")}  # single sign-on
OPEN |= {f"api/v{version}/status/" for version in (1, 2, 3)}  # of Healthchecks: whether the database answers

# What is open to all among the doors of the event loop, with what stands in place of a scope.
OPEN_FAST = {
    "/ping/": "the address holds a random uuid, or the ping key",
    "/status/": "public pages",
    "/static/": "files of the program",
    "/api/health": "only whether the parts work",
    "/badge/{rest:path}": "the address is signed",
    "/b/{rest:path}": "the address is signed",
    "/api/push/{token}": "the token is the permission",
    "/api/status-page/heartbeat/{slug}": "public pages",
    "/api/status-page/{slug}": "public pages",
    "/api/status-page/{slug}/badge": "public pages",
    "/api/status-page/{slug}/incident-history": "public pages",
    "/api/status-page/{slug}/manifest.json": "public pages",
    "/api/badge/{id}/{what}": "components of public pages",
    "/api/badge/{id}/{what}/{duration}": "components of public pages",
    "/api/v1/endpoints/{key}/external": "the heartbeat's push token, or an API token",
    "/api/v1/endpoints/{key}/health/badge.svg": "what stands on a public page, else monitors:read",
    "/api/v1/endpoints/{key}/health/badge.shields": "what stands on a public page, else monitors:read",
    "/api/v1/endpoints/{key}/uptimes/{duration}": "what stands on a public page, else monitors:read",
    "/api/v1/endpoints/{key}/uptimes/{duration}/badge.svg": "what stands on a public page, else monitors:read",
    "/api/v1/endpoints/{key}/response-times/{duration}": "what stands on a public page, else monitors:read",
    "/api/v1/endpoints/{key}/response-times/{duration}/history": "what stands on a public page, else monitors:read",
    "/api/v1/endpoints/{key}/response-times/{duration}/badge.svg": "what stands on a public page, else monitors:read",
    "/api/v1/endpoints/{key}/response-times/{duration}/chart.svg": "what stands on a public page, else monitors:read",
    "/api/v1/config": "tells only whether whoever asks may read",
    "/api/v2/alerts": "an API token; none on this machine itself, as Alertmanager's clients expect",
    "/api/v2/alerts/groups": "an API token; none on this machine itself",
    "/api/v2/receivers": "an API token; none on this machine itself",
    "/api/v2/status": "an API token; none on this machine itself",
    "/api/v2/silences": "an API token; none on this machine itself",
    "/api/v2/silence/{id}": "an API token; none on this machine itself",
    "/api/v2/alerts/{rest:path}": "tells that there is nothing",
    "/-/healthy": "only that the server answers",
    "/-/ready": "only that the server answers",
    "/-/reload": "does nothing",
    "/v2/enqueue": "the routing key of an alert source",
    "/v2/change/enqueue": "the routing key of an alert source",
    "/v2/alerts": "the GenieKey of an alert source",
    "/v2/alerts/requests/{request}": "the GenieKey of an alert source",
    "/v2/alerts/{id:path}": "the GenieKey of an alert source",
    "/in/{source}": "the key of the alert source",
    "/in/{source}/api/v2/alerts": "as at the root",
    "/in/{source}/api/v2/alerts/groups": "as at the root",
    "/in/{source}/api/v2/receivers": "as at the root",
    "/in/{source}/api/v2/status": "as at the root",
    "/in/{source}/api/v2/silences": "as at the root",
    "/in/{source}/api/v2/silence/{id}": "as at the root",
    "/in/{source}/-/healthy": "as at the root",
    "/in/{source}/-/ready": "as at the root",
    "/in/{source}/-/reload": "as at the root",
}

# Verbs that no scope guards, with what does. Everything else must refuse an actor without scopes before it does
# anything.
OTHERWISE_GUARDED = {
    "accounts.verbs.check_email": "changes nothing",
    "accounts.verbs.check_password": "changes nothing",
    "accounts.verbs.create_first_admin": "the one-time set-up token",
    "accounts.verbs.accept_invitation": "the one-time link",
    "accounts.verbs.note_sign_in": "tells what the sign-in pages have done, before there is an actor",
    "accounts.verbs.note_second_factor": "tells what the person's own pages have done",
    "accounts.verbs.note_codes_shown": "tells what the person's own pages have done",
    "accounts.verbs.note_address": "tells what the person's own pages have done",
    "accounts.session_verbs.note_use": "tells what the middleware sees of who is signed in",
    "accounts.verbs.forget_expired_sessions": "upkeep, takes no input",
    "accounts.verbs.recover": "the one-time link",
    "accounts.verbs.welcome": "the answer of a declared provider of single sign-on",
    "accounts.verbs.follow_provider": "the answer of a declared provider of single sign-on",
    "accounts.token_verbs.note_token_use": "called by the token check itself",
    "store.resources.apply.changes_access": "reads a plan",
    "store.resources.showing.shown": "hides from an actor what it may not see",
    "store.resources.showing.shown_changes": "hides from an actor what it may not see",
    "store.resources.showing.shown_plan": "hides from an actor what it may not see",
    "store.resources.showing.shown_revisions": "hides from an actor what it may not see",
    "store.resources.showing.text_of": "hides from an actor what it may not see",
    "resources.changes.change_views": "hides from an actor what it may not see",
    "heartbeats.reconcile.reconcile": "follows what was declared, by whoever might",
    "watch.declared.follow_locations": "follows what was declared, by whoever might",
    "store.resources.writing.written": "the transaction of a plan, which apply has let in",
    "accounts.queries.owner_of": "reads who stands behind an actor",
    "store.work.unit_of_work": "the transaction that verbs open",
    "store.work.quietly": "the transaction that verbs open",
    "frames.web.templatetags.mainstay.may_see": "reads what an actor may",
    "runtime.search.everything": "asks the searches of capabilities",
    **{
        one.search.removeprefix("mainstay.").replace(":", "."): "gives nothing to who lacks the scope (test_search.py)"
        for one in CAPABILITIES
        if one.search
    },
}


def test_every_page_declares_its_door() -> None:
    undeclared, open_to_all = [], set()
    for route, pattern in patterns():
        door = getattr(pattern.callback, "door", None)
        if door is not None and door.public:
            open_to_all.add(route)
        if door is None and not route.startswith(BORROWED):
            undeclared.append(route)
    assert undeclared == []
    assert open_to_all == OPEN


def test_every_method_of_borrowed_protocols_declares_its_scope() -> None:
    keyed = [way for way in pages() if way.kind == "keyed"]
    assert len(keyed) > 30
    assert [str(way) for way in keyed if way.door is None or not (way.door.scope or way.door.public)] == []


def test_every_operation_of_the_api_declares_its_scope() -> None:
    found = list(operations())
    assert len(found) > 20
    assert [str(way) for way in found if way.door is None or not way.door.scope] == []
    own_ways = [
        path
        for _, router in api._routers
        for path, view in router.path_operations.items()
        for operation in view.operations
        if operation.auth_callbacks and operation.auth_param is None
    ]
    assert own_ways == []


def test_every_door_of_the_event_loop_declares_its_scope() -> None:
    with running_doors() as (doors, _):
        found: list[Way] = list(fast_ways(doors))
    assert [str(way) for way in found if way.door is None] == []
    assert {way.route for way in found if way.door and way.door.public} == set(OPEN_FAST)
    scoped = {way.route: way.door.scope for way in found if way.door and not way.door.public}
    assert all(scope in all_scopes() for scope in scoped.values())
    assert {"/live", "/probe", "/metrics", "/api/metrics", "/api/status"} <= set(scoped)


VERBS = dict(verbs())


def test_there_are_verbs_to_look_at() -> None:
    assert len(VERBS) > 40
    assert set(OTHERWISE_GUARDED) <= set(VERBS), "a verb that is gone needs no exception"


class _Untouched:
    """An argument that no verb may look at before it has checked the scope."""

    def __getattribute__(self, name: str) -> Any:
        raise AssertionError(f"looked at an argument ({name}) before the scope was checked")


@pytest.mark.parametrize("name", sorted(set(VERBS) - set(OTHERWISE_GUARDED)))
def test_every_verb_checks_its_scope_before_anything_else(name: str, django_untouched: None) -> None:
    function = VERBS[name]
    scopes = set()
    held: frozenset[str] = frozenset()
    for _ in range(3):  # a verb may ask for more than one
        try:
            _call(function, Actor("token", "nobody", held))
        except Forbidden as refusal:
            scope = refusal.message.split("the scope ")[1].split(" ")[0]
            assert scope in all_scopes()
            assert scope not in scopes
            scopes.add(scope)
            held = held | {scope}
        except (AssertionError, TypeError):
            break  # let in, and at its arguments
    assert scopes, f"{name} lets an actor in who holds no scope"
    for scope in scopes:
        with pytest.raises(Forbidden, match=scope):
            _call(function, Actor("token", "almost", all_scopes() - {scope}))


@pytest.fixture
def django_untouched() -> Any:
    """No statement reaches the database."""
    from django.db import connection

    def refuse(_execute: Any, sql: str, *_: Any) -> None:
        raise AssertionError(f"asked the database: {sql[:80]}")

    with connection.execute_wrapper(refuse):
        yield


def _call(function: Any, actor: Actor) -> None:
    parameters = list(inspect.signature(function).parameters.values())
    assert parameters, f"{function.__name__} takes no actor"
    assert parameters[0].name == "actor", f"{function.__name__} takes no actor first"
    required = [one for one in parameters[1:] if one.default is inspect.Parameter.empty]
    positional = [_Untouched() for one in required if one.kind is not inspect.Parameter.KEYWORD_ONLY]
    keywords = {one.name: _Untouched() for one in required if one.kind is inspect.Parameter.KEYWORD_ONLY}
    function(actor, *positional, **keywords)


# The command line


def command_files() -> list[Path]:
    """Every module that a command is made of."""
    named = {command.at.partition(":")[0] for one in CAPABILITIES for command in one.commands}
    files = sorted(SOURCES.parent / f"{name.replace('.', '/')}.py" for name in named)
    assert len(files) > 15
    return files


def test_commands_act_as_whoever_owns_the_folder_and_as_nobody_else() -> None:
    """A command is a person at the machine: `command(...)`. None takes an actor or a role from its arguments."""
    wrong = [
        f"{path.name}:{node.lineno} {node.func.id}(...)"
        for path in command_files()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("system", "Actor")
    ]
    assert wrong == []


def test_every_command_can_be_loaded_and_asks_the_folder_first() -> None:
    from click.testing import CliRunner

    from mainstay.runtime.app import cli, commands

    for name in commands():
        done = CliRunner().invoke(cli, [name, "-h"])
        assert done.exit_code == 0, (name, done.output)


# Sockets

LISTENERS = {
    "snapshots/lane.py": "a socket in the data folder, for the commands of whoever owns it",
    "heartbeats/doors/mail.py": "pings by mail, if `mail_listen` names an address",
    "integrations/checks/browser/gate.py": "a browser's only way out, on loopback while a check of that kind runs",
    "runtime/up.py": "the web server, at `listen`",
}


def test_nothing_else_listens() -> None:
    calls = {"create_server", "start_server", "start_unix_server", "listen"}
    found = {
        path.relative_to(SOURCES).as_posix()
        for path in SOURCES.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in calls
    }
    assert found == set(LISTENERS)


# The declarations themselves


def test_a_misspelt_scope_fails_at_import() -> None:
    from mainstay.accounts.api_doors import requires
    from mainstay.accounts.doors import page

    for door in (page, requires):
        with pytest.raises(AssertionError, match="undeclared scope"):
            door("monitor:read")


def test_a_scope_above_the_routers_decorator_is_a_mistake() -> None:
    from ninja import Router

    from mainstay.accounts.api_doors import requires

    router = Router()

    def operation(request: object) -> None: ...

    registered = router.get("/x")(operation)
    with pytest.raises(AssertionError, match="below"):
        requires("monitors:read")(registered)
