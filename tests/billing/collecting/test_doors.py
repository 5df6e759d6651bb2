"""How a tenant pays, asked over the API; and the door of Stripe's webhooks."""

from typing import Any

import pytest

from apps.accounts.models import Tenant
from apps.billing.collecting.stripe_gateway import StripeGateway
from apps.billing.models import ProviderEvent, Subscription
from tests.billing.collecting.conftest import give_card
from tests.cast import Api, Cast, new_key
from tests.stripe_server import Stand
from tests.stripe_server.webhooks import body_of, signature

pytestmark = pytest.mark.django_db
PAGES = {"success_url": "https://bob.example/paid", "cancel_url": "https://bob.example/"}


@pytest.fixture
def owner(cast: Cast, db: None) -> Api:
    """Somebody with the scope `admin`."""
    return Api(cast.bob, new_key(cast.bob.tenant, scopes=("read", "admin"))[1])


def test_a_tenant_without_a_way_to_pay(owner: Api) -> None:
    said = owner.get("/v1/payment-method").json()
    assert (said["ready"], said["kind"], said["last4"]) == (False, None, None)


def test_a_card_is_entered_on_a_page_of_stripes(owner: Api, gateway: StripeGateway, stand: Stand) -> None:
    answer = owner.post("/v1/payment-method", PAGES)
    assert answer.status_code == 200, answer.content
    (session,) = stand.ledger.all("checkout.session")
    assert answer.json() == {"object": "card_page", "url": session["url"]}
    stand.ledger.complete_checkout(session["id"], "pm_card_amex")
    for event in stand.ledger.events:
        assert webhook(stand, event).status_code == 200
    from apps.billing.tasks import work_through_events

    work_through_events()
    said = owner.get("/v1/payment-method").json()
    assert (said["ready"], said["kind"], said["label"], said["expires"]) == (True, "card", "amex •••• 8431", "2034-12")


def test_the_portal_is_a_page_of_stripes(owner: Api, gateway: StripeGateway, stand: Stand) -> None:
    answer = owner.post("/v1/payment-method/portal", {"return_url": "https://bob.example/"})
    assert answer.json()["url"].startswith(stand.url)


def test_bank_transfer_as_agreed(owner: Api, tenant: Tenant) -> None:
    Subscription.objects.filter(tenant=tenant).update(has_payment_method=True)
    said = owner.get("/v1/payment-method").json()
    assert (said["ready"], said["kind"]) == (True, "bank_transfer")


def test_without_stripe_a_card_can_not_be_entered(owner: Api) -> None:
    answer = owner.post("/v1/payment-method", PAGES)
    assert (answer.status_code, answer.json()["code"]) == (409, "paid_by_transfer")


def test_while_stripe_is_away_the_caller_is_told(owner: Api, gateway: StripeGateway, stand: Stand) -> None:
    stand.fault = lambda method, path, count: "503"
    answer = owner.post("/v1/payment-method", PAGES)
    assert (answer.status_code, answer.json()["code"]) == (503, "provider_away")
    assert "sk_test" not in answer.content.decode()


@pytest.mark.parametrize("body", [{}, PAGES | {"success_url": "javascript:alert(1)"}, PAGES | {"more": 1}])
def test_a_wrong_body_names_its_field(owner: Api, body: Any) -> None:
    assert owner.post("/v1/payment-method", body).json()["code"] == "field_invalid"


def test_paying_takes_the_scope_admin(cast: Cast, gateway: StripeGateway) -> None:
    reader = Api(cast.bob, new_key(cast.bob.tenant, scopes=("read",))[1])
    assert reader.post("/v1/payment-method", PAGES).json()["code"] == "scope_missing"


def test_another_tenants_card_is_not_shown(owner: Api, cast: Cast, gateway: StripeGateway, stand: Stand) -> None:
    give_card(cast.alice.tenant, gateway, stand)
    assert owner.get("/v1/payment-method").json()["last4"] is None


# --- webhooks ---


def webhook(stand: Stand, event: Any, *, age: int = 0, secret: str = "", body: bytes = b"") -> Any:
    body = body or body_of(event)
    signed = signature(body, secret or stand.webhook_secret, stand.clock() - age)
    return Api().post("/stripe/webhook", body, stripe_signature=signed)


EVENT = {"id": "evt_1", "object": "event", "type": "customer.created", "created": 1_790_000_000, "data": {"object": {}}}


def test_a_webhook_is_kept_and_answered_at_once(gateway: StripeGateway, stand: Stand) -> None:
    for new in (True, False):
        answer = webhook(stand, EVENT)
        assert (answer.status_code, answer.json()) == (200, {"received": True, "new": new})
    assert ProviderEvent.objects.get().done_at is None


@pytest.mark.parametrize("forged", [{"age": 301}, {"secret": "whsec_other"}])
def test_a_forged_or_stale_webhook_is_refused(gateway: StripeGateway, stand: Stand, forged: Any) -> None:
    answer = webhook(stand, EVENT, **forged)
    assert (answer.status_code, answer.json()["code"]) == (400, "signature_invalid")
    assert not ProviderEvent.objects.exists()


def test_a_webhook_whose_body_was_changed_is_refused(gateway: StripeGateway, stand: Stand) -> None:
    signed = signature(body_of(EVENT), stand.webhook_secret)
    answer = Api().post("/stripe/webhook", body_of(EVENT | {"id": "evt_2"}), stripe_signature=signed)
    assert answer.status_code == 400


def test_what_is_signed_and_no_event_is_refused(gateway: StripeGateway, stand: Stand) -> None:
    assert webhook(stand, None, body=b'{"hello": 1}').status_code == 400
    assert webhook(stand, None, body=b"not json").status_code == 400


def test_without_stripe_there_is_no_webhook(cast: Any) -> None:
    assert Api().post("/stripe/webhook", EVENT, stripe_signature="t=1,v1=a").status_code == 404
