"""What an expression means: conditions without "not", over values of known kinds. Pure.

Three-valued logic, once and for all. A value that is not known (not sent, no history, no result) makes every comparison
with it *unknown*, and so does every text function of it; `!` of unknown is unknown; `false && unknown` is false,
`true || unknown` is true, any other is unknown. A rule hits when its condition is true. So each condition is asked for
twice at most: when is it surely true, when is it surely false; `!` asks for the other one. What is left is two-valued:
every comparison here is false where a side is unknown, also `!=`. Numbers that are unknown are nan, texts None.
"""

from dataclasses import dataclass, fields, is_dataclass
from typing import Literal

from apps.scoring.engine.list_checks import ListCheck

Of = Literal["number", "text"]
Comparison = Literal["==", "!=", "<", "<=", ">", ">="]


# --- values -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Constant:
    value: float | str


@dataclass(frozen=True, slots=True)
class Variable:
    """What a name holds; flags are the numbers 0 and 1, times are ms since 1970."""

    name: str


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """+, -, *, / or %; unknown where the result is none (a division by zero)."""

    sign: str
    left: "Value"
    right: "Value"


@dataclass(frozen=True, slots=True)
class Whole:
    """A number without its fraction."""

    value: "Value"


@dataclass(frozen=True, slots=True)
class Length:
    """The characters of a text."""

    text: "Value"


@dataclass(frozen=True, slots=True)
class Clock:
    """What a clock or a calendar (UTC) shows of a time: `floor(ms / unit + shift) % cycle`."""

    time: "Value"
    unit: float
    shift: float
    cycle: float


@dataclass(frozen=True, slots=True)
class Pick:
    """`yes` where it is surely true, `no` where it is surely false, else unknown."""

    true: "Condition"
    false: "Condition"
    yes: "Value"
    no: "Value"
    of: Of


Value = Constant | Variable | Arithmetic | Whole | Length | Clock | Pick


# --- conditions -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Always:
    holds: bool


@dataclass(frozen=True, slots=True)
class All:
    parts: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Any:
    parts: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Compare:
    sign: Comparison
    left: Value
    right: Value
    of: Of


@dataclass(frozen=True, slots=True)
class Among:
    """Whether a value is one of these, or (`inside` False) none of them."""

    value: Value
    members: frozenset[float] | frozenset[str]
    inside: bool
    of: Of


@dataclass(frozen=True, slots=True)
class Known:
    """Whether a value is known, or (`wanted` False) is not: the only condition that holds of what is unknown."""

    value: Value
    wanted: bool
    of: Of


@dataclass(frozen=True, slots=True)
class Listed:
    """Whether a field's value is in a list of the tenant, or (`inside` False) is not."""

    check: ListCheck
    inside: bool
    of: Of


@dataclass(frozen=True, slots=True)
class TextTest:
    """startsWith, endsWith, contains (of texts) or matches (a pattern, RE2), or (`wanted` False) not."""

    test: Literal["startsWith", "endsWith", "contains", "matches"]
    text: Value
    argument: Value
    wanted: bool


Condition = Always | All | Any | Compare | Among | Known | Listed | TextTest

OPPOSITE: dict[Comparison, Comparison] = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}


def variables(part: Value | Condition) -> frozenset[str]:
    """The names a condition asks for."""
    found = parts(part)
    return frozenset(one.name for one in found if isinstance(one, Variable)) | frozenset(
        one.check.field for one in found if isinstance(one, Listed)
    )


def list_checks(part: Condition) -> tuple[ListCheck, ...]:
    """What it asks of the tenant's lists."""
    return tuple(dict.fromkeys(one.check for one in parts(part) if isinstance(one, Listed)))


def parts(part: Value | Condition) -> list[Value | Condition]:
    """A condition or value and all it is made of."""
    found: list[Value | Condition] = [part]
    for one in found:
        for member in (getattr(one, field.name) for field in fields(one)):
            if is_dataclass(member):
                found.append(member)  # type: ignore[arg-type]
            elif isinstance(member, tuple) and not isinstance(member, ListCheck):
                found.extend(member)
    return found
