"""What the recorder adds up and notes beside decisions is what the decisions say, once, however often it records."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib import import_module

import msgspec
import numpy as np
import pytest
from django.db import connection
from django.db.models import Sum

from apps.accounts.tenancy import in_tenant
from apps.scoring import counting, heavy_hitters, tallies
from apps.scoring.engine.parties import party_name
from apps.scoring.models import Decision, FeatureDay, PartyDay, PatternDay, RuleDay
from apps.scoring.serving.store import record
from apps.scoring.sought import Found, read, sought_of
from apps.usage.metering.journal import Journal, decode
from apps.usage.models import LatencyHour, UsageHour
from apps.valkey import server
from tests.api.bodies import DRAINED, TRANSFER, asking
from tests.cast import Api, Cast

NAMED = {"nameOrig": "C-One", "nameDest": "C-Two"}
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def decided(cast: Cast) -> list[dict]:
    """Four decisions of alice's in the journal: two in test mode."""
    live, test = Api(cast.alice, cast.alice.text), Api(cast.alice, cast.alice.test_text)
    answers = [
        api.post("/v1/decisions", asking(body)) for api in (live, test) for body in (TRANSFER | NAMED, DRAINED | NAMED)
    ]
    assert all(answer.status_code == 200 for answer in answers)
    return [answer.json() for answer in answers]


def hours(cast: Cast, livemode: bool) -> list[tallies.Outcomes]:
    now = datetime.now(UTC)
    return list(tallies.outcomes(cast.alice.tenant.schema_name, livemode, now - timedelta(days=1), now))


def test_tallies_are_the_decisions_added_up(cast: Cast, decided: list[dict], drain: Callable[[], int]) -> None:
    drain()
    live = [one for one in decided if one["livemode"]]
    counted = Counter({one.action: one.decisions for one in hours(cast, True)})
    assert counted == Counter(one["recommended_action"] for one in live)
    assert sum(one.fraud for one in hours(cast, True)) == sum(one["risk_level"] in ("high", "critical") for one in live)
    scores = tallies.scores(cast.alice.tenant.schema_name, True, datetime.now(UTC).date() - timedelta(days=1))
    assert sorted(n for n, count in enumerate(scores) for _ in range(count)) == sorted(
        min(int(100 * one["fraud_probability"]), 99) for one in live
    )
    mine = {"tenant_id": cast.alice.tenant.pk, "livemode": True}
    assert list(UsageHour.objects.filter(**mine).values_list("schema").annotate(Sum("decisions"))) == [("paysim", 2)]
    assert LatencyHour.objects.filter(**mine).aggregate(Sum("decisions")) == {"decisions__sum": 2}


def test_recording_twice_adds_up_once(cast: Cast, decided: list[dict], settings: object) -> None:
    journal = Journal(server(settings.REDIS_URL, 5.0))  # type: ignore[attr-defined]
    journal.prepare()
    entries = [decode(held.data) for held in journal.read(100, block_ms=100)]
    assert (record(entries[:1]), record(entries), record(entries)) == (1, 3, 0)
    assert sum(one.decisions for mode in (True, False) for one in hours(cast, mode)) == 4
    assert LatencyHour.objects.filter(tenant_id=cast.alice.tenant.pk).aggregate(Sum("decisions"))["decisions__sum"] == 4


def test_a_decision_is_found_by_amount_party_and_rule(
    cast: Cast, decided: list[dict], drain: Callable[[], int]
) -> None:
    drain()
    with in_tenant(cast.alice.tenant):
        for one in decided:
            row = Decision.objects.get(pk=one["id"])
            assert row.amount == row.facts["amount"]
            assert row.parties == [party_name(row.facts[name]) for name in ("nameOrig", "nameDest")]
            assert row.rules_hit == [rule["id"] for rule in one["rules"] if rule["outcome"] == "hit"]


def test_words_rules_parties_and_features_are_added_up_with_the_decisions(
    cast: Cast, decided: list[dict], drain: Callable[[], int]
) -> None:
    drain()
    live = [one for one in decided if one["livemode"]]
    with in_tenant(cast.alice.tenant):
        words = PatternDay.objects.filter(livemode=True)
        assert {row.word: row.decisions for row in words.filter(dimension="category")} == {"TRANSFER": 2}
        assert {row.word: row.decisions for row in words.filter(dimension="level")} == Counter(
            one["risk_level"] for one in live
        )
        assert {row.dimension for row in words} == {*counting.DIMENSIONS} - {"country"}
        hits = Counter(rule["id"] for one in live for rule in one["rules"] if rule["outcome"] == "hit")
        assert {row.rule: row.decisions for row in RuleDay.objects.filter(livemode=True, other="")} == hits
        sketches = [
            heavy_hitters.unpack(bytes(row.sketch)) for row in PartyDay.objects.filter(livemode=True).order_by("field")
        ]
        assert [dict.fromkeys(one.counters, 1) for one in sketches] == [{"c-two": 1}, {"c-one": 1}]
        assert all(one.decisions == 1 for sketch in sketches for one in sketch.counters.values())
        day = FeatureDay.objects.get(livemode=True)
        assert (day.decisions, np.frombuffer(day.counts, "<i8").reshape(29, 11).sum(axis=1).tolist()) == (2, [2] * 29)


def test_decisions_made_before_there_were_roll_ups_are_added_up_alike(
    cast: Cast, decided: list[dict], drain: Callable[[], int]
) -> None:
    drain()
    words = PatternDay.objects.filter(dimension__in=("level", "model", "hour", "amount")).order_by("pk")
    fields = ("livemode", "schema", "dimension", "word", "decisions", "fraud", "amount", "fraud_amount")
    rules = ("livemode", "schema", "rule", "other", "decisions", "fraud", "decided")
    with in_tenant(cast.alice.tenant), connection.cursor() as cursor:
        recorded = set(words.values_list(*fields)), set(RuleDay.objects.values_list(*rules))
        PatternDay.objects.all().delete()
        RuleDay.objects.all().delete()
        cursor.execute(import_module("apps.scoring.migrations.0008_roll_ups_of_decisions_made_before").WORDS)
        assert (set(words.values_list(*fields)), set(RuleDay.objects.values_list(*rules))) == recorded


def test_two_batches_add_to_one_day(cast: Cast, drain: Callable[[], int]) -> None:
    api = Api(cast.alice, cast.alice.text)
    for number in range(3):
        assert api.post("/v1/decisions", asking(DRAINED | NAMED | {"nameDest": f"c{number}"})).status_code == 200
        drain()
    schema = cast.alice.tenant.schema_name
    with in_tenant(schema):
        origin = PartyDay.objects.get(field="nameOrig")
        assert heavy_hitters.unpack(bytes(origin.sketch)).counters["c-one"].decisions == 3
        assert int(np.frombuffer(FeatureDay.objects.get().counts, "<i8").sum()) == 3 * 29
    assert tallies.forget_parties(schema, ["c-one"]) == 1
    with in_tenant(schema):
        assert heavy_hitters.unpack(bytes(PartyDay.objects.get(field="nameOrig").sketch)).counters == {}


@pytest.mark.parametrize(
    ("schema", "facts", "amount", "parties"),
    [
        ("payments", {"amount": 5, "user_id": "Ann", "merchant_id": "m", "email": None}, 5.0, ["ann", "m"]),
        ("card_activity", {"Transaction_Amount": 9.5, "User_ID": 17.0, "Merchant_ID": 2}, 9.5, ["17", "2"]),
        ("ieee_cis", {"TransactionAmt": 1, "card1": 13926, "P_emaildomain": "gmail.com"}, 1.0, ["13926", "gmail.com"]),
    ],
)
def test_each_kind_says_what_it_is_found_by(schema: str, facts: dict, amount: float, parties: list[str]) -> None:
    answer = msgspec.json.encode({"rules": [{"id": "a", "outcome": "hit"}, {"id": "b", "outcome": "no_hit"}]})
    assert sought_of(schema, msgspec.json.encode(facts), answer) == (amount, parties, ["a"])


def test_decisions_of_many_kinds_are_read_as_each_alone() -> None:
    said = [("payments", {"amount": 5, "user_id": "Ann", "country": "de"}), ("paysim", {"type": "TRANSFER", **NAMED})]
    said += [("payments", {"merchant_id": "M"}), ("ieee_cis", {"ProductCD": "W", "addr2": 87.0, "card1": 13926})]
    schemas, facts = [name for name, _ in said], [msgspec.json.encode(one) for _, one in said]
    hits, untold = [("a",), (), ("b", "c"), ()], [(), ("d",), ("e",), ()]
    kinds = ["", "theft", "", ""]
    alone = [read([schemas[n]], [facts[n]], [hits[n]], [kinds[n]], [untold[n]]) for n in range(4)]
    together = Found(*map(list, read(schemas, facts, hits, kinds, untold)))
    assert together == Found(*([values[0] for values in columns] for columns in zip(*alone, strict=True)))
    assert [one.rules_hit[0] for one in alone] == [("a",), ("shadow:d",), ("b", "c", "shadow:e"), ()]
    assert [one.country[0] for one in alone] == ["Germany", "", "", "87"]
    assert [one.party_fields[0] for one in alone][2:] == [("merchant_id",), ("card1",)]
