"""Radar's and Fraud Detector's languages: what is written is what is read, and no text takes anything down."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.imports.languages import detector_condition, radar_rule, radar_rules
from apps.imports.tree import (
    DEEPEST,
    Attribute,
    Call,
    Constant,
    ListName,
    Negation,
    Node,
    Operation,
    Together,
    Unreadable,
    Values,
)

COUNTRY, AMOUNT = Attribute("card_country"), Attribute("amount_in_usd")


@pytest.mark.parametrize(
    ("text", "action", "condition"),
    [
        (
            "Block if :card_country: != :ip_country: and :amount_in_usd: > 500",
            "block",
            Together(
                "&&", (Operation("!=", COUNTRY, Attribute("ip_country")), Operation(">", AMOUNT, Constant(500.0)))
            ),
        ),
        ("Request 3D Secure if :card_country: = 'FR'", "request_3ds", Operation("==", COUNTRY, Constant("FR"))),
        ("request 3DS if not :card_country: in @eu", "request_3ds", Negation(Operation("in", COUNTRY, ListName("eu")))),
        ("Review if :email: INCLUDES 'x'", "review", Operation("includes", Attribute("email"), Constant("x"))),
        ("Place in review if :email: LIKE '%x'", "review", Operation("like", Attribute("email"), Constant("%x"))),
        ("Allow if ::tier:: = 'gold'", "allow", Operation("==", Attribute("metadata:tier"), Constant("gold"))),
        ("ALLOW IF :a: NOT IN (1, 2)", "allow",
         Negation(Operation("in", Attribute("a"), Values((Constant(1.0), Constant(2.0)))))),
        ("Block if is_missing(:email:)", "block", Call("is_missing", (Attribute("email"),))),
        ("Block if :a: IS NULL or :b: is not null", "block",
         Together("||", (Operation("==", Attribute("a"), Constant(None)),
                         Operation("!=", Attribute("b"), Constant(None))))),
        ("Block if :notable: or :isolated:", "block",
         Together("||", (Attribute("notable"), Attribute("isolated")))),
    ],
)  # fmt: skip
def test_rule_of_radar_is_read(text: str, action: str, condition: Node) -> None:
    assert radar_rule(text) == (action, condition)


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        (
            '$model_score > 900 and $ip_country == "US"',
            Together(
                "&&",
                (
                    Operation(">", Attribute("model_score"), Constant(900.0)),
                    Operation("==", Attribute("ip_country"), Constant("US")),
                ),
            ),
        ),
        ("$a in [5, 10]", Operation("in", Attribute("a"), Values((Constant(5.0), Constant(10.0))))),
        ("$a not in @l", Negation(Operation("in", Attribute("a"), ListName("l")))),
        ("!($a == true)", Negation(Operation("==", Attribute("a"), Constant(True)))),
        ("$a + $b * 2 < 10",
         Operation("<", Operation("+", Attribute("a"), Operation("*", Attribute("b"), Constant(2.0))),
                   Constant(10.0))),
        ('regex_match(".*@x", lowercase($e))',
         Call("regex_match", (Constant(".*@x"), Call("lowercase", (Attribute("e"),))))),
        ("$a != null", Operation("!=", Attribute("a"), Constant(None))),
    ],
)  # fmt: skip
def test_condition_of_fraud_detector_is_read(text: str, condition: Node) -> None:
    assert detector_condition(text) == condition


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("Deny if :a: = 1", 0),
        ("Block :a: = 1", 5),
        ("Block if", 8),
        ("Block if :a: = ", 15),
        ("Block if :a: ~ 1", 13),
        ("Block if (:a: = 1", 17),
    ],
)
def test_what_can_not_be_read_says_from_where_on(text: str, at: int) -> None:
    with pytest.raises(Unreadable) as wrong:
        radar_rule(text)
    assert wrong.value.at == at and wrong.value.why


def test_rules_of_a_text_begin_with_what_is_to_be_done() -> None:
    text = "# ours\nBlock if :a: = 1\n  and :b: = 2\n\n// more\nAllow if :c:\nReview if\n:d:\n"
    assert list(radar_rules(text)) == ["Block if :a: = 1 and :b: = 2", "Allow if :c:", "Review if :d:"]


@pytest.mark.parametrize("nested", ["not " * 900 + ":a:", "(" * 900 + ":a: = 1" + ")" * 900, "-" * 3000 + "1 = :a:"])
def test_what_is_nested_without_end_is_refused_or_read(nested: str) -> None:
    try:
        radar_rule(f"Block if {nested}")
    except Unreadable as wrong:
        assert str(DEEPEST) in wrong.why


@given(st.text(max_size=200) | st.text(st.sampled_from(":$@'\"()[]<>=!%+-*/ \n,aif1andornotinlike"), max_size=200))
def test_no_text_takes_a_parser_down(text: str) -> None:
    for read in (radar_rule, lambda one: radar_rule(f"Block if {one}"), detector_condition):
        try:
            read(text)
        except Unreadable as wrong:
            assert wrong.why


def made(random: Random, depth: int = 3) -> Node:
    """Some condition."""
    kind = random.randrange(4) if depth else 3
    if kind == 0:
        sign = random.choice(("&&", "||"))
        items = tuple(made(random, depth - 1) for _ in range(random.randrange(2, 4)))
        return Together(sign, items)
    if kind == 1:
        return Negation(made(random, depth - 1))
    attribute = Attribute(random.choice(("a", "card_bin", "notes")))
    if kind == 2:
        return Operation("in", attribute, random.choice((ListName("l_1"), Values((Constant("x"), Constant(2.0))))))
    value = random.choice((Constant(12.5), Constant('it\'s \\ "x"'), Constant(True), Constant(None), Attribute("b")))
    return Operation(random.choice(("==", "!=", "<", ">=")), attribute, value)


def written(node: Node, mark: str) -> str:
    """A condition as their languages write it."""
    match node:
        case Together(sign, items):
            word = " and " if sign == "&&" else " OR "
            return word.join(f"({written(item, mark)})" for item in items)
        case Negation(inner):
            return f"not ({written(inner, mark)})"
        case Operation(sign, left, right):
            return f"{written(left, mark)} {sign} {written(right, mark)}"
        case Attribute(name):
            return mark.format(name)
        case ListName(name):
            return f"@{name}"
        case Values(items):
            return f"({', '.join(written(item, mark) for item in items)})"
        case Constant(None):
            return "null"
        case Constant(bool(value)):
            return str(value).lower()
        case Constant(str(value)):
            return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
        case Constant(value):
            return str(value)
    raise AssertionError(node)


def test_what_is_written_is_what_is_read() -> None:
    random = Random(7)
    for _ in range(300):
        node = made(random)
        assert radar_rule(f"Block if {written(node, ':{}:')}").condition == node
        assert detector_condition(written(node, "${}")) == node
