"""Tables of on-call. Schedules by the uid of their resource, people by their name; times are epoch seconds."""

from __future__ import annotations

from django.db import models


class OverrideRow(models.Model):
    """A change by hand to who is on duty; rules.duty.Override says what the columns mean."""

    id = models.CharField(max_length=26, primary_key=True)
    schedule = models.CharField(max_length=26)
    start = models.FloatField()
    end = models.FloatField(db_index=True)
    add = models.CharField(max_length=100, default="")
    remove = models.CharField(max_length=100, default="")
    note = models.CharField(max_length=500, default="")
    made_by = models.CharField(max_length=300)

    class Meta:
        db_table = "oncall_override"


class SwapRow(models.Model):
    """A shift that one person asks another to take, perhaps for one in return (`back_start`, `back_end`)."""

    id = models.CharField(max_length=26, primary_key=True)
    schedule = models.CharField(max_length=26)
    start = models.FloatField()
    end = models.FloatField(db_index=True)
    giver = models.CharField(max_length=100)
    taker = models.CharField(max_length=100)
    back_start = models.FloatField(null=True)
    back_end = models.FloatField(null=True)
    note = models.CharField(max_length=500, default="")
    state = models.CharField(max_length=10, default="asked")  # asked accepted declined withdrawn
    made_by = models.CharField(max_length=300)

    class Meta:
        db_table = "oncall_swap"


class TemporaryRow(models.Model):
    """Shifts, a JSON list of [start, end, person], that stand for all rotations and overrides for a while."""

    id = models.CharField(max_length=26, primary_key=True)
    schedule = models.CharField(max_length=26)
    start = models.FloatField()
    end = models.FloatField(db_index=True)
    shifts = models.TextField()
    note = models.CharField(max_length=500, default="")
    made_by = models.CharField(max_length=300)

    class Meta:
        db_table = "oncall_temporary"


class VerificationRow(models.Model):
    """That a way to reach a person is theirs, or that a code was sent to find out. Neither address nor code is kept."""

    digest = models.CharField(max_length=64, primary_key=True)  # queries.digest_of
    person = models.CharField(max_length=100)
    nonce = models.CharField(max_length=26)  # that the code is made from
    expires_at = models.FloatField()
    tries = models.IntegerField(default=0)
    verified_at = models.FloatField(null=True)

    class Meta:
        db_table = "oncall_verification"


class RecordRow(models.Model):
    """Who was on duty from `since` on, a JSON list of names, as it was when it was so."""

    id = models.BigAutoField(primary_key=True)
    schedule = models.CharField(max_length=26)
    since = models.FloatField()
    people = models.TextField()

    class Meta:
        db_table = "oncall_record"
        constraints = (models.UniqueConstraint(fields=("schedule", "since"), name="oncall_record_since"),)


class WatchRow(models.Model):
    """What the lane knows of a schedule: until when it is recorded, and the gap that was told of."""

    schedule = models.CharField(max_length=26, primary_key=True)
    name = models.CharField(max_length=100)
    recorded_until = models.FloatField()
    gap = models.FloatField(null=True)  # start of the gap that an alert is open for
    next_at = models.FloatField(default=0.0)  # when it is looked ahead again

    class Meta:
        db_table = "oncall_watch"


class FeedRow(models.Model):
    """The secret address of a calendar; only its SHA-256 is kept."""

    subject = models.CharField(max_length=130, primary_key=True)  # person/<name> or schedule/<name>
    secret_hash = models.CharField(max_length=64, unique=True)
    made_by = models.CharField(max_length=300)

    class Meta:
        db_table = "oncall_feed"
