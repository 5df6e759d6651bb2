"""Conditions of one transaction, as one function of Python's own bytecode. Pure.

A policy's conditions are built as a syntax tree and compiled once, when the policy is first met: a tuple of all results
for the values of the names they ask for. Nothing of a tenant's text gets into it but constants. A hundred conditions
take some ten microseconds; CEL's own evaluator takes that for a dozen (docs/decisions.md), and says the same (a test).
"""

import ast
from collections.abc import Callable, Mapping, Sequence
from math import fmod, isfinite, nan, trunc
from types import CodeType, FunctionType
from typing import Any

from apps.scoring.engine.expressions import meaning
from apps.scoring.engine.expressions.meaning import Condition, Of, Value
from apps.scoring.engine.expressions.patterns import matches
from apps.scoring.engine.list_checks import ListCheck

#: Values of names, numbers as floats and texts as texts, and what is known of lists → each condition's result.
Conditions = Callable[[Sequence[Any]], tuple[bool, ...]]

OPERATORS: Mapping[str, type[ast.operator]] = {"+": ast.Add, "-": ast.Sub, "*": ast.Mult}
SIGNS: Mapping[str, type[ast.cmpop]] = {"==": ast.Eq, "<": ast.Lt, "<=": ast.LtE, ">": ast.Gt, ">=": ast.GtE}


# --- what the function calls ------------------------------------------------------------------------------------------


def divided(left: float, right: float) -> float:
    """The quotient; unknown by zero."""
    return left / right if right else nan


def remainder(left: float, right: float) -> float:
    """What is left over, with the sign of `left`; unknown by zero and of what is not finite."""
    return fmod(left, right) if right and isfinite(left) and right == right else nan


def whole(value: float) -> float:
    """A number without its fraction."""
    return float(trunc(value)) if isfinite(value) else nan


def length(text: str | None) -> float:
    return nan if text is None else float(len(text))


def differ(left: float, right: float) -> bool:
    """Whether two numbers, both known, are not the same."""
    return left < right or left > right


#: Comparisons of texts that are both known.
TEXTS: Mapping[str, Callable[[str, str], bool]] = {
    "==": str.__eq__, "!=": str.__ne__, "<": str.__lt__, "<=": str.__le__, ">": str.__gt__, ">=": str.__ge__,
    "startsWith": str.startswith, "endsWith": str.endswith, "contains": str.__contains__, "matches": matches,
}  # fmt: skip


def compared(sign: str, left: str | None, right: str | None, wanted: bool = True) -> bool:
    """A comparison or a test of two texts; false where one is unknown."""
    return left is not None and right is not None and TEXTS[sign](left, right) == wanted


_CALLED: Mapping[str, Any] = {
    "divided": divided, "remainder": remainder, "whole": whole, "length": length, "differ": differ,
    "compared": compared, "nan": nan,
}  # fmt: skip


# --- the function -----------------------------------------------------------------------------------------------------


def function_of(conditions: Sequence[Condition], names: Sequence[str], checks: Sequence[ListCheck]) -> Conditions:
    """A function of the values of `names`, followed by the answers to `checks`: each condition's result."""
    writer = _Writer({name: f"v{place}" for place, name in enumerate(names)},
                     {check: f"l{place}" for place, check in enumerate(checks)})  # fmt: skip
    result = ast.Tuple([writer.condition(one) for one in conditions], ast.Load())
    values = ast.arg("values")
    taken: list[ast.expr] = [ast.Name(name, ast.Store()) for name in (*writer.names.values(), *writer.checks.values())]
    unpack = [ast.Assign([ast.Tuple(taken, ast.Store())], ast.Name("values", ast.Load()))] if taken else []
    body = ast.FunctionDef(
        name="conditions",
        args=ast.arguments(posonlyargs=[], args=[values], kwonlyargs=[], kw_defaults=[], defaults=[]),
        body=[*unpack, ast.Return(result)],
        decorator_list=[],
    )
    module = compile(ast.fix_missing_locations(ast.Module([body], [])), "<rules>", "exec")
    code = next(one for one in module.co_consts if isinstance(one, CodeType))
    return FunctionType(code, dict(_CALLED))


class _Writer:
    """Writes conditions and values as Python expressions over local variables."""

    def __init__(self, names: Mapping[str, str], checks: Mapping[ListCheck, str]) -> None:
        self.names, self.checks = names, checks

    def condition(self, one: Condition) -> ast.expr:
        match one:
            case meaning.Always(holds):
                return ast.Constant(holds)
            case meaning.All(parts):
                return ast.BoolOp(ast.And(), [self.condition(part) for part in parts])
            case meaning.Any(parts):
                return ast.BoolOp(ast.Or(), [self.condition(part) for part in parts])
            case meaning.Compare(sign, left, right, of):
                return self._compare(sign, left, right, of)
            case meaning.Among(value, members, inside, of):
                among = self._contains(value, members, inside)
                return among if inside else _both(self._known(value, of), among)
            case meaning.Known(value, wanted, of):
                known = self._known(value, of)
                return known if wanted else ast.UnaryOp(ast.Not(), known)
            case meaning.Listed(check, inside, of):
                listed: ast.expr = _load(self.checks[check])
                listed = ast.Compare(listed, [ast.Is()], [ast.Constant(inside)])
                return _both(self._known(meaning.Variable(check.field), of), listed)
            case meaning.TextTest(test, text, argument, wanted):
                return _call(
                    "compared", ast.Constant(test), self.value(text), self.value(argument), ast.Constant(wanted)
                )

    def _compare(self, sign: str, left: Value, right: Value, of: Of) -> ast.expr:
        first, second = self.value(left), self.value(right)
        if of == "text":
            if sign == "==" and any(isinstance(side, meaning.Constant) for side in (left, right)):
                return ast.Compare(first, [ast.Eq()], [second])  # None is no text
            return _call("compared", ast.Constant(sign), first, second)
        if sign == "!=":
            return _call("differ", first, second)
        return ast.Compare(first, [SIGNS[sign]()], [second])

    def _contains(self, value: Value, members: frozenset[Any], inside: bool) -> ast.expr:
        held = ast.Constant(members)  # type: ignore[arg-type]  # the compiler takes sets
        return ast.Compare(self.value(value), [ast.In() if inside else ast.NotIn()], [held])

    def _known(self, value: Value, of: Of) -> ast.expr:
        if of == "text":
            return ast.Compare(self.value(value), [ast.IsNot()], [ast.Constant(None)])
        return ast.Compare(self.value(value), [ast.Eq()], [self.value(value)])

    def value(self, one: Value) -> ast.expr:
        match one:
            case meaning.Constant(value):
                return ast.Constant(value)
            case meaning.Variable(name):
                return _load(self.names[name])
            case meaning.Arithmetic("/", left, right):
                return _call("divided", self.value(left), self.value(right))
            case meaning.Arithmetic("%", left, right):
                return _call("remainder", self.value(left), self.value(right))
            case meaning.Arithmetic(sign, left, right):
                return ast.BinOp(self.value(left), OPERATORS[sign](), self.value(right))
            case meaning.Whole(value):
                return _call("whole", self.value(value))
            case meaning.Length(text):
                return _call("length", self.value(text))
            case meaning.Clock(time, unit, shift, cycle):
                units = ast.BinOp(self.value(time), ast.Div(), ast.Constant(unit))
                shifted = ast.BinOp(units, ast.Add(), ast.Constant(shift))
                floored = ast.BinOp(shifted, ast.FloorDiv(), ast.Constant(1.0))
                return ast.BinOp(floored, ast.Mod(), ast.Constant(cycle))
            case meaning.Pick(true, false, yes, no, of):
                unknown = ast.Constant(None) if of == "text" else _load("nan")
                otherwise = ast.IfExp(self.condition(false), self.value(no), unknown)
                return ast.IfExp(self.condition(true), self.value(yes), otherwise)


def _load(name: str) -> ast.expr:
    return ast.Name(name, ast.Load())


def _call(name: str, *arguments: ast.expr) -> ast.expr:
    return ast.Call(_load(name), list(arguments), [])


def _both(*parts: ast.expr) -> ast.expr:
    return ast.BoolOp(ast.And(), list(parts))
