"""A rule's `when` before it is published: what is wrong, where, and what may have been meant."""

import pytest

from apps.scoring.engine.rule_check import check_rules
from apps.scoring.engine.rules import InvalidRules, Rule
from apps.scoring.engine.when_check import problem_of


def rule(when, schema="payments"):
    return Rule("r", "review", when=when, schema=schema)


@pytest.mark.parametrize(
    "when",
    [
        "amount > 5000.0 && country != home_country && user.count_1h >= 3", "device.distinct_users_7d > 2",
        "merchant_id in lists.mules", "!(merchant_id in lists.mules)", "device_id == null", "amount % 100 == 0",
        'merchant_category in ["electronics", "jewelry"]', "timestamp.getHours() < 6", "user.since_last < 60",
        "amount > 10 * user.usual_amount && user.known_days > 30", 'email.endsWith("@example.com")',
        "ip.sum_24h > 1000 || email.count_24h > 5", "foreign_transaction == true && !card_present",
    ],
)  # fmt: skip
def test_what_professionals_write_is_taken(when):
    assert problem_of(rule(when), "US") is None


@pytest.mark.parametrize(
    ("when", "offset", "said", "meant"),
    [
        ("amount > 5000 && contry != home_country", 17, "'contry' is no field", ("country",)),
        ("amount > 5000 && country > 5", 25, "'country' is text and 5 is a number", ()),
        ("user.count_2h > 5", 0, "no field", ("user.count_1h",)),
        ("amount < 0", 0, "never holds", ()),
        ("amount > 5 && amount < 3", 0, "never holds", ()),
        ("amount > 5 && (amount < 3 || amount < 4)", 0, "never holds", ()),
        ("amount == null", 0, "never holds", ()),
        ("amount >= 0", 0, "hits every transaction", ()),
        ("amount >= 0 || chip", 15, "'chip' is no field", ()),
        ("amount > 5 || amount <= 5", 0, "hits every transaction", ()),
        ("device_id == null && device_id == 'x'", 0, "never holds", ()),
        ("timestamp > '2026'", 10, "'timestamp' is a time", ()),
    ],
)  # fmt: skip
def test_what_is_wrong_has_its_place(when, offset, said, meant):
    problem = problem_of(rule(when), "US")
    assert problem is not None
    assert said in problem.said
    assert problem.place.offset == offset
    assert set(meant) <= set(problem.meant)


def test_the_home_country_must_be_told():
    assert "has no 'home_country'" in problem_of(rule("country != home_country"), "").said


def test_a_rule_for_every_kind_needs_one_that_has_its_names():
    assert problem_of(rule("amount > 5", ""), "") is None
    assert "No kind of transaction" in problem_of(rule("oldbalanceOrg > 5 && merchant_category == 'x'", ""), "").said
    assert problem_of(rule("oldbalanceOgr > 5", ""), "").meant[0] == "oldbalanceOrg"


def test_a_value_is_written_as_it_is_held():
    problem = problem_of(rule("type == 'transfer'", "paysim"), "")
    assert (problem.place.offset, problem.meant) == (8, ('"TRANSFER"',))


def test_a_policy_with_it_is_refused_with_line_and_column():
    with pytest.raises(InvalidRules) as refused:
        check_rules((rule("amount > 5\n && contry == 'KE'"),))
    assert str(refused.value).startswith("rules[0].when (rule 'r'): line 2, column 5: 'contry' is no field.")


@pytest.mark.parametrize("when", ["((((amount > 5))))", "amount > 5 // a remark", "amount>5&&amount<1e6"])
def test_how_it_is_written_does_not_matter(when):
    assert problem_of(rule(when), "") is None
