"""Why a score is what it is: reasons for an answer, and the whole explanation from what was stored."""

from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta

from apps.scoring.engine.features import Feature
from apps.scoring.engine.known_aggregates import PREFIX
from apps.scoring.engine.models import Card, schema_of
from apps.scoring.engine.rule_fields import counted_of
from apps.scoring.engine.rules import BuiltIn, Rule
from apps.scoring.engine.transaction import TransactionSchema
from apps.scoring.engine.wording import Direction, accuses, excuses, fill, say, shown, whole

MOST_REASONS = 5
MOST_LOOKED_AT = 16  # contributions, the largest first, that may become reasons
LEAST_CONTRIBUTION = 0.05  # log-odds; less is not worth a sentence
LEAST_UNKNOWN = 0.005  # of what is unknown, and told of together
ROUNDED = 4  # digits after the point of a value that was computed
LEAST_SHARE = 0.1  # of the largest; beside it, less did not move the decision
MOST_NAMED = 5  # fields of those that were not sent
DIGITS = 7  # what a float32 knows
YES_OR_NO = {True: "yes", False: "no"}


class Reason(msgspec.Struct, frozen=True):
    """One cause in words."""

    code: Annotated[str, Meta(description="What it is about, the same word in every schema; of a rule, its own.")]
    field: Annotated[
        str, Meta(description='The field of the transaction it points at; "" where it points at none of them.')
    ]
    value: Annotated[
        float | str | None,
        Meta(
            description="What was seen, in your units: the field as you sent it, or what was made of it, like the "
            "payments counted in an hour, how many times the usual, a share (0.05 is 5 %), a word. null where nothing "
            "is known, or where the number would mean nothing to you."
        ),
    ]
    contribution: Annotated[
        float | None,
        Meta(
            description="How far it moved the calibrated log-odds away from a typical honest transaction's; null for a "
            "rule, which decides by itself."
        ),
    ]
    direction: Annotated[Direction, Meta(description="up: towards fraud; down: away from it.")]
    text: Annotated[str, Meta(description="The sentence, with the value in it.")]
    unit: Annotated[
        str | None,
        Meta(
            description="Of `value`: for money the transaction's currency, else km, km/h, days, seconds, times or USD. "
            "null for counts, shares, words and money of no currency."
        ),
    ] = None
    usual: Annotated[
        float | None,
        Meta(
            description="What `value` is held against, in the same unit: what the user pays as a rule. null where "
            "there is nothing to hold it against."
        ),
    ] = None


NOTHING_UNUSUAL = Reason("NOTHING_UNUSUAL", "", None, 0.0, "down", "Nothing in it differs from a typical honest one.")


class Contribution(msgspec.Struct, frozen=True):
    """What one feature added to the baseline's log-odds."""

    feature: Annotated[str, Meta(description="Its name, as rules may ask for it.")]
    code: Annotated[str, Meta(description="The code of a reason that tells of it.")]
    text: Annotated[str, Meta(description="The sentence, with the value in it.")]
    value: Annotated[
        float | str | None,
        Meta(
            description="The amount as you sent it, else the feature's number, or the word it stands for; null where "
            "it is not known."
        ),
    ]
    contribution: Annotated[float, Meta(description="Calibrated log-odds.")]
    direction: Annotated[Direction, Meta(description="up: towards fraud; down: away from it.")]
    unit: Annotated[
        str | None,
        Meta(
            description="Of `value`: for the amount the transaction's currency, else km, km/h, days, seconds, times or "
            "USD. null for counts, shares, words and money of no currency."
        ),
    ] = None


class Explanation(msgspec.Struct, frozen=True):
    """base_value + the items' contributions = log_odds; probability is their sigmoid,
    within the calibration's floor and ceiling. Items: largest first."""

    base_value: float
    log_odds: float
    probability: float
    items: tuple[Contribution, ...]


def reasons(
    schema: TransactionSchema,
    transaction: Any,
    row: Sequence[float],
    contributions: np.ndarray,
    rule: Reason | None = None,
    asked: str = "",
) -> tuple[Reason, ...]:
    """Why: the reason of the rule that decided, if one did, and what moved the score most, of float32[F] contributions.

    At least one and at most five, the weightiest first. What was not sent is one reason together, and so is what is not
    known of the past. A reason that its own words would contradict is not told, nor is one that is small beside the
    largest, nor one of the feature the rule `asked` for.
    """
    first, most = ((rule,), MOST_REASONS - 1) if rule else ((), MOST_REASONS)
    added: list[float] = contributions.tolist()
    largest: list[int] = (-np.abs(contributions)).argsort(kind="stable")[:MOST_LOOKED_AT].tolist()
    least = max(LEAST_CONTRIBUTION, LEAST_SHARE * abs(added[largest[0]]))
    stranger = schema.is_stranger(row)
    found: list[Reason] = []
    summed: set[int] = set()
    unknown = False
    for index in largest:
        value, total = row[index], added[index]
        if value != value or (stranger and index == schema.place_of[schema.known_by]):
            unknown = True
            continue
        if index in schema.shares_a_code:
            if index in summed:
                continue
            same = schema.shares_a_code[index]
            summed.update(same)
            total = sum([added[one] for one in same])
        if -least < total < least or len(found) == most:
            continue
        reason = _reason(schema, transaction, index, value, total)
        if reason is not None and schema.feature_names[index] != asked:
            found.append(reason)
    if unknown:
        found += [one for one in _unknown(schema, transaction, row, added, stranger) if _weight(one) >= least]
        found.sort(key=_weight, reverse=True)
    return (*first, *found[:most]) or (NOTHING_UNUSUAL,)


def _weight(reason: Reason) -> float:
    return abs(reason.contribution or 0.0)


def _reason(
    schema: TransactionSchema, transaction: Any, index: int, value: float, contribution: float
) -> Reason | None:
    """A feature's reason; None when its words would say the contrary."""
    feature, name = schema.features[index], schema.feature_names[index]
    seen = shown(schema, feature, value)
    direction: Direction = "up" if contribution > 0 else "down"
    if seen is None or not (accuses if direction == "up" else excuses)(feature, seen):
        return None
    if name in schema.accusing and (value == schema.accusing[name]) is not (contribution > 0):
        return None
    text, usual = _sentence(schema, transaction, feature, direction, value, seen)
    seen_value, unit = _seen(schema, transaction, feature, value)
    return Reason(feature.code, feature.field, seen_value, round(contribution, 4), direction, text, unit, usual)


def _sentence(
    schema: TransactionSchema,
    transaction: Any,
    feature: Feature,
    direction: Direction,
    value: float,
    seen: float | str | None,
) -> tuple[str, float | None]:
    """A feature's sentence in the sender's units, and what the value, shown as `seen`, is held against."""
    name = feature.name
    own = getattr(transaction, schema.own[name]) if name in schema.own else None
    usual = schema.usuals[name](transaction, value) if name in schema.usuals and seen is not None else None
    return say(feature, direction, seen, own, "" if usual is None else f"usually {whole(usual)}"), usual


def _seen(
    schema: TransactionSchema, transaction: Any, feature: Feature, value: float
) -> tuple[float | str | None, str | None]:
    """A feature's value as a reason shows it, in the sender's units, and the unit."""
    if feature.unit == "index":
        return None, None
    own = getattr(transaction, schema.own[feature.name], None) if feature.name in schema.own else None
    value_shown = shown(schema, feature, value) if own is None else YES_OR_NO[own] if isinstance(own, bool) else own
    unit = schema.currency(transaction) if feature.unit == "money" else feature.unit or None
    return (_rounded(value_shown) if own is None else value_shown), unit


def _unknown(
    schema: TransactionSchema, transaction: Any, row: Sequence[float], added: Sequence[float], stranger: bool
) -> Iterator[Reason]:
    """One reason for all that was not sent, one for all that the past of somebody new does not tell, and one for each
    thing that is unknown otherwise."""
    not_sent: dict[str, float] = {}
    past = added[schema.place_of[schema.known_by]] if stranger else 0.0
    for index in [index for index, value in enumerate(row) if value != value]:
        share = added[index]
        if -LEAST_UNKNOWN < share < LEAST_UNKNOWN or (stranger and index == schema.place_of[schema.known_by]):
            continue
        for name in schema.needed[index]:
            if getattr(transaction, name) is None:
                not_sent[name] = not_sent.get(name, 0.0) + share
                break
        else:
            if stranger:
                past += share
            else:
                feature = schema.features[index]
                yield _summed(feature.code, feature.field, share, feature.unknown)
    if not_sent:
        yield _not_sent(not_sent)
    if past > 0.0:  # that somebody is new excuses nothing
        yield _summed("NO_HISTORY", schema.roles[0].name, past, schema.said_of_stranger(row))


def _not_sent(fields: Mapping[str, float]) -> Reason:
    """What to send, the weightiest first."""
    named = [name for _, name in sorted([(-abs(added), name) for name, added in fields.items()])]
    more = f" and {len(named) - MOST_NAMED} more" if len(named) > MOST_NAMED else ""
    text = f"Not sent, and so weighed as unknown: {', '.join(named[:MOST_NAMED])}{more}."
    return _summed("NOT_SENT", named[0], sum(fields.values()), text)


def _summed(code: str, field: str, contribution: float, text: str) -> Reason:
    return Reason(code, field, None, round(contribution, 4), "up" if contribution > 0 else "down", text)


def rule_reason(schema: TransactionSchema, rule: Rule, transaction: Any, values: Mapping[str, Any]) -> Reason:
    """The reason a deciding rule gives: its own code and words, pointing at the first field it asks for."""
    field = rule.first_name
    value, unit, usual = None, None, None
    if field in schema.types:
        value = getattr(transaction, field, None)
    elif field in schema.place_of:
        feature, number = schema.features[schema.place_of[field]], float(values[field])
        value, unit = _seen(schema, transaction, feature, number)
        usual = schema.usuals[field](transaction, number) if field in schema.usuals else None
        field = feature.field
    elif field.startswith(PREFIX):
        value = _rounded(finite_or_none(float(values[field])))
    elif field in counted_of(schema):
        value = _rounded(finite_or_none(float(values[field])))
        field = schema.roles[counted_of(schema)[field].role].name
    code = rule.reason_code or rule.id.upper()
    direction: Direction = "down" if rule.outcome == "allow" else "up"
    text = rule.description or f"The rule '{rule.id}' was hit."
    if isinstance(rule, BuiltIn) and rule.says:
        text = fill(rule.says, values)
    return Reason(code, field, value, None, direction, text, unit, usual)


def _rounded(seen: float | str | None) -> float | str | None:
    return round(seen, ROUNDED) if isinstance(seen, float) else seen


def finite_or_none(value: float) -> float | None:
    return value if isfinite(value) else None


def explanation(card: Card, features: bytes, contributions: bytes, facts: Mapping[str, Any]) -> Explanation:
    """The full explanation of a stored decision, from its feature and contribution vectors (float32, little-endian)
    and the facts that were sent.

    Raises ValueError when the vectors are not as long as the model's features.
    """
    schema = schema_of(card)
    transaction = schema.recalled(facts)
    row, added = np.frombuffer(features, "<f4"), np.frombuffer(contributions, "<f4")
    if not len(row) == len(added) == len(schema.features):
        raise ValueError("the stored vectors are not of this model")
    items = [
        _item(schema, transaction, feature, float(value), float(share))
        for feature, value, share in zip(schema.features, row, added, strict=True)
    ]
    items.sort(key=lambda item: -abs(item.contribution))
    log_odds = card.base_log_odds + sum(item.contribution for item in items)
    return Explanation(card.base_log_odds, log_odds, card.calibration.probability(log_odds), tuple(items))


def _item(
    schema: TransactionSchema, transaction: Any, feature: Feature, value: float, contribution: float
) -> Contribution:
    direction: Direction = "up" if contribution > 0 else "down"
    text, _ = _sentence(schema, transaction, feature, direction, value, shown(schema, feature, value))
    seen, unit = _told(schema, transaction, feature, value)
    return Contribution(feature.name, feature.code, text, seen, contribution, direction, unit)


def _told(
    schema: TransactionSchema, transaction: Any, feature: Feature, value: float
) -> tuple[float | str | None, str | None]:
    """A feature's value and unit in a whole explanation: its number; of an amount what was sent."""
    seen = shown(schema, feature, value)
    if isinstance(seen, float):
        seen = finite_or_none(float(f"{seen:.{DIGITS}g}"))
    if feature.shown_as == "exp":
        return seen, "times"
    if feature.unit == "money" and seen is not None:
        return getattr(transaction, schema.own[feature.name]), schema.currency(transaction)
    return seen, None if feature.unit in ("", "index", "money") else feature.unit
