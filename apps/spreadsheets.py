"""Texts of others in files that people open as spreadsheets: none is a formula there. Pure."""

from decimal import Decimal
from typing import Any

#: What spreadsheets take for the beginning of a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def cell(value: Any) -> Any:
    """A value as a cell: a text that would be taken for a formula gets an apostrophe before it; -1.50 is none."""
    is_formula = isinstance(value, str) and value.startswith(FORMULA) and not _is_number(value)
    return f"'{value}" if is_formula else value


def _is_number(value: str) -> bool:
    try:
        return value[:1] == "-" and Decimal(value).is_finite()
    except ArithmeticError:
        return False
