"""Tables of alerting. Times are epoch seconds; the outbox row is the notification."""

from __future__ import annotations

from django.db import models
from django.db.models import Q


class AlertRow(models.Model):
    """One thing that went wrong, from its first failed check to its end. At most one is open for each subject."""

    id = models.CharField(max_length=26, primary_key=True)
    subject = models.CharField(max_length=200, db_index=True)  # monitor/api, heartbeat/backup, uplink/network
    uid = models.CharField(max_length=26, default="")  # of the resource; empty for the machine itself
    name = models.CharField(max_length=100)
    severity = models.CharField(max_length=2)
    level = models.CharField(max_length=10)  # unknown, degraded or down
    labels = models.JSONField(default=dict)
    status = models.CharField(max_length=10, default="firing")  # firing or resolved
    title = models.CharField(max_length=300)
    address = models.CharField(max_length=2000, default="")
    reason = models.CharField(max_length=300, default="")
    code = models.CharField(max_length=60, default="")
    message = models.CharField(max_length=1000, default="")
    evidence = models.JSONField(default=dict)
    opened_at = models.FloatField()
    since = models.FloatField()  # first failed check
    resolved_at = models.FloatField(null=True)
    resolved_reason = models.CharField(max_length=300, default="")
    acknowledged_at = models.FloatField(null=True)
    acknowledged_by = models.CharField(max_length=300, default="")
    muted_until = models.FloatField(null=True)
    next_at = models.FloatField(null=True)  # when the delivery lane takes it through the stages again
    news = models.CharField(max_length=300, default="", db_default="")  # why people are to be told; empty: they were
    aside = models.CharField(max_length=300, default="", db_default="")  # why its subject is not to be heard of now
    way = models.JSONField(null=True)  # the last one through the stages: at, steps (stage, verdict, reason), to
    note = models.CharField(max_length=1000, default="", db_default="")  # the newest one of a person
    noted_by = models.CharField(max_length=300, default="", db_default="")
    noted_at = models.FloatField(null=True)
    suppressed_by = models.CharField(max_length=100, default="")  # a failing parent, or uplink/network
    untold = models.CharField(max_length=300, default="")  # why no channel was selected, if none was

    class Meta:
        db_table = "alert"
        constraints = (
            models.UniqueConstraint(fields=("subject",), condition=Q(status="firing"), name="alert_one_open"),
        )
        indexes = (
            models.Index(fields=("status", "-opened_at"), name="alert_newest"),
            models.Index(fields=("next_at",), condition=Q(next_at__isnull=False), name="alert_due"),
        )

    @property
    def is_open(self) -> bool:
        return self.status == "firing"


class OutboxRow(models.Model):
    """One message to one channel. `id` is the idempotency key, `attempts` also tells a stale claim from ours."""

    id = models.CharField(max_length=26, primary_key=True)
    alert = models.ForeignKey(AlertRow, on_delete=models.PROTECT, null=True, related_name="notifications")
    channel = models.CharField(max_length=100)
    kind = models.CharField(max_length=10)  # firing, resolved, test or report
    payload = models.JSONField()
    state = models.CharField(max_length=10, default="pending")
    reason = models.CharField(max_length=300, default="")  # why it was suppressed, cancelled or chosen
    attempts = models.IntegerField(default=0)
    # The start of a server that delivers it, or did so last; programs of before it was there write rows without it.
    claimed_by = models.CharField(max_length=32, default="", db_default="")
    next_at = models.FloatField(null=True)  # null while it waits for `after_id`; the lease's end while delivering
    after_id = models.CharField(max_length=26, default="")
    last_error = models.CharField(max_length=1000, default="")
    failed_at = models.FloatField(null=True)
    receipt = models.JSONField(default=dict)
    created_at = models.FloatField()
    delivered_at = models.FloatField(null=True)
    expires_at = models.FloatField()

    class Meta:
        db_table = "outbox"
        indexes = (
            models.Index(fields=("next_at",), condition=Q(state__in=("pending", "delivering")), name="outbox_due"),
            models.Index(fields=("expires_at",), condition=Q(state="pending"), name="outbox_expiry"),
            models.Index(fields=("channel", "state"), name="outbox_channel"),
            models.Index(fields=("after_id",), condition=Q(state="pending"), name="outbox_waiting"),
            models.Index(fields=("channel", "-delivered_at"), name="outbox_delivered"),
        )
