"""`mainstay alerts`: what is open, and what people do about it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mainstay.frames.opening import me, open_data
from mainstay.frames.output import print_json, print_table
from mainstay.kernel.errors import UserError

if TYPE_CHECKING:
    from mainstay.alerting.queries import Alert

alerts = typer.Typer(add_completion=False, rich_markup_mode=None, help="List, acknowledge, mute and close alerts.")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
AlertId = Annotated[str, typer.Argument(metavar="ID", help="The alert's id, or a unique prefix of it.")]
AlertIds = Annotated[list[str], typer.Argument(metavar="ID...", help="Ids of alerts, or unique prefixes of them.")]

_STYLES = {"firing": "bold red", "acknowledged": "yellow", "muted": "dim", "suppressed": "dim", "resolved": "green"}


@alerts.callback(invoke_without_command=True)
def list_alerts(
    context: typer.Context,
    as_json: AsJson = False,
    everything: Annotated[bool, typer.Option("--all", help="Resolved alerts too.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=500, help="Largest number to show.")] = 100,
) -> None:
    """List open alerts, the worst first. Exit code 0 also if there are some."""
    if context.invoked_subcommand is not None:
        return
    open_data()
    from mainstay.alerting import queries

    found = queries.alerts(status="" if everything else "firing", limit=limit)
    if as_json:
        print_json(found)
    else:
        _draw(found)


@alerts.command()
def show(alert_id: AlertId, as_json: AsJson = False) -> None:
    """One alert: what was found, what happened, who was notified and with what outcome."""
    open_data()
    from mainstay.alerting import queries

    alert = queries.whole_alert(_whole(alert_id))
    if as_json:
        print_json(alert)
        return
    from mainstay.alerting.alert_drawing import draw_alert

    _draw([alert])
    draw_alert(alert)


@alerts.command()
def ack(alert_ids: AlertIds, as_json: AsJson = False) -> None:
    """Acknowledge alerts: everybody sees that somebody is working on them."""
    _order(alert_ids, "acknowledge", "Acknowledged", as_json)


@alerts.command()
def unack(alert_ids: AlertIds, as_json: AsJson = False) -> None:
    """Withdraw the acknowledgement of alerts."""
    _order(alert_ids, "unacknowledge", "Unacknowledged", as_json)


@alerts.command()
def mute(
    alert_ids: AlertIds,
    duration: Annotated[str, typer.Option("--for", metavar="DURATION", help="How long, such as 2h.")],
    as_json: AsJson = False,
) -> None:
    """No notifications for a while; the end is still reported, and who missed one is notified after the mute."""
    from mainstay.kernel.duration import parse_duration

    try:
        seconds = parse_duration(duration)
    except ValueError as error:
        raise UserError(str(error), hint="such as --for 2h") from None
    _order(alert_ids, "mute", f"Muted for {duration}", as_json, until=time.time() + seconds)


@alerts.command()
def unmute(alert_ids: AlertIds, as_json: AsJson = False) -> None:
    """Resume notifications; channels that missed one are notified at once."""
    _order(alert_ids, "unmute", "Not muted", as_json)


@alerts.command()
def resolve(
    alert_ids: AlertIds,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why it is resolved; others read it.")],
    as_json: AsJson = False,
) -> None:
    """Close alerts manually; channels that were notified are told."""
    _order(alert_ids, "resolve", "Closed", as_json, reason=reason)


@alerts.command()
def note(
    alert_id: AlertId,
    text: Annotated[str, typer.Argument(help="What others should know; empty removes the note.")],
    as_json: AsJson = False,
) -> None:
    """Write a note on an alert, in place of an earlier one."""
    open_data()
    from mainstay.alerting import queries, verbs

    noted = verbs.note_alert(me(), _whole(alert_id), text)
    _tell(queries.alert(noted.id), "Noted", as_json)


@alerts.command()
def send(alert_id: AlertId, as_json: AsJson = False) -> None:
    """Notify channels that missed an open alert; none is notified twice."""
    open_data()
    from mainstay.alerting import verbs

    told = verbs.send_alert(me(), _whole(alert_id))
    if as_json:
        print_json({"channels": told})
    else:
        typer.echo(f"on its way to {', '.join(told)}" if told else "every channel that it goes to has been notified")


def _order(starts: list[str], what: str, done: str, as_json: bool, *, until: float = 0.0, reason: str = "") -> None:
    """Exit code 1 if one was refused, with why."""
    open_data()
    from mainstay.alerting import queries, verbs

    outcome = verbs.order_alerts(me(), [_whole(start) for start in starts], verbs.Order(what, until, reason))
    found = [queries.alert(one) for one in outcome.done]
    if as_json and len(starts) == len(found) == 1:
        print_json(found[0])
    elif as_json:
        print_json({"done": found, "refused": outcome.refused})
    else:
        for one in found:
            _tell(one, done, as_json)
    for alert_id, why in outcome.refused.items():
        typer.echo(f"{alert_id}: {why}", err=True)
    if outcome.refused:
        raise typer.Exit(1)


def _whole(start: str) -> str:
    """The id that begins so; UserError if several do."""
    from mainstay.alerting import queries

    found = queries.ids_beginning(start)
    if len(found) > 1:
        raise UserError(f"several alerts begin with `{start[:26]}`", hint="give more characters of the id")
    return found[0] if found else start


def _tell(alert: Alert, done: str, as_json: bool) -> None:
    if as_json:
        print_json(alert)
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
