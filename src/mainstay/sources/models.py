"""Tables of what came from outside. Times are epoch seconds."""

from __future__ import annotations

from django.db import models
from django.db.models import Q


class ReportedRow(models.Model):
    """One alert as its sender told of it last; rules.Standing says what the columns mean. Gone a day after its end."""

    fingerprint = models.CharField(max_length=16, primary_key=True)  # of its labels, or of source and key
    source = models.CharField(max_length=100)
    uid = models.CharField(max_length=26)  # of the source
    key = models.CharField(max_length=512, default="")  # by which its sender knows it; empty: by its labels
    labels = models.JSONField(default=dict)
    annotations = models.JSONField(default=dict)
    severity = models.CharField(max_length=2)
    link = models.CharField(max_length=2000, default="")
    starts_at = models.FloatField()
    ends_at = models.FloatField(null=True)  # null: not until its sender says so
    guessed = models.BooleanField(default=False)  # the end is a guess of ours, since its sender named none
    firing = models.BooleanField()
    updated_at = models.FloatField()
    next_at = models.FloatField(null=True)  # when the lane ends it

    class Meta:
        db_table = "reported_alert"
        indexes = (
            models.Index(fields=("next_at",), condition=Q(next_at__isnull=False), name="reported_alert_due"),
            models.Index(fields=("updated_at",), condition=Q(firing=False), name="reported_alert_old"),
        )


class BodyRow(models.Model):
    """What a source sent, as it came; the newest KEPT_BODIES of each stay."""

    id = models.BigAutoField(primary_key=True)
    uid = models.CharField(max_length=26, db_index=True)  # of the source
    at = models.FloatField()
    remote = models.CharField(max_length=45, default="")
    agent = models.CharField(max_length=200, default="")
    outcome = models.CharField(max_length=300)  # what became of it, in words
    refused = models.BooleanField(default=False)
    body = models.TextField(default="")  # masked; the first KEPT_BODY characters
    size = models.IntegerField(default=0)  # bytes that were sent

    class Meta:
        db_table = "source_body"


class ChangeRow(models.Model):
    """Something that was changed elsewhere: a deploy, a flag, configuration."""

    id = models.CharField(max_length=26, primary_key=True)
    at = models.FloatField(db_index=True)
    what = models.CharField(max_length=40)
    summary = models.CharField(max_length=1024)
    labels = models.JSONField(default=dict)
    links = models.JSONField(default=list)  # (text, address) pairs
    details = models.JSONField(default=dict)
    recorded_by = models.CharField(max_length=300)

    class Meta:
        db_table = "outside_change"
