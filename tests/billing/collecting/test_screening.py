"""The guard of a tenant's own Stripe payments: mapped, decided, and cancelled when they are risky."""

import json
from typing import Any

import pytest
from django.db import connection
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.stripe_guard import screening
from apps.scoring.stripe_guard.mapping import mapped
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
    monkeypatch.setattr(screening, "DECLINED", (level,))


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
    ({"amount": 500000, "currency": "ugx"}, {"amount": 5000.0, "currency": "UGX"}),
    ({"amount": 150_000_000_000, "currency": "idr"}, {"amount": 1.5e9}),
    ({"amount": 15_000_000_000_000, "currency": "idr"}, {"amount": 1.5e11}),
    ({"amount": 1_500_000_000, "currency": "vnd"}, {"amount": 1.5e9}),
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
    said = screening.transaction_of(intent, "the_shop")
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
    assert "distance_from_home_km" not in screening.transaction_of(intent, "the_shop")


# --- whatever an intent holds, it is screened ---

LONG = "x" * 200
NAUGHTY = (
    "nan", "NaN", "Infinity", "-inf", "-1", "", None, "1e400", "7,5", "1_000", "\n", "0x10", True, [], {}, {"a": {}},
    LONG, "\x00", "\ud800", "12 km", float("nan"), 10**400,
)  # fmt: skip
GARBAGE = ("x", [], {}, True, float("nan"), 10**400)
NUMBERS = ("distance_from_home_km", "distance_from_last_transaction", "ratio_to_median_purchase_price")
TRUTHS = ("foreign_transaction", "repeat_retailer")
TEXTS = ("user_id", "merchant_id", "merchant_category", "device_id", "ip_address", "country", "email")
HOSTILE: list[tuple[Any, str]] = [
    *(({"metadata": {name: value}}, f"metadata.{name}") for name in NUMBERS for value in NAUGHTY),
    *(({"metadata": {name: value}}, f"metadata.{name}") for name in TRUTHS
      for value in ("yes", "1", "", None, 1, [], {}, "tru\ne", LONG)),
    *(({"metadata": {name: value}}, f"metadata.{name}") for name in TEXTS
      for value in ("a\nb", "\x00", "\ud800", "x" * 300, [], {}, None, "", "   ")),
    *(({"metadata": value}, "metadata") for value in ("text", 5, ["a"], True)),
    *(({"amount": value}, "amount") for value in (None, -1, -(10**20), 12.5, "12.50", "", *GARBAGE)),
    *(({"amount": value}, "amount") for value in (10**15, "9" * 25)),
    *(({"currency": value}, "currency") for value in ("xyz", "", None, 5, "us", [], {}, "\x00", "\ud800", "x" * 99)),
    *(({"created": value}, "created") for value in (-(10**20), 10**20, *GARBAGE)),
    *(({name: value}, name) for name in ("customer", "on_behalf_of", "receipt_email")
      for value in ("a\nb", "\x00", "\ud800", "x" * 300, 5, ["a"], {"id": 5} if name != "receipt_email" else 7)),
    ({"payment_method": {"card": {"fingerprint": ["x"]}}, "customer": None}, "card.fingerprint"),
    ({"payment_method": {"card": {"country": {"x": 1}}}}, "card.country"),
    ({"latest_charge": {"billing_details": {"address": {"country": "\ud800"}}}}, "billing_details.address.country"),
    ({"shipping": {"address": {"country": 5}}}, "shipping.address.country"),
    ({"receipt_email": None, "latest_charge": {"billing_details": {"email": "x" * 300}}}, "billing_details.email"),
]  # fmt: skip
#: Odd, and of no account: nothing of them is read.
HARMLESS: list[Any] = [
    {"description": "\x00\ud800", "statement_descriptor": "\n" * 500}, {"amount": 0}, {"created": None},
    {"metadata": None}, {"metadata": {}}, {"metadata": {"order": [1], "\x00": "\ud800"}}, {"customer": None},
    {"payment_method": "pm_1", "latest_charge": "ch_1"}, {"payment_method": 5, "latest_charge": [], "shipping": "x"},
    {"latest_charge": {"billing_details": {"address": "Main Street"}}}, {"latest_charge": {"billing_details": []}},
    {"payment_method": {"card": "visa"}}, {"payment_method_types": "card_present"}, {"payment_method_types": [{}, 5]},
    {"shipping": {"address": {"country": "ZZ"}}}, {"status": "requires_capture"}, {"status": "invented"},
]  # fmt: skip


def test_what_can_not_be_used_is_left_out_and_named() -> None:
    for more, place in HOSTILE:
        said, warnings = mapped(INTENT | more, "the_shop")
        SCHEMAS["payments"].parse(said, 0)
        assert [one for one in warnings if one.startswith((f"{place} ", f"The {place} "))], (more, warnings)
        assert all(warning.isprintable() and len(warning) < 300 for warning in warnings), more


def test_what_is_of_no_account_is_passed_over_in_silence() -> None:
    for more in HARMLESS:
        said, warnings = mapped(INTENT | more, "the_shop")
        SCHEMAS["payments"].parse(said, 0)
        assert warnings == (), more


INTENT = {"id": "pi_1", "amount": 500, "currency": "usd", "created": 1_790_000_000, "receipt_email": "ada@example.com"}
PARTS = (
    "id", "amount", "currency", "created", "customer", "receipt_email", "on_behalf_of", "metadata", "payment_method",
    "latest_charge", "shipping", "payment_method_types", "status",
)  # fmt: skip
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=500, deadline=None)
@given(
    st.dictionaries(st.sampled_from(PARTS), ANYTHING),
    st.dictionaries(st.sampled_from([*NUMBERS, *TRUTHS, *TEXTS]), ANYTHING),
)
def test_any_intent_at_all_is_a_transaction(intent: Any, metadata: Any) -> None:
    for one in (intent, intent | {"metadata": metadata}):
        SCHEMAS["payments"].parse(mapped(one, "the_shop").transaction, 0)


@pytest.mark.parametrize(
    "more",
    [
        {"metadata": {"distance_from_home_km": "nan", "user_id": "a\nb", "country": "x" * 200}},
        {"amount": 150_000_000_000, "currency": "idr"},
        {"amount": 1_500_000_000, "currency": "vnd"},
        {"amount": 10**15, "currency": "usd"},
        {"amount": -5, "currency": None, "customer": "\ud800", "created": float("nan")},
    ],
)
def test_both_doors_screen_it_and_tell_what_was_left_out(caller: Api, stand: Stand, more: Any) -> None:
    path = connect(caller, stand)["webhook"]
    intent = stand.ledger.create_intent(SMALL)
    stand.ledger.objects[intent["id"]].update(more)
    answer = screen(caller, intent["id"])
    assert (answer.status_code, answer.json()["object"]) == (200, "screening"), answer.content
    assert answer.json()["decision"]["warnings"]
    told = send(path, stand.ledger.events[0]).json()
    assert (told["decision"]["status"], told["decision"]["warnings"]) == (
        "duplicate",
        answer.json()["decision"]["warnings"],
    )


@pytest.mark.parametrize(
    ("amount", "currency", "told"),
    [(3_000_000, "usd", False), (3_200_000, "usd", True), (150_000_000_000, "idr", True), (1_500_000_000, "vnd", True),
     (1_000_000, "idr", False), (4_000_000, "jpy", False), (5_000_000, "jpy", True)],
)  # fmt: skip
def test_an_amount_beyond_what_the_models_learned_is_told(amount: int, currency: str, told: bool) -> None:
    warnings = mapped(INTENT | {"amount": amount, "currency": currency}, "the_shop").warnings
    assert any("the models know no such" in warning for warning in warnings) is told


STATUSES = {
    "requires_payment_method": "canceled", "requires_confirmation": "canceled", "requires_action": "canceled",
    "requires_capture": "canceled", "processing": "canceled", "canceled": "already_canceled", "succeeded": "too_late",
}  # fmt: skip


@pytest.mark.parametrize(("status", "cancellation"), STATUSES.items())
def test_in_whatever_status_it_is_screened(
    caller: Api, stand: Stand, monkeypatch: pytest.MonkeyPatch, status: str, cancellation: str
) -> None:
    connect(caller, stand)
    intent = stand.ledger.create_intent(SMALL)
    stand.ledger.objects[intent["id"]]["status"] = status
    always("low", monkeypatch)
    assert screen(caller, intent["id"]).json()["cancellation"] in (cancellation, "failed")


def test_the_same_worth_has_the_same_score_in_any_currency(caller: Api, stand: Stand) -> None:
    """9,000,000 USD and 150,000,000,000 IDR; 12.50 USD and what it is in others."""
    connect(caller, stand)
    for cents, others in ((900_000_000, {"idr": 15_000_000_000_000}), (1250, {"vnd": 312_500, "mxn": 22_727})):
        said = {}
        for currency, units in ({"usd": cents} | others).items():
            facts = {"amount": str(units), "currency": currency, "receipt_email": f"{currency}{units}@example.com"}
            intent = stand.ledger.create_intent(facts)
            said[currency] = screen(caller, intent["id"]).json()["decision"]
        scores = [one["fraud_probability"] for one in said.values()]
        assert max(scores) - min(scores) < 0.02, scores
        assert any("US dollars" in warning for warning in list(said.values())[-1]["warnings"])
