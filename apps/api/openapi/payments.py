"""The operations of payments: how a tenant pays, Stripe's webhooks, and the guard of a tenant's own Stripe payments."""

from collections.abc import Iterable
from typing import Any

from apps.api.openapi.operations import REQUEST_ID, Answer, Body, Json, Operation, parameter
from apps.api.openapi.schemas import ref

TAG = "Payments"
ABOUT = (
    "The payment method of your account, entered on pages of the payment provider; and a guard for the payments of "
    "your own Stripe account: risky ones are cancelled before they go through."
)
_BODY = ("body_malformed", "body_too_large", "media_type_unsupported", "field_invalid")
_HOSTED = ("live_key_required", "paid_by_transfer", "provider_away")
_SIGNED = ("event_invalid", "body_too_large", "media_type_unsupported", "signature_invalid", "not_found")
_DECIDED = ("quota_exceeded", "journal_full", "field_invalid")
_SIGNATURE: Json = parameter(
    "Stripe-Signature",
    "header",
    "Stripe's signature of the body, at most 300 s old.",
    {"type": "string"},
    required=True,
)
_INTENT: Json = parameter(
    "intent_id",
    "path",
    "The PaymentIntent's id.",
    {"type": "string", "pattern": "^pi_[A-Za-z0-9]{1,60}$"},
    required=True,
    example="pi_3PqW1k2eZvKYlo2C0aBcDeFg",
)
_HANDLE: Json = parameter(
    "handle",
    "path",
    "Your account's handle, as GET /v1/stripe/account tells it.",
    {"type": "string", "pattern": "^[0-9a-z]{6}$"},
    required=True,
    example="ab12cd",
)
_MODE: Json = parameter("mode", "path", "Live or test.", {"enum": ["live", "test"]}, required=True)
_EVENT: Json = {"type": "object", "description": "An event of Stripe's."}
_NOT_STORED: Json = {"Cache-Control": {"description": "The page is the caller's.", "schema": {"const": "no-store"}}}


def _operation(
    method: str, path: str, name: str, summary: str, said: str, answer: Answer, scope: str = "", **more: Any
) -> Operation:
    parameters = (*more.pop("parameters", ()), REQUEST_ID)
    scoped = f"{said} Scope: `{scope}`." if scope else said
    return Operation(method, path, name, TAG, summary, scoped, answer, scope=scope, parameters=parameters, **more)


_PAGE = Answer(ref("HostedPage"), "Send the person to `url`.", headers=_NOT_STORED)
_ACCOUNT = Answer(ref("StripeAccountAnswer"), "The account, without its secrets.")
_SCREENED = Answer(ref("Screening"), "The outcome, with the decision it follows from.")

OPERATIONS: Iterable[Operation] = (
    _operation(
        "GET",
        "/v1/payment-method",
        "getPaymentMethod",
        "Read the payment method",
        "How invoices are paid: by a card, by bank transfer as agreed, or not at all yet.",
        Answer(ref("PaymentMethod"), "The payment method."),
        "read",
    ),
    _operation(
        "POST",
        "/v1/payment-method",
        "createCardPage",
        "Enter a card",
        "A page of the payment provider's where a person enters a card. Once it is entered, usage goes on beyond the "
        "included volume, and an unpaid invoice is tried at once. The number never comes to us.",
        _PAGE,
        "admin",
        body=Body(ref("CardPageRequest"), {}),
        problems=(*_BODY, *_HOSTED),
    ),
    _operation(
        "POST",
        "/v1/payment-method/portal",
        "createCustomerPortal",
        "Open the customer portal",
        "A page of the payment provider's where a person sees and changes cards.",
        _PAGE,
        "admin",
        body=Body(ref("PortalRequest"), {}),
        problems=(*_BODY, *_HOSTED),
    ),
    _operation(
        "POST",
        "/stripe/webhook",
        "receiveStripeWebhook",
        "Stripe's webhook",
        "For Stripe alone: an event is kept as it came, once, and worked through later. No key: it is signed.",
        Answer(ref("ReceivedWebhook"), "It is kept."),
        parameters=(_SIGNATURE,),
        body=Body(_EVENT, {}),
        problems=_SIGNED,
    ),
    _operation(
        "GET",
        "/v1/stripe/account",
        "getStripeAccount",
        "Read the screened Stripe account",
        "Your own account at Stripe, one for live and one for test keys.",
        _ACCOUNT,
        "read",
    ),
    _operation(
        "POST",
        "/v1/stripe/account",
        "connectStripeAccount",
        "Connect a Stripe account",
        "Takes a restricted key that may read and write PaymentIntents, and the secret of the webhook you make at "
        "Stripe. Both are stored encrypted and never told. The webhook acts with the key of this call.",
        _ACCOUNT,
        "admin",
        body=Body(ref("StripeAccountRequest"), {}),
        problems=_BODY,
    ),
    _operation(
        "DELETE",
        "/v1/stripe/account",
        "disconnectStripeAccount",
        "Disconnect the Stripe account",
        "Its secrets are deleted.",
        _ACCOUNT,
        "admin",
    ),
    _operation(
        "POST",
        "/v1/stripe/payment-intents/{intent_id}/screen",
        "screenPaymentIntent",
        "Screen a PaymentIntent",
        "Reads the PaymentIntent from your account, decides on it like on any transaction of schema `payments` (one "
        "unit; again with the same facts: none), and cancels it when the risk is high or critical. Two requests of the "
        "rate limit.",
        _SCREENED,
        "predict",
        parameters=(_INTENT,),
        problems=(*_DECIDED, "not_found", "stripe_refused", "provider_away"),
    ),
    _operation(
        "POST",
        "/stripe/screen/{handle}/{mode}",
        "receiveTenantsStripeWebhook",
        "The webhook of your Stripe account",
        "For your Stripe account: `payment_intent.created`, `payment_intent.requires_action` and "
        "`payment_intent.amount_capturable_updated` are screened, everything else is ignored. No key: it is signed.",
        Answer({"anyOf": [ref("Screening"), ref("IgnoredEvent")]}, "The outcome."),
        parameters=(_HANDLE, _MODE, _SIGNATURE),
        body=Body(_EVENT, {}),
        problems=(
            *_SIGNED,
            *_DECIDED,
            "key_unknown",
            "key_revoked",
            "key_expired",
            "scope_missing",
            "address_refused",
            "tenant_suspended",
            "rate_limited",
            "stores_away",
            "stripe_refused",
            "provider_away",
        ),
    ),
)
