"""The doors of payments: how a tenant pays, the pages of the provider where it says so, and the provider's webhooks."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from msgspec import UNSET, Meta, UnsetType

from apps.accounts.models import Tenant
from apps.api.client_address import check_host
from apps.api.endpoint import ApiView, json_answer
from apps.api.operation import WITH_A_BODY, Answer, Body, Operation, not_stored, operation, parameter, ref
from apps.api_keys.gate import Admission
from apps.billing.collecting import payment_methods, provider_events
from apps.billing.collecting.gateway import Gateway, GatewayError, NotCollecting, Refused
from apps.billing.collecting.providers import get_gateway
from apps.billing.models import PaymentCard
from apps.billing.subscriptions import test_clock
from apps.billing.subscriptions.services import subscription_of
from apps.decoding import Noticed, without_cards
from apps.errors import Problem
from apps.stripe_events import NoEvent

Url = Annotated[
    str,
    Meta(
        pattern=r"^https?://[!-~]{1,2000}$",
        description="Where the person comes back to.",
        extra={"needs": "an address such as https://shop.example/done, of at most 2,000 characters"},
    ),
]


class CardPageRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the person goes from the page on which a card is entered."""

    success_url: Url
    cancel_url: Url


class PortalRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the person goes from the customer portal."""

    return_url: Url


class PaymentMethod(msgspec.Struct, frozen=True):
    """How the tenant pays. Without one, scoring stops at the included volume."""

    object: Literal["payment_method"]
    ready: Annotated[bool, Meta(description="There is one: usage goes on beyond the included volume.")]
    kind: Literal["card", "bank_transfer"] | None
    label: Annotated[str, Meta(description="Such as: visa •••• 4242.")]
    brand: str | None
    last4: str | None
    expires: Annotated[str | None, Meta(description="YYYY-MM")]


class HostedPage(msgspec.Struct, frozen=True):
    """A page of the payment provider's, for a person to open; it is good for one visit."""

    object: Literal["card_page", "customer_portal"]
    url: str
    warnings: Noticed | UnsetType = UNSET


class ReceivedWebhook(msgspec.Struct, frozen=True):
    """It is kept and will be worked through."""

    received: Literal[True]
    new: Annotated[bool, Meta(description="false: it had been received before.")]


def stripe_signature(request: HttpRequest) -> str:
    """The header Stripe signs with. Raises `Problem` when there is none, or one that can't be a signature."""
    value = str(request.META.get("HTTP_STRIPE_SIGNATURE", ""))
    if not value:
        raise Problem("signature_invalid", "There is no Stripe-Signature header.", "Stripe-Signature")
    if not value.isascii():
        raise Problem("signature_invalid", "Stripe-Signature takes ASCII characters.", "Stripe-Signature")
    return value


class PaymentView(ApiView):
    """What they share: whose payment method it is, and what the provider's silence means."""

    scopes: ClassVar = {"GET": "read", "POST": "admin"}

    def asked(self, request: HttpRequest, kind: type[Any]) -> Any:
        """The body and its warnings; a problem with it is answered only to those the gate lets in."""
        return without_cards(self.decoded(request, kind))

    def tenant(self, admission: Admission) -> Tenant:
        return Tenant.objects.get(pk=admission.tenant_id)

    def page(
        self, admission: Admission, kind: Any, warnings: tuple[str, ...], open_page: Callable[[Gateway, str], str]
    ) -> HttpResponse:
        """A page of the provider's for the tenant."""
        tenant, gateway, now = self.tenant(admission), get_gateway(), timezone.now()
        try:
            customer = payment_methods.customer_of(tenant, gateway, test_clock.now_for(tenant.pk, now))
            url = open_page(gateway, customer)
        except NotCollecting as transfer:
            raise Problem("paid_by_transfer") from transfer
        except GatewayError as away:
            raise Problem("provider_away", retry_after=5.0) from away
        return json_answer(HostedPage(kind, url, warnings or UNSET), {"Cache-Control": "no-store"})


class PaymentMethodView(PaymentView):
    """GET: how the tenant pays. POST: the page where a person enters a card."""

    endpoint = "payment_method"

    def get(self, request: HttpRequest) -> HttpResponse:
        tenant_id = self.admit_only(request).tenant_id
        known, card = subscription_of(tenant_id), PaymentCard.objects.in_use(tenant_id)
        kind: Literal["card", "bank_transfer"] | None = "bank_transfer" if known.has_payment_method else None
        if card is not None:
            kind = "card"
        return json_answer(
            PaymentMethod(
                object="payment_method",
                ready=known.has_payment_method,
                kind=kind,
                label=known.payment_method_label,
                brand=card.brand if card else None,
                last4=card.last4 if card else None,
                expires=card.expires if card else None,
            )
        )

    def post(self, request: HttpRequest) -> HttpResponse:
        asked, warnings = self.asked(request, CardPageRequest)
        admission = self.admit_live(request)
        currency = subscription_of(admission.tenant_id).currency
        return self.page(
            admission,
            "card_page",
            warnings,
            lambda gateway, customer: gateway.card_page(
                customer=customer, currency=currency, success_url=asked.success_url, cancel_url=asked.cancel_url
            ),
        )


class PortalView(PaymentView):
    """POST: the provider's customer portal, where a person sees and changes cards."""

    endpoint = "payment_portal"

    def post(self, request: HttpRequest) -> HttpResponse:
        asked, warnings = self.asked(request, PortalRequest)
        admission = self.admit_live(request)
        return self.page(
            admission,
            "customer_portal",
            warnings,
            lambda gateway, customer: gateway.portal_page(customer=customer, return_url=asked.return_url),
        )


class StripeWebhookView(ApiView):
    """POST: what Stripe tells us. No key: the signature says who it is."""

    endpoint = "stripe_webhook"
    needs_key = False

    def initial(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        check_host(request)

    def post(self, request: HttpRequest) -> HttpResponse:
        body, signature, gateway = self.read_body(request), stripe_signature(request), get_gateway()
        if not gateway.collects:
            raise Problem("not_found", "This installation does not use Stripe.")
        try:
            new = provider_events.receive(body, signature, gateway, timezone.now())
        except Refused as forged:
            raise Problem("signature_invalid") from forged
        except NoEvent as wrong:
            raise Problem("event_invalid", f"This is no event of Stripe's. {wrong}") from wrong
        return json_answer(ReceivedWebhook(True, new))


TAG = "Payments"
_HOSTED = (*WITH_A_BODY, "field_invalid", "live_key_required", "paid_by_transfer", "provider_away")
#: What a webhook of Stripe's may be told.
SIGNED = ("event_invalid", "body_too_large", "media_type_unsupported", "signature_invalid", "not_found")
SIGNATURE = parameter(
    "Stripe-Signature",
    "header",
    "Stripe's signature of the body, at most 300 s old.",
    {"type": "string"},
    required=True,
)
EVENT = ref("StripeEvent")


def _operation(
    method: str, path: str, name: str, summary: str, description: str, answer: Answer, scope: str = "", **more: Any
) -> Operation:
    return operation(TAG, method, path, name, summary, description, answer, scope, **more)


_PAGE = Answer(HostedPage, "Send the person to `url`.", headers=not_stored("The page is the caller's."))
OPERATIONS: Sequence[Operation] = (
    _operation(
        "GET",
        "/v1/payment-method",
        "getPaymentMethod",
        "Read the payment method",
        "How invoices are paid: by a card, by bank transfer as agreed, or not at all yet.",
        Answer(PaymentMethod, "The payment method."),
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
        body=Body(CardPageRequest),
        problems=_HOSTED,
    ),
    _operation(
        "POST",
        "/v1/payment-method/portal",
        "createCustomerPortal",
        "Open the customer portal",
        "A page of the payment provider's where a person sees and changes cards.",
        _PAGE,
        "admin",
        body=Body(PortalRequest),
        problems=_HOSTED,
    ),
    _operation(
        "POST",
        "/stripe/webhook",
        "receiveStripeWebhook",
        "Stripe's webhook",
        "For Stripe alone: an event is kept as it came, once, and worked through later. No key: it is signed.",
        Answer(ReceivedWebhook, "It is kept."),
        parameters=(SIGNATURE,),
        body=Body(EVENT),
        problems=SIGNED,
    ),
)
