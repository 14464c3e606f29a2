"""`mainstay oncall`: who is on duty, shifts ahead, overrides and swaps."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from mainstay.frames.opening import acting, open_data
from mainstay.frames.output import print_json, print_table
from mainstay.kernel.errors import UserError

oncall = typer.Typer(add_completion=False, rich_markup_mode=None, help="Show who is on duty; override and swap shifts.")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Schedule = Annotated[str, typer.Argument(help="The schedule.")]
From = Annotated[str, typer.Option("--from", metavar="TIME", help="Such as 2026-12-07T09:00, in the schedule's zone.")]
Until = Annotated[str, typer.Option("--until", metavar="TIME", help="Likewise.")]
Note = Annotated[str, typer.Option(help="Why.")]


@oncall.callback(invoke_without_command=True)
def who(context: typer.Context, as_json: AsJson = False) -> None:
    """List who is on duty now, and who is next."""
    if context.invoked_subcommand is not None:
        return
    open_data()
    from mainstay.oncall import view
    from mainstay.oncall.queries import duty

    now = time.time()
    known = duty(now)
    found = [view.schedule_view(known, name, now) for name in sorted(known.schedules)]
    if as_json:
        print_json(found)
    elif found:
        rows = []
        for one in found:
            on = ", ".join(each.person for each in one.on) or ("nobody, on purpose" if one.meant else "NOBODY")
            then = ", ".join(one.next.people) or "nobody" if one.next else ""
            rows.append([one.name, on, _local(one.next.at, one.timezone) if one.next else "", then])
        print_table(["schedule", "on duty", "next hand-over", "then"], rows)
    else:
        typer.echo("no schedule is declared")


@oncall.command()
def shifts(
    schedule: Schedule,
    weeks: Annotated[float, typer.Option(min=0.01, max=104, help="How far ahead.")] = 4.0,
    *,
    as_json: AsJson = False,
) -> None:
    """List the shifts of a schedule ahead, its gaps and how fair it is."""
    open_data()
    from mainstay.oncall import view
    from mainstay.oncall.queries import duty

    now = time.time()
    found = view.outlook(duty(now), schedule, now, weeks)
    if as_json:
        print_json(found)
        return
    zone = found.schedule.clock.zone.key
    rows = [[_local(one.start, zone), _local(one.end, zone), one.person, one.why] for one in found.seen.shifts]
    rows += [[_local(start, zone), _local(end, zone), "NOBODY", "gap"] for start, end in found.seen.gaps]
    print_table(["from", "until", "person", "why"], sorted(rows))
    print_table(
        ["person", "hours", "nights", "weekends", "holidays"],
        [
            [one.person, f"{one.hours:.0f}", str(one.nights), str(one.weekends), str(one.holidays)]
            for one in found.fair.burdens
        ],
    )
    typer.echo(f"quality {found.fair.quality} of 100")


@oncall.command()
def override(
    schedule: Schedule,
    start: From,
    end: Until,
    *,
    add: Annotated[str, typer.Option(help="Who is on duty too.")] = "",
    remove: Annotated[str, typer.Option(help="Who is not; with --add, one stands in for the other.")] = "",
    note: Note = "",
) -> None:
    """Change who is on duty for a while."""
    actor = acting()
    from mainstay.oncall import verbs

    typer.echo(verbs.override(actor, schedule, _span(schedule, start, end), add=add, remove=remove, note=note))


@oncall.command()
def swap(
    schedule: Schedule,
    giver: Annotated[str, typer.Argument(help="Whose shift it is.")],
    taker: Annotated[str, typer.Argument(help="Who is asked to take it.")],
    start: From,
    end: Until,
    *,
    note: Note = "",
) -> None:
    """Ask somebody to take a shift."""
    actor = acting()
    from mainstay.oncall import verbs

    typer.echo(verbs.ask_swap(actor, schedule, _span(schedule, start, end), (giver, taker), note=note))


def _span(schedule: str, start: str, end: str) -> tuple[float, float]:
    from mainstay.oncall.moments import instant
    from mainstay.oncall.view import zone_of

    zone = zone_of(schedule)
    try:
        return instant(start, zone), instant(end, zone, last=True)
    except ValueError as error:
        raise UserError(str(error), hint="such as 2026-12-07T09:00") from None


def _local(at: float, zone: str) -> str:
    return datetime.fromtimestamp(at, ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M %a")
