"""Batches and their chunks, and files of lists. In `public`: workers take those of every tenant."""

from datetime import datetime, timedelta
from typing import ClassVar

from django.db import models

from apps.accounts.models import Tenant

#: Files of a batch that has ended are kept so long.
KEPT = timedelta(days=30)
#: A draft is kept so long.
DRAFT_KEPT = timedelta(days=1)


class Batch(models.Model):
    """A file of transactions of one kind, and how far it is.

    received by the API ─► queued ─► running ─► completed
    by the portal ─► draft ─┘└─────────┴─► failed, cancelled; paused by quota or spend cap, to be resumed

    A draft waits for its sender to look at its columns; only the portal shows it.
    """

    class State(models.TextChoices):
        DRAFT = "draft"
        QUEUED = "queued"
        RUNNING = "running"
        PAUSED = "paused"
        COMPLETED = "completed"
        FAILED = "failed"
        CANCELLED = "cancelled"

    class Explain(models.TextChoices):
        NONE = "none"
        FLAGGED = "flagged"
        ALL = "all"

    id = models.CharField(primary_key=True, max_length=28, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="batches")
    livemode = models.BooleanField()
    key_id = models.BigIntegerField(default=0, help_text="Of the API key it came with; 0 from the portal.")
    asked_by = models.CharField(max_length=200)
    created_at = models.DateTimeField()
    idempotency_key = models.CharField(max_length=32, blank=True, help_text="Its hash; empty: none, or over by now.")
    fingerprint = models.CharField(max_length=32, blank=True, help_text="Of the request that key came with.")
    filename = models.CharField(max_length=200)
    format = models.CharField(max_length=8, blank=True, help_text="csv, jsonl or parquet; empty: as the file begins.")
    schema = models.CharField(max_length=40)
    model = models.CharField(max_length=80, blank=True, help_text="As it was asked for; empty: the champion.")
    entries = models.JSONField(default=list, help_text="The models, by version, that score it from first row to last.")
    explain = models.CharField(max_length=8, choices=Explain, default=Explain.FLAGGED)
    callback = models.CharField(max_length=32, blank=True, help_text="The webhook that alone is told when it ends.")
    upload = models.FileField(max_length=200, blank=True)
    upload_offset = models.BigIntegerField(
        default=0, help_text="Where in the upload the file begins: behind a form's head."
    )
    upload_bytes = models.BigIntegerField(help_text="Of the file itself.")
    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    reason = models.CharField(max_length=500, blank=True, help_text="Why it failed or paused, in a sentence.")
    policy_version = models.PositiveIntegerField(default=0, help_text="The policy it is held against, all of it.")
    mapping = models.JSONField(default=dict, help_text="Column → field, as its sender chose; empty: as they match.")
    headings = models.JSONField(default=dict, help_text="The file's columns and the fields they are read as.")
    rows_total = models.BigIntegerField(null=True, help_text="Known once the file is read.")
    rows_done = models.BigIntegerField(default=0)
    rows_flagged = models.BigIntegerField(default=0)
    duplicates = models.BigIntegerField(default=0)
    units = models.BigIntegerField(default=0)
    problems = models.JSONField(default=dict, help_text="Rows with a problem, by its kind.")
    started_at = models.DateTimeField(null=True, help_text="When its first chunk was taken.")
    touched_at = models.DateTimeField(help_text="When it last came further.")
    finished_at = models.DateTimeField(null=True)
    assembled_at = models.DateTimeField(null=True, help_text="When its results were put together; null: they wait.")
    deleted_at = models.DateTimeField(null=True, help_text="Nobody sees it any more; its files go with its last chunk.")
    results = models.JSONField(default=dict, help_text="Format → file, bytes and ETag.")
    formats = models.JSONField(default=list, help_text="Of results that somebody asked for beside CSV.")

    class Meta:
        ordering: ClassVar = ["-id"]
        verbose_name_plural = "batches"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["tenant", "livemode", "idempotency_key"],
                condition=~models.Q(idempotency_key=""),
                name="batch_once_a_key",
            )
        ]
        indexes: ClassVar = [
            models.Index(fields=["tenant", "livemode", "-id"], name="batch_newest_first"),
            models.Index(
                fields=["touched_at"], condition=models.Q(state__in=["queued", "running"]), name="batch_under_way"
            ),
        ]

    def __str__(self) -> str:
        return self.id

    @property
    def ended(self) -> bool:
        """Whether nothing more happens to it, unless it is resumed."""
        return self.deleted_at is not None or self.state in (
            self.State.COMPLETED,
            self.State.FAILED,
            self.State.CANCELLED,
        )

    @property
    def percent(self) -> int:
        """How far it is, 100 only when it is completed."""
        if self.state == self.State.COMPLETED:
            return 100
        return min(99, 100 * self.rows_done // self.rows_total) if self.rows_total else 0

    @property
    def rows_with_problems(self) -> int:
        """Rows that could not be scored so far."""
        return sum(self.problems.values())

    def rows_per_second(self, now: datetime) -> float | None:
        """How fast it was, or is; None before a row is done."""
        if self.started_at is None or not self.rows_done:
            return None
        seconds = ((self.finished_at or now) - self.started_at).total_seconds()
        return round(self.rows_done / max(seconds, 0.001), 1)

    def estimated_end(self, now: datetime) -> datetime | None:
        """When it ends if it goes on as it went; None when nobody can say, or it has ended."""
        rate = self.rows_per_second(now)
        if self.state != self.State.RUNNING or not rate or self.rows_total is None:
            return None
        return now + timedelta(seconds=(self.rows_total - self.rows_done) / rate)


class Chunk(models.Model):
    """Rows of a batch that are scored, stored and billed in one transaction. Its id is that of its usage event.

    Whoever scores it holds the row's lock: one whose worker was killed is free again at once. Its rows are `rows` of
    the part `part` of the file that was read, from `offset` on.
    """

    id = models.CharField(primary_key=True, max_length=32, editable=False)
    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="chunks")
    number = models.PositiveIntegerField()
    part = models.PositiveIntegerField()
    offset = models.PositiveIntegerField(default=0)
    rows = models.PositiveIntegerField()
    first_row = models.BigIntegerField(help_text="Of the file, from 0.")
    done = models.BooleanField(default=False)
    occurred_at = models.DateTimeField(null=True, help_text="When it was first taken: its decisions' time, and month.")
    settled = models.BooleanField(default=False, help_text="What was reserved for it and not billed is given back.")
    units = models.PositiveIntegerField(default=0)
    problems = models.PositiveIntegerField(default=0, help_text="Rows with one.")

    class Meta:
        ordering: ClassVar = ["batch", "first_row"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["batch", "number"], name="chunk_once")]

    def __str__(self) -> str:
        return self.id


def chunk_id(batch_id: str, number: int) -> str:
    """The name of a batch's chunk, and of its usage event: 32 characters."""
    return f"{batch_id}{number:04x}"


class ListImport(models.Model):
    """A file of a list's items that is too long to be waited for.

    queued ─► completed, failed      whoever works at it holds the row: its transaction ends as the file's does
    """

    class State(models.TextChoices):
        QUEUED = "queued"
        COMPLETED = "completed"
        FAILED = "failed"

    id = models.CharField(primary_key=True, max_length=32, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="list_imports")
    livemode = models.BooleanField()
    list_id = models.CharField(max_length=32, help_text="In the tenant's schema.")
    list_name = models.CharField(max_length=64)
    asked_by = models.CharField(max_length=200)
    created_at = models.DateTimeField()
    upload = models.CharField(max_length=200, help_text="Its file, until it is over.")
    offset = models.BigIntegerField(help_text="Where in the upload the items begin: behind a form's head.")
    size = models.BigIntegerField(help_text="Bytes of the items.")
    is_csv = models.BooleanField()
    lines = models.IntegerField()
    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    reason = models.CharField(max_length=500, blank=True, help_text="Why it failed, in a sentence.")
    added = models.IntegerField(default=0)
    changed = models.IntegerField(default=0)
    unchanged = models.IntegerField(default=0)
    wrong = models.IntegerField(default=0, help_text="Lines that were left out.")
    problems = models.JSONField(default=list, help_text="The first of them: line, param, detail.")
    finished_at = models.DateTimeField(null=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["tenant", "list_id", "-created_at"], name="list_import_newest_first"),
            models.Index(fields=["created_at"], condition=models.Q(state="queued"), name="list_import_waiting"),
        ]

    def __str__(self) -> str:
        return self.id
