"""Rules that can never hit, always do or would err are refused with their place; all others are taken."""

import math
import random
from datetime import UTC, datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from apps.scoring.engine.field_types import is_kind
from apps.scoring.engine.history import Replay, unknown
from apps.scoring.engine.operations import instant
from apps.scoring.engine.ranges import ANYTHING, Range
from apps.scoring.engine.rule_check import Place, check_rule, check_rules, fields_of
from apps.scoring.engine.rules import COMPARE, Condition, InvalidRules, Rule, asks_only_for, evaluate
from apps.scoring.engine.schemas import SCHEMAS
from bench.transactions import MAKERS

PAYMENTS, CARD_ACTIVITY = SCHEMAS["payments"], SCHEMAS["card_activity"]
NOON, LATER = "2026-01-15T12:00:00Z", "2026-01-16T12:00:00+01:00"


def rule(*conditions, rule_id="r", schema="", **more):
    return Rule(rule_id, "review", tuple(Condition(*condition) for condition in conditions), schema=schema, **more)


def other(field, op, name):
    return (field, op, None, name)


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
def test_every_built_in_rule_and_kind_of_fraud_passes(schema):
    for number, one in enumerate(schema.rules):
        check_rule(Place(one, number), schema, "Kenya")
    for number, kind in enumerate(schema.typologies):
        if kind.all:
            check_rule(Place(Rule(kind.fraud_type, "note", kind.all), number), schema)


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
def test_every_field_is_known_with_its_kind(schema):
    fields = fields_of(schema)
    assert fields.keys() == schema.known_to_rules
    assert {name for name, field in fields.items() if field.always} == schema.required


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
def test_no_feature_reaches_further_than_its_schema_says(schema):
    chance, replay = random.Random(6), Replay(schema.roles)
    assert schema.reach.keys() <= set(schema.feature_names)
    for number in range(600):
        said = MAKERS[schema.name](chance)
        said |= {"paysim": {"nameOrig": "C1", "step": number // 90}, "payments": {"user_id": "u"},
                 "card_activity": {"User_ID": 5}}.get(schema.name, {})  # fmt: skip
        one = schema.parse(said, 1_800_000_000_000 + number * chance.choice([1, 60_000, 20_000_000]))
        amount = schema.amount(one.transaction)
        seen = replay.observe(schema.parties(one.transaction), one.at_ms, amount, number + 1, one.received_ms)
        row = schema.row(one.transaction, one.at_ms, [seen.get(role.name, unknown(role)) for role in schema.roles])
        for name, value in zip(schema.feature_names, row, strict=True):
            least, most = schema.reach.get(name, (-math.inf, math.inf))
            assert least <= value <= most or math.isnan(value), (name, value)


# (conditions, where, what is said)
REFUSED = [
    # types
    ([("merchant_id", "in", (17,))], "all[0].value[0]", "'merchant_id' is text"),
    ([("merchant_id", "not_in", (17, 18))], "all[0].value[0]", "not 17"),
    ([("merchant_id", "in", ("M-1", 17))], "all[0].value[1]", "not 17"),
    ([("amount", "gt", "5000")], "all[0].value", 'not "5000"'),
    ([("amount", "gt", True)], "all[0].value", "'amount' is a number"),
    ([("amount", "in", (1, "2"))], "all[0].value[1]", "'amount' is a number"),
    ([("amount", "lt", math.nan)], "all[0].value", "not nan"),
    ([("amount", "lt", math.inf)], "all[0].value", "not inf"),
    ([("count_1h", "ge", "3")], "all[0].value", "'count_1h' is a number"),
    ([("card_present", "eq", 1)], "all[0].value", "true or false"),
    ([("card_present", "eq", "true")], "all[0].value", "true or false"),
    ([("card_present", "ge", True)], "all[0].op", "no order"),
    ([("timestamp", "gt", 1.8e12)], "all[0].value", "is a time"),
    ([("timestamp", "gt", "yesterday")], "all[0].value", "ISO 8601"),
    ([("country", "eq", 49)], "all[0].value", "'country' is text"),
    ([other("amount", "gt", "country")], "all[0].other", "never agree"),
    ([other("amount", "gt", "card_present")], "all[0].other", "never agree"),
    ([other("amount", "ge", "amount")], "all[0].other", "itself"),
    # fields
    ([("amonut", "gt", 1)], "all[0].field", "Did you mean amount"),
    ([other("amount", "gt", "oldbalance")], "all[0].other", "no field"),
    ([("amount", "gt", 1), ("step", "gt", 1), ("user_id", "eq", "u")], "rules[0].all ", "together"),
    # what the field holds
    ([("merchant_category", "eq", "Grocery")], "all[0].value", 'held as "grocery"'),
    ([("type", "in", ("TRANSFER", "cash_out"))], "all[0].value[1]", 'held as "CASH_OUT"'),
    ([("Card_Type", "eq", "uzcard")], "all[0].value", 'held as "UzCard"'),
    ([("country", "ne", "")], "all[0].value", "counts as not sent"),
    ([("merchant_id", "eq", "")], "all[0].value", "1 to 128"),
    ([("merchant_id", "eq", " ")], "all[0].value", "blank"),
    ([("merchant_id", "eq", "a\x00b")], "all[0].value", "U+0000"),
    ([("merchant_id", "eq", "\ud800")], "all[0].value", "U+D800"),
    ([("merchant_id", "in", ("a", "m" * 129))], "all[0].value[1]", "1 to 128"),
    # bounds
    ([("amount", "lt", 0)], "all[0].value", "from 0 up to"),
    ([("amount", "eq", -5)], "all[0].value", "from 0 to"),
    ([("Transaction_Amount", "le", 0)], "all[0].value", "above 0"),
    ([("Transaction_Hour", "gt", 23)], "all[0].value", "up to 23"),
    ([("Transaction_Hour", "eq", 24)], "all[0].value", "from 0 to 23"),
    ([("User_ID", "eq", 1.5)], "all[0].value", "whole number"),
    ([("count_1h", "lt", 0)], "all[0].value", "from 0 up to 256"),
    ([("orig_count_24h", "gt", 256)], "all[0].value", "from 0 up to 256"),
    ([("hour_of_day", "ge", 25)], "all[0].value", "never holds"),
    ([("place_days", "gt", 30)], "all[0].value", "up to 30"),
    ([("count_1h", "gt", 5), ("count_1h", "lt", 5)], "all[1]", "never holds"),
    ([("distance_from_home_km", "gt", 1e6)], "all[0].value", "up to 1,000,000"),
    # lists
    ([("merchant_id", "in", ())], "all[0].value", "empty"),
    ([("merchant_id", "not_in", ())], "all[0].value", "empty"),
    ([("merchant_id", "in", ("a", "b", "a"))], "all[0].value[2]", '"a" is in the list twice'),
    # together
    ([("amount", "gt", 10), ("amount", "lt", 5)], "all[1]", "never holds"),
    ([("amount", "gt", 10), ("count_1h", "gt", 1), ("amount", "le", 10)], "all[2]", "never holds"),
    ([("amount", "eq", 10), ("amount", "eq", 11)], "all[1]", "never holds"),
    ([("amount", "eq", 10), ("amount", "ne", 10)], "all[1]", "never holds"),
    ([("amount", "ge", 10), ("amount", "le", 10), ("amount", "ne", 10)], "all[2]", "never holds"),
    ([("merchant_id", "in", ("a", "b")), ("merchant_id", "not_in", ("b", "a"))], "all[1]", "never holds"),
    ([("merchant_id", "in", ("a", "b")), ("merchant_id", "eq", "c")], "all[1]", "never holds"),
    ([("merchant_id", "gt", "b"), ("merchant_id", "lt", "a")], "all[1]", "never holds"),
    ([("card_present", "eq", True), ("card_present", "eq", False)], "all[1]", "never holds"),
    ([("card_present", "ne", True), ("card_present", "ne", False)], "all[1]", "never holds"),
    ([("Transaction_Hour", "gt", 5), ("Transaction_Hour", "lt", 6)], "all[1]", "never holds"),
    ([("Transaction_Hour", "not_in", tuple(range(24)))], "all[0].value", "never holds"),
    ([("timestamp", "gt", LATER), ("timestamp", "lt", NOON)], "all[1]", "never holds"),
    ([other("oldbalanceOrg", "gt", "newbalanceOrig"), other("newbalanceOrig", "ge", "oldbalanceOrg")],
     "all[1]", "never holds"),
    ([other("amount", "ne", "oldbalanceOrg"), other("oldbalanceOrg", "eq", "amount")], "all[1]", "never holds"),
    ([other("amount", "lt", "oldbalanceOrg"), ("oldbalanceOrg", "lt", 0)], "rules[0].all ", "never stand so"),
    ([("amount", "gt", 5), ("amount", "gt", 5)], "all[1]", "the same as all[0]"),
    # everybody
    ([("amount", "ge", 0)], "rules[0].all ", "hits every transaction"),
    ([("amount", "gt", -1), ("step", "le", 1_000_000)], "rules[0].all ", "hits every transaction"),
    ([("Transaction_Hour", "in", tuple(range(24)))], "rules[0].all ", "hits every transaction"),
    # the home
    ([other("country", "ne", "home_country")], "all[0] ", "no 'home_country'"),
    ([("home_country", "eq", "Kenya")], "all[0] ", "no 'home_country'"),
]  # fmt: skip


@pytest.mark.parametrize(("conditions", "where", "said"), REFUSED, ids=range(len(REFUSED)))
def test_a_rule_that_says_what_can_not_be_is_refused_with_its_place(conditions, where, said):
    with pytest.raises(InvalidRules) as refusal:
        check_rules([rule(("amount", "gt", 77), rule_id="before"), rule(*conditions)])
    told = str(refusal.value)
    assert where.replace("rules[0]", "rules[1]") in told and told.startswith("rules[1]"), told
    assert "rule 'r'" in told and said in told, told
    assert told.encode().decode() == told


TAKEN = [
    [("merchant_id", "in", ("M-17", "M-23"))],
    [("merchant_id", "not_in", ("17", "18"))],
    [("amount", "gt", 5000)],
    [("amount", "gt", 5000.5), ("amount", "lt", 6000)],
    [("amount", "gt", 1e10)],  # some kinds have such amounts
    [("amount", "ge", 0), ("merchant_id", "eq", "a")],
    [("User_ID", "eq", 15.0)],
    [("User_ID", "in", (0, 15))],
    [("distance_from_home_km", "ge", 0)],  # it was sent
    [("card_present", "in", (True, False))],
    [("card_present", "ne", True)],
    [("merchant_category", "eq", "our_own")],
    [("merchant_category", "in", ("grocery", "kids_pets"))],
    [("country", "eq", "Côte d\u2019Ivoire")],
    [("timestamp", "ge", NOON), ("timestamp", "lt", LATER)],
    [("timestamp", "gt", "2026-01-15T10:30:00")],
    [("count_1h", "ge", 3), ("against_usual", "lt", -0.5)],
    [other("oldbalanceOrg", "ge", "newbalanceOrig"), other("oldbalanceOrg", "le", "newbalanceOrig")],
    [other("oldbalanceOrg", "gt", "amount"), ("oldbalanceOrg", "gt", 0)],
    [other("Transaction_Hour", "gt", "Transaction_Velocity")],
    [("Transaction_Hour", "not_in", tuple(range(23)))],
    [("TransactionAmt", "gt", 0), ("C1", "ge", 3), ("P_emaildomain", "eq", "example.com")],
]


@pytest.mark.parametrize("conditions", TAKEN, ids=range(len(TAKEN)))
def test_a_rule_that_may_hit_is_taken(conditions):
    check_rules([rule(*conditions)])


def test_a_rule_for_one_kind_is_held_to_its_bounds():
    big = [("amount", "gt", 1e16)]
    with pytest.raises(InvalidRules, match=r"up to 1e\+15"):
        check_rules([rule(*big, schema="payments")])
    far = [("distance_from_home_km", "gt", 1e5)]
    check_rules([rule(*far, schema="payments")])


@pytest.mark.parametrize(
    ("more", "where", "said"),
    [
        ({"schema": "pay"}, ".schema ", "there are paysim"),
        ({"rule_id": "black_hole"}, ".id ", "built-in"),
        ({"description": "a\x00b"}, ".description ", "U+0000"),
        ({"reason_code": "\ud83d"}, ".reason_code ", "U+D83D"),
    ],
)
def test_the_rest_of_a_rule_is_checked_as_well(more, where, said):
    with pytest.raises(InvalidRules) as refusal:
        check_rules([rule(("amount", "gt", 5), **more)])
    assert where in str(refusal.value) and said in str(refusal.value)


def test_the_home_country_is_what_the_policy_says():
    abroad, at_home = rule(other("country", "ne", "home_country")), rule(("home_country", "eq", "Kenya"))
    check_rules([abroad], "Kenya")
    check_rules([at_home], "Kenya")  # a switch
    with pytest.raises(InvalidRules, match="never holds"):
        check_rules([at_home], "Uganda")


def test_a_time_is_held_against_its_instant():
    asked = rule(("timestamp", "gt", "2026-01-15T13:00:00+01:00"), schema="payments")
    listed = rule(("timestamp", "in", (NOON, LATER)), schema="payments")
    told = {}
    for said in (NOON, "2026-01-15T12:00:01", "2026-01-15T13:00:00+01:00", None):
        sent = {"amount": 5, "user_id": "u", "merchant_id": "m"} | ({"timestamp": said} if said else {})
        values = PAYMENTS.values(PAYMENTS.parse(sent).facts, [0.0] * len(PAYMENTS.features))
        told[said] = tuple(one.outcome for one in evaluate([asked, listed], values))
    assert list(told.values()) == [("no_hit", "hit"), ("hit", "no_hit"), ("no_hit", "hit"), ("no_hit", "no_hit")]


def test_a_rule_speaks_of_kinds_that_have_its_fields():
    both = rule(("amount", "gt", 1), other("country", "ne", "home_country"))
    assert [name for name, one in SCHEMAS.items() if asks_only_for(both, one.known_to_rules)] == ["payments"]


# --- generated --------------------------------------------------------------------------------------------------------

HOURS = range(24)
one_hour = st.integers(-2, 26)
asked = st.one_of(
    st.tuples(st.just("Transaction_Hour"), st.sampled_from(["eq", "ne", "lt", "le", "gt", "ge"]), one_hour),
    st.tuples(st.just("Transaction_Hour"), st.sampled_from(["in", "not_in"]),
              st.lists(st.integers(0, 23), unique=True, max_size=24).map(tuple)),
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.lists(asked, min_size=1, max_size=4, unique=True))
def test_what_is_taken_hits_some_hour_and_not_every_one(conditions):
    """Held against every hour there is."""
    hits = [hour for hour in HOURS if all(COMPARE[op](hour, value) for _, op, value in conditions)]
    values = [one for _, op, value in conditions if op not in ("lt", "le", "gt", "ge")
              for one in (value if isinstance(value, tuple) else (value,))]  # fmt: skip
    possible = all(value in HOURS for value in values) and all(value != () for *_, value in conditions)
    try:
        check_rules([rule(*conditions, schema="card_activity")])
        taken = True
    except InvalidRules:
        taken = False
    assert taken == (possible and 0 < len(hits) < len(HOURS))


ends = st.one_of(st.none(), st.integers(0, 6))
ranges = st.builds(
    Range, ends, st.booleans(), ends, st.booleans(),
    st.one_of(st.none(), st.frozensets(st.integers(0, 6))), st.frozensets(st.integers(0, 6)), st.just(True)
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(ranges, ranges)
def test_how_two_ranges_stand_to_each_other_leaves_out_nothing_that_can_be(one, two):
    def values(found):
        return [n for n in range(-9, 16) if found.holds(n) and n not in found.without
                and (found.chosen is None or n in found.chosen)]  # fmt: skip

    real = {"<" if a < b else ">" if a > b else "=" for a in values(one) for b in values(two)}
    assert real <= one.relations(two)
    if one.least is not None and one.most is not None:
        assert one.is_empty() == (not values(one))


def test_any_number_is_neither_empty_nor_narrow():
    assert not ANYTHING.is_empty() and ANYTHING.relations(ANYTHING) == frozenset("<=>")
    assert instant(datetime(1970, 1, 1, tzinfo=UTC)) == 0.0


scalars = st.one_of(
    st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.sampled_from(["TRANSFER", NOON, "grocery"])
)
anything = st.one_of(scalars, st.lists(scalars, max_size=5).map(tuple))
ALL_FIELDS = sorted(frozenset().union(*(schema.known_to_rules for schema in SCHEMAS.values())))


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_text_that_was_not_sent_is_unknown_whatever_feature_has_its_name(schema):
    known = SCHEMAS[schema]
    values = known.values({}, [1.0] * len(known.features), "Kenya")
    assert {name for name, kind in known.types.items() if is_kind(str, kind) and values[name] is not None} == set()


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(ALL_FIELDS), st.sampled_from(sorted(COMPARE)), anything)
@example("id_16", "ge", "")
def test_whatever_is_asked_is_taken_or_refused_and_what_is_taken_never_errs(field, op, value):
    if (op in ("in", "not_in")) != isinstance(value, tuple):
        return  # refused by its form
    one = rule((field, op, value))
    try:
        check_rules([one], "Kenya")
    except InvalidRules as refusal:
        assert str(refusal).startswith("rules[0]")
        return
    for schema in SCHEMAS.values():
        if asks_only_for(one, schema.known_to_rules):
            values = schema.values(schema.parse(schema._any).facts, [1.0] * len(schema.features), "Kenya")
            assert evaluate([one], values)[0].outcome != "error"
