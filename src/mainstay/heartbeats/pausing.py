"""`mainstay pause` and `mainstay resume`: monitors and heartbeats by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mainstay.frames.opening import acting
from mainstay.kernel.errors import NotFound, UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

Names = Annotated[
    list[str],
    typer.Argument(metavar="NAME...", help="Monitors or heartbeats; `heartbeat/NAME` where both have a name."),
]


def pause(names: Names) -> None:
    """Pause monitors or heartbeats, until they are resumed. Survives a restart."""
    actor = acting()
    from mainstay.heartbeats.verbs import pause_heartbeat
    from mainstay.watch.verbs import pause_monitors

    monitors, heartbeats = _sorted(names)
    for name in monitors:
        _tell(f"monitor/{name}", "paused", changed=bool(pause_monitors(actor, [name])))
    for name in heartbeats:
        _tell(f"heartbeat/{name}", "paused", changed=pause_heartbeat(actor, name))


def resume(names: Names) -> None:
    """Resume monitors or heartbeats."""
    actor = acting()
    from mainstay.heartbeats.verbs import resume_heartbeat
    from mainstay.watch.verbs import resume_monitors

    monitors, heartbeats = _sorted(names)
    for name in monitors:
        _tell(f"monitor/{name}", "resumed", changed=bool(resume_monitors(actor, [name])))
    for name in heartbeats:
        _tell(f"heartbeat/{name}", "resumed", changed=resume_heartbeat(actor, name))


def _sorted(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """(monitors, heartbeats); nothing has been changed when a name is wrong."""
    found: dict[str, list[str]] = {"monitor": [], "heartbeat": []}
    for name in dict.fromkeys(names):
        kind, bare = _kind_and_name(name)
        found[kind].append(bare)
    return found["monitor"], found["heartbeat"]


def _kind_and_name(name: str) -> tuple[str, str]:
    from mainstay.kernel.diagnostics import did_you_mean
    from mainstay.store.resources.queries import find, resources

    kind, slash, bare = name.partition("/")
    kinds = [kind] if slash and kind in ("monitor", "heartbeat") else ["monitor", "heartbeat"]
    bare = bare if len(kinds) == 1 else name
    fits = [kind for kind in kinds if find(kind, bare) is not None]
    if len(fits) == 2:
        raise UserError(
            f"both a monitor and a heartbeat are named `{bare}`", hint=f"say monitor/{bare} or heartbeat/{bare}"
        )
    if not fits:
        known = {resource.name for kind in kinds for resource in resources(kind)}
        raise NotFound(f"there is no {' or '.join(kinds)} `{bare[:100]}`", hint=did_you_mean(bare, known))
    return fits[0], bare


def _tell(subject: str, done: str, *, changed: bool) -> None:
    typer.echo(f"{subject}: {done}" if changed else f"{subject} was {done} already")
