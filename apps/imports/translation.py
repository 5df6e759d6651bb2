"""A condition of theirs as an expression of ours (CEL), with what is not quite the same. Pure.

What can't be told here leaves its rule out: half a condition would be another rule.
"""

import json
from collections.abc import Callable, Sequence
from math import log1p

from apps.imports.tree import Attribute, Call, Constant, ListName, Negation, Node, Operation, Together, Values
from apps.imports.words import DIFFER, Ours
from apps.scoring.engine.aggregates import Aggregate

COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")
RECKONED = ("+", "-", "*", "/", "%")
MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
WITH_CASE = "Texts are compared with their case here."


class LeftOut(ValueError):
    """What can't be told here; the message says why."""


class Translation:
    """One condition's. `ours_of` tells what an attribute of theirs is here, or raises `LeftOut`; `list_name` how a list
    of theirs is called here. `remarks` holds what is not quite the same, `lists` which lists are asked for what, and
    `aggregates` what is to be counted for it."""

    def __init__(self, ours_of: Callable[[str], Ours], list_name: Callable[[str], str]) -> None:
        self._ours_of, self._list_name = ours_of, list_name
        self.remarks: list[str] = []
        self.lists: list[tuple[str, Ours]] = []
        self.aggregates: dict[Aggregate, None] = {}

    def written(self, node: Node) -> str:
        """It as CEL. Raises `LeftOut`."""
        match node:
            case Together(sign, items):
                return f" {sign} ".join(self._within(item) for item in items)
            case Negation(inner):
                return f"!({self.written(inner)})"
            case Operation("in", left, right):
                return self._membership(left, right)
            case Operation(sign, left, right) if sign in COMPARISONS:
                return self._comparison(sign, left, right)
            case Operation(("like" | "includes") as test, left, Constant(str(text))):
                return self._text_test(test, left, text)
            case Operation(sign, left, right) if sign in RECKONED:
                return f"({self._value(left)} {sign} {self._value(right)})"
            case Attribute(name):
                ours = self._asked(name)
                if ours.kind != "flag":
                    raise LeftOut(f"'{name}' stands alone, and is neither true nor false here.")
                return ours.name
            case Constant(bool(value)):
                return "true" if value else "false"
            case Call():
                return self._call(node)
        raise LeftOut("A value stands where a condition was to come.")

    def _within(self, node: Node) -> str:
        written = self.written(node)
        return f"({written})" if isinstance(node, Together) else written

    def _asked(self, name: str) -> Ours:
        ours = self._ours_of(name)
        if ours.remark:
            self._remark(ours.remark)
        if ours.aggregate:
            self.aggregates[ours.aggregate] = None
        return ours

    def _remark(self, remark: str) -> None:
        if remark not in self.remarks:
            self.remarks.append(remark)

    def _comparison(self, sign: str, left: Node, right: Node) -> str:
        if isinstance(left, Attribute) and isinstance(right, Attribute):
            differ = DIFFER.get(frozenset((left.name, right.name)))
            if differ is not None and sign in ("==", "!="):
                self._remark(differ.remark)
                return f"{differ.name} == {'true' if sign == '!=' else 'false'}"
        if isinstance(left, Constant) and isinstance(right, Attribute):
            left, right, sign = right, left, MIRRORED[sign]
        if isinstance(left, Attribute) and isinstance(right, Constant):
            return self._compared(sign, self._asked(left.name), right.value)
        return f"{self._value(left)} {sign} {self._value(right)}"

    def _compared(self, sign: str, ours: Ours, value: float | str | bool | None) -> str:
        if value is None:
            return f"{ours.name} {sign} null"
        if ours.kind == "domain":
            if sign not in ("==", "!=") or not isinstance(value, str):
                raise LeftOut("A domain is the same or another one: nothing else is asked of it here.")
            ends = f"{ours.name}.endsWith({_text('@' + value)})"
            return ends if sign == "==" else f"!{ends}"
        return f"{ours.name} {sign} {self._constant(ours, value)}"

    def _constant(self, ours: Ours, value: float | str | bool | None) -> str:
        """A value as what it is compared with here is written."""
        if ours.kind == "flag":
            said = {"true": True, "false": False}.get(str(value).lower(), value)
            if not isinstance(said, bool):
                raise LeftOut(f"'{ours.name}' is true or false here, and was compared with {value}.")
            return "true" if said else "false"
        if ours.kind in ("number", "dollars"):
            number = _number(value)
            if ours.kind == "dollars" and number < 0:
                raise LeftOut("An amount below 0 is none here.")
            return _plain(log1p(number * ours.factor) if ours.kind == "dollars" else number * ours.factor)
        if isinstance(value, float):
            value = f"{value:.0f}" if value == int(value) else f"{value}"
        text = str(value)
        self._remark(WITH_CASE)
        return _text(text.upper() if ours.kind == "currency" else text)

    def _membership(self, left: Node, right: Node) -> str:
        if not isinstance(left, Attribute):
            raise LeftOut("Only a field can be looked for in a list here.")
        ours = self._asked(left.name)
        if isinstance(right, ListName):
            if ours.kind not in ("text", "domain"):
                raise LeftOut(f"'{ours.name}' is nothing a list can hold here.")
            name = self._list_name(right.name)
            self.lists.append((name, ours))
            return f"{ours.name} in lists.{name}"
        values = _values(right)
        if ours.kind == "domain":
            return (
                " || ".join(self._compared("==", ours, value) for value in values)
                if len(values) == 1
                else (f"({' || '.join(self._compared('==', ours, value) for value in values)})")
            )
        written = dict.fromkeys(self._constant(ours, value) for value in values)
        return f"{ours.name} in [{', '.join(written)}]"

    def _text_test(self, test: str, left: Node, text: str) -> str:
        """LIKE has % for anything; INCLUDES looks for a part."""
        name, pattern = self._text_of(left), f"%{text}%" if test == "includes" else text
        middle = pattern.strip("%")
        if "%" in middle or ("_" in middle and test == "like"):
            raise LeftOut("Of LIKE only a % at the beginning and at the end is known here.")
        self._remark(WITH_CASE)
        begins, ends = pattern.startswith("%"), pattern.endswith("%") and pattern != "%"
        if begins and ends:
            return f"{name}.contains({_text(middle)})"
        if begins or ends:
            return f"{name}.{'endsWith' if begins else 'startsWith'}({_text(middle)})"
        return f"{name} == {_text(middle)}"

    def _call(self, call: Call) -> str:
        """is_missing and regex_match; of everything else nothing is known here."""
        if call.function in ("is_missing", "is_null") and len(call.arguments) == 1:
            return self.written(Operation("==", call.arguments[0], Constant(None)))
        if call.function == "regex_match" and len(call.arguments) == 2:
            pattern, subject = call.arguments
            if isinstance(pattern, Constant) and isinstance(pattern.value, str):
                # Theirs is to match the whole text (java's matches).
                return f"{self._text_of(subject)}.matches({_text(f'^(?:{pattern.value})$')})"
        raise LeftOut(f"The function {call.function} is none here.")

    def _text_of(self, node: Node) -> str:
        """A field of text; who asks for it in small letters is told that case counts here."""
        if isinstance(node, Call) and node.function in ("lowercase", "lower", "trim") and len(node.arguments) == 1:
            self._remark(WITH_CASE)
            return self._text_of(node.arguments[0])
        if not isinstance(node, Attribute) or (ours := self._asked(node.name)).kind not in ("text", "domain"):
            raise LeftOut("Only a field of text is looked through here.")
        return ours.name

    def _value(self, node: Node) -> str:
        match node:
            case Attribute(name):
                ours = self._asked(name)
                if ours.kind in ("dollars", "domain"):
                    raise LeftOut(f"'{name}' can be compared with a constant here, and not be reckoned with.")
                return ours.name
            case Constant(float(value)):
                return _plain(value)
            case Constant(str(value)):
                return _text(value)
            case Operation(sign, left, right) if sign in RECKONED:
                return f"({self._value(left)} {sign} {self._value(right)})"
            case Call(function):
                raise LeftOut(f"The function {function} is none here.")
        raise LeftOut("A condition stands where a value was to come.")


def _values(node: Node) -> Sequence[float | str | bool | None]:
    """The constants of a list in brackets."""
    items = node.items if isinstance(node, Values) else (node,)
    found = [item.value for item in items if isinstance(item, Constant)]
    if len(found) != len(items) or None in found:
        raise LeftOut("A list holds constants alone here.")
    return found


def _number(value: float | str | bool | None) -> float:
    if isinstance(value, bool) or value is None:
        raise LeftOut(f"A number was to come, and not {value}.")
    try:
        return float(value)
    except ValueError as wrong:
        raise LeftOut(f"A number was to come, and not '{value}'.") from wrong


def _plain(number: float) -> str:
    return f"{number:.1f}" if number == int(number) and abs(number) < 1e15 else repr(float(f"{number:.12g}"))


def _text(text: str) -> str:
    """A text as CEL writes it: JSON's way is one of its ways."""
    return json.dumps(text, ensure_ascii=False)
