"""Invoices, their lines and deductions, and the credit notes that correct them.

Issued invoices, their lines and credit notes are append-only: triggers of the migrations refuse the rest, for the
application's own role too.
"""

from decimal import Decimal
from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Upper
from django.utils import timezone

from apps.accounts.models import Tenant
from apps.billing.models.fields import (
    CURRENCIES,
    amount_field,
    new_credit_id,
    new_credit_note_id,
    new_invoice_id,
    price_field,
)
from apps.billing.rating.money import rounded, shown


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
    currency = models.CharField(max_length=3, choices=CURRENCIES)
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
    currency = models.CharField(max_length=3, choices=CURRENCIES)
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
    currency = models.CharField(max_length=3, choices=CURRENCIES, blank=True)
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
        verbose_name, verbose_name_plural = "redemption", "redemptions"
        constraints: ClassVar = [models.UniqueConstraint(fields=["tenant", "coupon"], name="billing_coupon_once")]

    def __str__(self) -> str:
        return f"{self.coupon} by {self.tenant}"


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

    def __str__(self) -> str:
        return self.description


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

    @property
    def credit_key(self) -> str:
        """What a credit over its net amount is called, where it went to the account's balance."""
        return f"credit note {self.number}"


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
