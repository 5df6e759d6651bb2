"""Rules as data: what they say, how they are read from outside, and how they are evaluated."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import eq, ge, gt, le, lt, ne
from typing import Annotated, Any, Literal

import msgspec

Outcome = Literal["fatal_block", "allow", "block", "challenge", "review", "note"]
Comparison = Literal["eq", "ne", "lt", "le", "gt", "ge", "in", "not_in"]
Scalar = str | float | bool

#: Which rule decides when several hit. A "note" is reported like any other and decides nothing.
PRECEDENCE: tuple[Outcome, ...] = ("fatal_block", "allow", "block", "challenge", "review")
MOST_RULES = 100
MOST_CONDITIONS = 20
MOST_VALUES = 10_000  # entries of one list

RuleId = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.:-]+\Z")]
Short = Annotated[str, msgspec.Meta(max_length=200)]


class Condition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`field` compared by `op` with a `value`, or with what another field holds (`other`)."""

    field: str
    op: Comparison
    value: Scalar | Annotated[tuple[Scalar, ...], msgspec.Meta(max_length=MOST_VALUES)] | None = None
    other: str | None = None


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A rule hits when all its conditions hold; a condition on a field that was not sent does not hold."""

    id: RuleId
    outcome: Outcome
    all: Annotated[tuple[Condition, ...], msgspec.Meta(min_length=1, max_length=MOST_CONDITIONS)]
    description: Short = ""
    reason_code: Short = ""
    schema: Short = ""  # the kind of transaction it is for; "" for every kind


def review(rule_id: str, description: str, *conditions: Condition) -> Rule:
    """A built-in rule that asks for a person; its reason code is its id."""
    return _built_in(rule_id, "review", description, conditions)


def note(rule_id: str, description: str, *conditions: Condition) -> Rule:
    """A built-in signal: reported, never deciding."""
    return _built_in(rule_id, "note", description, conditions)


def _built_in(rule_id: str, outcome: Outcome, description: str, conditions: tuple[Condition, ...]) -> Rule:
    return Rule(id=rule_id, outcome=outcome, all=conditions, description=description, reason_code=rule_id.upper())


class Typology(msgspec.Struct, frozen=True):
    """A kind of fraud and what it looks like: all conditions on fields and features. Without conditions: any."""

    fraud_type: str
    all: tuple[Condition, ...] = ()


class RuleResult(msgspec.Struct, frozen=True):
    id: str
    outcome: Literal["hit", "no_hit", "error"]


class InvalidRules(ValueError):
    """Rules that were refused; the message says which one and why."""


def _in(value: Any, values: Any) -> bool:
    return value in values


def _not_in(value: Any, values: Any) -> bool:
    return value not in values


COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": eq, "ne": ne, "lt": lt, "le": le, "gt": gt, "ge": ge, "in": _in, "not_in": _not_in,
}  # fmt: skip


def decode_rules(raw: bytes | Sequence[Any], known_fields: Iterable[str]) -> tuple[Rule, ...]:
    """A tenant's rules from JSON (or from decoded JSON), checked against the fields of a schema.

    At most 100 rules with distinct ids. Raises `InvalidRules` naming the rule and what to change.
    """
    rules = _read(raw)
    if len(rules) > MOST_RULES:
        raise InvalidRules(f"At most {MOST_RULES} rules are allowed; {len(rules)} were sent.")
    known = frozenset(known_fields)
    seen: set[str] = set()
    for rule in rules:
        if rule.id in seen:
            raise InvalidRules(f"Rule '{rule.id}' is there twice; give each rule its own id.")
        seen.add(rule.id)
        for condition in rule.all:
            _check(rule, condition, known)
    return rules


def _read(raw: bytes | Sequence[Any]) -> tuple[Rule, ...]:
    try:
        if isinstance(raw, bytes | bytearray | str):
            return msgspec.json.decode(raw, type=tuple[Rule, ...])
        return msgspec.convert(raw, tuple[Rule, ...])
    except (msgspec.DecodeError, RecursionError, OverflowError, UnicodeError) as refusal:
        raise InvalidRules(f"The rules could not be read: {refusal}") from refusal


def _check(rule: Rule, condition: Condition, known: frozenset[str]) -> None:
    for field in (condition.field, condition.other):
        if field is not None and field not in known:
            raise InvalidRules(f"Rule '{rule.id}' asks for the unknown field '{field[:40]}'.")
    if (condition.value is None) == (condition.other is None):
        raise InvalidRules(f"Rule '{rule.id}': give '{condition.field}' either a 'value' or an 'other' field.")
    if (condition.op in ("in", "not_in")) != isinstance(condition.value, tuple):
        raise InvalidRules(f"Rule '{rule.id}': 'in' and 'not_in' take a list as 'value', the other operations don't.")


def evaluate(rules: Iterable[Rule], values: Mapping[str, Any]) -> tuple[RuleResult, ...]:
    """Every rule's result. A rule that can't be evaluated says "error" and the rest go on."""
    return tuple([RuleResult(rule.id, _result(rule, values)) for rule in rules])


def typical(typologies: Iterable[Typology], values: Mapping[str, Any]) -> str | None:
    """The first kind of fraud whose picture the values fit, None when none does."""
    for typology in typologies:
        if all(_holds(condition, values) for condition in typology.all):
            return typology.fraud_type
    return None


def _result(rule: Rule, values: Mapping[str, Any]) -> Literal["hit", "no_hit", "error"]:
    try:
        for condition in rule.all:
            if not _holds(condition, values):
                return "no_hit"
    except (KeyError, TypeError):  # a field that is gone, or text compared with a number
        return "error"
    return "hit"


def _holds(condition: Condition, values: Mapping[str, Any]) -> bool:
    left = values[condition.field]
    right = condition.value if condition.other is None else values[condition.other]
    return left is not None and right is not None and left == left and COMPARE[condition.op](left, right)
