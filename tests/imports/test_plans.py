"""Plans: what is carried over, what is changed by it, and what is left out and why."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.imports import fraud_detector, stripe_radar
from apps.imports.fraud_detector import DetectorExport
from apps.imports.plan import ImportPlan, list_name, rule_id
from apps.imports.stripe_radar import RadarExport
from apps.imports.translation import LeftOut
from apps.imports.velocities import BEFORE, PARTIES, velocities
from apps.imports.words import RADAR, VARIABLE_NAMES, VARIABLE_TYPES, label_of, outcome_of
from apps.scoring.engine.aggregate_check import problem_of_aggregate
from apps.scoring.engine.schemas import SCHEMAS

PAYMENTS = SCHEMAS["payments"]


def of_radar(*rules: str, **more: Any) -> ImportPlan:
    return stripe_radar.plan(msgspec.convert({"rules": rules, **more}, RadarExport))


def of_detector(**export: Any) -> ImportPlan:
    return fraud_detector.plan(msgspec.convert(export, DetectorExport))


@pytest.mark.parametrize(
    ("rule", "when"),
    [
        ("Block if :card_country: != :ip_country: and :amount_in_usd: > 500",
         "foreign_transaction == true && log_amount > 6.21660610108"),
        ("Block if 500 < :amount_in_usd:", "log_amount > 6.21660610108"),
        ("Allow if :customer: in @vips", "user_id in lists.vips"),
        ("Review if :email_domain: = 'x.com'", 'email.endsWith("@x.com")'),
        ("Review if :email_domain: NOT IN ('x.com', 'y.com')",
         '!((email.endsWith("@x.com") || email.endsWith("@y.com")))'),
        ("Review if :email: LIKE 'a%'", 'email.startsWith("a")'),
        ("Block if :currency: = 'usd' or :card_bin: = 424242", 'currency == "USD" || card_bin == "424242"'),
        ("Block if :total_charges_per_ip_address_hourly: >= 10", "ip_address.count_1h >= 10.0"),
        ("Block if is_missing(:email:) and not (:card_country: = 'US' or :card_country: = 'CA')",
         'email == null && !(country == "US" || country == "CA")'),
        ("Block if :hours_since_last_charge_on_customer: < 2", "user_id.since_last < 7200.0"),
    ],
)  # fmt: skip
def test_rule_of_radar_is_carried_over(rule: str, when: str) -> None:
    (carried,) = of_radar(rule).rules
    assert (carried.when, carried.theirs) == (when, rule)


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ("Block if :risk_score: > 75", "thresholds"),
        ("Block if :ip_country: = 'US' and :amount_in_usd: > 1", "(`fields`)"),
        ("Block if ::tier:: = 'gold'", "(`fields`)"),
        ("Block if :amount_in_usd: LIKE '5%'", "Only a field of text"),
        ("Block if :email: LIKE 'a%b'", "Of LIKE"),
        ("Block if :amount_in_usd: > 'much'", "A number was to come"),
        ("Block if :email:", "neither true nor false"),
        ("Block if round(:amount_in_usd:) = 5", "The function round"),
        ("Block if :amount_in_usd: in @amounts", "nothing a list can hold"),
        ("Block if ???", "can't be read"),
        ("Stop if :email: = 'a'", "begins with none of"),
    ],
)
def test_what_can_not_be_told_here_leaves_its_rule_out_and_says_why(rule: str, why: str) -> None:
    plan = of_radar(rule)
    (left,) = plan.left
    assert (plan.rules, left.part, left.theirs) == ([], "rule", rule)
    assert why in left.why


def test_customer_says_which_field_tells_an_attribute() -> None:
    plan = of_radar("Block if :ip_country: = 'US' and ::tier:: = 'gold'",
                    fields={"ip_country": "country", "metadata:tier": "merchant_category"})  # fmt: skip
    assert plan.rules[0].when == 'country == "US" && merchant_category == "gold"'
    with pytest.raises(LeftOut, match="no field of payments"):
        of_radar("Block if :a:", fields={"a": "nothing"})


@pytest.mark.parametrize(
    ("attribute", "when", "counts"),
    [
        ("total_charges_per_customer_hourly", "user_id.count_1h", None),
        ("total_charges_per_email_daily", "email.count_24h", None),
        ("total_charges_per_ip_address_weekly", "ip_address.count_7d", None),
        ("total_transactions_per_customer_daily", "user_id.count_24h", None),
        ("total_charges_per_card_number_hourly", "aggregates.card_bin_count_1h", (("card_bin",), "count", "1h", "")),
        ("total_transactions_per_card_number_weekly", "aggregates.card_bin_count_7d",
         (("card_bin",), "count", "7d", "")),
        ("card_count_for_email_daily", "aggregates.email_card_bin_24h", (("email",), "distinct", "24h", "card_bin")),
        ("card_count_for_ip_address_weekly", "aggregates.ip_address_card_bin_7d",
         (("ip_address",), "distinct", "7d", "card_bin")),
        ("email_count_for_ip_address_hourly", "aggregates.ip_address_email_1h",
         (("ip_address",), "distinct", "1h", "email")),
        ("email_count_for_card_daily", "aggregates.card_bin_email_24h", (("card_bin",), "distinct", "24h", "email")),
    ],
)  # fmt: skip
def test_what_radar_counts_is_counted_here(attribute: str, when: str, counts: Any) -> None:
    """By a card's own field, where the customer says which that is."""
    plan = of_radar(f"Block if :{attribute}: > 3", fields={"card_fingerprint": "card_bin"})
    assert ([rule.when for rule in plan.rules], plan.left) == ([f"{when} > 3.0"], [])
    told = [(tuple(one.by), one.function, one.window, one.of) for one in plan.aggregates]
    assert told == ([counts] if counts else [])
    assert BEFORE in plan.rules[0].remarks


@pytest.mark.parametrize(
    ("attribute", "why"),
    [
        ("total_charges_per_card_number_hourly", "tells card_fingerprint is not known"),
        ("card_count_for_email_daily", "tells card_fingerprint is not known"),
        ("total_charges_per_shipping_address_daily", "tells shipping_address is not known"),
        ("total_charges_per_customer_all_time", "over all time"),
        ("email_count_for_ip_address_all_time", "over all time"),
        ("declined_charges_per_card_number_daily", "What became of earlier charges"),
        ("blocked_transactions_per_email_daily", "What became of earlier charges"),
        ("authorized_charges_per_card_number_daily", "What became of earlier charges"),
        ("dispute_count_on_ip_weekly", "What became of earlier charges"),
        ("name_count_for_card_weekly", "Whose name"),
    ],
)
def test_what_nothing_counts_here_is_left_out_and_says_why(attribute: str, why: str) -> None:
    plan = of_radar(f"Block if :{attribute}: > 3")
    (left,) = plan.left
    assert (plan.rules, plan.aggregates) == ([], []) and why in left.why


def test_every_aggregate_that_is_proposed_can_be_counted() -> None:
    said = {attribute: "merchant_id" for attribute, _ in PARTIES.values()} | {"email": "email"}
    proposed = [ours.aggregate for ours in velocities(said).values() if ours.aggregate]
    assert proposed and [one for one in proposed if problem_of_aggregate(one)] == []
    assert all(len(one.name) <= 40 for one in proposed)


def test_lists_come_with_their_items_and_those_that_are_asked_for_without() -> None:
    brought = {"alias": "Bad Mails", "item_type": "email", "list_items": {"data": [{"value": "a@b.de"}]}}
    plan = of_radar("Block if :email: in @trusted or :ip_address: in @trusted", lists=[brought])
    told = [(one.name, one.item_type, [item.value for item in one.items]) for one in plan.lists]
    assert told == [("bad_mails", "email", ["a@b.de"]), ("trusted", "text", [])]
    assert "ip" in plan.lists[1].remarks[1] and "email" in plan.lists[1].remarks[1]


EXPORT: dict[str, Any] = {
    "eventTypes": [{"name": "pay", "eventVariables": ["price", "shoe_size"], "labels": ["fraud", "ok", "odd"]}],
    "variables": [
        {"name": "price", "variableType": "PRICE", "dataType": "FLOAT"},
        {"name": "mail", "variableType": "EMAIL_ADDRESS"},
        {"name": "customer_id"},
        {"name": "m_insightscore", "dataSource": "MODEL_SCORE"},
    ],
    "ruleDetails": [
        {"ruleId": "high", "expression": "$m_insightscore > 900", "outcomes": ["block_it"]},
        {"ruleId": "big one", "ruleVersion": "1", "expression": "$price > 1", "outcomes": ["block_it"]},
        {"ruleId": "big one", "ruleVersion": "2", "expression": "$price > 1000.5 and !($mail in @trusted)",
         "outcomes": ["verify_customer", "approve"]},
        {"ruleId": "mail", "expression": 'regex_match(".*@x[.]com", lowercase($mail))', "outcomes": ["zzz"]},
    ],
    "outcomes": [{"name": "block_it"}, {"name": "verify_customer"}, {"name": "zzz"}],
    "labels": [{"name": "fraud"}, {"name": "legit"}],
    "lists": [{"name": "trusted", "variableType": "EMAIL_ADDRESS", "elements": ["a@b.de"]}],
    "events": [
        {"eventId": "e1", "currentLabel": "fraud", "eventTimestamp": "2025-01-01T00:00:00Z"},
        {"eventId": "e2", "currentLabel": "legit"},
        {"eventId": "e3", "currentLabel": "odd"},
        {"eventId": "e4"},
    ],
}  # fmt: skip


def test_export_of_fraud_detector_is_carried_over() -> None:
    plan = of_detector(**EXPORT)
    assert [(rule.id, rule.outcome, rule.when) for rule in plan.rules] == [
        ("big_one", "challenge", "amount > 1000.5 && !(email in lists.trusted)"),
        ("mail", "note", 'email.matches("^(?:.*@x[.]com)$")'),
    ]
    assert {one.theirs: one.ours for one in plan.fields} == {
        "price": "amount",
        "mail": "email",
        "customer_id": "user_id",
    }
    assert {one.theirs: one.ours for one in plan.outcomes} == {"block_it": "block", "verify_customer": "challenge"}
    assert [(one.transaction_id, one.label) for one in plan.labels] == [("e1", "fraud"), ("e2", "legitimate")]
    assert [(one.name, one.item_type, len(one.items)) for one in plan.lists] == [("trusted", "email", 1)]
    left = {(one.part, one.name) for one in plan.left}
    assert left == {
        ("rule", "high"), ("variable", "shoe_size"), ("variable", "m_insightscore"), ("outcome", "zzz"),
        ("label", "odd"), ("label", "ok"),
    }  # fmt: skip


def test_only_the_rules_of_the_detectors_version_come_over() -> None:
    version = {"rules": [{"ruleId": "big one", "ruleVersion": "1"}], "ruleExecutionMode": "FIRST_MATCHED"}
    plan = of_detector(**EXPORT, detectorVersion=version)
    assert [(rule.id, rule.when) for rule in plan.rules] == [("big_one", "amount > 1.0")]


def test_customer_says_what_an_outcome_and_a_label_mean() -> None:
    plan = of_detector(**EXPORT, outcomeMap={"zzz": "review"}, labelMap={"odd": "fraud"})
    assert {rule.id: rule.outcome for rule in plan.rules}["mail"] == "review"
    assert [one.transaction_id for one in plan.labels if one.label == "fraud"] == ["e1", "e3"]


@pytest.mark.parametrize(
    ("name", "outcome"),
    [("Block-Transaction", "block"), ("manual investigation", "review"), ("approve", "allow"),
     ("send_otp", "challenge"), ("x", None)],
)  # fmt: skip
def test_outcome_is_told_by_its_name(name: str, outcome: str | None) -> None:
    assert outcome_of(name) == outcome


@pytest.mark.parametrize(
    ("name", "label"), [("FRAUD", "fraud"), ("legit", "legitimate"), ("not_fraud", "legitimate"), ("0", None)]
)
def test_label_is_told_by_its_name(name: str, label: str | None) -> None:
    assert label_of(name) == label


def test_every_row_names_something_of_ours() -> None:
    roles = {role.name for role in PAYMENTS.roles}
    for ours in [*RADAR.values(), *VARIABLE_TYPES.values(), *VARIABLE_NAMES.values()]:
        name, _, counted = ours.name.partition(".")
        assert name in roles if counted else name in PAYMENTS.known_to_rules


@given(st.text(max_size=80), st.lists(st.text(max_size=80), max_size=3))
def test_names_are_ones_that_are_taken_here(name: str, taken: list[str]) -> None:
    ids = [rule_id(name, [])]
    ids.append(rule_id(name, ids))
    assert len(set(ids)) == 2 and all(0 < len(one) <= 64 for one in ids)
    assert list_name(name).isidentifier() and len(list_name(name)) <= 64


@given(st.text(max_size=300))
def test_no_text_takes_a_plan_down(text: str) -> None:
    of_radar(text, f"Block if {text}")
    of_detector(ruleDetails=[{"ruleId": text, "expression": text, "outcomes": [text]}], outcomes=[{"name": text}])
