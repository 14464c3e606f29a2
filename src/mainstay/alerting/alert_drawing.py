"""One alert in a terminal: evidence, who was told, and its timeline."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import typer

from mainstay.alerting.background import description_of, said_of
from mainstay.alerting.showing import comes_next, evidence_of, step_of, told_of, why_of
from mainstay.frames.output import print_table
from mainstay.kernel.clock import to_iso
from mainstay.kernel.wording import label_links, lasting, link_name, utc, who

if TYPE_CHECKING:
    from mainstay.alerting.queries import Alert, Delivery, WholeAlert


def draw_alert(alert: WholeAlert) -> None:
    now = time.time()
    for question, answer in _facts(alert, now):
        typer.echo(f"{question}: {answer}")
    said = said_of(alert)
    if said is not None and said.text:
        typer.echo("\nOutput of the job")
        typer.echo("\n".join(f"  {line}" for line in said.text.splitlines()))
    if alert.notifications:
        typer.echo("\nWho was notified")
        print_table(["channel", "message", "state", "attempts", "why"], [_row(one, now) for one in alert.notifications])
    if coming := comes_next(alert, now):
        typer.echo("\nWho is told together, or step by step")
        print_table(["who", "what comes next"], coming)
    if (why := why_of(alert)) is not None:
        typer.echo("\nWhy somebody was notified, or nobody")
        for one in why.answers:
            typer.echo(f"  {one.asks} {one.reason}")
        typer.echo(f"  {why.outcome} ({utc(to_iso(why.at))})")
    typer.echo("\nTimeline")
    for step in map(step_of, alert.journal):
        text = f": {step.text}" if step.text else ""
        typer.echo(f"  {utc(to_iso(step.at))}  {step.words}{text} ({step.note})")


def _facts(alert: Alert, now: float) -> list[tuple[str, str]]:
    muted = alert.muted_until if alert.is_open and (alert.muted_until or 0) > now else None
    facts = [
        ("\nAcknowledged by", who(alert.acknowledged_by) if alert.acknowledged_at else "nobody yet"),
        ("Muted until", "" if muted is None else f"{utc(to_iso(muted))} (in {lasting(muted - now)})"),
        ("Nobody was notified", alert.untold),
        ("Note", f"{alert.note} ({who(alert.noted_by)})" if alert.note else ""),
        ("Description", description_of(alert.uid)),
        *((link_name(name), url) for name, url in label_links(alert.labels).items()),
        ("Schedule", alert.schedule),
        ("Target", "" if alert.schedule else alert.address),
        ("Code", "" if alert.schedule else alert.code),
        ("Reason", alert.reason.replace("_", " ")),
        *evidence_of(alert)[0],
        ("Ended because", alert.resolved_reason),
    ]
    return [(question, answer) for question, answer in facts if answer]


def _row(delivery: Delivery, now: float) -> list[str]:
    told = told_of(delivery, now)
    again = (
        f"tried next in {lasting(told.next_at - now)}" if told.next_at else f"tried {told.waits}" if told.waits else ""
    )
    why = [delivery.last_error if delivery.state != "delivered" else "", delivery.reason, again]
    return [told.whom, told.words, delivery.state, str(delivery.attempts), "; ".join(filter(None, why))]
