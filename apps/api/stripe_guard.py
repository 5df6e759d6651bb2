"""The doors of the guard of a tenant's own Stripe payments: its account, screening by id, and its webhook."""

import re
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from django.http import HttpRequest, HttpResponse
from msgspec import Meta

from apps import card_numbers
from apps.accounts.models import Tenant
from apps.api.client_address import check_host, client_address
from apps.api.decisions import ScoringView
from apps.api.endpoint import json_answer
from apps.api.operation import WITH_A_BODY, Answer, Body, Operation, operation, parameter
from apps.api.payments import EVENT, SIGNATURE, SIGNED, TAG, stripe_signature
from apps.api_keys.gate import Admission
from apps.api_keys.keys import PresentedKey
from apps.errors import Problem
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.serving import decision_formats, decision_requests
from apps.scoring.serving.decision_formats import Decision
from apps.scoring.serving.requests import ScoringRequest, item_of
from apps.scoring.serving.stored_answers import Answered
from apps.scoring.stripe_guard.account import Account, account_of, connect, disconnect
from apps.scoring.stripe_guard.mapping import mapped
from apps.scoring.stripe_guard.screening import SCHEMA, SCREENED, StripeOfTenant, act_on

_INTENT_ID = re.compile(r"pi_[A-Za-z0-9]{1,60}")


class StripeAccountRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Your account at Stripe. Both are stored encrypted and never shown again."""

    api_key: Annotated[
        str,
        Meta(
            pattern=r"^[sr]k_[!-~]{5,250}$",
            description="A restricted key that may read and write PaymentIntents.",
            extra={"needs": "a key of Stripe's, rk_… or sk_…"},
        ),
    ]
    webhook_secret: Annotated[
        str,
        Meta(
            pattern=r"^([!-~]{8,255})?$",
            description="whsec_… of the webhook you make there.",
            extra={"needs": "the secret of the webhook, whsec_…"},
        ),
    ] = ""


class StripeAccountAnswer(msgspec.Struct, frozen=True):
    """The account that is screened, without its secrets."""

    object: Literal["stripe_account"]
    connected: bool
    livemode: bool
    api_key_last4: str | None
    webhook: Annotated[str, Meta(description="The path Stripe's webhook is sent to.")]


class Screening(msgspec.Struct, frozen=True):
    """What became of a PaymentIntent."""

    object: Literal["screening"]
    payment_intent: str
    outcome: Annotated[Literal["approved", "declined"], Meta(description="declined: the risk is high or critical.")]
    cancellation: Annotated[
        Literal["not_needed", "canceled", "already_canceled", "too_late", "failed"],
        Meta(description="What was done at Stripe. too_late: it had succeeded."),
    ]
    decision: Decision


class IgnoredEvent(msgspec.Struct, frozen=True):
    """Nothing that is screened."""

    object: Literal["ignored"]
    type: str


class GuardView(ScoringView):
    """What they share."""

    def account(self, admission: Admission) -> Account:
        found = account_of(admission.tenant_schema, self.key.livemode)
        if found is None:
            raise Problem("not_found", "No Stripe account is connected: POST /v1/stripe/account.")
        return found

    def screen(self, request: HttpRequest, account: StripeOfTenant, intent: Any) -> tuple[Answered, Screening]:
        """Decide on a PaymentIntent like on any transaction, and cancel it when it is too risky."""
        transaction, warnings = mapped(intent, self.key.handle)
        scoring_request = self._scoring_request(request)
        schema = SCHEMAS[SCHEMA]
        item = item_of(
            scoring_request,
            schema,
            decision_requests.parse(
                schema, transaction, scoring_request.received_us // 1000, "payment_intent", warnings
            ),
        )
        answered = self.scoring.decide(scoring_request, item, self.elapsed_ms)
        decision = decision_formats.decode(answered.body)
        outcome, cancellation = act_on(decision, intent, account)
        return answered, Screening(
            object="screening",
            payment_intent=card_numbers.mask_id(intent["id"]),
            outcome=outcome,
            cancellation=cancellation,
            decision=decision,
        )

    def _scoring_request(self, request: HttpRequest) -> ScoringRequest:
        return ScoringRequest(
            key=self.key,
            digest=self.digest,
            address=client_address(request.META),
            endpoint=self.endpoint,
            scope="predict",
            received_us=self.received_us,
        )


class StripeAccountView(GuardView):
    """GET, POST, DELETE: the account whose payments are screened, one for live and one for test keys."""

    endpoint = "stripe_account"
    scopes: ClassVar = {"GET": "read", "POST": "admin", "DELETE": "admin"}
    http_method_names = ["get", "head", "post", "delete"]

    def get(self, request: HttpRequest) -> HttpResponse:
        admission = self.admit_only(request)
        return self._answer(account_of(admission.tenant_schema, self.key.livemode))

    def post(self, request: HttpRequest) -> HttpResponse:
        body = self.decoded(request, StripeAccountRequest)
        admission = self.admit_only(request)
        account = Account(body.api_key, body.webhook_secret, self.digest)
        connect(account=account, **self._whose(admission))
        return self._answer(account)

    def delete(self, request: HttpRequest) -> HttpResponse:
        admission = self.admit_only(request)
        disconnect(**self._whose(admission))
        return self._answer(None)

    def _answer(self, account: Account | None) -> HttpResponse:
        mode = "live" if self.key.livemode else "test"
        return json_answer(
            StripeAccountAnswer(
                object="stripe_account",
                connected=account is not None,
                livemode=self.key.livemode,
                api_key_last4=account.api_key[-4:] if account else None,
                webhook=f"/stripe/screen/{self.key.handle}/{mode}",
            )
        )

    def _whose(self, admission: Admission) -> dict[str, Any]:
        """Whose account is changed, by whom and when."""
        tenant = Tenant.objects.get(pk=admission.tenant_id)
        return {"tenant": tenant, "livemode": self.key.livemode, "now": self.now, "actor": admission.actor}


class ScreenView(GuardView):
    """POST: screen a PaymentIntent of the tenant's account by its id."""

    endpoint = "stripe_screen"
    scopes: ClassVar = {"POST": "predict"}

    def post(self, request: HttpRequest, intent_id: str) -> HttpResponse:
        account = StripeOfTenant(self.account(self.admit_only(request)))
        answered, screening = self.screen(request, account, account.retrieve(intent_id))
        return self.answered(answered, msgspec.json.encode(screening))


class ScreenWebhookView(GuardView):
    """POST: the webhook of a tenant's account. The signature says who it is; it acts with the key that connected it."""

    endpoint = "stripe_screen_webhook"
    needs_key = False
    scopes: ClassVar = {"POST": "predict"}

    def initial(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        check_host(request)

    def post(self, request: HttpRequest, handle: str, mode: str) -> HttpResponse:
        body, signature = self.read_body(request), stripe_signature(request)
        account = self._account(handle, mode == "live")
        stripe = StripeOfTenant(account)
        event = stripe.event(body, signature)
        self.key, self.digest = PresentedKey(handle, mode == "live"), account.key_digest
        if event.type not in SCREENED:
            return json_answer(IgnoredEvent("ignored", card_numbers.mask(event.type)))
        answered, screening = self.screen(request, stripe, stripe.retrieve(_intent_id(event.object.get("id"))))
        return self.answered(answered, msgspec.json.encode(screening))

    def _account(self, handle: str, livemode: bool) -> Account:
        tenant = Tenant.objects.filter(handle=handle).first()
        account = account_of(tenant.schema_name, livemode) if tenant else None
        if account is None:
            raise Problem("not_found", "No Stripe account is connected here.")
        return account


def _intent_id(value: Any) -> str:
    """The id of the PaymentIntent an event is about. Raises `Problem`."""
    if not isinstance(value, str) or not _INTENT_ID.fullmatch(value):
        raise Problem("event_invalid", "'data.object.id' takes the id of a PaymentIntent, such as pi_1.")
    return value


_DECIDED = ("quota_exceeded", "journal_full", "field_invalid")
_INTENT = parameter(
    "intent_id",
    "path",
    "The PaymentIntent's id.",
    {"type": "string", "pattern": "^pi_[A-Za-z0-9]{1,60}$"},
    required=True,
    example="pi_3PqW1k2eZvKYlo2C0aBcDeFg",
)
_HANDLE = parameter(
    "handle",
    "path",
    "Your account's handle, as GET /v1/stripe/account tells it.",
    {"type": "string", "pattern": "^[0-9a-z]{6}$"},
    required=True,
    example="ab12cd",
)
_MODE = parameter("mode", "path", "Live or test.", {"enum": ["live", "test"]}, required=True)


def _operation(
    method: str, path: str, name: str, summary: str, description: str, answer: Answer, scope: str = "", **more: Any
) -> Operation:
    return operation(TAG, method, path, name, summary, description, answer, scope, **more)


_ACCOUNT = Answer(StripeAccountAnswer, "The account, without its secrets.")
_SCREENED = Answer(Screening, "The outcome, with the decision it follows from.")
OPERATIONS: Sequence[Operation] = (
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
        body=Body(StripeAccountRequest),
        problems=(*WITH_A_BODY, "field_invalid"),
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
        Answer(Screening | IgnoredEvent, "The outcome."),
        parameters=(_HANDLE, _MODE, SIGNATURE),
        body=Body(EVENT),
        problems=(
            *SIGNED,
            *_DECIDED,
            "key_unknown",
            "key_revoked",
            "key_expired",
            "scope_missing",
            "address_refused",
            "tenant_suspended",
            "tenant_closed",
            "rate_limited",
            "stores_away",
            "stripe_refused",
            "provider_away",
        ),
    ),
)
