"""Texts of others are no formulas in a spreadsheet."""

from typing import Any

import pytest

from apps.spreadsheets import cell


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "-", "-Infinity"])
def test_what_would_be_a_formula_is_quoted(text: str) -> None:
    assert cell(text) == f"'{text}"


@pytest.mark.parametrize("value", ["a=1", "", "-1.50", "1", -1.5, None, True])
def test_all_else_stays(value: Any) -> None:
    assert cell(value) == value
