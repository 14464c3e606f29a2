"""Tables of watch: what was decided about each monitor, and what people asked the watch lane to do.

Read outside of the capability by nobody; written by `verbs.py` only.
"""

from __future__ import annotations

from django.db import models


class MonitorStateRow(models.Model):
    """One monitor, keyed by its resource's uid: what it was found to be, and what is declared of it.

    `version` grows with every transition: compare and set. The declared half is written in the transaction that
    applies it, so that lists, searches and counts read this one table and validate nothing.
    """

    uid = models.CharField(max_length=26, primary_key=True)
    version = models.BigIntegerField(default=1)
    # declared
    revision = models.BigIntegerField(default=0)  # of the resource that the next columns were taken from
    name = models.CharField(max_length=100, default="")
    kind = models.CharField(max_length=40, default="")  # of the check: http, tcp, ...
    address = models.TextField(default="")
    severity = models.CharField(max_length=2, default="P2")
    labels = models.TextField(default="{}")  # JSON object, keys sorted
    tags = models.TextField(default="[]")  # JSON list
    interval = models.FloatField(default=60)  # seconds
    search = models.TextField(default="")  # lower case: name, address, tags, labels
    # found
    state = models.CharField(max_length=12)  # as shown: up degraded down unknown paused maintenance
    rank = models.SmallIntegerField(default=2)  # what is wrong comes first; see watch.state.RANKS
    since = models.FloatField()  # epoch seconds
    reason = models.CharField(max_length=40)
    code = models.CharField(max_length=60, default="")  # of the result that made it so
    message = models.TextField(default="")
    evidence = models.TextField(default="{}")  # JSON
    counters = models.TextField()  # JSON of watch.state.MonitorState: all that the rules remember
    suppressed_by = models.CharField(max_length=100, default="")
    paused_by = models.CharField(max_length=300, default="")
    window = models.CharField(max_length=100, default="")
    flapping = models.BooleanField(default=False)
    # the newest result; saved every few seconds
    last_at = models.FloatField(default=0)
    last_verdict = models.CharField(max_length=10, default="")
    last_duration = models.FloatField(default=0)
    last_code = models.CharField(max_length=60, default="")
    last_message = models.TextField(default="")

    class Meta:
        db_table = "monitor_state"
        indexes = (
            models.Index(fields=("rank", "name"), name="monitor_state_overview"),
            models.Index(fields=("state", "rank", "name"), name="monitor_state_by_state"),
        )


class MonitorRequestRow(models.Model):
    """A wish for the watch lane of the running server, whichever process it came from; deleted once heard."""

    uid = models.CharField(max_length=26)
    wish = models.CharField(max_length=10)  # check: check it now; reload: its row was changed by a person
    at = models.FloatField()

    class Meta:
        db_table = "monitor_request"


class LocationRow(models.Model):
    """One declared location and the prober there, as the servers heard it last; times are epoch seconds, 0: never."""

    uid = models.CharField(max_length=26, primary_key=True)
    name = models.CharField(max_length=100)
    state = models.CharField(max_length=10, default="waiting")  # waiting up silent, see watch.presence
    since = models.FloatField(default=0)
    heard_at = models.FloatField(default=0)
    joined_at = models.FloatField(default=0)  # of the current link
    connected = models.BooleanField(default=False)
    version = models.CharField(max_length=60, default="")
    address = models.CharField(max_length=60, default="")
    offset = models.FloatField(default=0)  # seconds that the server's clock is ahead of the prober's
    round_trip = models.FloatField(default=0)
    assigned = models.IntegerField(default=0)  # monitors
    checks = models.BigIntegerField(default=0)  # since the prober started
    waiting = models.BigIntegerField(default=0)  # results that it keeps
    dropped = models.BigIntegerField(default=0)  # results dropped because its buffer was full
    ignored = models.BigIntegerField(default=0)  # results for monitors not assigned to it

    class Meta:
        db_table = "location"


class HistoryErasureRow(models.Model):
    """A wish that the results of a monitor up to then be deleted. It is kept: each telemetry store remembers the time
    of the last one that it carried out, and servers may have stores of their own."""

    uid = models.CharField(max_length=26)
    at = models.FloatField()

    class Meta:
        db_table = "history_erasure"
