"""A card number sent with a transaction: masked in all that is told and kept, and still the party it names."""

import io
import json
import random
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from apps.accounts.tenancy import in_tenant
from apps.api_keys.services import get_gate
from apps.scoring import feature_drift
from apps.scoring.engine.decide import Policy
from apps.scoring.engine.field_types import is_kind
from apps.scoring.engine.rules import Condition, InvalidRules, Rule
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.models import Decision
from apps.scoring.policies import load, publish
from apps.scoring.recording import outage_backfill
from apps.scoring.serving.rehearsal import EXAMPLES
from apps.scoring.serving.runtime import get_scoring
from apps.usage.metering.journal import Journal
from apps.usage.models import UsageEvent
from apps.valkey import Valkey
from bench.transactions import transaction
from tests.api import dialects
from tests.api.bodies import TRANSFER
from tests.cards.pans import forms, in_groups, masked, pan, with_check_digit
from tests.cast import Api

#: Two cards with one mask.
ONE, OTHER = next((a, b) for a in [pan(1)] for b in map(pan, range(2, 99)) if masked(a) == masked(b))
PAYMENT = {"amount": 20.0, "user_id": "u", "merchant_id": "m", "merchant_category": "grocery"}
OF_NOBODY = with_check_digit("99999999999999")


@pytest.fixture(autouse=True)
def _nothing_remembered() -> None:
    """Policies' versions never come back but here, where the database is swept after every test."""
    get_scoring.cache_clear()


def decide(api: Api, transaction: dict[str, Any], schema: str = "payments", **more: Any) -> dict[str, Any]:
    answer = api.post("/v1/decisions", {"schema": schema, "transaction": transaction} | more)
    assert answer.status_code == 200, answer.content
    return dict(answer.json())


def warned(told: dict[str, Any]) -> str:
    (one,) = [warning for warning in told["warnings"] if "Card numbers" in warning]
    return str(one)


def kept(api: Api) -> list[Decision]:
    with in_tenant(api.tenant):
        return list(Decision.objects.order_by("created_at"))


@pytest.mark.parametrize("card", list(forms(pan(5))))
def test_card_in_a_text_is_masked_in_answer_and_facts_with_a_warning(
    alice: Api, drain: Callable[[], int], card: str
) -> None:
    told = decide(alice, PAYMENT | {"user_id": card, "transaction_id": card, "country": card})
    assert "Card numbers were masked in: transaction_id, user_id, country." in warned(told) or all(
        name in warned(told) for name in ("user_id", "transaction_id", "country")
    )
    drain()
    (row,) = kept(alice)
    assert row.transaction_id == told["transaction_id"] == row.facts["user_id"] == row.facts["country"]
    assert "*****" in row.facts["user_id"].replace(" ", "").replace("-", "").replace("\xa0", "").replace("–", "")


@pytest.mark.parametrize("schema", SCHEMAS)
def test_card_in_place_of_any_number_is_decided_on_or_refused_by_name(alice: Api, schema: str) -> None:
    """What is remarked of other numbers (an amount in dollars, a field that follows from others) is not counted."""
    example = dict(EXAMPLES[schema]) | ({"currency": "JPY"} if schema == "payments" else {})
    for name, kind in SCHEMAS[schema].types.items():
        if is_kind(int, kind) or is_kind(float, kind):
            asked = {"schema": schema, "transaction": example | {name: int(pan(6))}, "dry_run": True}
            answer = alice.post("/v1/decisions", asked)
            assert answer.status_code == 200 or answer.json()["param"] == f"transaction.{name}", answer.content


@pytest.mark.parametrize("name", ["User_ID", "Merchant_ID", "Device_ID"])
def test_card_sent_as_a_number_is_masked_too(alice: Api, drain: Callable[[], int], name: str) -> None:
    told = decide(alice, dialects.DETECT.body | {name: int(pan(6))}, "card_activity")
    assert name in warned(told)
    drain()
    assert kept(alice)[0].facts[name] == masked(pan(6))


def test_ids_that_fit_no_issuer_stay_and_are_not_warned_about(alice: Api) -> None:
    ids = {
        "transaction_id": OF_NOBODY,
        "user_id": "1764325800009",
        "merchant_id": "20261128103003",
        "device_id": OF_NOBODY,
    }
    told = decide(alice, PAYMENT | ids)
    assert (told["transaction_id"], told["warnings"]) == (OF_NOBODY, [])
    assert "country" in warned(decide(alice, PAYMENT | {"country": OF_NOBODY}))


def test_unknown_fields_are_told_masked_and_their_cards_warned_about(alice: Api) -> None:
    card = pan(7)
    sent = PAYMENT | {"memo": {"deep": [f"paid by {card}"]}, card: 1, "x" * 35 + card: 2}
    told = decide(alice, sent, note=in_groups(card, "-"))
    assert card[:8] not in str(told)
    assert [one for one in told["warnings"] if "Unknown fields were ignored" in one and masked(card) in one]
    assert [one for one in told["warnings"] if "Card numbers" in one and "memo" in one]
    assert [one for one in told["warnings"] if "Card numbers" in one and "note" in one]


def test_two_cards_with_one_mask_are_two_parties_and_two_facts(alice: Api) -> None:
    facts = TRANSFER | {"transaction_id": ONE, "nameOrig": ONE}
    first = decide(alice, facts, "paysim")
    assert decide(alice, facts, "paysim")["id"] == first["id"]
    other = decide(alice, facts | {"transaction_id": OTHER}, "paysim")
    assert (other["status"], other["transaction_id"]) == ("new", first["transaction_id"])
    again = decide(alice, facts | {"nameOrig": OTHER}, "paysim")
    assert (again["status"], again["supersedes"]) == ("superseding", first["id"])


def counted(api: Api, told: dict[str, Any]) -> float:
    told = api.get(f"/v1/decisions/{told['id']}/explanation").json()
    return float(next(one["value"] for one in told["contributions"] if one["feature"] == "orig_count_1h"))


def test_history_recognises_the_card_and_not_its_mask(alice: Api) -> None:
    sent = [decide(alice, TRANSFER | {"nameOrig": card, "amount": 1.0 + n}, "paysim")
            for n, card in enumerate([ONE, ONE, ONE, OTHER, masked(ONE)])]  # fmt: skip
    assert [counted(alice, told) for told in sent] == [0, 1, 2, 0, 0]


def test_vectors_are_made_again_of_masked_facts(
    alice: Api, drain: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feature_drift, "SAMPLED", 1)
    chance, cards = random.Random(5), [ONE, OTHER, pan(40), "C1"]
    for number in range(24):
        names = {"nameOrig": chance.choice(cards), "nameDest": chance.choice(cards), "step": 400}
        decide(alice, transaction(chance) | names | {"transaction_id": pan(100 + number)}, "paysim")
        numbers = {"User_ID": int(chance.choice(cards[:3])), "Device_ID": int(chance.choice(cards[:3]))}
        decide(alice, dialects.DETECT.body | numbers, "card_activity")
    drain()
    hour = timedelta(hours=1)
    for schema in ("paysim", "card_activity"):
        now = timezone.now()
        found = feature_drift.compare(alice.tenant.schema_name, SCHEMAS[schema], now - hour, now + hour)
        assert (found.compared, found.differing) == (24, 0), found.features


def test_list_is_asked_for_by_the_card_or_its_mask(alice: Api, drain: Callable[[], int]) -> None:
    told = decide(alice, PAYMENT | {"transaction_id": ONE})
    drain()
    for asked in (ONE, masked(ONE)):
        page = alice.get(f"/v1/decisions?transaction_id={asked}").json()
        assert [one["id"] for one in page["data"]] == [told["id"]]


def test_duplicate_is_known_after_valkey_was_away(
    alice: Api, drain: Callable[[], int], flush_of: Callable[[], None], valkey: Valkey
) -> None:
    """What was answered past Valkey is told to it by the hash of the id as it was sent."""
    facts = PAYMENT | {"transaction_id": ONE}
    first = decide(alice, facts)
    drain()
    UsageEvent.objects.update(direct=True)
    flush_of()
    outage_backfill.backfill_missed(Journal(valkey), timezone.now() - timedelta(hours=1))
    assert decide(alice, facts)["status"] == "duplicate"
    assert decide(alice, facts | {"transaction_id": OTHER})["status"] == "new"
    assert decide(alice, facts)["id"] == first["id"]


@pytest.fixture
def flush_of(valkey: Valkey) -> Callable[[], None]:
    return lambda: valkey.command("FLUSHDB")


@pytest.mark.parametrize("schema_and_field", [("payments", "user_id"), ("payments", "country"), ("paysim", "nameDest")])
def test_policy_file_with_a_card_is_published_masked_with_a_warning(
    alice: Api, tmp_path: Path, schema_and_field: tuple[str, str]
) -> None:
    schema, field = schema_and_field
    rule = {
        "id": "r",
        "outcome": "review",
        "schema": schema,
        "all": [{"field": field, "op": "in", "value": [ONE, "x"]}],
    }
    file, said = tmp_path / "policy.json", io.StringIO()
    file.write_text(json.dumps({"rules": [rule]}))
    call_command("policy_publish", "--tenant", alice.tenant.slug, "--file", str(file), stderr=said)
    assert "Card numbers were masked in: the policy." in said.getvalue()
    assert load(alice.tenant.schema_name, 1).rules[0].all[0].value == (masked(ONE), "x")
    assert (
        publish(tenant=alice.tenant, policy=load(alice.tenant.schema_name, 1), gate=get_gate(), now=timezone.now()) == 2
    )


def test_policys_card_on_a_field_that_is_a_number_is_refused_without_its_digits(alice: Api) -> None:
    rule = Rule("stolen", "block", (Condition("User_ID", "eq", int(ONE)),), schema="card_activity")
    with pytest.raises(InvalidRules) as refused:
        publish(tenant=alice.tenant, policy=Policy(rules=(rule,)), gate=get_gate(), now=timezone.now())
    assert ONE not in str(refused.value)


def test_a_policys_card_is_masked_and_holds_of_what_is_masked_alike(alice: Api) -> None:
    rule = Rule("stolen", "fatal_block", (Condition("user_id", "in", (ONE, "u2")),), description=f"Stolen: {ONE}")
    publish(tenant=alice.tenant, policy=Policy(rules=(rule,)), gate=get_gate(), now=timezone.now())
    assert ONE not in str(load(alice.tenant.schema_name, 1))
    told = decide(alice, PAYMENT | {"user_id": ONE})
    assert (told["recommended_action"], told["reasons"][0]["value"]) == ("block", masked(ONE))
    assert told["reasons"][0]["text"] == f"Stolen: {masked(ONE)}"
    assert decide(alice, PAYMENT | {"user_id": "u3"})["decisive"]["kind"] == "model"


@pytest.mark.parametrize("asked", dialects.ALL.values(), ids=dialects.ALL.keys())
def test_older_interfaces_warn_as_well(alice: Api, asked: dialects.Request) -> None:
    card = pan(8)
    body = dict(asked.body)
    for wrapper in ("transaction_data", "payload"):
        if wrapper in body:
            body[wrapper] = body[wrapper] | {"transaction_id": card}
    if asked.rows:
        body[asked.rows] = [row | {"transaction_id": card} for row in body[asked.rows]][:1]
    elif not {"transaction_data", "payload"} & set(body):
        body |= {"transaction_id": card}
    answer = alice.post(asked.path, body)
    told = answer.json()[asked.answers][0] if asked.answers else answer.json()
    assert answer.status_code == 200
    assert (told["transaction_id"], card in answer.content.decode()) == (masked(card), False)
    assert "transaction_id" in warned(told)


def test_multi_models_user_is_told_masked(alice: Api) -> None:
    card = pan(9)
    told = alice.post("/detect", dialects.DETECT.body | {"User_ID": int(card)}).json()
    assert told["User_ID"] == masked(card)


def test_same_bytes_replayed_are_masked_as_before(alice: Api) -> None:
    body = {"schema": "payments", "transaction": PAYMENT | {"user_id": ONE}}
    first = alice.post("/v1/decisions", body, idempotency_key=ONE)
    again = alice.post("/v1/decisions", body, idempotency_key=ONE)
    assert (first.content, again["Idempotent-Replayed"]) == (again.content, "true")
    other = alice.post("/v1/decisions", {**body, "transaction": PAYMENT | {"user_id": OTHER}}, idempotency_key=ONE)
    assert other.json()["code"] == "idempotency_mismatch"


def test_webhook_is_made_and_changed_with_masked_texts_and_says_so(alice: Api) -> None:
    card = pan(10)
    made = alice.post("/v1/webhooks", {"url": f"https://example.com/{card}", "description": card}).json()
    assert (made["url"], made["description"]) == (f"https://example.com/{masked(card)}", masked(card))
    assert "url, description" in warned(made)
    changed = alice.post(f"/v1/webhooks/{made['id']}", {"description": f"for {in_groups(card, ' ')}"}).json()
    assert (changed["description"], "description" in warned(changed)) == ("for 4572 93** **** " + card[-4:], True)
    assert "warnings" not in alice.get(f"/v1/webhooks/{made['id']}").json()
