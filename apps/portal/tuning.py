"""Built-in rules as a tenant tunes them: what each asks for, from which limits on; read from a form. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from typing import Any, NamedTuple

from apps.portal.rule_words import COMPARISONS, in_figures
from apps.scoring.engine.decide import Policy
from apps.scoring.engine.features import Feature
from apps.scoring.engine.rules import BuiltIn, Condition, Tuning, tuned
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.engine.transaction import TransactionSchema
from apps.scoring.engine.wording import SHOWN, logarithms_of

#: What a tenant may make of a built-in rule.
OUTCOMES = (
    ("", "As it is"),
    ("note", "Only note it"),
    ("review", "Review"),
    ("challenge", "Challenge"),
    ("block", "Block"),
    ("off", "Off"),
)
#: With what the names of a form's limits begin.
LIMIT = "limit_"
#: Units of limits by the feature's: the models and rules know amounts in dollars.
LIMIT_UNITS = {"money": "US dollars", "USD": "US dollars", "km/h": "km/h"}
WRONG = "A limit is a number from 0 on, such as 250."


class Limit(NamedTuple):
    """A number from which on a rule hits, or up to which: as it is for everybody, and as it is tuned ("" when not)."""

    field: str
    words: str
    usual: str
    tuned: str


class TunedRule(NamedTuple):
    """A rule everybody has, and what the policy makes of it. `described`: with the limits in force."""

    rule: BuiltIn
    described: str
    outcome: str
    asks: str
    limits: tuple[Limit, ...]


class Tuned(NamedTuple):
    """What a form says of a rule. `limits`: those that are given."""

    outcome: str | None
    limits: Mapping[str, float]


def tuned_rules(policy: Policy, kind: str) -> list[TunedRule]:
    """Every built-in rule of a kind of transaction."""
    return [_tuned(SCHEMAS[kind], rule, tuning_of(policy, kind, rule.id)) for rule in SCHEMAS[kind].rules]


def read(said: Mapping[str, Any]) -> Tuned:
    """What is sent by a rule's form. Raises `ValueError` in words for a limit that is no number, or no outcome."""
    outcome = said.get("outcome", "")
    if outcome not in dict(OUTCOMES):
        raise ValueError("Choose one of the outcomes.")
    typed = {name.removeprefix(LIMIT): said[name].strip() for name in said if name.startswith(LIMIT)}
    return Tuned(outcome or None, {field: _number(text) for field, text in typed.items() if text})


def as_typed(rules: Sequence[TunedRule], rule_id: str, said: Mapping[str, Any]) -> list[TunedRule]:
    """Rules with what was typed for one of them, to be mended."""
    return [
        one._replace(limits=tuple(limit._replace(tuned=said.get(f"{LIMIT}{limit.field}", "")) for limit in one.limits))
        if one.rule.id == rule_id
        else one
        for one in rules
    ]


def tuning_of(policy: Policy, kind: str, rule_id: str) -> Tuning | None:
    """What the policy says of a rule of one kind: for it alone, else for all kinds."""
    meant = [one for one in policy.built_in if one.id == rule_id and one.schema in ("", kind)]
    return max(meant, key=lambda one: bool(one.schema), default=None)


def retuned(policy: Policy, kind: str, rule_id: str, said: Tuned) -> list[dict[str, Any]]:
    """The policy's tunings with one rule of one kind tuned otherwise."""
    spread = [
        (name, one)
        for one in policy.built_in
        for name in ([one.schema] if one.schema or one.id != rule_id else _kinds_with(rule_id))
    ]
    rows: dict[tuple[str, str], dict[str, Any]] = {
        (one.id, name): {"id": one.id, "schema": name, "outcome": one.outcome, "limits": one.limits}
        for name, one in spread
    }
    rows[rule_id, kind] = {"id": rule_id, "schema": kind, "outcome": said.outcome, "limits": dict(said.limits)}
    return [one for one in rows.values() if one["outcome"] or one["limits"]]


def _tuned(schema: TransactionSchema, rule: BuiltIn, tuning: Tuning | None) -> TunedRule:
    outcome, limits = (tuning.outcome or "", tuning.limits) if tuning else ("", {})
    in_force = tuned(rule, tuning, logarithms_of(schema)) if tuning else rule
    return TunedRule(rule, in_force.description, outcome, outcome or rule.outcome, tuple(_limits(schema, rule, limits)))


def _limits(schema: TransactionSchema, rule: BuiltIn, own_limits: Mapping[str, float]) -> Iterator[Limit]:
    """A rule's limits. One on a logarithm is told as what that was taken of, as it is tuned, too."""
    shown = {feature.name: SHOWN[feature.shown_as][0] for feature in schema.features}
    labels = {feature.name: _label(feature) for feature in schema.features}
    for condition in rule.all:
        if not isinstance(condition.value, float):
            continue
        usual = shown.get(condition.field, float)(condition.value)
        own = in_figures(own_limits[condition.field]) if condition.field in own_limits else ""
        yield Limit(condition.field, _words(condition, labels), in_figures(round(usual, 6)), own)


def _label(feature: Feature) -> str:
    """What a limit is on, with its unit where the label has none."""
    unit = "times" if feature.shown_as == "exp" else LIMIT_UNITS.get(feature.unit, "")
    return f"{feature.label} ({unit})" if unit else feature.label


def _words(condition: Condition, labels: Mapping[str, str]) -> str:
    label = labels.get(condition.field) or condition.field
    return f"{label[0].upper()}{label[1:]} {COMPARISONS[condition.op]}"


def _number(text: str) -> float:
    try:
        number = float(text.replace(",", ""))
    except ValueError as wrong:
        raise ValueError(WRONG) from wrong
    if not (isfinite(number) and number >= 0):
        raise ValueError(WRONG)
    return number


def _kinds_with(rule_id: str) -> list[str]:
    return [name for name, schema in SCHEMAS.items() if any(rule.id == rule_id for rule in schema.rules)]
