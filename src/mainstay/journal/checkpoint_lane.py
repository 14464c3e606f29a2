"""The lane that sends a signed checkpoint of the journal to a channel, once a day."""

from __future__ import annotations

import json

import structlog

from mainstay.alerting.verbs import send_report
from mainstay.kernel.actor import system
from mainstay.kernel.clock import Clock
from mainstay.kernel.errors import UserError
from mainstay.kernel.settings import Settings
from mainstay.store.checkpoints import make_checkpoint
from mainstay.store.models import FactRow
from mainstay.store.work import unit_of_work
from mainstay.store.writer import Writer

log = structlog.get_logger("checkpoints")

EVERY = 60.0
_DAY = 86_400.0
_PAUSE = 3_600.0  # after a mistake that a person must mend
_FACT = "journal.checkpoint_sent"
_ACTOR = system("checkpoints")
_TITLE = "Checkpoint of the journal"


class CheckpointLane:
    """`turn` does nothing unless `checkpoint_channel` is set and a day has passed since the last one."""

    def __init__(self, settings: Settings, writer: Writer, clock: Clock) -> None:
        self._settings, self._writer, self._clock = settings, writer, clock
        self._next_look = 0.0  # monotonic

    async def turn(self) -> None:
        now = self._clock.monotonic()
        if self._settings.checkpoint_channel and now >= self._next_look:
            self._next_look = now + min(await self._writer.run(self._send), _PAUSE)

    def _send(self) -> float:
        """Send if it is time; seconds until it may be time again."""
        now, channel = self._clock.now(), self._settings.checkpoint_channel
        try:
            with unit_of_work(_ACTOR, self._clock):
                fact = FactRow.objects.filter(key=_FACT).first()
                sent = float(fact.value) if fact else 0.0
                if now - _DAY < sent <= now:  # sent later than now: the clock was set back since
                    return sent + _DAY - now
                document = make_checkpoint(_ACTOR, self._settings, channel=channel)
                text = json.dumps(document)
                send_report(_ACTOR, channel, _TITLE, text, {"checkpoint": document})
                FactRow.objects.update_or_create(key=_FACT, defaults={"value": str(now)})
        except UserError as error:
            log.warning("no checkpoint could be sent", channel=channel, error=error.message, hint=error.hint)
            return _PAUSE
        return _DAY
