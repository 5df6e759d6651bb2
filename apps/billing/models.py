"""Subscriptions: which plan a tenant signed, and what was agreed with it alone."""

from typing import ClassVar

from django.db import models
from django.utils import timezone

from apps.accounts.models import Tenant
from apps.billing.plans import PLANS


class Subscription(models.Model):
    """A tenant's plan. No row means the Free plan."""

    tenant = models.OneToOneField(Tenant, on_delete=models.CASCADE, related_name="subscription")
    plan_code = models.CharField(max_length=40, choices=[(code, code) for code in PLANS])
    started_at = models.DateTimeField(default=timezone.now)
    custom_rate_per_minute = models.PositiveIntegerField(null=True, blank=True, help_text="Empty = the plan's.")
    custom_included = models.PositiveBigIntegerField(null=True, blank=True, help_text="Empty = the plan's.")

    class Meta:
        ordering: ClassVar = ["tenant__slug"]

    def __str__(self) -> str:
        return f"{self.tenant} on {self.plan_code}"
