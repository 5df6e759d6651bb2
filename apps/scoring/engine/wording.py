"""Wording of numbers and features: sentences with placeholders, filled with what a reader knows.

A feature's number becomes what its sender knows (`shown`): the field as it was sent, the word a code stands for, the
amount a logarithm was taken of. `say` chooses the sentence that is true of it, `fill` fills a rule's.
"""

import re
from collections.abc import Callable, Mapping
from math import exp, expm1, isfinite, log, log1p
from typing import Any, Literal

from apps.scoring.engine.features import Feature
from apps.scoring.engine.transaction import TransactionSchema

Direction = Literal["up", "down"]

NOTHING = (0, "no")  # values of which a feature's `zero` is told
MOST_LOGARITHM = 700.0  # more is beyond a double
ABOUT = 1.25  # times, up to which two amounts are about the same
SPANS = (("day", 86_400.0), ("hour", 3_600.0), ("minute", 60.0), ("second", 1.0))
SECONDS_A_MINUTE = 60.0


def number(value: float) -> str:
    """1,234,567 or 0.25: no more digits than a reader wants."""
    return f"{value:,.0f}" if value == int(value) else f"{value:,.2f}" if abs(value) >= 1 else f"{value:.2g}"


def whole(value: float) -> str:
    """1,234 for what nobody counts in parts; small values keep a digit."""
    return f"{value:,.0f}" if abs(value) >= 10 else f"{value:.2g}"


def span(seconds: float) -> str:
    """A length of time in the largest unit it fills: 3 days, 1 hour, 40 seconds."""
    unit, length = next(((unit, length) for unit, length in SPANS if seconds >= length), SPANS[-1])
    count = int(seconds // length)
    return f"{count:,} {unit}{'' if count == 1 else 's'}"


def factor(times: float) -> str:
    """How many times as much: 45 times, about, 20% of."""
    if times > ABOUT:
        return f"{whole(times)} times"
    return "about" if times >= 1 / ABOUT else f"{max(1, round(100 * times))}% of"


def _times(value: float) -> str:
    """2.5 times (the balance), equal to (it)."""
    times = number(value)
    return "equal to" if value == 1 else "about equal to" if times == "1.00" else f"{times} times"


def _than(difference: float) -> str:
    return "above" if difference > 0 else "below" if difference < 0 else "equal to"


def _bounded(function: Callable[[float], float]) -> Callable[[float], float]:
    return lambda value: function(min(value, MOST_LOGARITHM))


def _to_the_cent(value: float) -> float:
    return round(expm1(value), 2)


#: What a feature's number is shown as, by its `shown_as`, and the way back for limits told in what is shown.
SHOWN: Mapping[str, tuple[Callable[[float], float], Callable[[float], float]]] = {
    "": (float, float),
    "exp": (_bounded(exp), log),  # of a difference of logarithms: how many times
    "expm1": (_bounded(_to_the_cent), log1p),
}
#: How a value may be put into a sentence. {s} is the plural of what is counted: then 0 is "no".
PLACEHOLDERS: Mapping[str, Callable[[float], str]] = {
    "{value}": number,
    "{whole}": whole,
    "{times}": _times,
    "{factor}": factor,
    "{than}": _than,  # of a difference: which of two is larger
    "{size}": lambda value: number(abs(value)),
    "{percent}": lambda value: f"{round(100.0 * value, 1):g}%",
    "{span}": span,  # of seconds
    "{exp}": lambda value: number(_to_the_cent(min(value, MOST_LOGARITHM))),
    "{exp_span}": lambda value: span(_to_the_cent(min(value, MOST_LOGARITHM))),
}
#: How a rule's sentence may show a value it saw: "{speed_kmh|whole}".
FILTERS: Mapping[str, Callable[[float], str]] = {
    "": number,
    "whole": whole,
    "times": lambda value: whole(exp(min(value, MOST_LOGARITHM))),  # of a difference of logarithms
    "money": lambda value: number(_to_the_cent(min(value, MOST_LOGARITHM))),
    "span": span,
    "minutes": lambda value: span(value * SECONDS_A_MINUTE),
    "percent": lambda value: f"{100.0 * value:.3g}%",
    "one_more": lambda value: whole(value + 1.0),  # of a count of what was before: this one, too
}
_PLACES = re.compile(r"\{(\w+)(?:\|(\w+))?\}")


def say(feature: Feature, direction: Direction, seen: float | str | None, own: Any = None, usual: str = "") -> str:
    """The feature's sentence: one that is true of what is seen of it, with that in it.

    `own` is the field as it was sent, where the feature shows that; `usual` what the value is held against.
    """
    if seen is None:
        return feature.unknown
    if feature.zero and seen in NOTHING:
        return feature.zero
    sentence = feature.up if direction == "up" and accuses(feature, seen) else feature.down
    if "{" not in sentence:
        return sentence
    if own is not None and not isinstance(own, bool):
        sentence = sentence.replace("{value}", own if isinstance(own, str) else number(own))
    return _filled(sentence, seen).replace("{usual}", f" ({usual})" if usual else "")


def accuses(feature: Feature, value: float | str) -> bool:
    """Whether a shown value may be a reason for a higher risk."""
    return isinstance(value, str) or feature.up_above < value < feature.up_below


def excuses(feature: Feature, value: float | str) -> bool:
    """Whether a shown value may be a reason for a lower risk."""
    return isinstance(value, str) or feature.down_above < value < feature.down_below


def fill(sentence: str, values: Mapping[str, Any]) -> str:
    """A rule's sentence with what the rule saw: {amount}, {speed_kmh|whole}."""
    return _PLACES.sub(lambda place: _place(values[place[1]], place[2] or ""), sentence)


def shown(schema: TransactionSchema, feature: Feature, value: float) -> float | str | None:
    """What a feature's number stands for: a word, the amount a logarithm was taken of, itself."""
    if not isfinite(value):
        return None
    if feature.name in schema.words:
        return schema.words[feature.name].get(value, value)
    return SHOWN[feature.shown_as][0](value) if feature.shown_as else value


def logarithms_of(schema: TransactionSchema) -> Mapping[str, Callable[[float], float]]:
    """The way back for limits told in what is shown: feature → the logarithm it is, or the number itself."""
    return {feature.name: SHOWN[feature.shown_as][1] for feature in schema.features}


def _filled(sentence: str, value: float | str) -> str:
    """The sentence with its placeholders filled; a text is only ever a {value}."""
    if isinstance(value, str):
        return sentence.replace("{value}", value)
    if "{s}" in sentence:
        counted = "no" if value == 0 else number(value)
        return sentence.replace("{value}", counted).replace("{s}", "" if value == 1 else "s")
    for placeholder, write in PLACEHOLDERS.items():
        if placeholder in sentence:
            sentence = sentence.replace(placeholder, write(value))
    return sentence


def _place(value: Any, filtered: str) -> str:
    if isinstance(value, str):
        return value
    return "an unknown number of" if value is None or value != value else FILTERS[filtered](float(value))
