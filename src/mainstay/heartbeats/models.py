"""Tables of heartbeats. Times are epoch seconds as doubles, which SQLite and PostgreSQL give back bit by bit."""

from __future__ import annotations

from django.db import models


class HeartbeatRow(models.Model):
    """What is known of one declared heartbeat; rules.Condition says what the columns mean."""

    uid = models.CharField(max_length=26, primary_key=True)  # of the resource
    ping_uuid = models.CharField(max_length=36, db_index=True)  # its address; kept while the resource exists
    slug = models.CharField(max_length=100, db_index=True)  # of the resource's name; empty if no letter survives
    signature = models.CharField(max_length=250)  # the schedule that next_at was computed by
    state = models.CharField(max_length=10, default="new")
    reason = models.CharField(max_length=40, default="never_pinged")
    since = models.FloatField()
    paused_by = models.CharField(max_length=12, default="")
    last_ping = models.FloatField(null=True)
    last_kind = models.CharField(max_length=8, default="")
    last_start = models.FloatField(null=True)
    last_rid = models.CharField(max_length=36, default="")
    last_duration = models.FloatField(null=True)
    due_at = models.FloatField(null=True)
    next_at = models.FloatField(null=True, db_index=True)  # the deadline that the lane claims
    pings = models.BigIntegerField(default=0)  # taken in, ever; also the number of the last one
    failures = models.BigIntegerField(default=0)  # of them: fail and exit status above 0

    class Meta:
        db_table = "heartbeat"


class PingRow(models.Model):
    """One ping as it came; the newest `pings_kept` of each heartbeat stay."""

    id = models.BigAutoField(primary_key=True)
    heartbeat = models.CharField(max_length=26)  # uid; no foreign key, a ping is written without a look-up
    n = models.BigIntegerField()  # counts from 1 per heartbeat
    at = models.FloatField()
    kind = models.CharField(max_length=8)  # success start fail log ign
    exit_status = models.SmallIntegerField(null=True)
    rid = models.CharField(max_length=36, default="")
    method = models.CharField(max_length=8)
    scheme = models.CharField(max_length=8)
    remote = models.CharField(max_length=45)
    user_agent = models.CharField(max_length=200)
    duration = models.FloatField(null=True)  # seconds since the start that it ends
    late = models.FloatField(default=0.0, db_default=0.0)  # seconds between `at` and its arrival, if it says so itself
    body = models.BinaryField(null=True)  # the first `ping_body_limit` bytes
    body_size = models.BigIntegerField(default=0)  # bytes that were sent

    class Meta:
        db_table = "ping"
        constraints = (models.UniqueConstraint(fields=("heartbeat", "n"), name="ping_heartbeat_n"),)
