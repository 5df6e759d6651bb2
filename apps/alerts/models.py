"""Rules, alerts and what a rule remembers, in `public`: one evaluation looks at all tenants.

An alert that is not resolved is unique by its rule and `dedup_key`: what happens again is counted, not made anew.
"""

from typing import ClassVar

from django.db import models

from apps.accounts.models import Tenant
from apps.alerts.kinds import SEVERITIES

OPEN, ACKNOWLEDGED, RESOLVED = "open", "acknowledged", "resolved"
STATES = (OPEN, ACKNOWLEDGED, RESOLVED)


class AlertRule(models.Model):
    """A tenant's own rule, or what it made of a default one (`rule_id` is the kind then)."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE)
    livemode = models.BooleanField(default=True)
    rule_id = models.CharField(max_length=40)
    kind = models.CharField(max_length=40, help_text="A row of `kinds.KINDS`.")
    name = models.CharField(max_length=100)
    enabled = models.BooleanField(default=True)
    severity = models.CharField(max_length=8, choices=[(one, one) for one in SEVERITIES])
    thresholds = models.JSONField()
    period_minutes = models.PositiveIntegerField()
    mail_to = models.JSONField(null=True, help_text="E-mail addresses; null: owners and admins.")
    channels = models.JSONField(null=True, help_text="Ids of chat channels; null: all.")
    quiet_hours = models.JSONField(null=True)
    escalation = models.JSONField(default=list)
    created_at = models.DateTimeField()
    changed_at = models.DateTimeField()

    class Meta:
        ordering: ClassVar = ["created_at", "id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "livemode", "rule_id"], name="alert_rule_once")
        ]

    def __str__(self) -> str:
        return self.rule_id


class RuleState(models.Model):
    """What a rule remembers: when it last sent something, and what it has counted, by the minute.

    Its row is locked by whoever counts or sends for the rule.
    """

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE)
    livemode = models.BooleanField()
    rule_id = models.CharField(max_length=40)
    sent_at = models.DateTimeField(null=True)
    looked_at = models.DateTimeField(null=True)
    counted = models.JSONField(default=dict, help_text="Minute → what was counted in it; those that may still grow.")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "livemode", "rule_id"], name="alert_rule_state_once")
        ]

    def __str__(self) -> str:
        return f"state of {self.rule_id}"


class Alert(models.Model):
    """Something somebody is to look at."""

    id = models.CharField(primary_key=True, max_length=32)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE)
    livemode = models.BooleanField()
    rule_id = models.CharField(max_length=40)
    kind = models.CharField(max_length=40, help_text="A row of `kinds.KINDS`.")
    severity = models.CharField(max_length=8, choices=[(one, one) for one in SEVERITIES])
    dedup_key = models.CharField(max_length=200, blank=True)
    state = models.CharField(max_length=12, choices=[(one, one) for one in STATES], default=OPEN)
    title = models.CharField(max_length=200)
    text = models.CharField(max_length=2_000)
    values = models.JSONField(default=dict)
    occurrences = models.BigIntegerField(default=1)
    opened_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    moment = models.DateTimeField(help_text="The last one that was counted.")
    #: The decisions behind it.
    since = models.DateTimeField(null=True)
    until = models.DateTimeField(null=True)
    told_at = models.DateTimeField(null=True, help_text="When it was sent.")
    resolution_told = models.BooleanField(default=False)
    escalated = models.PositiveSmallIntegerField(default=0, help_text="Steps of escalation that were taken.")
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_by = models.CharField(max_length=200, blank=True)
    resolved_at = models.DateTimeField(null=True)
    resolved_by = models.CharField(max_length=200, blank=True, help_text="Empty: by itself.")

    class Meta:
        ordering: ClassVar = ["-opened_at", "-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["tenant", "livemode", "rule_id", "dedup_key"],
                condition=~models.Q(state=RESOLVED),
                name="alert_once_until_resolved",
            )
        ]
        indexes: ClassVar = [
            models.Index(fields=["tenant", "livemode", "-opened_at", "-id"], name="alert_newest_of_tenant"),
            models.Index(
                fields=["tenant", "livemode", "rule_id"],
                condition=models.Q(state=OPEN, told_at=None),
                name="alert_to_be_sent",
            ),
            models.Index(
                fields=["resolved_at"],
                condition=models.Q(state=RESOLVED, told_at__isnull=False, resolution_told=False),
                name="alert_over_to_be_told",
            ),
            models.Index(fields=["kind", "last_seen_at"], condition=~models.Q(state=RESOLVED), name="alert_unresolved"),
        ]

    def __str__(self) -> str:
        return self.id
