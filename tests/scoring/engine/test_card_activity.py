import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from apps.scoring.engine.habits import Habits
from apps.scoring.engine.history import PastColumns, Replay, told_home, unknown
from apps.scoring.engine.parties import Party
from apps.scoring.engine.rules import evaluate, typical
from apps.scoring.engine.schemas.card_activity import (
    AUTHENTICATION,
    CARD_ACTIVITY,
    CARD_REACH,
    CATEGORY_RISK,
    DERIVED,
    SIGNALS,
    STATUS,
    TYPOLOGIES,
    USD_PER_UNIT,
    WEIGHTS,
    CardActivity,
    alerts,
    final_risk,
)
from apps.scoring.engine.transaction import InvalidTransaction
from apps.scoring.engine.windows import QUIET, UNKNOWN, Activity

REQUIRED = CARD_ACTIVITY.fields[:18]
# The two documented requests, as published.
TRAVEL: dict[str, Any] = {
    "User_ID": 12345, "Transaction_Amount": 150000, "Transaction_Location": "USA", "Merchant_ID": 987,
    "Device_ID": 555, "Card_Type": "Credit", "Transaction_Currency": "USD", "Transaction_Status": "Completed",
    "Previous_Transaction_Count": 25, "Distance_Between_Transactions_km": 2500,
    "Time_Since_Last_Transaction_min": 1440, "Authentication_Method": "OTP", "Transaction_Velocity": 3,
    "Transaction_Category": "Travel", "Transaction_Hour": 14, "Transaction_Day": 15, "Transaction_Month": 1,
    "Transaction_Weekday": 3, "Log_Transaction_Amount": 12.02, "Velocity_Distance_Interact": 0.0012,
    "Amount_Velocity_Interact": 50000, "Time_Distance_Interact": 3600000, "Hour_sin": 0.95, "Hour_cos": 0.31,
    "Weekday_sin": 0.95, "Weekday_cos": 0.31,
}  # fmt: skip
GAMING: dict[str, Any] = {
    **TRAVEL, "User_ID": 67890, "Transaction_Amount": 500000000, "Transaction_Location": "Russia", "Merchant_ID": 321,
    "Device_ID": 777, "Transaction_Currency": "RUB", "Previous_Transaction_Count": 5,
    "Distance_Between_Transactions_km": 5000, "Time_Since_Last_Transaction_min": 120, "Authentication_Method": "PIN",
    "Transaction_Velocity": 12, "Transaction_Category": "Gaming", "Transaction_Hour": 3, "Transaction_Day": 20,
    "Transaction_Month": 6, "Transaction_Weekday": 2, "Log_Transaction_Amount": 20.0,
    "Velocity_Distance_Interact": 0.0024, "Amount_Velocity_Interact": 60000000, "Time_Distance_Interact": 600000,
    "Hour_sin": 0.14, "Hour_cos": 0.99, "Weekday_sin": 0.14, "Weekday_cos": 0.99,
}  # fmt: skip
# An unremarkable payment without derived fields.
LUNCH: dict[str, Any] = {
    **{name: TRAVEL[name] for name in REQUIRED},
    "Transaction_Amount": 60000, "Transaction_Location": "Uzbekistan", "Transaction_Currency": "UZS",
    "Card_Type": "UzCard", "Distance_Between_Transactions_km": 4, "Time_Since_Last_Transaction_min": 300,
    "Transaction_Category": "Restaurants", "Transaction_Hour": 13,
}  # fmt: skip
NOW = 1_770_000_000_000
HOUR = 3_600_000
APART = 26 * HOUR


def parsed(base=LUNCH, **changed):
    return CARD_ACTIVITY.parse({**base, **changed}, NOW)


def pasts(transaction, events=()):
    """What is known of user and device after `events`: changes to the transaction, over a day before each other."""
    replay, seen = Replay(CARD_ACTIVITY.roles), {}
    whole = [*[parsed(transaction, **event).transaction for event in events], parsed(transaction).transaction]
    for index, one in enumerate(whole):
        at_ms = NOW - (len(whole) - 1 - index) * APART
        seen = replay.observe(CARD_ACTIVITY.parties(one), at_ms, CARD_ACTIVITY.amount(one), index + 1)
    return [seen[role.name] for role in CARD_ACTIVITY.roles]


NOTHING = [unknown(role) for role in CARD_ACTIVITY.roles]


def features(base=LUNCH, known=None, **changed):
    one = parsed(base, **changed)
    row = CARD_ACTIVITY.row(one.transaction, one.at_ms, pasts({**base, **changed}) if known is None else known)
    return dict(zip(CARD_ACTIVITY.feature_names, row, strict=True))


def values(base=LUNCH, known=None, home="", **changed):
    place = {**base, **changed}["Transaction_Location"]
    known = [told_home(past, place, home) for past in known or pasts({**base, **changed})]
    row = tuple(features(base, known, **changed).values())
    return CARD_ACTIVITY.values(parsed(base, **changed).facts, row, home)


def signals(base=LUNCH, known=None, home="Uzbekistan", **changed):
    return alerts(evaluate(CARD_ACTIVITY.rules, values(base, known, home, **changed)))


# Fields


def test_the_26_fields_stand_in_the_documented_order():
    assert CARD_ACTIVITY.fields[:26] == tuple(TRAVEL)
    assert CARD_ACTIVITY.required == frozenset(REQUIRED)


def test_the_first_missing_field_is_named_in_the_documented_order():
    for index, name in enumerate(REQUIRED):
        with pytest.raises(InvalidTransaction) as refusal:
            CARD_ACTIVITY.parse({field: TRAVEL[field] for field in REQUIRED[:index]})
        assert (refusal.value.param, refusal.value.missing) == (name, True)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("User_ID", 1.5), ("User_ID", -1), ("User_ID", "12345"), ("User_ID", 2**53), ("Transaction_Amount", 0),
        ("Transaction_Amount", -5), ("Transaction_Amount", 1.1e15), ("Transaction_Amount", "150000"),
        ("Transaction_Amount", math.nan), ("Transaction_Amount", True), ("Transaction_Location", ""),
        ("Transaction_Location", 7), ("Transaction_Location", "a\x00b"), ("Transaction_Location", "x" * 129),
        ("Card_Type", None), ("Previous_Transaction_Count", -1), ("Distance_Between_Transactions_km", -0.1),
        ("Time_Since_Last_Transaction_min", math.inf), ("Transaction_Velocity", -1), ("Transaction_Hour", 24),
        ("Transaction_Hour", -1), ("Transaction_Day", 0), ("Transaction_Day", 32), ("Transaction_Month", 13),
        ("Transaction_Weekday", 7), ("Hour_sin", "0.95"), ("Log_Transaction_Amount", math.nan),
        ("Amount_Velocity_Interact", 10**400), ("transaction_id", "x" * 129), ("Timestamp", "yesterday"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_by_its_fields_name(field, value):
    with pytest.raises(InvalidTransaction) as refusal:
        parsed(**{field: value})
    assert (refusal.value.param, refusal.value.missing) == (field, False)
    assert field in refusal.value.detail


def test_whole_numbers_may_be_written_with_a_point_and_the_largest_amount_is_taken():
    one = parsed(User_ID=15.0, Transaction_Hour=14.0, Transaction_Amount=1e15).transaction
    assert (one.User_ID, one.Transaction_Hour, one.Transaction_Amount) == (15, 14, 1e15)


def test_known_words_in_another_case_are_those_words():
    one = parsed(
        Card_Type="uzcard ", Transaction_Currency="uzs", Authentication_Method="otp", Transaction_Status="FAILED"
    )
    told = one.transaction
    assert (told.Card_Type, told.Transaction_Currency) == ("UzCard", "UZS")
    assert (told.Authentication_Method, told.Transaction_Status) == ("OTP", "Failed")
    assert one.warnings == ()


def test_words_nobody_knows_are_scored_with_a_warning():
    warnings = parsed(Transaction_Currency="XXX", Card_Type="Library").warnings
    assert [warning.split(":")[0] for warning in warnings] == [
        "Unknown Card_Type 'Library'", "Unknown Transaction_Currency 'XXX'",
    ]  # fmt: skip


def test_it_happened_when_it_says_or_else_when_it_was_received():
    assert parsed().at_ms == NOW
    assert parsed(Timestamp="2026-01-15T14:30:00+05:00").at_ms == 1_768_469_400_000
    assert parsed(Timestamp="2026-01-15T09:30:00").at_ms == 1_768_469_400_000


def test_the_user_deals_with_a_merchant_at_a_place_on_a_device_and_the_device_with_the_user():
    user, device = CARD_ACTIVITY.parties(parsed(TRAVEL).transaction)
    assert user == Party("User_ID", "12345", "987", "travel", 2500 / 24, "usa", "555")
    assert (device.role, device.name, device.counterparty) == ("Device_ID", "555", "12345")


def test_amounts_are_remembered_in_dollars():
    assert CARD_ACTIVITY.amount(parsed(TRAVEL).transaction) == 150000.0
    assert CARD_ACTIVITY.amount(parsed(Transaction_Amount=100000).transaction) == pytest.approx(8.0)


# Derived fields


def test_absent_derived_fields_are_computed():
    facts = parsed(TRAVEL, **dict.fromkeys(DERIVED)).facts
    assert {name: round(facts[name], 4) for name in DERIVED} == {
        "Log_Transaction_Amount": 11.9184, "Velocity_Distance_Interact": 0.0012, "Amount_Velocity_Interact": 50000.0,
        "Time_Distance_Interact": 3600000.0, "Hour_sin": -0.5, "Hour_cos": -0.866, "Weekday_sin": 0.4339,
        "Weekday_cos": -0.901,
    }  # fmt: skip


def test_the_documented_requests_are_warned_of_what_does_not_follow():
    assert [warning.split()[0] for warning in parsed(TRAVEL).warnings] == [
        "Log_Transaction_Amount", "Hour_sin", "Hour_cos", "Weekday_sin", "Weekday_cos",
    ]  # fmt: skip
    assert [warning.split()[0] for warning in parsed(GAMING).warnings] == [
        "Amount_Velocity_Interact", "Hour_sin", "Hour_cos", "Weekday_sin", "Weekday_cos",
    ]  # fmt: skip


def test_sent_derived_fields_stay_as_sent_and_change_no_feature():
    assert parsed(TRAVEL).facts["Hour_sin"] == 0.95
    assert features(TRAVEL) == pytest.approx(features(TRAVEL, **dict.fromkeys(DERIVED)), nan_ok=True)


@pytest.mark.parametrize("right", [math.log(3.0), math.log1p(3.0), 1.1, 1.39])
def test_either_logarithm_is_right_also_rounded(right):
    assert parsed(Transaction_Amount=3, Log_Transaction_Amount=right).warnings == ()


def test_what_divides_by_nothing_is_left_out_and_never_warned_of():
    still = {"Distance_Between_Transactions_km": 0, "Transaction_Velocity": 0}
    assert {"Velocity_Distance_Interact", "Amount_Velocity_Interact"}.isdisjoint(parsed(**still).facts)
    assert parsed(**still, Velocity_Distance_Interact=0.0, Amount_Velocity_Interact=0.0).warnings == ()


amounts = st.floats(1e-300, 1e15, exclude_min=True)
numbers = st.floats(0, 1e6)
transactions = st.builds(
    CardActivity,
    User_ID=st.integers(0, 2**53 - 1),
    Transaction_Amount=amounts,
    Transaction_Location=st.sampled_from(["USA", "Uzbekistan", "Atlantis"]),
    Merchant_ID=st.integers(0, 2**53 - 1),
    Device_ID=st.integers(0, 2**53 - 1),
    Card_Type=st.sampled_from([*CARD_REACH, "?"]),
    Transaction_Currency=st.sampled_from([*USD_PER_UNIT, "XXX"]),
    Transaction_Status=st.sampled_from([*STATUS, "?"]),
    Previous_Transaction_Count=st.integers(0, 2**53 - 1),
    Distance_Between_Transactions_km=numbers,
    Time_Since_Last_Transaction_min=st.floats(0, 1e8),
    Authentication_Method=st.sampled_from([*AUTHENTICATION, "?"]),
    Transaction_Velocity=numbers,
    Transaction_Category=st.sampled_from([*CATEGORY_RISK, "?"]),
    Transaction_Hour=st.integers(0, 23),
    Transaction_Day=st.integers(1, 31),
    Transaction_Month=st.integers(1, 12),
    Transaction_Weekday=st.integers(0, 6),
)


@settings(max_examples=100, deadline=None)
@given(transactions)
def test_computed_fields_are_finite_and_agree_with_themselves(one):
    facts = {name: getattr(one, name) for name in REQUIRED}
    filled = CARD_ACTIVITY.parse(facts)
    assume(all(type(filled.facts[name]) is type(facts[name]) for name in REQUIRED))  # no number was taken for a card's
    assert all(math.isfinite(filled.facts[name]) for name in DERIVED if name in filled.facts)
    assert not [warning for warning in CARD_ACTIVITY.parse(filled.facts).warnings if "follows" in warning]


# Features

counts = st.integers(0, 256).map(float)
users = st.one_of(
    st.just(NOTHING[0]),
    st.just(pasts(LUNCH)[0]),
    st.builds(Habits, *[counts] * len(Habits.__struct_fields__)),
)
devices = st.one_of(st.just(UNKNOWN), st.just(QUIET), st.builds(Activity, *[counts] * 10))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(transactions, users, devices), min_size=1, max_size=8))
def test_a_row_and_the_same_row_in_a_block_are_equal_to_the_bit(drawn):
    rows = [CARD_ACTIVITY.row(one, NOW, [user, device]) for one, user, device in drawn]
    columns = CARD_ACTIVITY.columns([one for one, _, _ in drawn])
    known = [PastColumns([one[role] for one in drawn]) for role in (1, 2)]
    block = CARD_ACTIVITY.block(columns, np.full(len(drawn), float(NOW)), known)
    assert np.array(rows, dtype=np.float32).tobytes() == block.astype(np.float32).tobytes()
    assert not np.isinf(block).any()


def test_amounts_are_compared_in_dollars():
    lunch, dinner = features(Transaction_Amount=100000), features(Transaction_Amount=8, Transaction_Currency="USD")
    assert lunch["amount_usd"] == pytest.approx(dinner["amount_usd"])
    assert math.isnan(features(Transaction_Currency="XXX")["amount_usd"])


def test_the_speed_of_a_journey_is_the_days_fastest_without_a_cap():
    assert features(TRAVEL)["speed_kmh"] == pytest.approx(2500 / 24)
    far = {"Distance_Between_Transactions_km": 8000, "Time_Since_Last_Transaction_min": 10}
    assert features(**far)["speed_kmh"] == 48_000.0
    replay, one, next_one = Replay(CARD_ACTIVITY.roles), parsed(**far).transaction, parsed().transaction
    replay.observe(CARD_ACTIVITY.parties(one), NOW - HOUR, 1.0, 1)
    seen = replay.look(CARD_ACTIVITY.parties(next_one), NOW, 2)
    assert features(known=[seen[role.name] for role in CARD_ACTIVITY.roles])["speed_kmh"] == 48_000.0


def test_the_present_is_held_against_the_users_own_past():
    before = [{"Device_ID": 1}, {"Transaction_Location": "USA"}, {}, {}]
    found = features(known=pasts(LUNCH, before), Transaction_Amount=600000)
    assert (found["known_events"], found["device_days"], found["merchant_known"]) == (4.0, 3.0, 1.0)
    assert (found["abroad"], found["place_days"]) == (0.0, 3.0)
    assert found["against_usual"] == pytest.approx(math.log1p(48.0) - math.log1p(4.8), rel=1e-6)


def test_a_device_is_new_for_a_day_unless_the_user_is_new():
    newcomer = {"Previous_Transaction_Count": 0}
    assert math.isnan(features(**newcomer)["device_days"])
    assert features()["device_days"] == 0.0
    assert features(known=pasts(LUNCH, [{}]))["device_days"] == 1.0
    assert signals(**newcomer) == ()


def test_without_history_nothing_is_said_of_the_past():
    found = features(known=NOTHING)
    assert math.isnan(found["known_events"]) and math.isnan(found["device_days"]) and math.isnan(found["abroad"])
    assert features()["known_events"] == 0.0


# Signals


def test_an_unremarkable_payment_of_a_known_user_raises_no_alert():
    assert signals(known=pasts(LUNCH, [{}] * 5)) == ()


def test_the_documented_requests_raise_their_alerts_on_a_fresh_tenant():
    assert signals(TRAVEL) == ("Foreign", "New Device", "High Amount", "Unusual Distance")
    assert signals(TRAVEL, home="") == ("Foreign", "New Device", "High Amount", "Unusual Distance")
    assert signals(GAMING) == (
        "Foreign", "New Device", "High Amount", "High Velocity", "Unusual Distance", "Night Time",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("title", "changed"),
    [
        ("Foreign", {"Transaction_Location": "USA"}),
        ("New Device", {"Device_ID": 99}),
        ("High Amount", {"Transaction_Amount": 40_000_000}),
        ("High Amount", {"Transaction_Amount": 2_500_000}),
        ("High Velocity", {"Transaction_Velocity": 10}),
        ("Unusual Distance", {"Distance_Between_Transactions_km": 1000, "Time_Since_Last_Transaction_min": 9000}),
        ("Unusual Distance", {"Distance_Between_Transactions_km": 400, "Time_Since_Last_Transaction_min": 20}),
        ("Night Time", {"Transaction_Hour": 0}),
        ("Night Time", {"Transaction_Hour": 5}),
        ("Weak Authentication", {"Authentication_Method": "Password"}),
        ("Weak Authentication", {"Authentication_Method": "None"}),
        ("Failed Status", {"Transaction_Status": "Declined"}),
    ],
)
def test_each_signal_by_itself(title, changed):
    known = [*[{**LUNCH}] * 5]
    replayed = pasts({**LUNCH, **changed}, known)
    assert signals(known=replayed, **changed) == (title,)


def test_ten_payments_within_an_hour_are_a_high_velocity():
    replay = Replay(CARD_ACTIVITY.roles)
    one = parsed().transaction
    for index in range(10):
        seen = replay.observe(CARD_ACTIVITY.parties(one), NOW - (9 - index) * 60_000, 1.0, index + 1)
    assert "High Velocity" in signals(known=[seen[role.name] for role in CARD_ACTIVITY.roles])


def test_the_place_of_most_of_the_users_days_is_not_foreign():
    travelled = pasts({**LUNCH, "Transaction_Location": "USA"}, [{"Transaction_Location": "Uzbekistan"}] * 2 + [{}] * 3)
    assert "Foreign" not in signals(known=travelled, Transaction_Location="USA")


def test_the_home_country_is_never_foreign():
    assert "Foreign" not in signals(TRAVEL, home="USA")


def test_while_history_is_away_a_device_is_not_called_new():
    assert signals(TRAVEL, known=NOTHING) == ("Foreign", "High Amount", "Unusual Distance")


def test_signals_never_decide_and_each_has_its_published_name():
    notes = {rule.id for rule in CARD_ACTIVITY.rules if rule.outcome == "note"}
    assert notes <= set(SIGNALS) <= {rule.id for rule in CARD_ACTIVITY.rules}
    assert set(WEIGHTS) == {
        "Foreign", "New Device", "High Amount", "High Velocity", "Unusual Distance", "Night Time",
        "Weak Authentication", "Failed Status",
    }  # fmt: skip
    assert all(0.0 < weight < 1.0 for weight in WEIGHTS.values())


# The final risk

probabilities = st.one_of(
    st.floats(0, 1), st.integers(0, 10**6).map(lambda millionth: millionth / 10**6),
    st.sampled_from([0.0, 0.499999, 0.49999999999999994, 0.5, 1.0]),
)  # fmt: skip
titles = st.sets(st.sampled_from(sorted(WEIGHTS)))


@given(probabilities, titles)
def test_the_final_risk_is_never_below_the_probability_and_decides_as_it_does(probability, raised):
    risk = final_risk(probability, raised)
    assert probability <= risk <= 1.0
    assert (risk >= 0.5) == (probability >= 0.5)


@given(probabilities, titles, st.sampled_from(sorted(WEIGHTS)))
def test_one_signal_more_never_lowers_the_risk_and_no_signal_leaves_it(probability, raised, title):
    assert final_risk(probability, raised | {title}) >= final_risk(probability, raised)
    assert final_risk(probability, ()) == pytest.approx(probability, abs=1e-6)


@pytest.mark.parametrize("title", sorted(WEIGHTS))
@pytest.mark.parametrize("probability", [0.0, 0.1, 0.4, 0.5, 0.9])
def test_each_signal_raises_the_risk(probability, title):
    assert final_risk(probability, [title]) > probability


# Typologies


@pytest.mark.parametrize(
    ("typology", "changed"),
    [
        ("card_testing", {"Transaction_Amount": 20000, "Transaction_Status": "Failed", "Device_ID": 99}),
        ("account_takeover", {"Device_ID": 99, "Transaction_Amount": 2_000_000}),
        ("account_takeover", {"Device_ID": 99, "Transaction_Location": "USA", "Transaction_Category": "Transfer",
                              "Transaction_Amount": 2_000_000}),
        ("stolen_card_abroad", {"Device_ID": 99, "Transaction_Location": "USA", "Transaction_Amount": 2_000_000}),
        ("bust_out", {"Transaction_Amount": 40_000_000}),
        ("other", {"Transaction_Amount": 90_000}),
    ],
)  # fmt: skip
def test_each_typology_by_its_picture(typology, changed):
    known = pasts({**LUNCH, **changed}, [{**LUNCH}] * 5)
    assert typical(TYPOLOGIES, values(known=known, **changed)) == typology


def test_without_history_distance_and_amount_speak():
    assert typical(TYPOLOGIES, values(GAMING)) == "stolen_card_abroad"
    assert typical(TYPOLOGIES, values(GAMING, known=NOTHING)) == "stolen_card_abroad"
    assert typical(TYPOLOGIES, values(Transaction_Amount=1e9, Previous_Transaction_Count=0)) == "bust_out"


def test_the_guide_tells_every_signal_and_kind_of_fraud():
    guide = (Path(__file__).parents[3] / "docs/card-activity.md").read_text()
    for title, share in WEIGHTS.items():
        assert re.search(rf"^\| {title} \|.*\| {share:.2f} \|$", guide, re.MULTILINE)
    assert not [typology for typology in TYPOLOGIES if f"| `{typology.fraud_type}` |" not in guide]
