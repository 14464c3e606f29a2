"""Tables of alerting. Times are epoch seconds; the outbox row is the notification."""

from __future__ import annotations

from django.conf import settings
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


class GroupRow(models.Model):
    """Alerts that a route tells of together. At most one is open for a route and the labels that they share."""

    id = models.CharField(max_length=26, primary_key=True)
    route = models.CharField(max_length=1000)  # its path
    labels = models.JSONField(default=dict)  # what its alerts share
    key = models.CharField(max_length=64)  # of route and labels, see `grouping.group_key`
    opened_at = models.FloatField()
    closed_at = models.FloatField(null=True)
    next_at = models.FloatField(null=True)  # when it is flushed next
    flushed_at = models.FloatField(null=True)
    log = models.JSONField(default=dict)  # receiver -> what it was told last, see `grouping.Entry`

    class Meta:
        db_table = "alert_group"
        constraints = (
            models.UniqueConstraint(fields=("key",), condition=Q(closed_at__isnull=True), name="alert_group_one_open"),
        )
        indexes = (
            models.Index(fields=("next_at",), condition=Q(next_at__isnull=False), name="alert_group_due"),
            models.Index(fields=("closed_at",), name="alert_group_closed"),
        )


class MemberRow(models.Model):
    """An alert in a group. One leaves its group when it is over and everybody who was to hear of that was told."""

    group = models.ForeignKey(GroupRow, on_delete=models.CASCADE, related_name="members")
    alert = models.ForeignKey(AlertRow, on_delete=models.CASCADE, related_name="memberships")
    joined_at = models.FloatField()
    left_at = models.FloatField(null=True)
    told = models.BooleanField(default=False)  # a notification said that it fires
    held = models.CharField(max_length=400, default="")  # why the last flush left it out: stage and reason

    class Meta:
        db_table = "alert_member"
        constraints = (models.UniqueConstraint(fields=("group", "alert"), name="alert_member_once"),)
        indexes = (models.Index(fields=("group",), condition=Q(left_at__isnull=True), name="alert_member_there"),)


class EscalationRow(models.Model):
    """A receiver on its way from step to step until somebody answers: of one alert, or of a group of them."""

    id = models.CharField(max_length=26, primary_key=True)
    alert = models.ForeignKey(AlertRow, on_delete=models.CASCADE, null=True, related_name="escalations")
    group = models.ForeignKey(GroupRow, on_delete=models.CASCADE, null=True, related_name="escalations")
    receiver = models.CharField(max_length=120)  # policy/default, schedule/primary, person/lead
    why = models.CharField(max_length=300, default="")
    policy = models.JSONField()  # as it was when this began; later edits leave it alone
    state = models.CharField(max_length=12, default="running")  # running, acknowledged, exhausted, fallback, over
    step = models.IntegerField(default=0)  # position of the one that comes next
    round = models.IntegerField(default=0)
    step_at = models.FloatField(null=True)  # when that is due
    contacts = models.JSONField(default=list)  # ways to reach people that are due later, see `escalating.Contact`
    next_at = models.FloatField(null=True)  # the soonest of all these
    began_at = models.FloatField()
    ended_at = models.FloatField(null=True)

    class Meta:
        db_table = "alert_escalation"
        indexes = (models.Index(fields=("next_at",), condition=Q(next_at__isnull=False), name="alert_escalation_due"),)


class OutboxRow(models.Model):
    """One message to one channel. `id` is the idempotency key, `attempts` also tells a stale claim from ours."""

    id = models.CharField(max_length=26, primary_key=True)
    alert = models.ForeignKey(AlertRow, on_delete=models.PROTECT, null=True, related_name="notifications")
    group = models.ForeignKey(GroupRow, on_delete=models.SET_NULL, null=True, related_name="notifications")
    escalation = models.ForeignKey(EscalationRow, on_delete=models.SET_NULL, null=True, related_name="notifications")
    channel = models.CharField(max_length=120)  # its name, or person/NAME/METHOD
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


class DeviceRow(models.Model):
    """A browser on which a person switched notifications on, as its push service knows it (RFC 8030)."""

    id = models.CharField(max_length=26, primary_key=True)
    account = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    endpoint = models.CharField(max_length=1000, unique=True)
    p256dh = models.CharField(max_length=100)  # the browser's public key, base64url
    auth = models.CharField(max_length=40)  # what it shares with us (RFC 8291), base64url
    label = models.CharField(max_length=100)  # what it is, by its own words
    added_at = models.FloatField()

    class Meta:
        db_table = "alert_device"
