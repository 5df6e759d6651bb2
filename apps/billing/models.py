"""Money as rows: what was agreed, what was in force when, what was invoiced, what was paid. All in `public`.

Spans, issued invoices, their lines and credit notes are append-only: triggers of the migrations refuse the rest, for
the application's own role too.
"""

import secrets
from decimal import Decimal
from typing import Any, ClassVar

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Upper
from django.utils import timezone

from apps.accounts.models import Tenant
from apps.billing.money import EXPONENTS, rounded, shown
from apps.billing.plans import DEFAULT_CURRENCY, PLANS, Plan
from apps.billing.provider_models import PaymentCard, ProviderEvent, Refund
from apps.billing.provider_objects import LONGEST_ID

__all__ = ["PaymentCard", "ProviderEvent", "Refund"]  # the provider's rows, which Django looks for here
_CURRENCIES = [(code, code) for code in EXPONENTS]


def amount_field(**options: Any) -> models.DecimalField:
    """What is owed: three decimals hold every currency of `money.EXPONENTS`."""
    return models.DecimalField(max_digits=20, decimal_places=3, **options)


def price_field(**options: Any) -> models.DecimalField:
    """A price or a quantity."""
    return models.DecimalField(max_digits=38, decimal_places=12, **options)


def _new_id(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(12)}"


def new_invoice_id() -> str:
    return _new_id("in")


def new_credit_id() -> str:
    return _new_id("cr")


def new_credit_note_id() -> str:
    return _new_id("cn")


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
    currency = models.CharField(max_length=3, choices=_CURRENCIES, default=DEFAULT_CURRENCY)
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
    billing_name = models.CharField(max_length=200, blank=True, help_text="Empty = the tenant's.")
    billing_email = models.EmailField(blank=True)
    billing_address = models.TextField(blank=True)
    country = models.CharField(max_length=2, blank=True, help_text="ISO 3166.")
    tax_id = models.CharField(max_length=40, blank=True)
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


class NumberSeries(models.Model):
    """The last number given in a year: P invoices, C credit notes. Locked while it is raised, so without gaps."""

    series = models.CharField(max_length=1)
    year = models.PositiveSmallIntegerField()
    last = models.PositiveIntegerField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["series", "year"], name="billing_series_of_year")]


class Invoice(models.Model):
    """A bill. A draft may change; from `issued` on nothing but its way to paid or void does."""

    class Status(models.TextChoices):
        DRAFT = "draft"
        ISSUED = "issued"
        PAID = "paid"
        VOID = "void"

    public_id = models.CharField(max_length=40, unique=True, default=new_invoice_id, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="invoices")
    number = models.CharField(max_length=20, unique=True, null=True, blank=True, editable=False)
    status = models.CharField(max_length=10, choices=Status, default=Status.DRAFT)
    period = models.CharField(max_length=7, blank=True, help_text="YYYY-MM; empty = not for a month.")
    currency = models.CharField(max_length=3, choices=_CURRENCIES)
    plan_name = models.CharField(max_length=80, blank=True)
    bill_to = models.JSONField(default=dict, help_text="Name, address, e-mail, country, tax id as they were.")
    seller = models.JSONField(
        default=dict, help_text="Name, address, tax id, payment details as they were; empty = today's setting."
    )
    units = models.BigIntegerField(default=0)
    included = models.BigIntegerField(default=0)
    usage = models.JSONField(default=dict, help_text="Units by day and by endpoint, as they were counted.")
    subtotal = amount_field(default=Decimal(0))
    credits = amount_field(default=Decimal(0))
    tax_name = models.CharField(max_length=40, blank=True)
    tax_percent = models.DecimalField(max_digits=6, decimal_places=3, default=Decimal(0))
    tax = amount_field(default=Decimal(0))
    total = amount_field(default=Decimal(0))
    created_at = models.DateTimeField(default=timezone.now)
    issued_at = models.DateTimeField(null=True, blank=True)
    due_at = models.DateTimeField(null=True, blank=True)
    paid_at = models.DateTimeField(null=True, blank=True)
    paid_how = models.CharField(max_length=40, blank=True, help_text="stripe, bank transfer, nothing due …")
    voided_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-created_at", "-pk"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["tenant", "period"],
                condition=~Q(period="") & ~Q(status="void"),
                name="billing_one_invoice_a_period",
            ),
            models.CheckConstraint(
                condition=Q(total=F("subtotal") - F("credits") + F("tax")), name="billing_invoice_adds_up"
            ),
            models.CheckConstraint(condition=Q(credits__lte=F("subtotal")), name="billing_credits_within_subtotal"),
            models.CheckConstraint(
                condition=Q(status="draft", number=None) | Q(status="void") | Q(number__isnull=False),
                name="billing_issued_has_number",
            ),
        ]

    def __str__(self) -> str:
        return self.number or f"draft {self.public_id}"

    def money(self, amount: Decimal) -> Decimal:
        """An amount with the decimals of the invoice's currency."""
        return rounded(amount, self.currency)


class Closing(models.Model):
    """A tenant's month is closed: handed over once, whoever closes and however often. Without invoice: nothing owed."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="+")
    period = models.CharField(max_length=7)
    invoice = models.OneToOneField(Invoice, null=True, on_delete=models.PROTECT, related_name="closing")
    closed_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["tenant", "period"], name="billing_closed_once")]


class InvoiceLine(models.Model):
    """One line as it was computed when the invoice was issued. A component is never charged twice for the same time."""

    invoice = models.ForeignKey(Invoice, on_delete=models.CASCADE, related_name="lines")
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    place = models.PositiveSmallIntegerField()
    component = models.CharField(max_length=80)
    description = models.CharField(max_length=300)
    quantity = price_field()
    unit_price = price_field(null=True, blank=True)
    amount = amount_field()
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    void = models.BooleanField(default=False)

    class Meta:
        ordering: ClassVar = ["invoice_id", "place"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["invoice", "place"], name="billing_line_place"),
            models.CheckConstraint(condition=Q(ends_at__gt=F("starts_at")), name="billing_line_ahead"),
        ]

    def __str__(self) -> str:
        return self.description


class Credit(models.Model):
    """A credit granted to a tenant; invoices take from `remaining`. `key` makes a repeated grant harmless."""

    public_id = models.CharField(max_length=40, unique=True, default=new_credit_id, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="credits")
    key = models.CharField(max_length=120, help_text="What it is for, such as sla:2026-11; once a tenant.")
    currency = models.CharField(max_length=3, choices=_CURRENCIES)
    amount = amount_field()
    remaining = amount_field()
    reason = models.CharField(max_length=200)
    granted_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-granted_at", "-pk"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "key"], name="billing_credit_once"),
            models.CheckConstraint(
                condition=Q(remaining__gte=0, remaining__lte=F("amount")), name="billing_credit_remaining"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.reason} ({shown(self.amount, self.currency)})"


class Coupon(models.Model):
    """A discount to redeem by its code: a percentage, or an amount of one currency, of each invoice for some months."""

    code = models.CharField(max_length=40, unique=True)
    description = models.CharField(max_length=200, blank=True)
    percent = models.DecimalField(max_digits=5, decimal_places=2, null=True, blank=True)
    amount = amount_field(null=True, blank=True)
    currency = models.CharField(max_length=3, choices=_CURRENCIES, blank=True)
    redeem_by = models.DateTimeField(null=True, blank=True)
    months = models.PositiveSmallIntegerField(null=True, blank=True, help_text="Invoices it holds for; empty = all.")

    class Meta:
        ordering: ClassVar = ["code"]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(percent__isnull=False, percent__gt=0, percent__lte=100, amount=None)
                | (Q(percent=None, amount__isnull=False, amount__gt=0) & ~Q(currency="")),
                name="billing_coupon_percent_or_amount",
            ),
            models.CheckConstraint(condition=Q(months=None) | Q(months__gte=1), name="billing_coupon_months"),
            models.UniqueConstraint(Upper("code"), name="billing_coupon_in_any_case"),
        ]

    def __str__(self) -> str:
        return self.code


class CouponRedemption(models.Model):
    """A tenant has redeemed a coupon: it holds from the month of that day on."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="redemptions")
    coupon = models.ForeignKey(Coupon, on_delete=models.PROTECT)
    redeemed_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["tenant", "coupon"], name="billing_coupon_once")]


class InvoiceDeduction(models.Model):
    """What a coupon or a credit took off an invoice."""

    invoice = models.ForeignKey(Invoice, on_delete=models.CASCADE, related_name="deductions")
    place = models.PositiveSmallIntegerField()
    kind = models.CharField(max_length=10, choices=[("coupon", "coupon"), ("credit", "credit")])
    credit = models.ForeignKey(Credit, null=True, blank=True, on_delete=models.PROTECT, related_name="uses")
    description = models.CharField(max_length=300)
    amount = amount_field()

    class Meta:
        ordering: ClassVar = ["invoice_id", "place"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["invoice", "place"], name="billing_deduction_place")]


class CreditNote(models.Model):
    """A correction of an issued invoice: written once. `amount` includes `tax`."""

    public_id = models.CharField(max_length=40, unique=True, default=new_credit_note_id, editable=False)
    number = models.CharField(max_length=20, unique=True)
    invoice = models.ForeignKey(Invoice, on_delete=models.PROTECT, related_name="credit_notes")
    amount = amount_field()
    tax = amount_field()
    reason = models.CharField(max_length=200)
    issued_at = models.DateTimeField()
    #: The form that asked for it. Posted twice, it is one note.
    form = models.CharField(max_length=40, unique=True, null=True, editable=False)

    class Meta:
        ordering: ClassVar = ["-issued_at", "-pk"]
        constraints: ClassVar = [models.CheckConstraint(condition=Q(amount__gt=0), name="billing_note_above_0")]

    def __str__(self) -> str:
        return self.number

    @property
    def net(self) -> Decimal:
        """The amount without its tax."""
        return self.amount - self.tax


class CreditNoteLine(models.Model):
    """What a credit note takes of one line of its invoice. Notes from before lines were kept have none.

    A trigger holds both references and the sums; neither row can go, so no constraint has to hold them a second time.
    """

    note = models.ForeignKey(CreditNote, on_delete=models.PROTECT, related_name="lines", db_constraint=False)
    line = models.ForeignKey(InvoiceLine, on_delete=models.PROTECT, related_name="+", db_constraint=False)
    net = amount_field()
    tax = amount_field()

    class Meta:
        ordering: ClassVar = ["note_id", "line_id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["note", "line"], name="billing_note_line_once"),
            models.CheckConstraint(condition=Q(net__gte=0, tax__gte=0), name="billing_note_line_from_0"),
        ]

    def __str__(self) -> str:
        return f"{self.note}: {self.line}"


class Payment(models.Model):
    """One try to collect an invoice. The row with its idempotency key is there before the provider is asked."""

    class Status(models.TextChoices):
        INTENT = "intent"  # written down, nobody asked yet
        PROCESSING = "processing"  # asked; no last word yet
        SUCCEEDED = "succeeded"
        FAILED = "failed"
        CANCELED = "canceled"
        REFUNDED = "refunded"
        DISPUTED = "disputed"

    invoice = models.ForeignKey(Invoice, on_delete=models.PROTECT, related_name="payments")
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="payments")
    attempt = models.PositiveSmallIntegerField()
    provider = models.CharField(max_length=20)
    customer = models.CharField(max_length=LONGEST_ID, blank=True, help_text="As the provider calls them.")
    card = models.CharField(max_length=LONGEST_ID, blank=True)
    #: All that the provider ever said of it, merged (apps/billing/known.py); the columns follow from it.
    known = models.JSONField(default=dict, blank=True)
    amount = amount_field()
    amount_refunded = amount_field(default=Decimal(0))
    currency = models.CharField(max_length=3, choices=_CURRENCIES)
    status = models.CharField(max_length=12, choices=Status, default=Status.INTENT)
    idempotency_key = models.CharField(max_length=120, unique=True)
    provider_payment_id = models.CharField(max_length=LONGEST_ID, blank=True, db_index=True)
    provider_charge_id = models.CharField(max_length=LONGEST_ID, blank=True, db_index=True)
    failure_code = models.CharField(max_length=80, blank=True)
    failure_message = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        ordering: ClassVar = ["-created_at", "-pk"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["invoice", "attempt"], name="billing_payment_attempt"),
            models.UniqueConstraint(
                fields=["invoice"], condition=Q(status="succeeded"), name="billing_invoice_paid_once"
            ),
            models.UniqueConstraint(
                fields=["invoice"], condition=Q(status__in=["intent", "processing"]), name="billing_one_try_at_a_time"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.invoice} try {self.attempt}: {self.status}"


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
