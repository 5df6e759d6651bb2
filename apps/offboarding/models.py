"""Closings of tenants, and the exports they take along."""

from datetime import timedelta
from typing import ClassVar

from django.db import models

from apps.accounts.models import Tenant
from apps.sealing import SealedText

#: A closing can be undone for so long; then the data is removed.
GRACE = timedelta(days=30)
#: A finished export can be downloaded for so long.
KEPT = timedelta(days=30)


class Closure(models.Model):
    """A tenant that an owner has closed: what was agreed before, for undoing it; and whether its data is removed."""

    tenant = models.OneToOneField(Tenant, on_delete=models.PROTECT)
    asked_at = models.DateTimeField()
    asked_by = models.CharField(max_length=200)
    ends_at = models.DateTimeField(help_text="Until then it can be undone.")
    finished_at = models.DateTimeField(null=True, blank=True, help_text="When the data was removed.")
    plan_code = models.CharField(max_length=40)
    custom_rate_per_minute = models.PositiveIntegerField(null=True, blank=True)
    custom_included = models.PositiveBigIntegerField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-asked_at"]

    def __str__(self) -> str:
        return f"{self.tenant}, closed {self.asked_at:%Y-%m-%d}"


class RemovedDay(models.Model):
    """Decisions of one day (UTC) that were recorded and removed since: the books count them all the same."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE)
    day = models.DateField()
    decisions = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["tenant", "day"], name="removed_day_once")]

    def __str__(self) -> str:
        return f"{self.decisions} of {self.day}"


class Retention(models.Model):
    """How long a tenant keeps one kind of thing (`retention.KINDS`); no row: as long as the account is open."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE)
    kind = models.CharField(max_length=20)
    days = models.PositiveIntegerField()
    changed_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["tenant", "kind"], name="one_retention_a_kind")]

    def __str__(self) -> str:
        return f"{self.kind}: {self.days} days"


class Erasure(models.Model):
    """A person's data, removed: the receipt. Who it was is kept, sealed, until everything is gone, then as a hash."""

    class State(models.TextChoices):
        HOLDING = "holding", "under way: something of theirs is still being written"
        COMPLETED = "completed", "everything is gone"

    id = models.CharField(primary_key=True, max_length=32, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE)
    kind = models.CharField(max_length=20)
    person_hash = models.CharField(max_length=32, help_text="Keyed hash of kind and name.")
    person = SealedText(blank=True, editable=False, help_text="The name, until it is completed.")
    asked_at = models.DateTimeField()
    asked_by = models.CharField(max_length=200)
    state = models.CharField(max_length=10, choices=State, default=State.HOLDING)
    waits_for = models.CharField(max_length=200, blank=True, help_text="What still writes.")
    completed_at = models.DateTimeField(null=True)
    removed = models.JSONField(default=dict, help_text="How much, by place.")
    digest = models.CharField(max_length=64, blank=True, help_text="SHA-256 chained over all that was removed.")

    class Meta:
        ordering: ClassVar = ["-asked_at", "-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["tenant", "kind", "person_hash"],
                condition=models.Q(state="holding"),
                name="one_erasure_of_a_person_at_a_time",
            )
        ]
        indexes: ClassVar = [models.Index(fields=["tenant", "-asked_at", "-id"], name="erasure_newest_first")]

    def __str__(self) -> str:
        return self.id


class Export(models.Model):
    """Everything a tenant has, as a zip that is made in the background: a row is the queue, and tells how far it is."""

    class State(models.TextChoices):
        WAITING = "waiting"
        RUNNING = "running"
        READY = "ready"
        FAILED = "failed"

    id = models.CharField(primary_key=True, max_length=32, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="exports")
    asked_at = models.DateTimeField()
    asked_by = models.CharField(max_length=200)
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    tries = models.PositiveSmallIntegerField(default=0)
    touched_at = models.DateTimeField(null=True, help_text="When it last came further.")
    done = models.PositiveBigIntegerField(default=0, help_text="Rows written.")
    total = models.PositiveBigIntegerField(default=0, help_text="Rows there are.")
    finished_at = models.DateTimeField(null=True)
    file = models.FileField(upload_to="exports", blank=True)
    size = models.PositiveBigIntegerField(default=0)

    class Meta:
        ordering: ClassVar = ["-asked_at"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["tenant"],
                condition=models.Q(state__in=["waiting", "running"]),
                name="one_export_at_a_time",
            )
        ]

    def __str__(self) -> str:
        return self.id

    @property
    def percent(self) -> int:
        """How far it is."""
        if self.state == self.State.READY:
            return 100
        return min(99, 100 * self.done // self.total) if self.total else 0
