"""What is refused of an expression, with its place, and that nothing but a refusal ever comes of any text."""

import time
from random import Random

import numpy as np
import pytest

from apps.scoring.engine.expressions.errors import InvalidExpression
from apps.scoring.engine.expressions.grammar import parse
from apps.scoring.engine.expressions.lowering import lower
from apps.scoring.engine.expressions.many_rows import Rows
from apps.scoring.engine.expressions.one_row import function_of
from apps.scoring.engine.when_check import read_by_cel
from tests.scoring.engine.expressions import written

TEXTS = 10_000
LONGEST_MS = 1.0
SIGNS = ("&&", "||", "!", "==", "<", "in", "(", ")", "[", "]", "?", ":", ".", ",", "-", "+", "*", "/", "%", "'", '"',
         "\\", "lists", "null", "true", "size", "matches", "1e999", "é", "\x00", "\ud800", "//", "\n")  # fmt: skip


def meant(text):
    return lower(parse(text), written.FIELDS)


@pytest.mark.parametrize(
    ("text", "column", "said", "near"),
    [
        ("", 1, "nothing in it", ()),
        ("amuont > 5", 1, "'amuont' is no field", ("amount",)),
        ("user.cuont_1h > 5", 1, "no field", ("user.count_1h",)),
        ("amount.count_1h > 5", 1, "no party", ("user.count_1h",)),
        ("amount > 'x'", 8, "'amount' is a number", ()),
        ("country > 5", 9, "'country' is text", ()),
        ("chip > true", 6, "no order", ()),
        ("amount", 1, "compare it", ()),
        ("amount > 5 && ", 15, "It ends where", ()),
        ("amount = 5", 8, "'='", ("==",)),
        ("amount > 5 and chip", 12, "'and' stands where", ("&&",)),
        ("amount > > 5", 10, "stands where a value", ()),
        ("(amount > 5", 12, "It ends where ')'", ()),
        ("country == 'KE", 12, "has no end", ()),
        ("country == '\\q'", 13, "no escape", ()),
        ("country == 'a' + 'b'", 16, "not defined", ()),
        ("amount > 1e999", 10, "beyond a double", ()),
        ("1 < 2", 3, "Two constants", ()),
        ("amount in []", 11, "empty", ()),
        ("amount in [1, 'x']", 15, "This is text", ()),
        ("amount in [1, 1]", 15, "twice", ()),
        ("amount in country", 11, "Behind 'in'", ()),
        ("amount + 1 in lists.mules", 12, "Only a field", ()),
        ("lists.mules", 1, "FIELD in lists.mules", ()),
        ("size(amount) > 1", 6, "takes text", ()),
        ("country.startswith('K')", 9, "no function", ("startsWith",)),
        ("[1].exists(x, x > 1)", 5, "not taken", ()),
        ("has(user.count_1h)", 1, "!= null", ()),
        ("country.matches('(')", 17, "pattern", ()),
        ("country.matches('" + "(a{100}){100}" * 3 + "')", 17, "pattern", ()),
        ("null == null", 6, "constant", ()),
        ("amount < null", 8, "no order", ()),
        ("when > timestamp('soon')", 8, "constant text", ()),
        ("amount[0] > 1", 7, "brackets", ()),
        ("amount > 9007199254740993", 10, "not exact", ()),
        ("(" * 100 + "chip" + ")" * 100, 33, "deep", ()),
        ("!" * 100 + "chip", 33, "deep", ()),
        (" || ".join(["chip"] * 400), None, "parts", ()),
        ("chip || " * 1_000 + "chip", 4_001, "characters", ()),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_where_it_stands(text, column, said, near):
    with pytest.raises(InvalidExpression) as refused:
        meant(text)
    assert said in refused.value.said
    assert column in (None, refused.value.place(text).column)
    assert refused.value.meant == near


def test_a_place_is_a_line_and_a_column():
    text = "amount > 5\n  && amuont < 7"
    with pytest.raises(InvalidExpression) as refused:
        meant(text)
    assert refused.value.place(text) == (2, 6, 16)


@pytest.mark.parametrize("sign", ["+", "-", "*", "/", "%"])
def test_the_longest_chain_is_evaluated(sign):
    text = f" {sign} ".join(["amount"] * 247) + " > 1 || chip"
    evaluate = function_of([meant(text).true], ["amount", "chip"], ())
    assert evaluate([1.0, 1.0]) == (True,)
    rows = Rows(2, lambda name, of: np.ones(2), lambda check: None)
    assert rows.holds(meant(text).true).tolist() == [True, True]


def test_what_is_asked_for_twice_is_bounded_in_cost():
    nested = "chip"
    for _ in range(20):
        nested = f"({nested} ? chip : chip)"
    with pytest.raises(InvalidExpression, match="costs too much"):
        meant(nested)


def text_of(random):
    """Something somebody may type: a condition, one with a few characters changed, or signs."""
    whole = written.condition(random, 3)
    match random.randrange(4):
        case 0:
            return whole
        case 1:
            at = random.randrange(len(whole))
            return whole[:at] + random.choice(SIGNS) + whole[at + random.randrange(3) :]
        case 2:
            return "".join(random.choice((*SIGNS, " ", "amount", "5")) for _ in range(random.randrange(60)))
    return "".join(chr(random.choice((random.randrange(128), random.randrange(0x11000)))) for _ in range(40))


def test_ten_thousand_texts_are_refused_or_evaluated_within_a_millisecond():
    """Whatever is typed comes to a refusal with a place in it, or to a function that answers true or false."""
    random, taken, slowest = Random("any text"), 0, 0.0
    names = tuple(written.FIELDS)
    for _ in range(TEXTS):
        text = text_of(random)
        try:
            found = meant(text)
        except InvalidExpression as refusal:
            assert 0 <= refusal.at <= len(text)
            continue
        taken += 1
        evaluate = function_of([found.true], names, ())
        values = [written.values(random)[name] for name in names]
        started = time.thread_time()
        assert evaluate(values) in ((True,), (False,))
        slowest = max(slowest, (time.thread_time() - started) * 1000)
    assert taken > TEXTS / 5
    assert slowest < LONGEST_MS


def test_what_is_taken_is_cel():
    random = Random("cel")
    for _ in range(500):
        text = written.condition(random)
        try:
            meant(text)
        except InvalidExpression:
            continue
        read_by_cel(text)
