"""Payments, their refunds, and what is remembered of the payment provider: cards, and every event it sent."""

from decimal import Decimal
from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from apps.accounts.models import Tenant
from apps.billing.models.fields import CURRENCIES, amount_field
from apps.billing.models.invoice import Invoice
from apps.billing.provider_objects import LONGEST_ID
from apps.billing.rating.money import shown


class PaymentCardManager(models.Manager["PaymentCard"]):
    def in_use(self, tenant_id: int) -> "PaymentCard | None":
        """The one to charge: the last that was chosen, of those still there."""
        there = self.filter(tenant_id=tenant_id, removed=False, chosen_at__isnull=False)
        return there.order_by("-chosen_at", "-card").first()


class PaymentCard(models.Model):
    """A way to pay that a customer entered at the provider. The number itself is never here."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="cards")
    customer = models.CharField(max_length=LONGEST_ID)
    card = models.CharField(max_length=LONGEST_ID, unique=True, help_text="Its id at the provider.")
    brand = models.CharField(max_length=40, blank=True)
    last4 = models.CharField(max_length=4, blank=True)
    expires = models.CharField(max_length=7, blank=True, help_text="YYYY-MM")
    chosen_at = models.DateTimeField(null=True, blank=True, help_text="When it was last made the one to use.")
    in_use_since = models.DateTimeField(null=True, blank=True, help_text="Since when we charge it.")
    removed = models.BooleanField(default=False)

    objects = PaymentCardManager()

    class Meta:
        verbose_name, verbose_name_plural = "card", "cards"
        ordering: ClassVar = ["tenant_id", "-chosen_at"]

    def __str__(self) -> str:
        return f"{self.brand or 'card'} •••• {self.last4}"


#: Providers nobody is asked at: the money came by bank transfer, or was left of an earlier one.
TRANSFER, BALANCE = "transfer", "balance"
BY_HAND = (TRANSFER, BALANCE)


class Payment(models.Model):
    """Money for an invoice: one try to collect it with a card, or what came by bank transfer.

    The row of a card with its idempotency key is there before the provider is asked.
    """

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
    #: All that the provider ever said of it, merged (collecting/payment_state.py); the columns follow from it.
    known = models.JSONField(default=dict, blank=True)
    amount = amount_field()
    amount_refunded = amount_field(default=Decimal(0))
    #: More than was due, kept for the next invoices; and what of it went to them, whose rows name their `source`.
    unapplied = amount_field(default=Decimal(0))
    moved = amount_field(default=Decimal(0))
    source = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="moved_to")
    reference = models.CharField(max_length=140, blank=True, help_text="What stood on the transfer.")
    currency = models.CharField(max_length=3, choices=CURRENCIES)
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
                fields=["invoice"],
                condition=Q(status="succeeded") & ~Q(provider__in=BY_HAND),
                name="billing_invoice_paid_once",
            ),
            models.UniqueConstraint(
                fields=["invoice"], condition=Q(status__in=["intent", "processing"]), name="billing_one_try_at_a_time"
            ),
            models.CheckConstraint(
                condition=Q(unapplied__gte=0, moved__gte=0, amount__gte=F("unapplied") + F("moved")),
                name="billing_payment_parts",
            ),
        ]

    def __str__(self) -> str:
        if self.by_hand:
            return f"{self.invoice}: {shown(self.amount, self.currency)} by transfer"
        return f"{self.invoice} try {self.attempt}: {self.status}"

    @property
    def by_hand(self) -> bool:
        """Whether no provider is asked about it: a bank transfer, or what was left of one."""
        return self.provider in BY_HAND

    @property
    def applied(self) -> Decimal:
        """What of it counts towards its invoice."""
        return self.amount - self.unapplied - self.moved - self.amount_refunded


class Refund(models.Model):
    """Money on its way back. The row with its key is there before the provider is asked."""

    class Status(models.TextChoices):
        INTENT = "intent"
        DONE = "done"
        FAILED = "failed"

    payment = models.ForeignKey(Payment, on_delete=models.PROTECT, related_name="refunds")
    amount = amount_field()
    reason = models.CharField(max_length=200)
    idempotency_key = models.CharField(max_length=120, unique=True)
    #: The form that asked for it. Posted twice, it is one refund.
    form = models.CharField(max_length=40, unique=True, null=True, editable=False)
    provider_refund_id = models.CharField(max_length=LONGEST_ID, blank=True)
    status = models.CharField(max_length=10, choices=Status, default=Status.INTENT)
    failure_code = models.CharField(max_length=80, blank=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        ordering: ClassVar = ["-created_at", "-pk"]
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(amount__gt=Decimal(0)), name="billing_refund_above_0")
        ]

    def __str__(self) -> str:
        return f"{shown(self.amount, self.payment.currency)} of {self.payment}"


class ProviderEvents(models.QuerySet["ProviderEvent"]):
    def given_up(self) -> "ProviderEvents":
        """Those that come to nothing unless somebody looks at them."""
        return self.filter(done_at__isnull=True, next_try_at__isnull=True)

    def waiting(self) -> "ProviderEvents":
        """Those that are tried, or tried again, by themselves."""
        return self.filter(next_try_at__isnull=False)

    def done(self) -> "ProviderEvents":
        """Those that were worked through, or asked for nothing."""
        return self.filter(done_at__isnull=False)


class ProviderEvent(models.Model):
    """An event of the provider: kept as it came (without client secrets), once, and worked through later."""

    event_id = models.CharField(max_length=LONGEST_ID, unique=True)
    kind = models.CharField(max_length=LONGEST_ID)
    happened_at = models.DateTimeField()
    received_at = models.DateTimeField(db_index=True)
    body = models.JSONField()
    tries = models.PositiveSmallIntegerField(default=0)
    next_try_at = models.DateTimeField(null=True, blank=True, help_text="Empty = done, or given up.")
    done_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=200, blank=True)

    objects = ProviderEvents.as_manager()

    class Meta:
        verbose_name, verbose_name_plural = "event of the provider", "webhook inbox"
        ordering: ClassVar = ["-received_at", "-pk"]
        indexes: ClassVar = [
            models.Index(fields=["next_try_at"], condition=Q(next_try_at__isnull=False), name="billing_event_waiting"),
            models.Index(
                fields=["received_at"],
                condition=Q(done_at__isnull=True, next_try_at__isnull=True),
                name="billing_event_given_up",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.event_id}"

    @property
    def state(self) -> str:
        """What became of it: done, waits or given up."""
        if self.done_at is not None:
            return "done"
        return "waits" if self.next_try_at is not None else "given up"
