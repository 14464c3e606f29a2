"""Tables of nodes. Written by `verbs.py` only; empty on SQLite, where there is one server.

Times are epoch seconds by the clock of the database, so that no node's own clock decides who is alive.
"""

from __future__ import annotations

from django.db import models


class NodeRow(models.Model):
    """One server. `session` is new at each start: a lease belongs to a start, not to a machine."""

    id = models.CharField(max_length=32, primary_key=True)  # kept in the data folder
    session = models.CharField(max_length=32, unique=True)
    starts = models.BigIntegerField(default=1)
    name = models.CharField(max_length=100)
    version = models.CharField(max_length=40)
    address = models.CharField(max_length=300, default="")
    keys = models.CharField(max_length=64, default="")  # fingerprint of what all servers must share
    started_at = models.FloatField()
    seen_at = models.FloatField()
    expires_at = models.FloatField()
    left_at = models.FloatField(null=True)  # it stopped in good order
    lost_at = models.FloatField(null=True)  # somebody took over from it
    draining = models.BooleanField(default=False)
    # what it says of itself with each beat
    monitors = models.IntegerField(default=0)
    lag = models.FloatField(default=0)  # seconds; the start of checks against their slots, slowest hundredth
    waiting = models.IntegerField(default=0)  # decisions that are not written yet
    spooled = models.IntegerField(default=0)  # pings on its disk that are not in the database yet

    class Meta:
        db_table = "node"


class LeaseRow(models.Model):
    """What one node at a time does: a shard of the monitors, or a task. `token` grows with each new holder, and
    whoever writes under a lease proves in the same transaction that its token is the one that stands."""

    name = models.CharField(max_length=40, primary_key=True)  # shard/07, task/upkeep
    holder = models.CharField(max_length=32, default="")  # a session; empty: free
    token = models.BigIntegerField(default=0)
    since = models.FloatField(default=0)

    class Meta:
        db_table = "lease"
