"""Features: one column each of the models' input, and how it is spoken about."""

from math import inf
from typing import Any

import msgspec

SPANS_IN_FULL = {" in 1 h": " in the last hour", " in 24 h": " in the last 24 hours", " in 7 d": " in the last 7 days"}


class Feature(msgspec.Struct, frozen=True):
    """One column of the model's input and how it is spoken about.

    `field` is the request field the reason points at. `up` and `down` are sentences, told by the direction of the
    contribution; placeholders are those of `wording.PLACEHOLDERS`. A sentence must be true of any value it is told of:
    `zero`, if given, is told of 0 instead, whatever the direction, `unknown` where there is no value. Only above
    `up_above` and below `up_below` it is a reason for a higher risk, only between `down_above` and `down_below` for a
    lower. `label` is the feature's short name in a picture: "the" can stand before it.

    What is told is the number, or what it stands for (`shown_as`, a key of `wording.SHOWN`), or the field as it was
    sent (`own`; always where the feature has the field's name). `unit` is the unit of that; "money" is the
    transaction's currency, "index" a number that means nothing to a sender and is not told. `needs`: the fields of
    which any may be missing when it is unknown, if not `field` alone.
    """

    name: str
    code: str
    field: str
    up: str
    down: str
    label: str = ""
    unknown: str = ""
    zero: str = ""
    up_above: float = -inf
    up_below: float = inf
    down_above: float = -inf
    down_below: float = inf
    shown_as: str = ""
    own: bool = False
    unit: str = ""
    needs: tuple[str, ...] = ()


def stated(
    name: str, code: str, field: str, label: str, fact: str, *, unknown: str = "", zero: str = "", **told: Any
) -> Feature:
    """A feature whose value speaks for itself: one sentence, whichever way it moves the score."""
    return Feature(name, code, field, fact, fact, label, unknown or _nothing_known(label), zero, **told)


def weighed(
    name: str, code: str, field: str, label: str, what: str, *, many: bool = False, unknown: str = "", zero: str = "",
    **told: Any,
) -> Feature:  # fmt: skip
    """A feature that speaks for fraud or against it only together with others: no value of it is good or bad."""
    up, down = (f"{what} {verb}{'' if many else 's'} the risk." for verb in ("raise", "lower"))
    return Feature(name, code, field, up, down, label, unknown or _nothing_known(label), zero, **told)


def _nothing_known(label: str) -> str:
    """Said in full, where a picture has room for the short form only."""
    for short, whole in SPANS_IN_FULL.items():
        label = label.replace(short, whole)
    return f"Nothing is known of the {label}."
