"""Stripe, by its own library. Every call that writes carries an idempotency key; none is repeated here.

Stripe saves the first answer under a key for a day, a 402 and a 500 too; so a call without an answer is repeated by
`payments.recover` under its key within the day, and looked for in Stripe's lists after it.
https://docs.stripe.com/api/idempotent_requests
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

import stripe

from apps.billing.collecting.gateway import Declined, GatewayError, Order, Refused, Unanswered
from apps.billing.collecting.payment_state import (
    REFERENCE,
    REFUND,
    Card,
    PaymentState,
    of_intent,
    of_payment_method,
    reference_of,
    state_of_tax_id,
)
from apps.billing.provider_objects import Json, Unreadable
from apps.billing.rating.money import to_minor
from apps.billing.tax_ids import ProviderTaxId
from apps.currencies import CURRENCIES

T = TypeVar("T")
#: Answers after which the same may be asked again: no connection, Stripe's own faults, "too much", "still at it", and
#: "who are you": a wrong key of ours is no customer's failure, and the call goes through once it is right.
_UNKNOWN = (stripe.APIConnectionError, stripe.RateLimitError, stripe.AuthenticationError, stripe.PermissionError)
PAGE = 100
#: Signatures older than this are refused (Stripe's own default).
TOLERANCE_SECONDS = 300


class StripeGateway:
    """One account at Stripe."""

    name = "stripe"
    collects = True

    def __init__(self, *, api_key: str, webhook_secret: str = "", base: str = "", timeout: float = 20.0) -> None:
        self.webhook_secret = webhook_secret
        self._client = stripe.StripeClient(
            api_key,
            base_addresses={"api": base} if base else {},
            http_client=stripe.RequestsClient(timeout=timeout),
            max_network_retries=0,
        )
        self._v1 = self._client.v1

    def create_customer(self, *, name: str, email: str, reference: str) -> str:
        customer = _asked(
            lambda: self._v1.customers.create(
                {"name": name, "email": email, "metadata": {"palisade_tenant": reference}},
                {"idempotency_key": f"customer-{reference}"},
            )
        )
        return customer.id

    def delete_customer(self, *, customer: str) -> None:
        try:
            _asked(lambda: self._v1.customers.delete(customer))
        except Refused as said:
            if said.code != "resource_missing":  # it was deleted before
                raise

    def set_tax_id(self, *, customer: str, tax_id: ProviderTaxId | None) -> str:
        found = list(_pages(_asked(lambda: self._v1.customers.tax_ids.list(customer, {"limit": PAGE}))))
        kept = next((one for one in found if tax_id and (one["type"], one["value"]) == tax_id), None)
        for one in found:
            if one is not kept:
                _asked(lambda gone=str(one["id"]): self._v1.customers.tax_ids.delete(customer, gone))  # type: ignore[misc]
        if tax_id is None:
            return ""
        return _read(state_of_tax_id, kept or self._new_tax_id(customer, tax_id))

    def _new_tax_id(self, customer: str, tax_id: ProviderTaxId) -> Json:
        made = _asked(lambda: self._v1.customers.tax_ids.create(customer, {"type": tax_id.kind, "value": tax_id.value}))
        return made.to_dict()

    def card_page(self, *, customer: str, currency: str, success_url: str, cancel_url: str) -> str:
        session = _asked(
            lambda: self._v1.checkout.sessions.create(
                {
                    "mode": "setup",
                    "customer": customer,
                    "currency": currency.lower(),
                    "success_url": success_url,
                    "cancel_url": cancel_url,
                }
            )
        )
        return session.url or ""

    def portal_page(self, *, customer: str, return_url: str) -> str:
        return _asked(
            lambda: self._v1.billing_portal.sessions.create({"customer": customer, "return_url": return_url})
        ).url

    def use_card(self, *, customer: str, card: str) -> Card:
        _asked(lambda: self._v1.customers.update(customer, {"invoice_settings": {"default_payment_method": card}}))
        return _read(of_payment_method, _asked(lambda: self._v1.payment_methods.retrieve(card)).to_dict())

    def card_of_setup(self, setup: str) -> tuple[str, str]:
        found = _asked(lambda: self._v1.setup_intents.retrieve(setup)).to_dict()
        return str(found.get("customer") or ""), str(found.get("payment_method") or "")

    def pay(self, order: Order) -> PaymentState:
        intent = _asked(
            lambda: self._v1.payment_intents.create(
                {
                    "amount": minor_units(order.amount, order.currency),
                    "currency": order.currency.lower(),
                    "customer": order.customer,
                    "payment_method": order.card,
                    "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
                    "confirm": True,
                    "off_session": True,
                    "description": order.description,
                    "metadata": {REFERENCE: order.reference, "palisade_invoice": order.invoice},
                },
                {"idempotency_key": order.reference},
            )
        )
        return _read(of_intent, intent.to_dict())

    def find(self, order: Order) -> PaymentState | None:
        found = _asked(lambda: self._v1.payment_intents.list({"customer": order.customer, "limit": PAGE}))
        for intent in _pages(found):
            if _read(reference_of, intent) == order.reference:
                return _read(of_intent, intent)
        return None

    def look(self, payment: str) -> PaymentState:
        return _read(of_intent, _asked(lambda: self._v1.payment_intents.retrieve(payment)).to_dict())

    def withdraw(self, payment: str) -> PaymentState:
        try:
            return _read(of_intent, _asked(lambda: self._v1.payment_intents.cancel(payment)).to_dict())
        except Refused as refused:
            if refused.code != "payment_intent_unexpected_state":
                raise
            return self.look(payment)

    def refund(self, *, payment: str, amount: Decimal, currency: str, reference: str) -> str:
        return _asked(
            lambda: self._v1.refunds.create(
                {
                    "payment_intent": payment,
                    "amount": minor_units(amount, currency),
                    "metadata": {REFUND: reference},
                },
                {"idempotency_key": reference},
            )
        ).id

    def refunds_of(self, payment: str) -> dict[str, str]:
        found = _asked(lambda: self._v1.refunds.list({"payment_intent": payment, "limit": PAGE}))
        return {str((page["metadata"] or {}).get(REFUND, "")): str(page["id"]) for page in _pages(found)}

    def happened(self, since: datetime) -> Iterator[dict[str, Any]]:
        found = _asked(lambda: self._v1.events.list({"created": {"gte": int(since.timestamp())}, "limit": PAGE}))
        yield from reversed(list(_pages(found)))

    def payments(self, since: datetime) -> Iterator[tuple[str, PaymentState]]:
        found = _asked(
            lambda: self._v1.payment_intents.list({"created": {"gte": int(since.timestamp())}, "limit": PAGE})
        )
        for intent in _pages(found):
            yield _read(reference_of, intent), _read(of_intent, intent)

    def verify(self, body: bytes, signature: str) -> None:
        try:
            stripe.WebhookSignature.verify_header(
                body.decode(), signature, self.webhook_secret, tolerance=TOLERANCE_SECONDS
            )
        except (stripe.SignatureVerificationError, UnicodeDecodeError) as wrong:
            raise Refused("signature_invalid") from wrong


def minor_units(amount: Decimal, currency: str) -> int:
    """An amount as Stripe counts it: in the smallest unit, cut to what a card can be charged."""
    known = CURRENCIES[currency]
    units = to_minor(amount, currency) * 10 ** (known.stripe_decimals - known.decimals)
    return units - units % known.step


def _asked(call: Callable[[], T]) -> T:
    """Stripe's answer, or what its refusal means. Stripe's own words stay out of our logs: they may quote a key."""
    try:
        return call()
    except stripe.CardError as said:
        raise _declined(said) from None
    except _UNKNOWN as said:
        raise Unanswered(type(said).__name__) from None
    except stripe.StripeError as said:
        code = str(said.code or type(said).__name__)
        if (said.http_status or 500) >= 500 or code == "idempotency_key_in_use" or said.http_status == 409:
            raise Unanswered(code) from None
        raise Refused(code, f"request {said.request_id}") from None


def _read(read: Callable[[Json], T], value: Json) -> T:
    """What an object of Stripe's says. Where it isn't what they document, nobody knows what happened."""
    try:
        return read(value)
    except Unreadable as wrong:
        raise Unanswered("unreadable", str(wrong)) from wrong


def _declined(value: stripe.CardError) -> GatewayError:
    error: dict[str, Any] = value.error.to_dict() if value.error is not None else {}
    intent = error.get("payment_intent")
    known = _read(of_intent, intent) if intent else PaymentState(failure=str(value.code))
    return Declined(known.failure or str(value.code), "", known)


def _pages(found: Any) -> Iterator[dict[str, Any]]:
    """All of a list, page by page."""
    iterator = found.auto_paging_iter()
    while True:
        one = _asked(lambda: next(iterator, None))
        if one is None:
            return
        yield one.to_dict()
