"""Why a score is what it is: reasons for an answer, and the whole explanation from what was stored."""

from collections.abc import Callable, Mapping, Sequence
from math import expm1, isfinite
from typing import Any, Literal

import msgspec
import numpy as np

from apps.scoring.engine.models import LoadedModel
from apps.scoring.engine.rules import Rule
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.engine.transaction import Feature, TransactionSchema

MOST_REASONS = 5
LEAST_CONTRIBUTION = 0.01  # log-odds; less is not worth a sentence
DIGITS = 7  # what a float32 knows
NOTHING = (0, "no")  # values of which a feature's `zero` is told
MOST_LOGARITHM = 700.0  # more is beyond a double

Direction = Literal["up", "down"]


class Reason(msgspec.Struct, frozen=True):
    """One cause in words. `contribution` is in calibrated log-odds, None for a rule."""

    code: str
    field: str
    value: float | str | None
    contribution: float | None
    direction: Direction
    text: str


class Contribution(msgspec.Struct, frozen=True):
    """What one feature added to the baseline's log-odds."""

    feature: str
    code: str
    text: str
    value: float | str | None
    contribution: float
    direction: Direction


class Explanation(msgspec.Struct, frozen=True):
    """base_value + the items' contributions = log_odds; probability is their sigmoid,
    within the calibration's floor and ceiling. Items: largest first."""

    base_value: float
    log_odds: float
    probability: float
    items: tuple[Contribution, ...]


def reasons(
    schema: TransactionSchema, transaction: Any, row: Sequence[float], contributions: np.ndarray
) -> tuple[Reason, ...]:
    """The largest of float32[F] contributions as reasons, at least one and at most five."""
    largest = (-np.abs(contributions)).argsort(kind="stable")[:MOST_REASONS]
    ranked = list(zip(largest.tolist(), contributions[largest].tolist(), strict=True))
    worth = [one for one in ranked if abs(one[1]) >= LEAST_CONTRIBUTION] or ranked[:1]
    return tuple([_reason(schema, transaction, index, row[index], added) for index, added in worth])


def _reason(schema: TransactionSchema, transaction: Any, index: int, value: float, contribution: float) -> Reason:
    feature = schema.features[index]
    shown = _shown(schema, transaction, feature, value)
    direction: Direction = "up" if contribution > 0 else "down"
    return Reason(feature.code, feature.field, shown, round(contribution, 4), direction, say(feature, direction, shown))


def _shown(schema: TransactionSchema, transaction: Any, feature: Feature, value: float) -> float | str | None:
    """A feature's value as its sender knows it: the field's own, or the words its number stands for."""
    if feature.name in schema.types:
        own = getattr(transaction, feature.name)
        return ("yes" if own else "no") if isinstance(own, bool) else own
    return schema.words.get(feature.name, {}).get(value) or known(value)


def rule_reason(rule: Rule, transaction: Any) -> Reason:
    """The reason a deciding rule gives: its own code and words, pointing at the first field it asks for."""
    field = rule.all[0].field
    shown = getattr(transaction, field, None)
    code = rule.reason_code or rule.id.upper()
    direction: Direction = "down" if rule.outcome == "allow" else "up"
    return Reason(code, field, shown, None, direction, rule.description or f"The rule '{rule.id}' was hit.")


def known(value: float) -> float | None:
    return value if isfinite(value) else None


def say(feature: Feature, direction: Direction, value: float | str | None) -> str:
    """The feature's sentence with its value in it: one that is true of the value."""
    if value is None:
        return feature.unknown
    if feature.zero and value in NOTHING:
        return feature.zero
    sentence = feature.up if direction == "up" and _may_accuse(feature, value) else feature.down
    return _filled(sentence, value) if "{" in sentence else sentence


def _may_accuse(feature: Feature, value: float | str) -> bool:
    return isinstance(value, str) or value > feature.up_above


def _filled(sentence: str, value: float | str) -> str:
    """The sentence with its placeholders filled; a text is only ever a {value}."""
    if isinstance(value, str):
        return sentence.replace("{value}", value)
    if "{s}" in sentence:
        counted = "no" if value == 0 else number(value)
        return sentence.replace("{value}", counted).replace("{s}", "" if value == 1 else "s")
    for placeholder, said in PLACEHOLDERS.items():
        if placeholder in sentence:
            sentence = sentence.replace(placeholder, said(value))
    return sentence


def number(value: float) -> str:
    """1,234,567 or 0.25: no more digits than a reader wants."""
    return f"{value:,.0f}" if value == int(value) else f"{value:,.2f}" if abs(value) >= 1 else f"{value:.2g}"


def _times(value: float) -> str:
    """2.5 times (the balance), equal to (it)."""
    said = number(value)
    return "equal to" if value == 1 else "about equal to" if said == "1.00" else f"{said} times"


def _than(difference: float) -> str:
    return "above" if difference > 0 else "below" if difference < 0 else "equal to"


def _span(seconds: float) -> str:
    """A length of time in the largest unit it fills: 3 days, 1 hour, 40 seconds."""
    unit, length = next(((unit, length) for unit, length in SPANS if seconds >= length), SPANS[-1])
    count = int(seconds // length)
    return f"{count:,} {unit}{'' if count == 1 else 's'}"


def _from_logarithm(value: float) -> float:
    """What log1p made the value of, to the cent."""
    return round(expm1(min(value, MOST_LOGARITHM)), 2)


SPANS = (("day", 86_400.0), ("hour", 3_600.0), ("minute", 60.0), ("second", 1.0))
# How a value may be put into a sentence. {s} is the plural of what is counted: then 0 is "no".
PLACEHOLDERS: Mapping[str, Callable[[float], str]] = {
    "{value}": number,
    "{times}": _times,
    "{than}": _than,  # of a difference: which of two is larger
    "{size}": lambda value: number(abs(value)),
    "{percent}": lambda value: f"{round(100.0 * value, 1):g}%",
    "{span}": _span,  # of seconds
    "{exp}": lambda value: number(_from_logarithm(value)),
    "{exp_span}": lambda value: _span(_from_logarithm(value)),
}


def explanation(model: LoadedModel, features: bytes, contributions: bytes) -> Explanation:
    """The full explanation of a stored decision, from its feature and contribution vectors (float32, little-endian).

    Raises ValueError when the vectors are not as long as the model's features.
    """
    schema = SCHEMAS[model.card.schema]
    row, added = np.frombuffer(features, "<f4"), np.frombuffer(contributions, "<f4")
    if not len(row) == len(added) == len(schema.features):
        raise ValueError("the stored vectors are not of this model")
    items = [
        _item(schema, feature, float(value), float(share))
        for feature, value, share in zip(schema.features, row, added, strict=True)
    ]
    items.sort(key=lambda item: -abs(item.contribution))
    log_odds = model.base_log_odds + sum(item.contribution for item in items)
    return Explanation(model.base_log_odds, log_odds, model.card.calibration.probability(log_odds), tuple(items))


def _item(schema: TransactionSchema, feature: Feature, value: float, contribution: float) -> Contribution:
    shown = schema.words.get(feature.name, {}).get(value) or known(float(f"{value:.{DIGITS}g}"))
    direction: Direction = "up" if contribution > 0 else "down"
    return Contribution(feature.name, feature.code, say(feature, direction, shown), shown, contribution, direction)
