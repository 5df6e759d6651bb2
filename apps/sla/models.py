"""Probes' states, incidents, maintenance, counted failures, measured days and statements, in `public`.

A round of probes writes no row of its own: it moves the end of the span in which the service is probed, so that months
of a service that is well are a handful of rows.
"""

from typing import ClassVar

from django.db import models
from django.db.models.fields.json import KT
from django.db.models.functions import Cast

from apps.accounts.models import Tenant
from apps.sla.parts import PARTS

_PARTS = [(name, part.title) for name, part in PARTS.items()]


class PartState(models.Model):
    """What is remembered of a part (`watching.Watched`), and what was found of it last."""

    part = models.CharField(primary_key=True, max_length=20, choices=_PARTS)
    up = models.BooleanField(null=True)
    in_a_row = models.PositiveIntegerField(default=0)
    since = models.DateTimeField()
    checked_at = models.DateTimeField(help_text="When it was last found up or down.")
    ms = models.FloatField(default=0.0)
    detail = models.CharField(max_length=200, blank=True)

    def __str__(self) -> str:
        return self.part


class ProbedSpan(models.Model):
    """A time in which rounds of probes followed each other. Outside of them nothing is known."""

    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(help_text="The last round's.")

    class Meta:
        indexes: ClassVar = [models.Index(fields=["ended_at"], name="probed_span_by_end")]

    def __str__(self) -> str:
        return f"{self.started_at:%Y-%m-%d %H:%M} to {self.ended_at:%Y-%m-%d %H:%M}"


class Incident(models.Model):
    """A part that was not well. Opened and closed by probes; nobody edits when it began and ended."""

    id = models.CharField(primary_key=True, max_length=32)
    part = models.CharField(max_length=20, choices=_PARTS)
    started_at = models.DateTimeField(help_text="The first of the failed probes.")
    opened_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True, help_text="The first of the probes that were well again.")

    class Meta:
        ordering: ClassVar = ["-started_at", "-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["part"], condition=models.Q(ended_at=None), name="incident_open_once_a_part"
            ),
            models.UniqueConstraint(fields=["part", "started_at"], name="incident_once"),
        ]
        indexes: ClassVar = [models.Index(fields=["-started_at", "-id"], name="incident_newest_first")]

    def __str__(self) -> str:
        return f"{self.get_part_display()}, {self.started_at:%Y-%m-%d %H:%M}"


class IncidentNote(models.Model):
    """A line of an incident's timeline: what happened by itself, or what an operator says. All may read it."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="notes")
    at = models.DateTimeField()
    text = models.CharField(max_length=1_000)
    author = models.CharField(max_length=200, blank=True, help_text="Empty: by itself. Customers do not see it.")

    class Meta:
        ordering: ClassVar = ["at", "id"]

    def __str__(self) -> str:
        return f"{self.incident}: {self.text[:60]}"


class Maintenance(models.Model):
    """An announced window. It excludes no second before it was announced."""

    title = models.CharField(max_length=200, help_text="What is done: customers read it.")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    announced_at = models.DateTimeField(editable=False)
    withdrawn_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering: ClassVar = ["-starts_at", "-id"]
        verbose_name = verbose_name_plural = "maintenance"

    def __str__(self) -> str:
        return f"{self.title}, {self.starts_at:%Y-%m-%d %H:%M} UTC"


class FailedMinute(models.Model):
    """Requests for decisions of one tenant in one minute that failed with a 5xx.

    `counted` is the running count Valkey keeps; `direct` were counted here because Valkey was away.
    """

    tenant_id = models.BigIntegerField()
    minute = models.DateTimeField()
    counted = models.PositiveIntegerField(default=0)
    direct = models.PositiveIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["tenant_id", "minute"], name="failed_minute_once")]
        indexes: ClassVar = [models.Index(fields=["minute"], name="failed_minute_of_all")]

    def __str__(self) -> str:
        return f"{self.counted + self.direct} on {self.minute:%Y-%m-%d %H:%M}"


class MeasuredDay(models.Model):
    """A tenant's live requests of one day (UTC), by minute and by how long they took: read from its usage events once.

    `decisions` is what the roll-up by day had then: when that has grown since, the day is read again.
    """

    tenant_id = models.BigIntegerField()
    day = models.DateField()
    decisions = models.BigIntegerField()
    minutes = models.BinaryField(help_text="uint32[1440]: requests answered in each minute of the day.")
    latencies = models.JSONField(help_text="latency.step_of → requests.")

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["tenant_id", "day"], name="measured_day_once")]

    def __str__(self) -> str:
        return f"{self.day}"


class BurnAlert(models.Model):
    """A burn-rate rule that calls, until it no longer does."""

    rule = models.CharField(max_length=20)
    opened_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    text = models.CharField(max_length=300)

    class Meta:
        ordering: ClassVar = ["-opened_at", "-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["rule"], condition=models.Q(ended_at=None), name="burn_alert_open_once")
        ]

    def __str__(self) -> str:
        return f"{self.rule}, {self.opened_at:%Y-%m-%d %H:%M}"


class RoundCount(models.Model):
    """What went well or failed since the round of probes before: what burn rates are computed from. Kept for days."""

    at = models.DateTimeField(primary_key=True)
    day_total = models.BigIntegerField(help_text="Live decisions recorded of this day so far, of all tenants.")
    well = models.PositiveIntegerField(help_text="Live decisions since, and probes that were well.")
    failed = models.PositiveIntegerField(help_text="Probes that failed; requests that did are in FailedMinute.")

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S}"


class SlaStatement(models.Model):
    """A tenant's statement of a month, as it was computed. A later revision corrects it; none is ever changed."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT)
    month = models.CharField(max_length=7)
    revision = models.PositiveIntegerField()
    issued_at = models.DateTimeField()
    document = models.JSONField(help_text="statement.Statement")
    # What lists show of it: of a month with many silent minutes the document has half a megabyte.
    currency = models.GeneratedField(
        expression=KT("document__currency"), output_field=models.CharField(max_length=3), db_persist=True
    )
    availability_percent = models.GeneratedField(
        expression=KT("document__result__availability_percent"),
        output_field=models.CharField(max_length=20, null=True),
        db_persist=True,
    )
    down_seconds = models.GeneratedField(
        expression=Cast(KT("document__result__down_seconds"), models.PositiveIntegerField()),
        output_field=models.PositiveIntegerField(),
        db_persist=True,
    )
    credit_percent = models.PositiveIntegerField()
    credit = models.DecimalField(max_digits=20, decimal_places=3, help_text="Granted by this revision.")
    because = models.CharField(max_length=200, blank=True, help_text="What a correction corrects.")

    class Meta:
        ordering: ClassVar = ["-month", "-revision"]
        verbose_name = "SLA statement"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "month", "revision"], name="sla_statement_once")
        ]

    def __str__(self) -> str:
        return f"{self.month}, revision {self.revision}"
