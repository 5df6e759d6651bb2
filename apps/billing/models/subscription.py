"""Subscriptions, their timeline of plans, and the test clock that may stand in for time.

Spans are append-only: triggers of the migrations refuse the rest, for the application's own role too.
"""

from decimal import Decimal
from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from apps.accounts.models import Tenant
from apps.accounts.naming import check_one_line
from apps.billing.models.fields import CURRENCIES, amount_field
from apps.billing.provider_objects import LONGEST_ID
from apps.billing.rating.plans import DEFAULT_CURRENCY, PLANS, Plan
from apps.countries import COUNTRIES


class Subscription(models.Model):
    """What was agreed with a tenant. No row means the Free plan in USD. The timeline is in `PlanSpan`."""

    class Status(models.TextChoices):
        TRIALING = "trialing"
        ACTIVE = "active"
        PAST_DUE = "past_due"
        LIMITED = "limited"
        CANCELLED = "cancelled"

    tenant = models.OneToOneField(Tenant, on_delete=models.CASCADE, related_name="subscription")
    plan_code = models.CharField(
        max_length=40, choices=[(code, code) for code in PLANS], help_text="The one in force now."
    )
    status = models.CharField(max_length=10, choices=Status, default=Status.ACTIVE)
    currency = models.CharField(max_length=3, choices=CURRENCIES, default=DEFAULT_CURRENCY)
    started_at = models.DateTimeField(default=timezone.now)
    custom_rate_per_minute = models.PositiveIntegerField(null=True, blank=True, help_text="Empty = the plan's.")
    custom_included = models.PositiveBigIntegerField(null=True, blank=True, help_text="Empty = the plan's.")
    spend_cap = amount_field(
        null=True, blank=True, help_text="Fees and overage of a month before credits and tax; empty = no cap."
    )
    has_payment_method = models.BooleanField(
        default=False, help_text="A card that was accepted, or invoices by bank transfer as agreed."
    )
    payment_method_label = models.CharField(max_length=60, blank=True, help_text="Such as: visa •••• 4242.")
    stripe_customer_id = models.CharField(max_length=LONGEST_ID, blank=True, db_index=True)
    stripe_payment_method_id = models.CharField(max_length=LONGEST_ID, blank=True)
    past_due_since = models.DateTimeField(null=True, blank=True)
    billing_name = models.CharField(
        max_length=200, blank=True, validators=[check_one_line], help_text="Empty = the tenant's."
    )
    billing_email = models.EmailField(blank=True)
    billing_address = models.TextField(blank=True)
    country = models.CharField(max_length=2, blank=True, choices=list(COUNTRIES.items()))
    tax_id = models.CharField(max_length=40, blank=True)
    #: What the provider was told of the two, and what it says of the number since (`TAX_ID_STATES`).
    told_country = models.CharField(max_length=2, blank=True, db_default="")
    told_tax_id = models.CharField(max_length=40, blank=True, db_default="")
    tax_id_state = models.CharField(max_length=20, blank=True, db_default="")
    tax_name = models.CharField(max_length=40, blank=True, help_text="Such as: VAT.")
    tax_percent = models.DecimalField(max_digits=6, decimal_places=3, default=Decimal(0))

    class Meta:
        ordering: ClassVar = ["tenant__slug"]
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(tax_percent__gte=0, tax_percent__lte=100), name="billing_tax_percent"),
            models.CheckConstraint(condition=Q(spend_cap=None) | Q(spend_cap__gte=0), name="billing_cap_from_0"),
        ]

    def __str__(self) -> str:
        return f"{self.tenant} on {self.plan_code}"


class PlanSpan(models.Model):
    """A plan in force for a tenant in [starts_at, ends_at): the timeline, without gaps and (a constraint) overlaps.

    A span whose start is still to come is what was scheduled; only that one may be taken back.
    """

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="plan_spans")
    plan_code = models.CharField(max_length=40)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True, blank=True)
    trial = models.BooleanField(default=False)
    own_included = models.PositiveBigIntegerField(null=True, blank=True)

    class Meta:
        verbose_name, verbose_name_plural = "span of a timeline", "timelines"
        ordering: ClassVar = ["tenant_id", "starts_at"]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(ends_at=None) | Q(ends_at__gt=F("starts_at")), name="billing_span_ahead"
            ),
            models.UniqueConstraint(fields=["tenant", "starts_at"], name="billing_span_start"),
        ]

    def __str__(self) -> str:
        return f"{self.plan_code} from {self.starts_at:%Y-%m-%d %H:%M}"

    @property
    def plan(self) -> Plan:
        return PLANS[self.plan_code]


class Limitation(models.Model):
    """A tenant was limited for not paying in [starts_at, ends_at).

    No fee is charged for that time. No end: it still is.
    """

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="limitations")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["tenant_id", "starts_at"]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(ends_at=None) | Q(ends_at__gte=F("starts_at")), name="billing_limitation_ahead"
            ),
            models.UniqueConstraint(
                fields=["tenant"], condition=Q(ends_at=None), name="billing_one_limitation_at_a_time"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.tenant} limited from {self.starts_at:%Y-%m-%d %H:%M}"


class BillingClock(models.Model):
    """A tenant in test mode: its billing's own time, moved by `manage.py billing_clock` alone."""

    tenant = models.OneToOneField(Tenant, on_delete=models.CASCADE, related_name="billing_clock")
    now = models.DateTimeField()


class ClockStep(models.Model):
    """A billing clock was moved: what the tenant uses from `real_at` on, it uses at `clock_at`."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="+")
    real_at = models.DateTimeField()
    clock_at = models.DateTimeField()

    class Meta:
        ordering: ClassVar = ["real_at", "pk"]
