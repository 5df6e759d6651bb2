"""Screen a tenant's own Stripe payments: a PaymentIntent becomes a transaction of `payments`; what is risky is
cancelled there.

    PaymentIntent ── mapped ─► decided like any other ─► high or critical: cancelled at Stripe, "declined"
                                                     └► else "approved"

Screen while it can still be stopped: before it is confirmed, or authorised with `capture_method: manual`. What has
succeeded can't be cancelled: the answer says `too_late`. The PaymentIntent's id is the transaction's id, so screening
it again with the same facts costs nothing.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, TypeVar

from django.conf import settings

from apps import stripe_events
from apps.errors import Problem
from apps.scoring.serving.decision_formats import Decision
from apps.scoring.stripe_guard.account import Account
from apps.scoring.stripe_guard.mapping import mapped
from apps.stripe_events import Event, NoEvent

T = TypeVar("T")
Json = Mapping[str, Any]
Cancellation = Literal["not_needed", "canceled", "already_canceled", "too_late", "failed"]

SCHEMA = "payments"
DECLINED = ("high", "critical")
#: Told of these, a payment may still be stopped.
SCREENED = ("payment_intent.created", "payment_intent.requires_action", "payment_intent.amount_capturable_updated")
TOLERANCE_SECONDS = 300


class Outcome(NamedTuple):
    """What a decision comes to, and what was done about it at Stripe."""

    outcome: Literal["approved", "declined"]
    cancellation: Cancellation


def transaction_of(intent: Json, merchant: str) -> dict[str, Any]:
    """A PaymentIntent as a transaction of `payments`, without its warnings."""
    return mapped(intent, merchant).transaction


class StripeOfTenant:
    """The tenant's account, by Stripe's own library. Raises `Problem`."""

    def __init__(self, account: Account) -> None:
        import stripe  # half a second and 40 MB, for those who use it

        self._stripe = stripe
        self._account = account
        self._intents = stripe.StripeClient(
            account.api_key,
            base_addresses={"api": settings.STRIPE_API_BASE} if settings.STRIPE_API_BASE else {},
            http_client=stripe.RequestsClient(timeout=settings.STRIPE_TIMEOUT),
            max_network_retries=0,
        ).v1.payment_intents

    def retrieve(self, intent_id: str) -> Json:
        """The PaymentIntent with its payment method and charge."""
        expand = ["payment_method", "latest_charge"]
        return self._asked(lambda: self._intents.retrieve(intent_id, {"expand": expand}).to_dict())

    def cancel(self, intent: Json) -> Cancellation:
        """Cancel what can still be cancelled."""
        if intent.get("status") in _FINAL:
            return _FINAL[intent["status"]]
        try:
            self._asked(lambda: self._intents.cancel(intent["id"], {"cancellation_reason": "fraudulent"}))
        except Problem:
            return _FINAL.get(str(self.retrieve(intent["id"])["status"]), "failed")
        return "canceled"

    def event(self, body: bytes, signature: str) -> Event:
        """A webhook of the account. Raises `Problem` when the account did not sign it in the last 300 s, or it is no
        event."""
        secret = self._account.webhook_secret
        try:
            if not secret:
                raise Problem("signature_invalid", "This account has no webhook_secret here.")
            self._stripe.WebhookSignature.verify_header(body.decode(), signature, secret, tolerance=TOLERANCE_SECONDS)
        except (self._stripe.SignatureVerificationError, UnicodeDecodeError) as forged:
            raise Problem("signature_invalid") from forged
        try:
            return stripe_events.event_in(body)
        except NoEvent as wrong:
            raise Problem("event_invalid", f"This is no event of Stripe's. {wrong}") from wrong

    def _asked(self, call: Callable[[], T]) -> T:
        """Stripe's words stay out: they may quote the key."""
        stripe = self._stripe
        try:
            return call()
        except (stripe.AuthenticationError, stripe.PermissionError):
            raise Problem("stripe_refused", "Stripe does not accept the account's API key.") from None
        except stripe.InvalidRequestError as wrong:
            if wrong.http_status == 404:
                raise Problem("not_found", "Your Stripe account has no such PaymentIntent.") from None
            raise Problem("stripe_refused", f"Stripe refused: {wrong.code or 'invalid request'}.") from None
        except stripe.StripeError:
            raise Problem("provider_away", "Stripe does not answer.", retry_after=5.0) from None


def act_on(decision: Decision, intent: Json, stripe: StripeOfTenant) -> Outcome:
    """Cancel a PaymentIntent whose risk is high or critical. Raises `Problem` where Stripe does not answer."""
    if decision.risk_level in DECLINED:
        return Outcome("declined", stripe.cancel(intent))
    return Outcome("approved", "not_needed")


#: What can't be cancelled; all else is tried: statuses Stripe adds are to be stopped, too.
_FINAL: Mapping[str, Cancellation] = {"succeeded": "too_late", "canceled": "already_canceled"}
