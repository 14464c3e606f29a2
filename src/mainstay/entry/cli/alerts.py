"""`mainstay alerts` and `mainstay notify`: what is open, taking and muting it, and testing a channel."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mainstay.entry.cli.opening import me, open_data
from mainstay.entry.cli.output import print_json, print_table
from mainstay.kernel.errors import UserError

if TYPE_CHECKING:
    from mainstay.alerting.queries import Alert

alerts = typer.Typer(add_completion=False, rich_markup_mode=None, help="List, acknowledge and mute alerts.")
notify = typer.Typer(add_completion=False, rich_markup_mode=None, help="Send a test notification.")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
AlertId = Annotated[str, typer.Argument(metavar="ID", help="The alert's id, or enough of its beginning.")]

_STYLES = {"firing": "bold red", "acknowledged": "yellow", "muted": "dim", "suppressed": "dim", "resolved": "green"}


@alerts.callback(invoke_without_command=True)
def list_alerts(
    context: typer.Context,
    as_json: AsJson = False,
    everything: Annotated[bool, typer.Option("--all", help="Also those that are over.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many at most.")] = 100,
) -> None:
    """List open alerts, the worst first. Exit code 0 also if there are some."""
    if context.invoked_subcommand is not None:
        return
    open_data()
    from mainstay.alerting import queries

    found = queries.alerts(status="" if everything else "firing", limit=limit)
    if as_json:
        print_json([alert.as_dict() for alert in found])
    else:
        _draw(found)


@alerts.command()
def show(alert_id: AlertId, as_json: AsJson = False) -> None:
    """One alert: what happened, whom it was told and how that went."""
    open_data()
    from mainstay.alerting import queries

    alert = queries.alert(_whole(alert_id))
    sent = queries.notifications_of_alert(alert.id)
    if as_json:
        print_json(alert.as_dict() | {"notifications": [one.as_dict() for one in sent]})
        return
    _draw([alert])
    if alert.untold:
        typer.echo(f"\nNobody was told: {alert.untold}.")
    typer.echo("")
    rows = [[one.channel, one.kind, one.state, str(one.attempts), one.last_error or one.reason] for one in sent]
    print_table(["channel", "message", "state", "attempts", "why"], rows)


@alerts.command()
def ack(alert_id: AlertId, as_json: AsJson = False) -> None:
    """Take an alert: everybody sees that somebody is on it."""
    open_data()
    from mainstay.alerting import queries, verbs

    verbs.acknowledge_alert(me(), _whole(alert_id))
    _tell(queries.alert(_whole(alert_id)), "Acknowledged", as_json)


@alerts.command()
def mute(
    alert_id: AlertId,
    duration: Annotated[str, typer.Option("--for", metavar="DURATION", help="How long, such as 2h.")],
    as_json: AsJson = False,
) -> None:
    """No more notifications of an alert for a while; its end is still told."""
    from mainstay.kernel.duration import parse_duration

    try:
        seconds = parse_duration(duration)
    except ValueError as error:
        raise UserError(str(error), hint="such as --for 2h") from None
    open_data()
    from mainstay.alerting import queries, verbs

    verbs.mute_alert(me(), _whole(alert_id), time.time() + seconds)
    _tell(queries.alert(_whole(alert_id)), f"Muted for {duration}", as_json)


@alerts.command()
def unmute(alert_id: AlertId, as_json: AsJson = False) -> None:
    """Notifications of an alert again."""
    open_data()
    from mainstay.alerting import queries, verbs

    verbs.unmute_alert(me(), _whole(alert_id))
    _tell(queries.alert(_whole(alert_id)), "Not muted", as_json)


@notify.callback()
def _notify() -> None:
    """Send a test notification."""


@notify.command("test")
def send_test(name: Annotated[str, typer.Argument(help="Name of the channel.")], as_json: AsJson = False) -> None:
    """Send a test message to one channel now and wait for its answer.

    Secrets are looked up here, so the command needs the environment that the server has.
    """
    open_data()
    from mainstay.alerting import verbs

    receipt = verbs.test_channel(me(), name)
    if as_json:
        print_json({"channel": name, "detail": receipt.detail, "data": receipt.data})
    else:
        typer.echo(f"{name}: delivered ({receipt.detail})")


def _whole(start: str) -> str:
    """The id that begins so; UserError if several do."""
    from mainstay.alerting import queries

    found = queries.ids_beginning(start)
    if len(found) > 1:
        raise UserError(f"several alerts begin with `{start[:26]}`", hint="give more of the id")
    return found[0] if found else start


def _tell(alert: Alert, done: str, as_json: bool) -> None:
    if as_json:
        print_json(alert.as_dict())
    else:
        typer.echo(f"{done}: {alert.title} ({alert.id})")


def _draw(found: list[Alert]) -> None:
    if not found:
        typer.echo("no alerts")
        return
    from rich.text import Text

    from mainstay.kernel.wording import ago

    now = time.time()
    rows: list[list[Any]] = []
    for alert in found:
        state = alert.state(now)
        because = f" (under {alert.suppressed_by})" if alert.suppressed_by else ""
        word = Text(state + because, style=_STYLES[state])
        rows.append([alert.id, alert.severity, word, alert.title, ago(alert.since, now), alert.message or alert.reason])
    print_table(["id", "severity", "state", "what", "since", "why"], rows)
