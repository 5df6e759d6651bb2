"""Usage events, one a decision or a batch's chunk (the truth that is invoiced), and their roll-ups. All in `public`.

Written only by `events.record`; ids instead of foreign keys, because these tables grow fastest and move alone.
"""

from typing import ClassVar

from django.db import models

from apps.accounts.models import Tenant


class UsageEvent(models.Model):
    """Decisions served. The id is the decision's or the chunk's: recorded once however often it is repeated."""

    id = models.CharField(primary_key=True, max_length=32)
    tenant_id = models.BigIntegerField()
    key_id = models.BigIntegerField()
    occurred_at = models.DateTimeField()
    endpoint = models.CharField(max_length=40)
    schema = models.CharField(max_length=40)
    livemode = models.BooleanField()
    degraded = models.BooleanField()
    units = models.IntegerField()
    latency_us = models.IntegerField(help_text="Of each decision.")
    direct = models.BooleanField(default=False, help_text="Written past the journal, while Valkey was away.")
    decisions = models.IntegerField(default=1, db_default=1)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["tenant_id", "occurred_at"], name="usage_event_of_tenant"),
            models.Index(fields=["occurred_at"], condition=models.Q(direct=True), name="usage_event_past_journal"),
        ]

    def __str__(self) -> str:
        return self.id


class UsageHour(models.Model):
    """Events of one tenant, key, endpoint and kind of transaction in one hour (UTC)."""

    tenant_id = models.BigIntegerField()
    hour = models.DateTimeField()
    key_id = models.BigIntegerField()
    endpoint = models.CharField(max_length=40)
    schema = models.CharField(max_length=40)
    livemode = models.BooleanField()
    decisions = models.BigIntegerField()
    units = models.BigIntegerField()
    degraded = models.BigIntegerField()
    latency_us = models.BigIntegerField(help_text="Sum; divide by decisions.")

    class Meta:
        verbose_name, verbose_name_plural = "usage of an hour", "usage by hour"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["tenant_id", "hour", "key_id", "endpoint", "schema", "livemode"], name="usage_hour_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.endpoint} on {self.hour:%Y-%m-%d %H}:00"


class LatencyHour(models.Model):
    """Events of one tenant in one hour (UTC) by how long they took: `step` s is 2^(s/4) to 2^((s+1)/4) µs."""

    tenant_id = models.BigIntegerField()
    hour = models.DateTimeField()
    livemode = models.BooleanField()
    step = models.SmallIntegerField()
    decisions = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant_id", "livemode", "hour", "step"], name="latency_hour_once")
        ]

    def __str__(self) -> str:
        return f"step {self.step} on {self.hour:%Y-%m-%d %H}:00"


class Budget(models.Model):
    """Percentages of its included volume and spend cap at which a tenant is notified. No row: `budgets.DEFAULT`."""

    tenant = models.OneToOneField(Tenant, on_delete=models.CASCADE)
    thresholds = models.JSONField(help_text="Whole percentages, ascending.")

    class Meta:
        ordering: ClassVar = ["tenant__slug"]

    def __str__(self) -> str:
        return f"{self.tenant}: {', '.join(f'{threshold} %' for threshold in self.thresholds)}"


class UsageDay(models.Model):
    """Events of one tenant and endpoint on one day (UTC)."""

    tenant_id = models.BigIntegerField()
    day = models.DateField()
    endpoint = models.CharField(max_length=40)
    livemode = models.BooleanField()
    decisions = models.BigIntegerField()
    units = models.BigIntegerField()
    degraded = models.BigIntegerField()

    class Meta:
        verbose_name, verbose_name_plural = "usage of a day", "usage by day"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant_id", "day", "endpoint", "livemode"], name="usage_day_once")
        ]
        indexes: ClassVar = [models.Index(fields=["day", "tenant_id"], name="usage_day_of_all")]

    def __str__(self) -> str:
        return f"{self.endpoint} on {self.day}"
