"""Tables of the store. Documents are kept as the exact JSON text that was hashed or declared."""

from __future__ import annotations

from django.db import models


class JournalEntry(models.Model):
    """One event. Only an erasure updates it; `hash` chains it to the entry before (see store/journal.py)."""

    seq = models.BigIntegerField(primary_key=True)
    at_us = models.BigIntegerField(db_index=True)  # microseconds since the Unix epoch
    actor = models.CharField(max_length=300)
    kind = models.CharField(max_length=60, db_index=True)
    subject = models.CharField(max_length=200, db_index=True)
    data = models.TextField()  # canonical JSON
    salt = models.CharField(max_length=32)
    data_digest = models.CharField(max_length=64)
    erased = models.TextField(default="")  # JSON of the digests that stand for what was erased; empty: nothing was
    previous = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)

    class Meta:
        db_table = "journal"


class JournalHead(models.Model):
    """One row, locked by whoever appends: the chain has one end, also with several writers."""

    id = models.PositiveSmallIntegerField(primary_key=True)
    seq = models.BigIntegerField()
    hash = models.CharField(max_length=64)

    class Meta:
        db_table = "journal_head"


class SealRow(models.Model):
    """A sealed range of the journal (see store/seals). `document` is the signed truth; the rest finds it.

    place: `both` while the entries are rows of `journal` too, `file` once they are in the segment alone, `deleted` when
    that is gone as well.
    """

    first = models.BigIntegerField(primary_key=True)
    last = models.BigIntegerField()
    oldest_us = models.BigIntegerField()
    newest_us = models.BigIntegerField()
    place = models.CharField(max_length=10, default="both")
    document = models.TextField()

    class Meta:
        db_table = "journal_seal"


class ResourceRow(models.Model):
    uid = models.CharField(max_length=26, primary_key=True)
    kind = models.CharField(max_length=40)
    name = models.CharField(max_length=100)
    document = models.TextField()  # canonical JSON of the spec, defaults left out
    manager = models.CharField(max_length=10)
    source = models.CharField(max_length=400, default="")
    position = models.IntegerField(default=0)
    revision = models.BigIntegerField()

    class Meta:
        db_table = "resource"
        constraints = (models.UniqueConstraint(fields=("kind", "name"), name="resource_kind_name"),)


class ReferenceRow(models.Model):
    """That the resource `uid` names another one, by its kind and name (store/resources/references.py)."""

    uid = models.CharField(max_length=26, db_index=True)
    kind = models.CharField(max_length=40)
    name = models.CharField(max_length=100)

    class Meta:
        db_table = "resource_reference"
        indexes = (models.Index(fields=("kind", "name"), name="reference_kind_name"),)


class RevisionRow(models.Model):
    """One apply. Its number is what servers poll to learn that something was declared anew.

    A number below 0 is a draft: its changes are being written down, and nobody sees them until they are applied."""

    number = models.BigAutoField(primary_key=True)
    at_us = models.BigIntegerField()
    actor = models.CharField(max_length=300)
    manager = models.CharField(max_length=10)
    source = models.CharField(max_length=400, default="")
    message = models.CharField(max_length=500, default="")

    class Meta:
        db_table = "revision"


class ChangeRow(models.Model):
    """What a revision did to one resource. `before` and `after` are canonical JSON of its document, manager,
    source and position (store/resources/plan.py, State); null means absent."""

    revision = models.ForeignKey(RevisionRow, on_delete=models.PROTECT, related_name="changes")
    uid = models.CharField(max_length=26, db_index=True)
    kind = models.CharField(max_length=40)
    name = models.CharField(max_length=100)
    before = models.TextField(null=True)
    after = models.TextField(null=True)

    class Meta:
        db_table = "resource_change"
        indexes = (models.Index(fields=("kind", "name"), name="change_kind_name"),)


class VaultRow(models.Model):
    """A secret, encrypted together with its name (see store/vault.py)."""

    name = models.CharField(max_length=100, primary_key=True)
    sealed = models.TextField()
    changed_us = models.BigIntegerField()
    changed_by = models.CharField(max_length=300)

    class Meta:
        db_table = "vault_secret"


class FollowerRow(models.Model):
    """How far a follower has read the journal; see store/followers.py."""

    name = models.CharField(max_length=49, primary_key=True)
    seq = models.BigIntegerField()  # of the last entry that is done or set aside
    tries = models.PositiveSmallIntegerField(default=0)  # of the next one, which failed
    next_at_us = models.BigIntegerField(default=0)  # when it is tried again; microseconds since the Unix epoch

    class Meta:
        db_table = "follower"


class FactRow(models.Model):
    """Small facts of this install: its id, the hash of the ping key, the set-up token's hash."""

    key = models.CharField(max_length=60, primary_key=True)
    value = models.TextField()

    class Meta:
        db_table = "fact"
