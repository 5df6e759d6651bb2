"""The rules every tenant has: each can hit, says what it saw, names its source, and stands in the docs."""

from pathlib import Path
from typing import Any

import pytest

from apps.scoring.engine.explain import rule_reason
from apps.scoring.engine.rule_check import Place, check_rule
from apps.scoring.engine.rules import BuiltIn, Condition, evaluate
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.engine.schemas.built_in import SOURCES
from tests.scoring.engine.conftest import EXAMPLES

PAID = SCHEMAS["card_activity"].parse(EXAMPLES["card_activity"]).transaction
DOCS = (Path(__file__).resolve().parents[3] / "docs" / "api.md").read_text()
EVERY = [(schema.name, rule) for schema in SCHEMAS.values() for rule in schema.rules]
IDS = [f"{schema}-{rule.id}" for schema, rule in EVERY]
decides = pytest.mark.parametrize(("schema", "rule"), EVERY, ids=IDS)


def witness(rule: BuiltIn) -> dict[str, Any]:
    """Values of which every condition holds."""
    found: dict[str, Any] = {"oldbalanceOrg": 500_000.0, "home_country": "Kenya"}
    for condition in rule.all:
        if condition.other is None:
            found[condition.field] = _meets(condition)
        elif condition.op == "gt":
            found |= {condition.field: 500_000.0, condition.other: 1.0}
        else:
            found |= {
                condition.field: "Peru" if condition.op == "ne" else 7.0,
                condition.other: "Kenya" if condition.op == "ne" else 7.0,
            }
    return found


def _meets(condition: Condition) -> Any:
    value, op = condition.value, condition.op
    if op == "in":
        return value[0]
    if op == "ne":
        return "Kenya"
    return value + 1 if op == "gt" else value / 2 if op == "lt" else value


@decides
def test_it_can_hit_and_says_what_it_saw(schema: str, rule: BuiltIn) -> None:
    values = witness(rule)
    assert [one.outcome for one in evaluate([rule], values)] == ["hit"]
    reason = rule_reason(SCHEMAS[schema], rule, SCHEMAS[schema].parse(EXAMPLES[schema]).transaction, values)
    assert reason.text.endswith(".")
    assert "{" not in reason.text and "an unknown number" not in reason.text
    assert (reason.code, reason.contribution, reason.direction) == (rule.id.upper(), None, "up")
    assert reason.field in SCHEMAS[schema].fields


@decides
def test_it_makes_sense(schema: str, rule: BuiltIn) -> None:
    check_rule(Place(rule, 0), SCHEMAS[schema], "Kenya")


@decides
def test_it_is_documented(schema: str, rule: BuiltIn) -> None:
    assert f"`{rule.id}`" in DOCS


@decides
def test_one_that_decides_names_its_source_and_the_numbers_it_saw(schema: str, rule: BuiltIn) -> None:
    if rule.outcome != "note":
        assert rule.source in SOURCES
        assert rule.says or rule.id == "black_hole"  # which sees no number


def test_speed_is_told_as_it_was() -> None:
    (rule,) = (rule for rule in SCHEMAS["card_activity"].rules if rule.id == "impossible_journey")
    told = rule_reason(SCHEMAS["card_activity"], rule, PAID, witness(rule) | {"speed_kmh": 48_000.0})
    assert "48,000 km/h" in told.text


def test_what_two_schemas_call_alike_is_alike() -> None:
    by_id: dict[str, set[tuple[str, str]]] = {}
    for _, rule in EVERY:
        by_id.setdefault(rule.id, set()).add((rule.outcome, rule.fraud_type))
    assert {rule_id for rule_id, kinds in by_id.items() if len(kinds) > 1} == set()
