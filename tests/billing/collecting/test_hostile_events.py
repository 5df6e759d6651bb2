"""Rightly signed events that are wrong: each is refused with a reason or kept and ends, and none blocks others."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.accounts.models import Tenant
from apps.billing.collecting import payments, provider_events, reconciliation
from apps.billing.collecting.gateway import Unanswered
from apps.billing.collecting.stripe_gateway import StripeGateway
from apps.billing.models import Payment, ProviderEvent
from tests.billing.collecting.conftest import ISSUED
from tests.billing.collecting.mutations import Mutation, every_kind, mutations
from tests.campaign import SIZE, campaign
from tests.cast import Api
from tests.stripe_server import Stand
from tests.stripe_server.webhooks import signature

pytestmark = pytest.mark.django_db
HONEST = {"id": "evt_honest", "object": "event", "type": "customer.created", "created": 1_790_000_000}
HONEST |= {"data": {"object": {"id": "cus_1"}}}


@pytest.fixture
def stand() -> Iterator[Stand]:
    """A stand-in that may be asked for what there is not."""
    with Stand() as stand:
        yield stand


def post(stand: Stand, body: bytes) -> Any:
    return Api().post("/stripe/webhook", body, stripe_signature=signature(body, stand.webhook_secret))


def said(answer: Any) -> tuple[int, str]:
    told = answer.json()
    assert set(told) >= {"type", "title", "status", "detail", "code", "request_id"}
    return answer.status_code, told["code"]


def with_(**changes: Any) -> bytes:
    return json.dumps(HONEST | changes).encode()


def raw(member: str, value: str) -> bytes:
    """The honest event with a member as it stands."""
    rest = {name: one for name, one in HONEST.items() if name != member}
    return f'{json.dumps(rest)[:-1]}, "{member}": {value}}}'.encode()


def without(member: str) -> bytes:
    return json.dumps({name: one for name, one in HONEST.items() if name != member}).encode()


#: What can never be an event → the word of the answer that says why.
NEVER = {
    "no JSON": (b"not json", "not valid JSON"),
    "half": (b'{"id": "evt_1"', "not valid JSON"),
    "a list": (b"[]", "no JSON object"),
    "null": (b"null", "no JSON object"),
    "empty": (b"{}", "'id' is missing"),
    "deep": (b"[" * 100_000, "nested too deeply"),
    "deep data": (raw("data", '{"object": ' + '{"a":' * 200 + "1" + "}" * 200 + "}"), "nested too deeply"),
    "100,000 digits": (raw("created", "9" * 100_000), "not valid JSON"),
    "NaN": (raw("data", '{"object": {"amount": NaN}}'), "NaN"),
    "Infinity": (raw("data", '{"object": {"amount": -Infinity}}'), "-Infinity"),
    "beyond a double": (raw("data", '{"object": {"amount": 1e400}}'), "too large"),
    **{f"no {member}": (without(member), f"'{member}' is missing") for member in ("id", "type", "created", "data")},
    "id null": (with_(id=None), "'id' takes"),
    "id empty": (with_(id=""), "'id' takes"),
    "id of 300": (with_(id="e" * 300), "'id' takes"),
    "id with NUL": (with_(id="evt\x00"), "'id' takes"),
    "id half a character": (raw("id", '"evt_\\ud800"'), "'id' takes"),
    "type of 300": (with_(type="t" * 300), "'type' takes"),
    "type with NUL": (with_(type="a\x00"), "'type' takes"),
    "type a list": (with_(type=["charge.failed"]), "'type' takes"),
    "created null": (with_(created=None), "'created' takes"),
    "created text": (with_(created="1790000000"), "'created' takes"),
    "created true": (with_(created=True), "'created' takes"),
    "created 1.5": (with_(created=1.5), "'created' takes"),
    "created negative": (with_(created=-1), "'created' takes"),
    "created after 9999": (with_(created=253_402_300_800), "'created' takes"),
    "created 2**70": (with_(created=2**70), "'created' takes"),
    "data null": (with_(data=None), "'data' takes"),
    "data empty": (with_(data={}), "'data' takes"),
    "data a list": (with_(data=[]), "'data' takes"),
    "object null": (with_(data={"object": None}), "'data' takes"),
    "object a list": (with_(data={"object": []}), "'data' takes"),
}


@pytest.mark.parametrize(("body", "reason"), NEVER.values(), ids=NEVER.keys())
def test_what_can_never_be_an_event_is_refused_with_the_reason(
    gateway: StripeGateway, stand: Stand, body: bytes, reason: str
) -> None:
    answer = post(stand, body)
    assert said(answer) == (400, "event_invalid")
    assert reason in answer.json()["detail"]
    assert not ProviderEvent.objects.exists()


@pytest.mark.parametrize(
    "header", ["t=1,v1=\u00e9", "\u00e9", "t=,v1=", "t=" + "9" * 5_000 + ",v1=a", ",,,=", "t=inf,v1=a", ""]
)
def test_what_is_no_signature_is_refused(gateway: StripeGateway, header: str) -> None:
    assert said(Api().post("/stripe/webhook", HONEST, stripe_signature=header)) == (400, "signature_invalid")


#: What Postgres can't hold, in places where an event may have it.
KEPT = {
    "NUL": raw("data", '{"object": {"name": "a\\u0000b"}}'),
    "half a character": raw("data", '{"object": {"name": "a\\ud800b"}}'),
    "NUL in a name": raw("data", '{"object": {"a\\u0000b": 1}}'),
    "the end of time": with_(created=253_402_300_799),
    "the beginning": with_(created=0),
    "id of 255": with_(id="e" * 255),
    "type of 255": with_(type="t" * 255),
    "more members": with_(surprise={"of": ["any", "kind"]}),
}


@pytest.mark.parametrize("body", KEPT.values(), ids=KEPT.keys())
def test_what_may_be_an_event_is_kept_and_ends(gateway: StripeGateway, stand: Stand, body: bytes) -> None:
    assert post(stand, body).json() == {"received": True, "new": True}
    assert post(stand, body).json() == {"received": True, "new": False}
    assert provider_events.work_through(gateway, timezone.now()) == 1
    row = ProviderEvent.objects.get()
    assert (row.state, row.outcome) == ("done", "nothing to do")
    assert "\x00" not in json.dumps(row.body, ensure_ascii=False)


#: Events of kinds we handle whose object is not what Stripe documents → how the reason begins.
UNREADABLE = {
    "payment_intent.succeeded": ({"id": "pi_1", "amount": 5}, "status"),
    "charge.failed": ({"id": "ch_1", "amount": -1}, "amount"),
    "charge.refunded": ({"id": "ch_1", "amount": 10**30}, "amount"),
    "charge.succeeded": ({"id": "ch_1", "amount": "500"}, "amount"),
    "charge.dispute.created": ({"payment_intent": ["pi_1"]}, "payment_intent"),
    "payment_method.attached": ({"customer": "cus_1", "card": []}, "card"),
    "payment_method.detached": ({"id": None}, "id"),
    "setup_intent.succeeded": ({"customer": "cus_1"}, "payment_method"),
    "checkout.session.completed": ({"mode": "setup"}, "setup_intent"),
    "customer.updated": ({"invoice_settings": 5}, "invoice_settings"),
    "customer.deleted": ({"id": "x" * 300}, "id"),
    "customer.tax_id.updated": ({"customer": 5}, "customer"),
}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_what_can_not_be_read_is_given_up_with_the_reason(gateway: StripeGateway, stand: Stand, kind: str) -> None:
    about, reason = UNREADABLE[kind]
    assert post(stand, with_(type=kind, data={"object": about})).status_code == 200
    assert post(stand, with_(id="evt_2")).status_code == 200
    assert provider_events.work_through(gateway, timezone.now()) == 1  # the other one
    row = ProviderEvent.objects.get(kind=kind)
    assert (row.state, row.tries) == ("given up", 1)
    assert row.outcome.startswith("can't be read: ") and reason in row.outcome
    assert provider_events.GIVEN_UP._value.get() == 1
    assert list(ProviderEvent.objects.given_up()) == [row]
    assert not provider_events.replay(row, gateway, timezone.now())  # by hand, as often as one likes
    assert ProviderEvent.objects.get(kind=kind).state == "given up"


def test_rows_from_before_events_were_looked_at_end_too(gateway: StripeGateway) -> None:
    for number, data in enumerate(({}, None, [], {"object": None}, {"object": []}, "x")):
        body = HONEST | {"type": "payment_intent.succeeded", "data": data}
        ProviderEvent.objects.create(
            event_id=f"evt_{number}", kind=body["type"], happened_at=ISSUED, received_at=ISSUED, body=body,
            next_try_at=ISSUED,
        )  # fmt: skip
    assert provider_events.work_through(gateway, ISSUED) == 0
    assert ProviderEvent.objects.given_up().count() == 6


def test_a_fault_of_ours_is_tried_again_and_blocks_nobody(
    gateway: StripeGateway, stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    post(stand, with_(type="payment_intent.succeeded", data={"object": {"id": "pi_1", "status": "x", "amount": 1}}))
    post(stand, with_(id="evt_2"))

    def broken(*said: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(payments, "find_payment", broken)
    now = timezone.now()
    assert provider_events.work_through(gateway, now) == 1
    row = ProviderEvent.objects.get(kind="payment_intent.succeeded")
    assert (row.state, row.outcome) == ("waits", "failed, see the log: ZeroDivisionError")
    monkeypatch.setattr(provider_events, "MOST_TRIES", 2)
    provider_events.work_through(gateway, now + timedelta(hours=1))
    row.refresh_from_db()
    assert row.state == "given up"
    monkeypatch.undo()
    assert provider_events.replay(row, gateway, now)
    row.refresh_from_db()
    assert (row.state, row.outcome) == ("done", "not a payment of ours")


def test_the_last_try_is_given_up_though_it_kills_the_worker(
    gateway: StripeGateway, stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    post(stand, with_())

    def killed(*said: Any) -> None:
        raise SystemExit

    monkeypatch.setattr(provider_events, "handle", killed)
    monkeypatch.setattr(provider_events, "MOST_TRIES", 1)
    with pytest.raises(SystemExit):
        provider_events.work_through(gateway, timezone.now())
    assert ProviderEvent.objects.get().state == "given up"


def test_a_list_of_the_providers_may_hold_what_is_no_event(gateway: StripeGateway, stand: Stand) -> None:
    stand.ledger.create_customer({})
    stand.ledger.events[0]["type"] = "x" * 300
    stand.ledger.create_customer({})
    assert reconciliation.reconcile(gateway, timezone.now()).events_missed == 1


def test_an_answer_of_the_providers_that_can_not_be_read_is_no_answer(gateway: StripeGateway, stand: Stand) -> None:
    intent = stand.ledger.create_intent({"amount": "500", "currency": "usd"})
    stand.ledger.objects[intent["id"]]["amount"] = "a lot"
    with pytest.raises(Unanswered, match="amount takes a whole number"):
        gateway.look(intent["id"])


@campaign
def test_every_member_of_every_event_may_be_anything(
    tenant: Tenant, gateway: StripeGateway, stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through the real door and the worker's step: refused in our form, or done, or given up; an honest one is done."""
    monkeypatch.setattr(provider_events, "MOST_TRIES", 3)
    kinds = every_kind(tenant, gateway, stand)
    assert {provider_events.subject(event["type"]) for event in kinds} == {
        *provider_events.READS,
        *provider_events._HANDLERS,
        "",
    }
    spoiled = [mutation for event in kinds for mutation in list(mutations(event))[:: SIZE.spoiled]]
    for one in spoiled:
        refused_or_kept(stand, one)
    assert post(stand, with_(created=provider_events.LAST_SECOND)).status_code == 200
    now = timezone.now()
    for hours in range(4):
        provider_events.work_through(gateway, now + timedelta(hours=hours), at_most=len(spoiled) + 1)
    assert ProviderEvent.objects.get(event_id="evt_honest").state == "done"
    assert not ProviderEvent.objects.waiting().exists()
    failed = ProviderEvent.objects.filter(outcome__startswith="failed")
    assert not failed, [(one.event_id, one.outcome, one.body) for one in failed]
    assert Payment.objects.count() == 2


def refused_or_kept(stand: Stand, one: Mutation) -> None:
    answer = post(stand, one.body)
    assert answer.status_code in (200, 400), (one.what, answer.content)
    if answer.status_code == 400:
        assert said(answer) == (400, "event_invalid"), one.what
