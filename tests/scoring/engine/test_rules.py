import json

import pytest

from apps.scoring.engine.rules import MOST_RULES, Condition, InvalidRules, Rule, decode_rules, evaluate
from tests.scoring.engine.conftest import BLACK_HOLE

KNOWN = {"amount", "type", "nameDest", "oldbalanceOrg"}


def rule(**changed):
    condition = {"field": "amount", "op": "gt", "value": 10, **changed.pop("condition", {})}
    return {"id": "r1", "outcome": "review", "all": [condition], **changed}


def black_hole(schema, facts):
    parsed = schema.parse(facts)
    results = evaluate(schema.rules, schema.values(parsed.facts, [0.0] * len(schema.features)))
    return {result.id: result.outcome for result in results}["black_hole"]


@pytest.mark.parametrize("kind", ["TRANSFER", "CASH_OUT", "transfer"])
def test_the_black_hole_is_hit(schema, kind):
    assert black_hole(schema, {**BLACK_HOLE, "type": kind}) == "hit"


@pytest.mark.parametrize(
    "honest",
    [{"type": "PAYMENT"}, {"type": "DEBIT"}, {"amount": 0.0}, {"newbalanceOrig": 10000.0}, {"newbalanceDest": 10000.0}],
)
def test_the_black_hole_is_not_hit_by_what_merely_resembles_it(schema, honest):
    assert black_hole(schema, {**BLACK_HOLE, **honest}) == "no_hit"


@pytest.mark.parametrize(
    ("op", "value", "hit"),
    [
        ("eq", 5.0, True), ("ne", 5.0, False), ("lt", 5.0, False), ("le", 5.0, True), ("gt", 4.0, True),
        ("ge", 6.0, False), ("in", (1.0, 5.0), True), ("not_in", (1.0, 5.0), False),
    ],
)  # fmt: skip
def test_each_operation(op, value, hit):
    (result,) = evaluate([Rule("r", "review", (Condition("amount", op, value),))], {"amount": 5.0})
    assert result.outcome == ("hit" if hit else "no_hit")


def test_an_erring_rule_says_so_and_the_rest_go_on():
    bad = Rule("bad", "block", (Condition("amount", "gt", "text"),))
    gone = Rule("gone", "block", (Condition("nowhere", "gt", 1.0),))
    good = Rule("good", "review", (Condition("amount", "gt", 1.0),))
    found = evaluate([bad, gone, good], {"amount": 5.0})
    assert [one.outcome for one in found] == ["error", "error", "hit"]


def test_what_was_not_sent_is_never_a_hit():
    unnamed = Rule("r", "block", (Condition("nameDest", "not_in", ("C1",)),))
    unknown = Rule("s", "block", (Condition("amount", "ne", 1.0),))
    found = evaluate([unnamed, unknown], {"nameDest": None, "amount": float("nan")})
    assert [one.outcome for one in found] == ["no_hit", "no_hit"]


def test_rules_come_from_json():
    raw = json.dumps(
        [rule(), rule(id="r2", outcome="fatal_block", condition={"field": "nameDest", "op": "in", "value": ["C1"]})]
    )
    first, second = decode_rules(raw.encode(), KNOWN)
    assert first.all[0] == Condition("amount", "gt", 10)
    assert second.all[0].value == ("C1",)


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ([rule(condition={"field": "amonut"})], "amonut"),
        ([rule(condition={"op": "like"})], "like"),
        ([rule(outcome="explode")], "explode"),
        ([rule(), rule()], "twice"),
        ([rule(id=f"r{index}") for index in range(MOST_RULES + 1)], "100"),
        ([rule(all=[])], "length"),
        ([rule(condition={"value": None})], "either"),
        ([rule(condition={"other": "oldbalanceOrg"})], "either"),
        ([rule(condition={"op": "in"})], "list"),
        ([rule(condition={"value": ["C1"]})], "list"),
        ([rule(surprise=1)], "surprise"),
        ([rule(id="no spaces")], "id"),
        ({"id": "r"}, "array"),
    ],
)
def test_bad_rules_are_refused_with_the_cause(rules, said):
    with pytest.raises(InvalidRules, match=said):
        decode_rules(json.dumps(rules).encode(), KNOWN)
    with pytest.raises(InvalidRules):
        decode_rules(rules, KNOWN)


def test_unreadable_rules_are_refused():
    for raw in (b"", b"{", b"[" * 100_000):
        with pytest.raises(InvalidRules):
            decode_rules(raw, KNOWN)
