"""From tree to meaning: every name looked up, every kind checked, `!` resolved. Pure.

Kinds: a number, text, true or false, a time, a span of time; whole numbers are numbers, and every number is a double.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from difflib import get_close_matches
from typing import Literal, NamedTuple

from apps import times
from apps.scoring.engine.expressions import patterns, tree
from apps.scoring.engine.expressions.errors import InvalidExpression
from apps.scoring.engine.expressions.grammar import LISTS
from apps.scoring.engine.expressions.meaning import (
    OPPOSITE,
    All,
    Always,
    Among,
    Any,
    Arithmetic,
    Clock,
    Compare,
    Comparison,
    Condition,
    Constant,
    Known,
    Length,
    Listed,
    Of,
    Pick,
    TextTest,
    Value,
    Variable,
    Whole,
)
from apps.scoring.engine.known_aggregates import PREFIX
from apps.scoring.engine.list_checks import ListCheck
from apps.scoring.engine.operations import instant
from apps.scoring.engine.rule_fields import Field

Kind = Literal["a number", "text", "true or false", "a time", "a span of time", "null"]

MOST_COST = 4_000  # conditions and values an expression may come to, both ways
COMPARISONS: Mapping[str, Comparison] = {"==": "==", "!=": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
TEXT_TESTS = ("startsWith", "endsWith", "contains", "matches")
MINUTE_MS, HOUR_MS, DAY_MS = 60_000.0, 3_600_000.0, 86_400_000.0
#: Methods of times, as CEL has them: unit in ms, shift, cycle. 1970 began on a Thursday; 0 is Sunday.
CLOCKS = {
    "getMinutes": (MINUTE_MS, 0.0, 60.0), "getHours": (HOUR_MS, 0.0, 24.0), "getDayOfWeek": (DAY_MS, 4.0, 7.0),
}  # fmt: skip
FUNCTIONS = ("size", "int", "double", "timestamp", "duration")
MACROS = ("all", "exists", "exists_one", "map", "filter", "has")
_SPAN = re.compile(r"(-?)((?:[0-9]+(?:\.[0-9]+)?(?:ms|h|m|s))+)")
_PART = re.compile(r"([0-9.]+)(ms|h|m|s)")
UNITS = {"ms": 1.0, "s": 1_000.0, "m": MINUTE_MS, "h": HOUR_MS}
#: What two kinds added or subtracted come to.
SUMS: Mapping[tuple[Kind, str, Kind], Kind] = {
    ("a number", "+", "a number"): "a number", ("a number", "-", "a number"): "a number",
    ("a time", "-", "a time"): "a span of time", ("a time", "+", "a span of time"): "a time",
    ("a time", "-", "a span of time"): "a time", ("a span of time", "+", "a time"): "a time",
    ("a span of time", "+", "a span of time"): "a span of time",
    ("a span of time", "-", "a span of time"): "a span of time",
}  # fmt: skip


class Typed(NamedTuple):
    """A value of a known kind."""

    kind: Kind
    value: Value

    @property
    def of(self) -> Of:
        return "text" if self.kind == "text" else "number"


class Meant(NamedTuple):
    """When an expression is surely true, and when surely false."""

    true: Condition
    false: Condition


def lower(node: tree.Node, fields: Mapping[str, Field]) -> Meant:
    """What an expression means to transactions with these fields. Raises `InvalidExpression`."""
    found = _Lowering(fields)
    return Meant(found.condition(node, wanted=True), found.condition(node, wanted=False))


class _Lowering:
    """One expression at a time: it counts what it made, since what is asked for twice doubles."""

    def __init__(self, fields: Mapping[str, Field]) -> None:
        self._fields = fields
        self._cost = 0

    def _count(self, node: tree.Node) -> None:
        self._cost += 1
        if self._cost > MOST_COST:
            raise InvalidExpression(f"It costs too much: more than {MOST_COST:,} steps. Split it into rules.", node.at)

    # --- conditions ---

    def condition(self, node: tree.Node, *, wanted: bool) -> Condition:
        """When it is surely true, or (`wanted` False) surely false."""
        self._count(node)
        match node:
            case tree.Unary("!", operand):
                return self.condition(operand, wanted=not wanted)
            case tree.Binary(("&&" | "||") as sign, left, right):
                both = (self.condition(left, wanted=wanted), self.condition(right, wanted=wanted))
                return _joined(both, every=(sign == "&&") == wanted)
            case tree.Choice(condition, yes, no):
                true, false = self.condition(condition, wanted=True), self.condition(condition, wanted=False)
                picked = self.condition(yes, wanted=wanted), self.condition(no, wanted=wanted)
                return _joined(
                    (_joined((true, picked[0]), every=True), _joined((false, picked[1]), every=True)), every=False
                )
            case tree.Literal(bool(value)):
                return Always(value == wanted)
            case tree.Binary("in", left, right):
                return self._membership(node, left, right, wanted)
            case tree.Binary(sign, left, right) if sign in COMPARISONS:
                return self._comparison(node, COMPARISONS[sign], wanted)
            case tree.Call(function, _, _) if function in TEXT_TESTS:
                return self._text_test(node, wanted)
        found = self._value(node)
        if found.kind != "true or false":
            raise InvalidExpression(f"This is {found.kind}, where true or false was to come: compare it.", node.at)
        return Compare("==", found.value, Constant(float(wanted)), "number")

    def _comparison(self, node: tree.Binary, sign: Comparison, wanted: bool) -> Condition:
        left, right = self._compared(node.left), self._compared(node.right)
        if "null" in (left.kind, right.kind):
            return self._null_test(node, sign, left, right, wanted)
        if left.kind != right.kind:
            ours, theirs = f"{_shown(node.left)} is {left.kind}", f"{_shown(node.right)} is {right.kind}"
            raise InvalidExpression(f"{ours} and {theirs}: they are never compared.", node.at)
        if left.kind == "true or false" and sign not in ("==", "!="):
            raise InvalidExpression("True and false have no order: use ==.", node.at)
        if isinstance(left.value, Constant) and isinstance(right.value, Constant):
            raise InvalidExpression("Two constants are compared: ask for a field.", node.at)
        return Compare(sign if wanted else OPPOSITE[sign], left.value, right.value, left.of)

    def _null_test(self, node: tree.Binary, sign: Comparison, left: Typed, right: Typed, wanted: bool) -> Condition:
        if sign not in ("==", "!="):
            raise InvalidExpression("null has no order: ask == null or != null.", node.at)
        asked = right if left.kind == "null" else left
        if asked.kind == "null" or isinstance(asked.value, Constant):
            raise InvalidExpression("A constant is compared with null: ask for a field.", node.at)
        return Known(asked.value, (sign == "!=") == wanted, asked.of)

    def _compared(self, node: tree.Node) -> Typed:
        """A value, or a condition as the flag it is."""
        if isinstance(node, tree.Literal) and node.value is None:
            return Typed("null", Constant(0.0))
        return self._value(node)

    def _membership(self, node: tree.Node, left: tree.Node, right: tree.Node, wanted: bool) -> Condition:
        found = self._value(left)
        if isinstance(right, tree.ListName):
            if not isinstance(left, tree.Name) or not isinstance(found.value, Variable):
                raise InvalidExpression("Only a field can be looked for in a list.", node.at)
            return Listed(ListCheck(right.name, left.name), wanted, found.of)
        if not isinstance(right, tree.Many):
            raise InvalidExpression(
                'Behind \'in\' stands a list of yours, lists.NAME, or values, ["a", "b"].', right.at
            )
        if not right.items:
            raise InvalidExpression("The list is empty.", right.at)
        members = [self._constant(item, found.kind) for item in right.items]
        if len(set(members)) < len(members):
            twice = next(number for number, one in enumerate(members) if one in members[:number])
            raise InvalidExpression("It is in the list twice; leave one out.", right.items[twice].at)
        return Among(found.value, frozenset(members), wanted, found.of)  # type: ignore[arg-type]

    def _constant(self, node: tree.Node, kind: Kind) -> float | str:
        found = self._value(node)
        if not isinstance(found.value, Constant):
            raise InvalidExpression("A list holds constants alone: compare with || instead.", node.at)
        if found.kind != kind:
            raise InvalidExpression(f"This is {found.kind}, where {kind} is looked for.", node.at)
        return found.value.value

    def _text_test(self, node: tree.Call, wanted: bool) -> Condition:
        text, argument = self._arguments(node, ("text", "text"))
        if node.function == "matches":
            if not isinstance(argument, Constant):
                raise InvalidExpression("A pattern is a constant text.", node.arguments[1].at)
            try:
                patterns.compiled(str(argument.value))
            except ValueError as wrong:
                raise InvalidExpression(f"The pattern can't be taken: it {wrong}.", node.arguments[1].at) from wrong
        return TextTest(node.function, text, argument, wanted)  # type: ignore[arg-type]

    # --- values ---

    def _value(self, node: tree.Node) -> Typed:
        self._count(node)
        match node:
            case tree.Literal(value):
                return _literal(node, value)
            case tree.Name():
                return self._variable(node)
            case tree.Binary(("+" | "-" | "*" | "/" | "%") as sign, left, right):
                return self._arithmetic(node, sign, self._value(left), self._value(right))
            case tree.Unary("-", operand):
                found = self._value(operand)
                if found.kind not in ("a number", "a span of time"):
                    raise InvalidExpression(f"This is {found.kind}: it has no minus.", node.at)
                return Typed(found.kind, Arithmetic("-", Constant(0.0), found.value))
            case tree.Choice(condition, yes, no):
                return self._choice(node, condition, self._value(yes), self._value(no))
            case tree.Call():
                return self._call(node)
            case tree.ListName(name):
                raise InvalidExpression(f"A list is asked by 'in': FIELD in lists.{name}.", node.at)
            case tree.Many():
                raise InvalidExpression('Values stand behind \'in\': FIELD in ["a", "b"].', node.at)
        # A condition: the flag it is.
        true, false = self.condition(node, wanted=True), self.condition(node, wanted=False)
        return Typed("true or false", Pick(true, false, Constant(1.0), Constant(0.0), "number"))

    def _variable(self, node: tree.Name) -> Typed:
        field = self._fields.get(node.name)
        if field is None:
            raise _unknown(node, self._fields)
        return Typed("a number" if field.kind == "a whole number" else field.kind, Variable(node.name))

    def _arithmetic(self, node: tree.Node, sign: str, left: Typed, right: Typed) -> Typed:
        kind: Kind | None
        if sign in "+-":
            kind = SUMS.get((left.kind, sign, right.kind))
        else:
            kind = "a number" if left.kind == right.kind == "a number" else None
        if kind is None:
            raise InvalidExpression(f"'{sign}' is not defined between {left.kind} and {right.kind}.", node.at)
        return Typed(kind, Arithmetic(sign, left.value, right.value))

    def _choice(self, node: tree.Choice, condition: tree.Node, yes: Typed, no: Typed) -> Typed:
        if yes.kind != no.kind:
            raise InvalidExpression(f"One way it is {yes.kind}, the other way {no.kind}.", node.at)
        true, false = self.condition(condition, wanted=True), self.condition(condition, wanted=False)
        return Typed(yes.kind, Pick(true, false, yes.value, no.value, yes.of))

    def _call(self, node: tree.Call) -> Typed:
        match node.function:
            case "size":
                (text,) = self._arguments(node, ("text",))
                return Typed("a number", Length(text))
            case "int":
                (number,) = self._arguments(node, ("a number",))
                return Typed("a number", Whole(number))
            case "double":
                (number,) = self._arguments(node, ("a number",))
                return Typed("a number", number)
            case "timestamp":
                return Typed("a time", Constant(self._read(node, _time, 'timestamp("2026-01-15T10:30:00Z")')))
            case "duration":
                return Typed("a span of time", Constant(self._read(node, _span, 'duration("1h30m")')))
            case name if name in CLOCKS:
                (time,) = self._arguments(node, ("a time",))
                return Typed("a number", Clock(time, *CLOCKS[name]))
            case name if name in TEXT_TESTS:
                true, false = self.condition(node, wanted=True), self.condition(node, wanted=False)
                return Typed("true or false", Pick(true, false, Constant(1.0), Constant(0.0), "number"))
        raise _no_function(node)

    def _arguments(self, node: tree.Call, kinds: Sequence[Kind]) -> tuple[Value, ...]:
        """A call's arguments, checked against the kinds it takes."""
        if len(node.arguments) != len(kinds):
            beside = len(kinds) - node.is_method
            raise InvalidExpression(f"{node.function} takes {beside} value{'' if beside == 1 else 's'}.", node.at)
        found = [self._value(argument) for argument in node.arguments]
        for argument, one, kind in zip(node.arguments, found, kinds, strict=True):
            if one.kind != kind:
                raise InvalidExpression(f"{node.function} takes {kind}, and this is {one.kind}.", argument.at)
        return tuple(one.value for one in found)

    def _read(self, node: tree.Call, read: Callable[[str], float], example: str) -> float:
        (value,) = self._arguments(node, ("text",))
        try:
            if isinstance(value, Constant):
                return read(str(value.value))
        except (ValueError, OverflowError):
            pass
        raise InvalidExpression(f"{node.function} takes a constant text, like {example}.", node.at)


def _joined(conditions: tuple[Condition, Condition], *, every: bool) -> Condition:
    """Both, or one of them; chains stay flat, and what is always so is left out."""
    kind = All if every else Any
    flat: list[Condition] = []
    for one in conditions:
        if isinstance(one, Always):
            if one.holds != every:
                return Always(not every)
        elif isinstance(one, kind):
            flat.extend(one.parts)
        else:
            flat.append(one)
    if len(flat) > 1:
        return kind(tuple(flat))
    return flat[0] if flat else Always(every)


def _literal(node: tree.Node, value: float | str | bool | None) -> Typed:
    match value:
        case None:
            raise InvalidExpression("null is only compared: FIELD == null, FIELD != null.", node.at)
        case bool():
            return Typed("true or false", Constant(float(value)))
        case float():
            return Typed("a number", Constant(value))
    return Typed("text", Constant(value))


def _unknown(node: tree.Name, fields: Collection[str]) -> InvalidExpression:
    name = node.name
    if name == LISTS:
        return InvalidExpression("A list has a name: lists.NAME.", node.at)
    root, dot, _ = name.partition(".")
    beside = [one for one in fields if one.startswith(f"{root}.")] if dot else []
    close = get_close_matches(name, beside or sorted(fields), 3)
    if name.startswith(PREFIX):
        return InvalidExpression(f"You have no aggregate '{name[:60]}' of this kind.", node.at, tuple(close))
    if dot and root in fields and not beside:
        return InvalidExpression(f"'{root}' is no party: nothing is counted of it.", node.at, tuple(close))
    return InvalidExpression(f"'{name[:60]}' is no field.", node.at, tuple(close))


def _no_function(node: tree.Call) -> InvalidExpression:
    if node.function in MACROS:
        instead = "FIELD != null" if node.function == "has" else "&&, || and in"
        return InvalidExpression(f"{node.function} is not taken: use {instead}.", node.at)
    known = (*FUNCTIONS, *TEXT_TESTS, *CLOCKS)
    close = get_close_matches(node.function, known, 2, 0.5)
    return InvalidExpression(f"There is no function '{node.function[:40]}'.", node.at, tuple(close))


def _shown(node: tree.Node) -> str:
    match node:
        case tree.Name(name):
            return f"'{name}'"
        case tree.Literal(str(value)):
            return f'"{value[:40]}"'
        case tree.Literal(float(value)):
            return f"{value:g}"
    return "this"


def _time(text: str) -> float:
    return instant(times.read(text))


def _span(text: str) -> float:
    """Milliseconds of a span like 1h30m, 90s, 250ms. Raises `ValueError`."""
    found = _SPAN.fullmatch(text)
    if found is None:
        raise ValueError("not a span of time")
    return sum(float(number) * UNITS[unit] for number, unit in _PART.findall(found[2])) * (-1.0 if found[1] else 1.0)
