"""Limits of rules in words: a rule's text names the limits in force, whoever set them. Pure.

A text has places for limits, `[field]` or `[field|written]`, beside those for what a rule saw, `{field}`: these stay.
"""

import re
from collections.abc import Callable, Mapping
from math import exp, expm1

MOST_LOGARITHM = 700.0  # more is beyond a double


def _figures(limit: float) -> str:
    """1,000 or 0.25, without the last digits of a logarithm and back."""
    return f"{round(limit, 6):,.15g}"


def _days(limit: float) -> str:
    return f"{_figures(limit)} day{'' if limit == 1 else 's'}"


#: How a limit is written: "[against_usual|times]".
WRITTEN: Mapping[str, Callable[[float], str]] = {
    "": _figures,
    "times": lambda limit: _figures(exp(min(limit, MOST_LOGARITHM))),  # of a difference of logarithms
    "money": lambda limit: _figures(expm1(min(limit, MOST_LOGARITHM))),
    "percent": lambda limit: f"{_figures(100.0 * limit)}%",
    "days": _days,
}
_PLACES = re.compile(r"\[(\w+)(?:\|(\w+))?\]")


def with_limits(text: str, limits: Mapping[str, float]) -> str:
    """The text with the limits in their places. Raises `KeyError` for one that is not there."""
    return _PLACES.sub(lambda place: WRITTEN[place[2] or ""](limits[place[1]]), text)
