"""Operators' pages of payments: what was tried and taken, cards, refunds, and the inbox of the provider's events."""

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.decorators import display

from apps.accounts.admin import ReadOnlyAdmin, operator
from apps.billing import clock, inbox, payments
from apps.billing.gateway import GatewayError, this_gateway
from apps.billing.models import Payment, PaymentCard, ProviderEvent, Refund
from apps.billing.money import shown
from apps.billing.refunds import CanNotRefund, refund


@admin.register(Payment)
class PaymentAdmin(ReadOnlyAdmin):
    """Every try to collect an invoice. A refund is beside a credit note, not in its place."""

    list_display = ("__str__", "tenant", "shown_amount", "state", "failure_code", "refunded", "created_at")
    list_filter = ("status", "provider", "currency", "failure_code")
    list_select_related = ("tenant", "invoice")
    search_fields = ("invoice__number", "tenant__slug", "provider_payment_id", "idempotency_key")
    exclude = ("idempotency_key",)
    actions: ClassVar = ["ask_chosen", "refund_chosen"]

    @display(description="amount", ordering="amount")
    def shown_amount(self, payment: Payment) -> str:
        return shown(payment.amount, payment.currency)

    @display(description="refunded", ordering="amount_refunded")
    def refunded(self, payment: Payment) -> str:
        return shown(payment.amount_refunded, payment.currency) if payment.amount_refunded else ""

    @display(description="state", ordering="status", label={"succeeded": "success", "failed": "danger"})
    def state(self, payment: Payment) -> str:
        return payment.status

    def has_settle_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("billing.change_payment")

    @admin.action(description="Ask the provider again where there is no last word", permissions=["settle"])
    def ask_chosen(self, request: HttpRequest, chosen: QuerySet[Payment]) -> None:
        gateway, now = this_gateway(), timezone.now()
        for one in chosen.filter(status__in=payments.OPEN, provider=gateway.name).select_related("invoice"):
            payments.ask_again(one, gateway, clock.now_for(one.tenant_id, now))
        self.message_user(request, "Asked.", messages.SUCCESS)

    @admin.action(description="Refund all that is left of it", permissions=["settle"])
    def refund_chosen(self, request: HttpRequest, chosen: QuerySet[Payment]) -> None:
        for one in chosen:
            try:
                made = refund(
                    payment=one,
                    amount=one.amount - one.amount_refunded,
                    reason="By an operator",
                    gateway=this_gateway(),
                    now=timezone.now(),
                    actor=operator(request),
                )
            except (CanNotRefund, GatewayError) as refused:
                self.message_user(request, f"{one}: {refused}", messages.ERROR)
            else:
                self.message_user(request, f"Refund {made.status}: {one}.", messages.SUCCESS)


@admin.register(Refund)
class RefundAdmin(ReadOnlyAdmin):
    list_display = ("__str__", "status", "reason", "failure_code", "created_at")
    list_filter = ("status",)
    list_select_related = ("payment__invoice",)
    search_fields = ("payment__invoice__number", "provider_refund_id")
    exclude = ("idempotency_key",)


@admin.register(PaymentCard)
class PaymentCardAdmin(ReadOnlyAdmin):
    list_display = ("__str__", "tenant", "expires", "chosen_at", "removed")
    list_filter = ("brand", "removed")
    list_select_related = ("tenant",)
    search_fields = ("tenant__slug", "customer", "card")


@admin.register(ProviderEvent)
class ProviderEventAdmin(ReadOnlyAdmin):
    """The inbox: what the provider told us and what became of it. Working through one again changes nothing twice."""

    list_display = ("event_id", "kind", "happened_at", "received_at", "tries", "state", "outcome")
    list_filter = (("done_at", admin.EmptyFieldListFilter), "kind")
    search_fields = ("event_id", "kind", "outcome")
    date_hierarchy = "received_at"
    actions: ClassVar = ["replay_chosen"]

    @display(description="state", label={"done": "success", "waits": "info", "given up": "danger"})
    def state(self, event: ProviderEvent) -> str:
        if event.done_at is not None:
            return "done"
        return "waits" if event.next_try_at is not None else "given up"

    def has_replay_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("billing.change_providerevent")

    @admin.action(description="Replay: work through it again", permissions=["replay"])
    def replay_chosen(self, request: HttpRequest, chosen: QuerySet[ProviderEvent]) -> None:
        gateway: Any = this_gateway()
        for one in chosen.order_by("happened_at"):
            done = inbox.replay(one, gateway, timezone.now())
            one.refresh_from_db()
            level = messages.SUCCESS if done else messages.WARNING
            self.message_user(request, f"{one.event_id}: {one.outcome}", level)
