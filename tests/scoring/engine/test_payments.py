import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.scoring.engine.habits import NO_HABITS, UNKNOWN_HABITS, Habits
from apps.scoring.engine.history import PastColumns, Replay, past_of
from apps.scoring.engine.operations import SCALAR
from apps.scoring.engine.past_events import event_of
from apps.scoring.engine.rules import evaluate, typical
from apps.scoring.engine.schemas.payments import (
    CATEGORY_RANK,
    MEANS,
    PAYMENTS,
    TYPOLOGIES,
    Payment,
)
from apps.scoring.engine.transaction import InvalidTransaction
from apps.scoring.engine.windows import QUIET, UNKNOWN

# The documented request.
DOCUMENTED: dict[str, Any] = {
    "transaction_id": "TXN_123456", "timestamp": "2024-01-15T10:30:00Z", "amount": 150.0, "user_id": "USER_001",
    "merchant_id": "MERCH_001", "merchant_category": "electronics", "distance_from_home_km": 25.5,
    "foreign_transaction": False,
}  # fmt: skip
NOON = datetime(2024, 1, 15, 12, tzinfo=UTC)
NOON_MS = int(NOON.timestamp() * 1000)
SHARED = len(PAYMENTS.roles) - 1  # with the user's, the pasts of what they share with others


def parsed(**changed):
    return PAYMENTS.parse({**DOCUMENTED, **changed}, NOON_MS)


def features(one, past=NO_HABITS, shared=None):
    shared = shared or [UNKNOWN if past is UNKNOWN_HABITS else QUIET] * SHARED
    return dict(zip(PAYMENTS.feature_names, PAYMENTS.row(one.transaction, one.at_ms, [past, *shared]), strict=True))


def replayed(*changes):
    """The features of the last of several payments of one user."""
    replay, found = Replay(PAYMENTS.roles), {}
    for index, change in enumerate(changes):
        one = parsed(**{"transaction_id": str(index), **change})
        seen = replay.observe(PAYMENTS.parties(one.transaction), one.at_ms, one.transaction.amount, index + 1)
        found = features(one, seen["user_id"], [seen.get(role.name, UNKNOWN) for role in PAYMENTS.roles[1:]])
    return found


def at(hours: float) -> str:
    """A time so many hours after the noon of the tests."""
    return (NOON + timedelta(hours=hours)).isoformat()


# --- fields -----------------------------------------------------------------------------------------------------------


def test_the_documented_request_is_understood():
    one = parsed()
    assert one.warnings == ()
    assert one.at_ms == datetime(2024, 1, 15, 10, 30, tzinfo=UTC).timestamp() * 1000
    assert features(one)["category"] == CATEGORY_RANK["shopping"]


def test_three_fields_are_enough():
    one = PAYMENTS.parse({"amount": 0, "user_id": "u", "merchant_id": "m"}, NOON_MS)
    assert one.at_ms == NOON_MS
    assert math.isnan(features(one)["category"])


@pytest.mark.parametrize(
    ("sent", "utc"),
    [
        ("2024-01-15T10:30:00", datetime(2024, 1, 15, 10, 30, tzinfo=UTC)),
        ("2024-01-15T10:30:00+05:00", datetime(2024, 1, 15, 5, 30, tzinfo=UTC)),
        ("2024-01-15T10:30:00.250Z", datetime(2024, 1, 15, 10, 30, 0, 250_000, tzinfo=UTC)),
    ],
)
def test_times_are_utc_unless_they_say_otherwise(sent, utc):
    assert parsed(timestamp=sent).at_ms == utc.timestamp() * 1000


@pytest.mark.parametrize("wrong", [
    {"amount": -0.01}, {"amount": 1.1e9}, {"amount": "150"}, {"user_id": ""}, {"user_id": 5},
    {"merchant_id": "m" * 129}, {"timestamp": "yesterday"}, {"card_present": 1}, {"distance_from_home_km": -1},
    {"used_chip": "yes"}, {"ratio_to_median_purchase_price": 1e7}, {"email": "a\nb"},
])  # fmt: skip
def test_a_wrong_field_is_refused_by_name(wrong):
    with pytest.raises(InvalidTransaction) as refused:
        parsed(**wrong)
    assert refused.value.param == next(iter(wrong))
    assert "must be" in refused.value.detail


@pytest.mark.parametrize("missing", ["amount", "user_id", "merchant_id"])
def test_a_missing_field_is_named(missing):
    with pytest.raises(InvalidTransaction) as refused:
        PAYMENTS.parse({name: value for name, value in DOCUMENTED.items() if name != missing}, NOON_MS)
    assert (refused.value.param, refused.value.missing) == (missing, True)


def test_an_unknown_category_is_scored_with_a_warning():
    one = parsed(merchant_category="Perpetual motion")
    assert "Unknown merchant_category 'perpetual_motion'" in one.warnings[0]
    assert math.isnan(features(one)["category"])


@pytest.mark.parametrize(("sent", "kept"), [(" Gas-Transport ", "gas_transport"), ("", None), ("GROCERY", "grocery")])
def test_categories_have_one_spelling(sent, kept):
    assert parsed(merchant_category=sent).transaction.merchant_category == kept


def test_every_other_word_means_a_known_category():
    assert set(MEANS.values()) <= set(CATEGORY_RANK)
    assert not set(MEANS) & set(CATEGORY_RANK)


# --- features ---------------------------------------------------------------------------------------------------------


money = st.one_of(st.sampled_from([0.0, 12.0, 960.0, 1e9]), st.floats(0, 1e9))
payments = st.builds(
    Payment,
    amount=money,
    user_id=st.just("u"),
    merchant_id=st.just("m"),
    timestamp=st.none() | st.integers(0, 7_000_000_000).map(lambda second: datetime.fromtimestamp(second, UTC)),
    merchant_category=st.none() | st.sampled_from([*CATEGORY_RANK, "electronics", "unheard_of"]),
    card_present=st.none() | st.booleans(),
    distance_from_home_km=st.none() | st.floats(0, 1e6),
)
numbers = st.one_of(st.just(math.nan), st.floats(0, 1e9), st.floats(-1e4, 1e4))
pasts = st.one_of(
    st.just(UNKNOWN_HABITS), st.just(NO_HABITS), st.builds(Habits, *[numbers] * len(Habits.__struct_fields__))
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(payments, pasts), min_size=1, max_size=8))
def test_a_row_and_the_same_row_in_a_block_are_equal_to_the_bit(drawn):
    times = [int(PAYMENTS.event_time_ms(one, NOON_MS, SCALAR)) for one, _ in drawn]
    everybody = len(PAYMENTS.roles)
    rows = [PAYMENTS.row(one, at_ms, [past] * everybody) for (one, past), at_ms in zip(drawn, times, strict=True)]
    columns = PAYMENTS.columns([one for one, _ in drawn])
    past = PastColumns([past for _, past in drawn])
    block = PAYMENTS.block(columns, np.array(times, dtype=np.float64), [past] * everybody)
    with np.errstate(over="ignore"):
        assert np.array(rows, dtype=np.float32).tobytes() == block.astype(np.float32).tobytes()


def test_without_history_only_the_payment_itself_is_known():
    found = features(parsed(card_present=True), UNKNOWN_HABITS)
    known = {name for name, value in found.items() if not math.isnan(value)}
    assert known == {"log_amount", "category", "night", "card_present", "distance_from_home", "speed_kmh", "abroad"}


def test_an_amount_is_held_against_the_users_own_in_its_category():
    usual = [{"amount": 20.0, "timestamp": at(-24 * day), "merchant_category": "home"} for day in (3, 2, 1)]
    same = replayed(*usual, {"amount": 20.0, "timestamp": at(0), "merchant_category": "home"})
    more = replayed(*usual, {"amount": 220.0, "timestamp": at(0), "merchant_category": "home"})
    elsewhere = replayed(*usual, {"amount": 220.0, "timestamp": at(0), "merchant_category": "travel"})
    assert (same["against_kind"], same["spree"]) == (0.0, 0.0)
    assert more["against_kind"] == more["against_usual"] == math.log1p(220.0) - math.log1p(20.0)
    assert math.isnan(elsewhere["against_kind"]) and elsewhere["against_usual"] == more["against_usual"]


@pytest.mark.parametrize(
    ("addresses", "users"),
    [
        (("a@example.org", "A@example.org", "b@example.org"), 2.0),
        ((None, None, None), 1.0),
        (("a@example.org", None, "a@example.org"), 2.0),
    ],
)
def test_an_email_address_is_known_by_its_users_however_it_is_written(addresses, users):
    found = replayed(
        *[{"email": one, "user_id": f"U{number}", "timestamp": at(-1)} for number, one in enumerate(addresses)],
        {"email": "a@example.org", "timestamp": at(0)},
    )
    assert found["email_users_24h"] == users


@pytest.mark.parametrize(
    ("address", "users"), [("8.8.4.4", 3.0), ("2001:4860:4860::8844", 3.0), ("10.0.0.7", None), ("nowhere", None)]
)
def test_users_of_a_public_address_are_counted(address, users):
    found = replayed(
        *[{"ip_address": address, "user_id": f"U{number}", "timestamp": at(-0.5)} for number in range(3)],
        {"ip_address": address.upper(), "timestamp": at(0)},
    )
    assert math.isnan(found["ip_users_1h"]) if users is None else found["ip_users_1h"] == users


def test_another_word_for_a_category_is_the_same_category():
    found = replayed({"merchant_category": "shopping", "timestamp": at(-25)}, {"timestamp": at(0)})
    assert found["against_kind"] == 0.0


def test_a_spree_adds_up_over_the_day():
    usual = [{"amount": 20.0, "timestamp": at(-24 * day)} for day in (3, 2)]
    theft = {"amount": 960.0}
    evening = [{**theft, "timestamp": at(hours)} for hours in (10.0, 10.5, 11.0)]
    still, next_day = (
        replayed(*usual, *evening, {**theft, "timestamp": at(11.5)}),
        replayed(*usual, *evening, {"timestamp": at(36)}),
    )
    assert still["spree"] == pytest.approx(3 * math.log(960 / 20) + still["against_usual"])
    assert next_day["count_24h"] == 0.0


def test_a_device_is_new_for_a_day_and_unknown_of_who_is_new():
    phone, days = {"device_id": "phone"}, [{"timestamp": at(-24 * day), "device_id": "phone"} for day in (3, 2)]
    strange = {"device_id": "strange"}
    assert replayed(*days, {**phone, "timestamp": at(0)})["device_days"] == 3.0
    assert replayed(*days, {**strange, "timestamp": at(-1)}, {**strange, "timestamp": at(0)})["device_days"] == 0.0
    assert math.isnan(replayed({**phone, "timestamp": at(-1)}, {**strange, "timestamp": at(0)})["device_days"])


def test_a_journey_is_as_fast_as_the_fastest_of_the_day():
    here, far = {"timestamp": at(-2)}, {"timestamp": at(-1), "distance_from_last_transaction": 8000.0}
    next_door = {"timestamp": at(0), "distance_from_last_transaction": 0.0}
    assert replayed(here, far)["speed_kmh"] == replayed(here, far, next_door)["speed_kmh"] == 8000.0


def test_a_stored_past_and_a_replayed_one_are_the_same():
    chance, packed, replay = np.random.default_rng(5), b"", Replay(PAYMENTS.roles)
    role = PAYMENTS.roles[0]
    for number in range(300):
        hours = number * 3.0 + chance.random()
        category = str(chance.choice([*CATEGORY_RANK, "electronics"]))
        one = parsed(amount=float(chance.integers(0, 1500)), timestamp=at(hours), merchant_category=category)
        (user,) = PAYMENTS.parties(one.transaction)
        row = Payment(**{**msgspec.structs.asdict(one.transaction), "timestamp": float(one.at_ms)})  # as in a column
        seen = replay.observe(PAYMENTS.parties(row), one.at_ms, one.transaction.amount, number + 1)
        assert repr(seen) == repr({"user_id": past_of(role, user, packed, one.at_ms, number + 1)})
        packed += event_of(user, one.at_ms, one.transaction.amount, number + 1)
    assert seen["user_id"].known == 256 or seen["user_id"].known_days < 120


# --- rules and typologies ---------------------------------------------------------------------------------------------


REMOTE = {"online_order": True, "used_pin_number": False, "used_chip": False}


@pytest.mark.parametrize(
    ("sent", "hit"),
    [
        ({}, set()),
        (REMOTE, set()),
        ({**REMOTE, "ratio_to_median_purchase_price": 4.5}, {"remote_far_above_median"}),
        ({**REMOTE, "used_pin_number": True, "ratio_to_median_purchase_price": 4.5}, set()),
        ({**REMOTE, "distance_from_home_km": 600.0}, {"remote_far_from_home"}),
        ({"distance_from_home_km": 150.0}, set()),
        ({"foreign_transaction": True}, set()),
        ({"foreign_transaction": True, "amount": 2500.0}, {"large_and_abroad"}),
        ({"amount": 1e9}, {"enormous_amount"}),
    ],
)
def test_rules_need_what_they_ask_for(sent, hit):
    one = parsed(**sent)
    results = evaluate(PAYMENTS.rules, PAYMENTS.values(one.facts, tuple(features(one).values())))
    assert {result.id for result in results if result.outcome == "hit"} == hit
    assert "error" not in {result.outcome for result in results}


@pytest.mark.parametrize(("amount", "hit"), [(490.0, False), (790.0, False), (900.0, True), (9000.0, True)])
def test_an_amount_far_above_the_usual_is_looked_at(amount, hit):
    usual = [{"amount": 40.0, "timestamp": at(-25 * days)} for days in range(5, 0, -1)]
    found = replayed(*usual, {"amount": amount, "timestamp": at(0)})
    results = evaluate(PAYMENTS.rules, PAYMENTS.values(parsed(amount=amount).facts, tuple(found.values())))
    assert {result.id: result.outcome == "hit" for result in results}["far_above_usual"] is hit


@pytest.mark.parametrize(
    ("changed", "past", "fraud_type"),
    [
        ({"amount": 5.0}, {"count_1h": 3.0}, "card_testing"),
        ({"foreign_transaction": True}, {}, "unusual_location"),
        ({"distance_from_home_km": 900.0}, {}, "unusual_location"),
        ({"amount": 900.0, "device_id": "strange"}, {"devices_known": 1.0, "device_age": 40.0}, "account_takeover"),
        ({"amount": 900.0}, {}, "stolen_card"),
        ({"amount": 5.0}, {}, "card_testing"),
        ({"amount": 100.0}, {"count_1h": 5.0}, "high_velocity"),
        ({"amount": 100.0}, {}, "other"),
    ],
)
def test_a_fraud_is_named_by_its_picture(changed, past, fraud_type):
    one = parsed(**changed)
    row = tuple(features(one, msgspec.structs.replace(NO_HABITS, **past)).values())
    assert typical(TYPOLOGIES, PAYMENTS.values(one.facts, row)) == fraud_type


def test_a_zone_moves_a_payment_into_the_night():
    evening = datetime(2024, 1, 15, 18, tzinfo=timezone(timedelta(hours=-5)))
    assert features(parsed(timestamp=evening.isoformat()))["night"] == 1.0


# --- currencies ---


def test_an_amount_is_weighed_in_dollars_and_kept_as_it_was_sent():
    in_rupiah = parsed(amount=1_500_000, currency="IDR")
    assert in_rupiah.facts["amount"] == 1_500_000
    assert in_rupiah.warnings == ("The amount was weighed as about 90.00 US dollars.",)
    assert PAYMENTS.amount(in_rupiah.transaction) == pytest.approx(90.0)
    assert features(in_rupiah) == pytest.approx(features(parsed(amount=90.0)), nan_ok=True)


@pytest.mark.parametrize("currency", [None, "USD", "usd", "doubloons", ""])
def test_without_a_currency_that_is_known_an_amount_is_dollars(currency):
    one = parsed(amount=90.0, currency=currency)
    assert features(one) == pytest.approx(features(parsed(amount=90.0)), nan_ok=True)
    assert any("Unknown currency" in warning for warning in one.warnings) is (currency == "doubloons")


@pytest.mark.parametrize(("amount", "currency"), [(1.5e11, "IDR"), (1.5e9, "VND"), (9e8, "EUR"), (1e9, "USD")])
def test_the_bound_is_one_of_dollars(amount, currency):
    assert parsed(amount=amount, currency=currency).facts["amount"] == amount
    with pytest.raises(InvalidTransaction) as refused:
        parsed(amount=amount * 1e6, currency=currency)
    assert refused.value.param == "amount"


def test_a_rule_may_ask_for_any_amount_of_any_currency():
    assert PAYMENTS.kept_as("amount", 5e12) == 5e12


def test_a_block_knows_currencies_as_a_row_does():
    some = [
        parsed(amount=amount, currency=code) for amount in (3.0, 700.0) for code in (None, "JPY", "kwd", "??", "EUR")
    ]
    block = PAYMENTS.block(
        PAYMENTS.columns([one.transaction for one in some]),
        np.array([one.at_ms for one in some], dtype=np.float64),
        [PastColumns([NO_HABITS] * len(some)), *[PastColumns([QUIET] * len(some))] * SHARED],
    )
    for one, row in zip(some, block.tolist(), strict=True):
        assert list(features(one).values()) == pytest.approx(row, nan_ok=True)
