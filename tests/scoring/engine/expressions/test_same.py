"""What an expression comes to: by the book, in one row, in many rows, and by CEL's own evaluator."""

import datetime
from math import isfinite
from random import Random

import cel
import numpy as np
import pytest

from apps.scoring.engine.expressions.errors import InvalidExpression
from apps.scoring.engine.expressions.grammar import parse
from apps.scoring.engine.expressions.lowering import lower
from apps.scoring.engine.expressions.many_rows import Rows
from apps.scoring.engine.expressions.one_row import function_of
from tests.scoring.engine.expressions import written

ROWS = 12


def conditions(count, seed):
    random = Random(seed)
    while count:
        text = written.condition(random)
        try:
            yield text, random, lower(parse(text), written.FIELDS)
        except InvalidExpression as refusal:
            assert "constants are compared" in refusal.said or "costs too much" in refusal.said, (text, refusal)
        count -= 1


def test_one_row_and_many_rows_are_what_kleenes_logic_says():
    """A condition is surely true where the book says true, surely false where it says false, in both forms."""
    names = tuple(written.FIELDS)
    for text, random, meant in conditions(600, "book"):
        seen = [written.values(random) for _ in range(ROWS)]
        alone = [function_of([meant.true, meant.false], names, ())([one[name] for name in names]) for one in seen]
        columns = Rows(ROWS, lambda name, of, seen=seen: column(seen, name), lambda check: None)
        together = [columns.holds(meant.true).tolist(), columns.holds(meant.false).tolist()]
        said = [written.truth(parse(text), one) for one in seen]
        assert [one[0] for one in alone] == together[0] == [one is True for one in said], text
        assert [one[1] for one in alone] == together[1] == [one is False for one in said], text


def column(seen, name):
    return np.array([one[name] for one in seen], dtype=object if written.OF[name] == "text" else np.float64)


def test_where_all_is_known_cel_says_the_same():
    """CEL has no unknown: a division by zero and what is beyond a double are left out."""
    compared = 0
    for text, random, meant in conditions(600, "cel"):
        if "/" in text or "null" in text:
            continue
        seen = written.values(random, known=True)
        if not all(isfinite(one) for one in seen.values() if isinstance(one, float)) or seen["amount"] > 1e100:
            continue
        says = cel.compile(text)
        context = {
            "amount": seen["amount"], "user": {"count_1h": seen["user.count_1h"]}, "country": seen["country"],
            "email": seen["email"], "chip": bool(seen["chip"]),
            "when": datetime.datetime.fromtimestamp(seen["when"] / 1000, datetime.UTC),
        }  # fmt: skip
        (ours,) = function_of([meant.true], tuple(written.FIELDS), ())([seen[name] for name in written.FIELDS])
        assert says.execute(context) == ours, (text, seen)
        compared += 1
    assert compared > 200


@pytest.mark.parametrize(
    ("text", "amount", "holds"),
    [
        ("amount > 5000", 6000.0, True), ("!(amount > 5000)", None, False), ("amount > 5 || true", None, True),
        ("amount == null", None, True), ("amount != null && amount > 1", None, False), ("!(amount == 1)", None, False),
        ("amount / 0 > 1 || !(amount / 0 > 1)", 5.0, False), ("7 / 2 == amount", 3.5, True),
        ("amount % 100 == 0", 700.0, True), ("-amount < 0.0", 2.0, True), ("int(amount) == 2", 2.9, True),
        ("(amount > 5 ? 1 : 0) == 1", None, False), ("amount in [1, 2]", 2.0, True), ("!(amount in [1])", None, False),
        ("when - timestamp('1970-01-01T00:00:00Z') > duration('1h30m') || amount > 1", 2.0, True),
    ],
)  # fmt: skip
def test_what_is_not_known_never_holds(text, amount, holds):
    meant = lower(parse(text), written.FIELDS)
    seen = written.values(Random(1), known=True) | {"amount": float("nan") if amount is None else amount}
    (found,) = function_of([meant.true], tuple(written.FIELDS), ())([seen[name] for name in written.FIELDS])
    assert found is holds


def test_hours_and_days_are_utcs():
    at = datetime.datetime(2026, 11, 29, 23, 35, tzinfo=datetime.UTC)
    seen = written.values(Random(1)) | {"when": at.timestamp() * 1000}
    for text in ("when.getHours() == 23", "when.getMinutes() == 35", "when.getDayOfWeek() == 0"):
        meant = lower(parse(text), written.FIELDS)
        assert function_of([meant.true], tuple(written.FIELDS), ())([seen[name] for name in written.FIELDS]) == (True,)
