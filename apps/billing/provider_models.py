"""What is remembered of whoever collects our money: cards, refunds, and everything it ever told us."""

from decimal import Decimal
from typing import ClassVar

from django.db import models

from apps.accounts.models import Tenant
from apps.billing.money import shown
from apps.billing.provider_objects import LONGEST_ID


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
        ordering: ClassVar = ["tenant_id", "-chosen_at"]

    def __str__(self) -> str:
        return f"{self.brand or 'card'} •••• {self.last4}"


class Refund(models.Model):
    """Money on its way back. The row with its key is there before the provider is asked."""

    class Status(models.TextChoices):
        INTENT = "intent"
        DONE = "done"
        FAILED = "failed"

    payment = models.ForeignKey("billing.Payment", on_delete=models.PROTECT, related_name="refunds")
    amount = models.DecimalField(max_digits=20, decimal_places=3)
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
            models.CheckConstraint(condition=models.Q(amount__gt=Decimal(0)), name="billing_refund_above_0")
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
    """Something the provider told us: kept as it came (without client secrets), once, and worked through later."""

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
        ordering: ClassVar = ["-received_at", "-pk"]
        indexes: ClassVar = [
            models.Index(
                fields=["next_try_at"], condition=models.Q(next_try_at__isnull=False), name="billing_event_waiting"
            ),
            models.Index(
                fields=["received_at"],
                condition=models.Q(done_at__isnull=True, next_try_at__isnull=True),
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
