"""The guard of a tenant's own Stripe payments: mapped, decided, and cancelled when they are risky."""

import json
from typing import Any

import pytest
from django.db import connection

from apps.scoring import stripe_guard
from apps.scoring.engine.schemas import SCHEMAS
from tests.cast import Api, Cast, new_key
from tests.stripe_server import Stand
from tests.stripe_server.webhooks import body_of, signature

pytestmark = pytest.mark.django_db(transaction=True)
SECRET = "whsec_of_the_tenant"
SMALL = {"amount": "1250", "currency": "usd", "receipt_email": "ada@example.com"}


@pytest.fixture
def caller(cast: Cast, stand: Stand, settings: Any) -> Api:
    """A key that may connect an account and score; the tenant's account is at the stand-in."""
    settings.STRIPE_API_BASE, settings.STRIPE_TIMEOUT = stand.url, 2.0
    return Api(cast.alice, new_key(cast.alice.tenant, scopes=("read", "predict", "admin"))[1])


def connect(caller: Api, stand: Stand) -> Any:
    answer = caller.post("/v1/stripe/account", {"api_key": stand.api_key, "webhook_secret": SECRET})
    assert answer.status_code == 200, answer.content
    return answer.json()


def screen(caller: Api, intent: str) -> Any:
    return caller.post(f"/v1/stripe/payment-intents/{intent}/screen", b"")


def always(level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Decline the levels given: the stand-in's payments are as harmless as they come."""
    monkeypatch.setattr(stripe_guard, "DECLINED", (level,))


def test_an_honest_payment_is_approved_and_left_alone(caller: Api, stand: Stand) -> None:
    connect(caller, stand)
    intent = stand.ledger.create_intent(SMALL)
    said = screen(caller, intent["id"]).json()
    assert (said["outcome"], said["cancellation"]) == ("approved", "not_needed")
    assert (said["decision"]["schema"], said["decision"]["transaction_id"]) == ("payments", intent["id"])
    assert said["decision"]["status"] == "new"
    assert stand.ledger.get("payment_intent", intent["id"])["status"] == "requires_payment_method"


def test_a_risky_payment_is_cancelled(caller: Api, stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(caller, stand)
    intent = stand.ledger.create_intent(SMALL)
    always("low", monkeypatch)
    said = screen(caller, intent["id"]).json()
    assert (said["outcome"], said["cancellation"]) == ("declined", "canceled")
    known = stand.ledger.get("payment_intent", intent["id"])
    assert (known["status"], known["cancellation_reason"]) == ("canceled", "fraudulent")
    again = screen(caller, intent["id"]).json()
    assert (again["decision"]["status"], again["cancellation"]) == ("duplicate", "already_canceled")


def test_what_has_succeeded_is_too_late(caller: Api, stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(caller, stand)
    intent = stand.ledger.create_intent(SMALL)
    stand.ledger.objects[intent["id"]]["status"] = "succeeded"
    always("low", monkeypatch)
    assert screen(caller, intent["id"]).json()["cancellation"] == "too_late"


def test_the_webhook_screens_what_may_still_be_stopped(
    caller: Api, stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = connect(caller, stand)["webhook"]
    stand.ledger.create_intent(SMALL)
    stand.ledger.create_customer({})
    always("low", monkeypatch)
    created, customer = stand.ledger.events
    said = send(path, created).json()
    assert (said["object"], said["cancellation"]) == ("screening", "canceled")
    assert send(path, customer).json() == {"object": "ignored", "type": "customer.created"}


def send(path: str, event: Any, secret: str = SECRET) -> Any:
    body = body_of(event)
    return Api().post(path, body, stripe_signature=signature(body, secret))


def test_a_forged_webhook_is_refused(caller: Api, stand: Stand) -> None:
    path = connect(caller, stand)["webhook"]
    stand.ledger.create_intent(SMALL)
    assert send(path, stand.ledger.events[0], "whsec_stand_in").json()["code"] == "signature_invalid"
    assert send("/stripe/screen/zzzzzz/live", stand.ledger.events[0]).status_code == 404


#: What can't be an event, or not one of a payment: (member, value as it stands) in the place of the event's own.
NO_EVENTS = [
    ("id", '"evt_\\u0000"'), ("id", '"' + "e" * 300 + '"'), ("id", '"\\ud800"'),
    ("type", "null"), ("type", "[]"), ("type", '"' + "t" * 300 + '"'), ("created", "null"), ("created", "NaN"),
    ("data", "{}"), ("data", "null"), ("data", "[]"), ("data", '{"object": null}'), ("data", '{"object": []}'),
    ("data", '{"object": {}}'), ("data", '{"object": {"id": 1}}'), ("data", '{"object": {"id": "cus_1"}}'),
    ("data", '{"object": {"id": "pi_1", "amount": NaN}}'), ("data", '{"object": {"id": "pi_1\\u0000"}}'),
    ("data", '{"object": {"id": "pi_1/../../customers"}}'), ("data", '{"object": {"id": "pi_' + "1" * 300 + '"}}'),
    ("data", '{"object": ' + '{"a":' * 300 + "1" + "}" * 300 + "}"), ("data", "[" * 50_000),
    ("data", '{"object": {"id": "pi_1", "n": ' + "9" * 100_000 + "}}"),
]  # fmt: skip


@pytest.mark.parametrize(("member", "value"), NO_EVENTS, ids=[f"{one} {said[:30]}" for one, said in NO_EVENTS])
def test_what_can_not_be_an_event_is_refused_and_nothing_is_asked(
    caller: Api, stand: Stand, member: str, value: str
) -> None:
    path = connect(caller, stand)["webhook"]
    stand.ledger.create_intent(SMALL)
    rest = {name: one for name, one in stand.ledger.events[0].items() if name != member}
    body = f'{json.dumps(rest)[:-1]}, "{member}": {value}}}'.encode()
    answer = Api().post(path, body, stripe_signature=signature(body, SECRET))
    assert (answer.status_code, answer.json()["code"]) == (400, "event_invalid")
    assert stand.calls == []


def test_without_an_account_nothing_is_screened(caller: Api) -> None:
    assert screen(caller, "pi_1").status_code == 404


def test_an_intent_of_nobodys_is_not_found(caller: Api, stand: Stand) -> None:
    connect(caller, stand)
    assert screen(caller, "pi_1").json()["code"] == "not_found"


def test_a_key_stripe_does_not_take_is_said_so_without_quoting_it(caller: Api, stand: Stand) -> None:
    caller.post("/v1/stripe/account", {"api_key": "sk_test_wrong"})
    answer = screen(caller, "pi_1")
    assert (answer.status_code, answer.json()["code"]) == (422, "stripe_refused")
    assert b"sk_test_wrong" not in answer.content


def test_secrets_are_sealed_and_never_told(caller: Api, stand: Stand) -> None:
    said = connect(caller, stand)
    assert said["api_key_last4"] == stand.api_key[-4:]
    told = json.dumps([said, caller.get("/v1/stripe/account").json()])
    with connection.cursor() as cursor:
        cursor.execute(f'SELECT api_key, webhook_secret FROM "{caller.tenant.schema_name}".scoring_stripeaccount')
        stored = json.dumps(cursor.fetchall())
    assert not [text for text in (told, stored) if stand.api_key in text or SECRET in text]


def test_disconnected_is_forgotten(caller: Api, stand: Stand) -> None:
    connect(caller, stand)
    assert caller.call("DELETE", "/v1/stripe/account").json()["connected"] is False
    assert screen(caller, "pi_1").status_code == 404


def test_another_tenants_account_is_not_used(caller: Api, cast: Cast, stand: Stand) -> None:
    connect(caller, stand)
    intent = stand.ledger.create_intent(SMALL)
    assert screen(Api(cast.bob), intent["id"]).status_code == 404


MAPPED = [
    ({"amount": 1250, "currency": "usd"}, {"amount": 12.5, "currency": "USD"}),
    ({"amount": 1250, "currency": "jpy"}, {"amount": 1250.0}),
    ({"amount": 1250, "currency": "kwd"}, {"amount": 1.25}),
    ({"customer": "cus_1"}, {"user_id": "cus_1"}),
    ({"payment_method": {"card": {"fingerprint": "fp", "country": "DE"}}}, {"user_id": "fp", "country": "DE"}),
    (
        {"metadata": {"user_id": "ada", "merchant_category": "travel"}},
        {"user_id": "ada", "merchant_category": "travel"},
    ),
    ({"metadata": {"foreign_transaction": "true", "distance_from_home_km": "7.5"}}, {"foreign_transaction": True}),
    ({"payment_method_types": ["card_present"]}, {"card_present": True}),
]


@pytest.mark.parametrize(("more", "expected"), MAPPED)
def test_a_payment_intent_as_a_transaction(more: Any, expected: Any) -> None:
    intent = {"id": "pi_1", "amount": 500, "currency": "usd", "created": 1_790_000_000} | more
    said = stripe_guard.transaction_of(intent, "the_shop")
    SCHEMAS["payments"].parse(said, 0)
    assert expected.items() <= said.items()


def test_metadata_that_can_not_be_read_refuses_no_payment() -> None:
    intent = {
        "id": "pi_1",
        "amount": 500,
        "currency": "usd",
        "created": 1,
        "metadata": {"distance_from_home_km": "far"},
    }
    assert "distance_from_home_km" not in stripe_guard.transaction_of(intent, "the_shop")
