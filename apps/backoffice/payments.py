"""Operators' pages of payments: what was tried and taken, cards, refunds, and the inbox of the provider's events."""

from collections.abc import Iterable
from functools import partial
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from unfold.decorators import display

from apps.backoffice.base import OnceAdmin, OnceForm, ReadOnlyAdmin, operator
from apps.backoffice.confirmed import Confirmed, ConfirmedAdmin
from apps.backoffice.papers import AmountsAdmin, in_currency
from apps.billing.collecting import payments, provider_events
from apps.billing.collecting.gateway import GatewayError
from apps.billing.collecting.providers import get_gateway
from apps.billing.collecting.refunds import CanNotRefund, begin, check, drive, left_of, refund
from apps.billing.models import Payment, PaymentCard, ProviderEvent, Refund
from apps.billing.models.payment import ProviderEvents
from apps.billing.rating.money import shown
from apps.billing.receivables.receivables import TAKEN
from apps.billing.subscriptions import test_clock


def _refund(request: HttpRequest, payment: Payment, reason: str) -> str:
    try:
        made = refund(
            payment=payment,
            amount=left_of(payment),
            reason=reason,
            gateway=get_gateway(),
            now=timezone.now(),
            actor=operator(request),
        )
    except GatewayError as refused:
        raise CanNotRefund(f"{payment}: {refused}") from refused
    return f"Refund {made.status}: {payment}."


@admin.register(Payment)
class PaymentAdmin(AmountsAdmin, ConfirmedAdmin, ReadOnlyAdmin):
    """Every try to collect an invoice. A refund is beside a credit note, not in its place."""

    audited = "payment"
    list_display = ("__str__", "tenant", "shown_amount", "state", "failure_code", "shown_amount_refunded", "created_at")
    list_filter = ("status", "provider", "currency", "failure_code")
    list_select_related = ("tenant", "invoice")
    search_fields = ("invoice__number", "tenant__slug", "provider_payment_id", "idempotency_key")
    exclude = ("idempotency_key",)
    readonly_fields = ("can_be_done",)
    actions: ClassVar = ["ask_chosen"]
    confirmed = (
        Confirmed(
            "refund",
            "Refund all that is left of it",
            "The provider is asked to give the money back; what came by transfer you give back by your own bank.",
            _refund,
            lambda payment: bool(left_of(payment)),
        ),
    )

    amounts = ("amount", "amount_refunded", "unapplied", "moved")
    shown_amount, _, shown_unapplied, shown_moved = (
        in_currency(name, lambda payment: payment.currency) for name in amounts
    )

    @display(description="refunded", ordering="amount_refunded")
    def shown_amount_refunded(self, payment: Payment) -> str:
        return shown(payment.amount_refunded, payment.currency) if payment.amount_refunded else ""

    def links(self, row: Payment) -> Iterable[tuple[str, str]]:
        """Beside what is confirmed: the form that gives a part back."""
        yield from super().links(row)
        if left := left_of(row):
            address = f"{reverse('admin:billing_refund_add')}?payment={row.pk}"
            yield address, f"Refund a part of {shown(left, row.currency)} …"

    @display(description="state", ordering="status", label={"succeeded": "success", "failed": "danger"})
    def state(self, payment: Payment) -> str:
        return payment.status

    def has_settle_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("billing.change_payment")

    @admin.action(description="Ask the provider again where there is no last word", permissions=["settle"])
    def ask_chosen(self, request: HttpRequest, chosen: QuerySet[Payment]) -> None:
        gateway, now = get_gateway(), timezone.now()
        for one in chosen.filter(status__in=payments.OPEN, provider=gateway.name).select_related("invoice"):
            self.audit(request, one, "asked", {"status": one.status}, None)
            payments.ask_again(one, gateway, test_clock.now_for(one.tenant_id, now))
        self.message_user(request, "Asked.", messages.SUCCESS)


class RefundForm(OnceForm):
    """What `refunds.begin` takes."""

    class Meta:
        model = Refund
        fields = ("payment", "amount", "reason")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["payment"].queryset = Payment.objects.filter(status__in=TAKEN)  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any] | None:
        """What can't be is told at the amount."""
        said = super().clean() or self.cleaned_data
        if not self.errors:
            payment, gateway = said["payment"], get_gateway()
            try:
                check(payment_id=payment.pk, amount=said["amount"], gateway=gateway, form=said["token"])
            except CanNotRefund as refused:
                self.add_error("amount", str(refused))
        return said


@admin.register(Refund)
class RefundAdmin(AmountsAdmin, OnceAdmin, ReadOnlyAdmin):
    """What was given back, and giving back a part. The provider is asked once the row is committed."""

    form = RefundForm
    list_display = ("__str__", "state", "reason", "failure_code", "created_at")
    list_filter = ("status",)
    list_select_related = ("payment__invoice",)
    search_fields = ("payment__invoice__number", "provider_refund_id")
    autocomplete_fields = ("payment",)
    exclude = ("idempotency_key",)
    amounts = ("amount",)
    shown_amount = in_currency("amount", lambda refund: refund.payment.currency)

    @display(description="state", ordering="status", label={"done": "success", "failed": "danger", "intent": "info"})
    def state(self, refund: Refund) -> str:
        return refund.status

    def has_add_permission(self, request: HttpRequest) -> bool:
        return admin.ModelAdmin.has_add_permission(self, request)

    def save_model(self, request: HttpRequest, obj: Refund, form: forms.ModelForm, change: bool) -> None:
        made = _begun(form.cleaned_data, operator(request))
        obj.__dict__.update(made.__dict__)
        transaction.on_commit(partial(self._drive, request, made))

    def _drive(self, request: HttpRequest, begun: Refund) -> None:
        made = drive(begun, get_gateway(), timezone.now())
        self.message_user(request, *_OUTCOMES[Refund.Status(made.status)])


def _begun(said: dict[str, Any], actor: str) -> Refund:
    return begin(
        payment_id=said["payment"].pk,
        amount=said["amount"],
        reason=said["reason"],
        gateway=get_gateway(),
        now=timezone.now(),
        actor=actor,
        form=said["token"],
    )


_OUTCOMES = {
    Refund.Status.DONE: ("The money is on its way back.", messages.SUCCESS),
    Refund.Status.INTENT: ("There was no answer yet: it is asked again by itself.", messages.WARNING),
    Refund.Status.FAILED: ("The provider refused: see the failure code.", messages.ERROR),
}


@admin.register(PaymentCard)
class PaymentCardAdmin(ReadOnlyAdmin):
    list_display = ("__str__", "tenant", "expires", "chosen_at", "removed")
    list_filter = ("brand", "removed")
    list_select_related = ("tenant",)
    search_fields = ("tenant__slug", "customer", "card")


class EventState(admin.SimpleListFilter):
    """What became of it."""

    title = parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(state, state) for state in _IN_STATE]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        chosen = _IN_STATE.get(self.value() or "")
        return chosen(queryset) if chosen else queryset


_IN_STATE = {"done": ProviderEvents.done, "waits": ProviderEvents.waiting, "given up": ProviderEvents.given_up}


@admin.register(ProviderEvent)
class ProviderEventAdmin(ReadOnlyAdmin):
    """The inbox: what the provider told us and what became of it. Working through one again changes nothing twice."""

    audited = "provider_event"
    list_display = ("event_id", "kind", "happened_at", "received_at", "tries", "state", "outcome")
    list_filter = (EventState, "kind")
    search_fields = ("event_id", "kind", "outcome")
    date_hierarchy = "received_at"
    actions: ClassVar = ["replay_chosen"]

    @display(description="state", label={"done": "success", "waits": "info", "given up": "danger"})
    def state(self, event: ProviderEvent) -> str:
        return event.state

    def has_replay_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("billing.change_providerevent")

    @admin.action(description="Replay: work through it again", permissions=["replay"])
    def replay_chosen(self, request: HttpRequest, chosen: QuerySet[ProviderEvent]) -> None:
        gateway: Any = get_gateway()
        for one in chosen.order_by("happened_at"):
            self.audit(request, one, "replayed", {"outcome": one.outcome}, None)
            done = provider_events.replay(one, gateway, timezone.now())
            one.refresh_from_db()
            level = messages.SUCCESS if done else messages.WARNING
            self.message_user(request, f"{one.event_id}: {one.outcome}", level)
