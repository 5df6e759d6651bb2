"""Conditions of many transactions at once, as arrays: the results `one_row.py` has row by row. Pure.

Numbers are float64[n] with nan for unknown, texts object[n] with None. Arithmetic is IEEE 754's on both sides. What two
rules have in common is computed once: results are kept by what they mean.
"""

from collections.abc import Callable, Mapping
from math import nan
from operator import add, eq, ge, gt, le, lt, mul, sub
from typing import Any

import numpy as np

from apps.scoring.engine.expressions import meaning
from apps.scoring.engine.expressions.meaning import Condition, Of, Value
from apps.scoring.engine.expressions.one_row import compared, length
from apps.scoring.engine.list_checks import ListCheck

OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {"+": add, "-": sub, "*": mul}
SIGNS: Mapping[str, Callable[[Any, Any], Any]] = {"==": eq, "<": lt, "<=": le, ">": gt, ">=": ge}


class Rows:
    """What names hold on n rows, and what conditions on them come to.

    `column(name)` is float64[n] or object[n] by what the name is; `listed(check)` is bool[n], None when unknown.
    """

    def __init__(
        self,
        count: int,
        column: Callable[[str, Of], np.ndarray],
        listed: Callable[[ListCheck], np.ndarray | None],
        found: dict[Condition, np.ndarray] | None = None,
    ) -> None:
        """`found`: what conditions came to before, kept by whoever asks again."""
        self._count, self._column, self._listed = count, column, listed
        self._found = {} if found is None else found

    def holds(self, one: Condition) -> np.ndarray:
        """bool[n]: on which rows a condition holds."""
        found = self._found.get(one)
        if found is None:
            with np.errstate(all="ignore"):
                found = self._found[one] = self._condition(one)
        return found

    def _condition(self, one: Condition) -> np.ndarray:
        match one:
            case meaning.Always(holds):
                return np.full(self._count, holds)
            case meaning.All(parts):
                return np.logical_and.reduce([self.holds(part) for part in parts])
            case meaning.Any(parts):
                return np.logical_or.reduce([self.holds(part) for part in parts])
            case meaning.Compare(sign, left, right, "number"):
                first, second = self._value(left, "number"), self._value(right, "number")
                return (first < second) | (first > second) if sign == "!=" else SIGNS[sign](first, second)
            case meaning.Compare(sign, left, right, _):
                return self._texts(sign, left, right, wanted=True)
            case meaning.Among(value, members, inside, of):
                return self._among(value, members, inside, of)
            case meaning.Known(value, wanted, of):
                return _known(self._value(value, of), of) == wanted
            case meaning.Listed(check, inside, of):
                answers = self._listed(check)
                known = _known(self._column(check.field, of), of)
                return known & (answers == inside) if answers is not None else np.zeros(self._count, dtype=bool)
            case meaning.TextTest(test, text, argument, wanted):
                return self._texts(test, text, argument, wanted)

    def _texts(self, sign: str, left: Value, right: Value, wanted: bool) -> np.ndarray:
        """Two columns of texts; each pair that stands there is compared once."""
        pairs = list(zip(self._value(left, "text").tolist(), self._value(right, "text").tolist(), strict=True))
        known = {pair: compared(sign, *pair, wanted) for pair in set(pairs)}
        return np.array([known[pair] for pair in pairs], dtype=bool)

    def _among(self, value: Value, members: frozenset[Any], inside: bool, of: Of) -> np.ndarray:
        found = self._value(value, of)
        if of == "text":
            return np.array([one is not None and (one in members) == inside for one in found.tolist()], dtype=bool)
        return (found == found) & (np.isin(found, np.array(list(members), dtype=np.float64)) == inside)

    def _value(self, one: Value, of: Of) -> np.ndarray:
        match one:
            case meaning.Constant(value):
                return np.full(self._count, value, dtype=object if of == "text" else np.float64)
            case meaning.Variable(name):
                return self._column(name, of)
            case meaning.Arithmetic(sign, left, right):
                return _arithmetic(sign, self._value(left, "number"), self._value(right, "number"))
            case meaning.Whole(value):
                found = self._value(value, "number")
                return np.where(np.isfinite(found), np.trunc(found), nan)
            case meaning.Length(text):
                return np.array([length(one) for one in self._value(text, "text").tolist()], dtype=np.float64)
            case meaning.Clock(time, unit, shift, cycle):
                return (self._value(time, "number") / unit + shift) // 1.0 % cycle
            case meaning.Pick(true, false, yes, no, of):
                unknown = np.full(self._count, None, dtype=object) if of == "text" else np.full(self._count, nan)
                otherwise = np.where(self.holds(false), self._value(no, of), unknown)
                return np.where(self.holds(true), self._value(yes, of), otherwise)


def _known(found: np.ndarray, of: Of) -> np.ndarray:
    if of == "text":
        return np.array([one is not None for one in found.tolist()], dtype=bool)
    return found == found


def _arithmetic(sign: str, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    if sign == "/":
        return np.where(right == 0, nan, left / right)
    if sign == "%":
        return np.where((right == 0) | ~np.isfinite(left), nan, np.fmod(left, right))
    return OPERATORS[sign](left, right)
