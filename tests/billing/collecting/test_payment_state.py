"""What is known of a payment comes out the same in whatever order and however often it was told."""

from datetime import UTC, datetime, timedelta
from functools import reduce
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.billing.collecting.payment_state import (
    DISPUTES,
    PROGRESS,
    Card,
    PaymentState,
    card_in_use,
    merge,
    of_charge,
    of_dispute,
    of_intent,
    with_card,
)
from apps.billing.receivables.dunning import TRIES, exhausted_at, hopeless_since, next_try_at, standing

KNOWN = st.builds(
    PaymentState,
    payment=st.just("pi_1"),
    progress=st.sampled_from(PROGRESS),
    failure=st.sampled_from(["", "card_declined", "insufficient_funds"]),
    charge=st.sampled_from(["", "ch_1"]),
    amount=st.sampled_from([0, 500]),
    refunded=st.integers(0, 500),
    dispute=st.sampled_from(DISPUTES),
)
CARD = st.builds(
    Card,
    id=st.sampled_from(["pm_1", "pm_2", "pm_3"]),
    brand=st.sampled_from(["", "visa"]),
    chosen_at=st.integers(0, 3),
    removed=st.booleans(),
)
ISSUED = datetime(2026, 12, 1, tzinfo=UTC)


@given(KNOWN, KNOWN, KNOWN)
def test_merging_has_no_order_and_repeats_change_nothing(
    one: PaymentState, two: PaymentState, three: PaymentState
) -> None:
    assert merge(one, two) == merge(two, one)
    assert merge(merge(one, two), three) == merge(one, merge(two, three))
    assert merge(merge(one, two), two) == merge(one, two)


@given(st.lists(CARD, max_size=5))
def test_the_card_in_use_does_not_depend_on_the_order_of_the_news(news: list[Card]) -> None:
    outcomes = {card_in_use(reduce(with_card, order, {})) for order in permutations(news)}
    assert len(outcomes) == 1


def test_the_card_in_use_is_the_last_chosen_that_is_still_there() -> None:
    cards = reduce(with_card, [Card("pm_1", chosen_at=1), Card("pm_2", chosen_at=2), Card("pm_2", removed=True)], {})
    in_use = card_in_use(cards)
    assert in_use is not None and in_use.id == "pm_1"


EXPIRED = {"code": "expired_card"}
INTENT = {"id": "pi_1", "amount": 500, "latest_charge": None, "last_payment_error": None}
CHARGE = {"id": "ch_1", "payment_intent": "pi_1", "amount": 500, "paid": True, "amount_refunded": 0}
STATES = [
    (of_intent(INTENT | {"status": "requires_confirmation"}), "intent"),
    (of_intent(INTENT | {"status": "processing"}), "processing"),
    (of_intent(INTENT | {"status": "requires_action"}), "failed"),
    (of_intent(INTENT | {"status": "canceled"}), "canceled"),
    (of_intent(INTENT | {"status": "succeeded", "latest_charge": "ch_1"}), "succeeded"),
    (
        of_intent(INTENT | {"status": "requires_payment_method", "last_payment_error": {"code": "expired_card"}}),
        "failed",
    ),
    (of_charge(CHARGE), "succeeded"),
    (of_charge(CHARGE | {"amount_refunded": 200}), "succeeded"),
    (of_charge(CHARGE | {"amount_refunded": 500}), "refunded"),
    (of_charge(CHARGE | {"paid": False, "failure_code": "card_declined"}), "failed"),
    (of_dispute({"id": "du_1", "payment_intent": "pi_1", "charge": "ch_1", "status": "needs_response"}), "disputed"),
    (of_dispute({"id": "du_1", "payment_intent": "pi_1", "charge": "ch_1", "status": "won"}), "succeeded"),
]


@pytest.mark.parametrize(("known", "status"), STATES)
def test_what_the_provider_says_is_a_status_of_ours(known: PaymentState, status: str) -> None:
    assert known.status == status


def test_a_dispute_that_closed_is_not_opened_by_late_news() -> None:
    opened = of_dispute({"id": "du_1", "payment_intent": "pi_1", "charge": "ch_1", "status": "under_review"})
    closed = of_dispute({"id": "du_1", "payment_intent": "pi_1", "charge": "ch_1", "status": "lost"})
    assert merge(closed, opened).dispute == merge(opened, closed).dispute == "lost"


def test_eight_tries_in_fourteen_days() -> None:
    made: list[datetime] = []
    while (at := next_try_at(ISSUED, made)) is not None:
        made.append(at)
    assert [(at - ISSUED).days for at in made] == [0, 1, 3, 5, 7, 9, 11, 14]


def test_tries_that_were_held_up_do_not_come_all_at_once() -> None:
    late = ISSUED + timedelta(days=10)
    assert next_try_at(ISSUED, [late]) == late + timedelta(hours=20)


@pytest.mark.parametrize(
    ("day", "is_now"),
    [(13, "active"), (14, "past_due"), (20, "past_due"), (21, "limited"), (44, "limited"), (45, "cancelled")],
)
def test_past_due_then_limited_then_cancelled(day: int, is_now: str) -> None:
    tried = [ISSUED + after for after in TRIES if after <= timedelta(days=day)]
    hopeless = exhausted_at(ISSUED, tried, collects=True)
    assert standing(hopeless, ISSUED + timedelta(days=day)) == is_now


def test_who_was_never_tried_is_never_limited() -> None:
    assert exhausted_at(ISSUED, [], collects=True) is None


def test_a_new_card_is_tried_at_once_and_buys_no_time() -> None:
    tried = [ISSUED + after for after in TRIES]
    later = ISSUED + timedelta(days=20)
    assert next_try_at(ISSUED, tried) is None
    assert next_try_at(ISSUED, tried, card_since=later) == later
    assert exhausted_at(ISSUED, [*tried, later], collects=True) == tried[-1]


def test_an_invoice_by_transfer_may_stand_open_for_fourteen_days() -> None:
    assert exhausted_at(ISSUED, [], collects=False) == ISSUED + timedelta(days=14)


def test_the_oldest_unpaid_invoice_decides() -> None:
    now, oldest = ISSUED + timedelta(days=30), ISSUED + timedelta(days=20)
    assert hopeless_since([now, None, oldest, now + timedelta(days=1)], now) == oldest
    assert hopeless_since([None, now + timedelta(days=1)], now) is None
