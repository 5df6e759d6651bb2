"""What a month costs people, computed: the parts sum to the whole, and no estimate is absurd."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.billing.rating.plans import CURRENT, current
from apps.billing.rating.pricing import Term
from apps.periods import Period
from apps.usage.statements.costs import MonthStatement, by_day, compare, estimate, first_units, shared

NOVEMBER = Period(2026, 11)
MIDDLE = datetime(2026, 11, 16, tzinfo=UTC)


def month(*units: int, plan: str = "basic", currency: str = "USD", period: Period = NOVEMBER) -> MonthStatement:
    """One plan all month, or (two counts) Free until the 16th and the plan from then on."""
    terms: Sequence[Term] = [Term(current(plan), period.start, period.end)]
    if len(units) == 2:
        terms = [Term(current("free"), period.start, MIDDLE), Term(current(plan), MIDDLE, period.end)]
    return MonthStatement(tuple(terms), units, period, currency)


def test_cost_is_fee_and_overage() -> None:
    assert (month(20_001).cost(), month(20_001).fee()) == (Decimal("179.01"), Decimal("99.00"))
    assert month(20_001).cost_after(10_000) == Decimal("99.00")


def test_days_are_priced_in_the_order_of_use() -> None:
    days = {date(2026, 11, 3): 12_000, date(2026, 11, 1): 9_000, date(2026, 11, 9): 9_000}
    found = by_day(month(30_000), days)
    assert found == {
        date(2026, 11, 1): Decimal("0.00"),  # 9,000 of the 10,000 included
        date(2026, 11, 3): Decimal("85.00"),  # 1,000 included, 10,000 × 0.008, 1,000 × 0.005
        date(2026, 11, 9): Decimal("45.00"),  # 9,000 × 0.005
    }


@given(
    counts=st.lists(st.integers(0, 60_000), min_size=1, max_size=30),
    plan=st.sampled_from(list(CURRENT)),
    currency=st.sampled_from(["USD", "EUR", "JPY", "KWD"]),
    split=st.booleans(),
)
def test_days_sum_to_the_overage_and_none_costs_less_than_nothing(
    counts: list[int], plan: str, currency: str, split: bool
) -> None:
    half = len(counts) // 2
    units = (sum(counts[:half]), sum(counts[half:])) if split else (sum(counts),)
    one = month(*units, plan=plan, currency=currency)
    costs = by_day(one, {date(2026, 11, day): count for day, count in enumerate(counts, start=1)})
    assert sum(costs.values()) == one.cost() - one.fee()
    assert min(costs.values()) >= 0


@given(cents=st.integers(0, 10**9), units=st.lists(st.integers(0, 10**6), min_size=1, max_size=40))
def test_shares_sum_to_the_amount(cents: int, units: list[int]) -> None:
    amount = Decimal(cents).scaleb(-2)
    parts = shared(amount, units, "USD")
    assert sum(parts) == (amount if sum(units) else 0)
    assert min(parts) >= 0


@pytest.mark.parametrize(("count", "found"), [(0, [0, 0]), (3, [3, 0]), (7, [5, 2]), (99, [5, 4])])
def test_first_units_fill_the_terms_in_order(count: int, found: list[int]) -> None:
    assert first_units([5, 4], count) == found


# --- the estimate ---


def test_half_a_month_is_doubled() -> None:
    found = estimate(month(10_000), MIDDLE, None)
    assert (found.units, found.cost) == (20_000, Decimal("179.00"))


def test_first_hour_predicts_no_month() -> None:
    found = estimate(month(100), NOVEMBER.start + timedelta(hours=1), None)
    assert found.units < 100 * 31


def test_what_may_not_be_used_is_not_expected() -> None:
    assert estimate(month(9_000), MIDDLE, 10_000).units == 10_000
    assert estimate(month(12_000), MIDDLE, 10_000).units == 12_000


def test_newcomers_are_measured_since_they_came() -> None:
    came = datetime(2026, 11, 21, tzinfo=UTC)
    one = MonthStatement((Term(current("basic"), came, NOVEMBER.end),), (1_000,), NOVEMBER, "USD")
    assert estimate(one, came + timedelta(days=5), None).units == 2_000


@given(
    units=st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)),
    hours=st.integers(0, 30 * 24 + 5),
    allowed=st.none() | st.integers(0, 10**6),
)
def test_estimate_is_between_what_is_used_and_what_may_be(
    units: tuple[int, int], hours: int, allowed: int | None
) -> None:
    one = month(*units)
    found = estimate(one, NOVEMBER.start + timedelta(hours=hours), allowed)
    assert found.units >= one.used
    assert found.cost >= one.cost()
    assert allowed is None or found.units <= max(allowed, one.used)


# --- other plans ---


def test_cheapest_plan_for_three_months() -> None:
    months = [month(20_000, plan="professional", period=Period(2026, number)) for number in (8, 9, 10)]
    found = compare(months, [current(name) for name in CURRENT])
    assert found is not None
    assert (found.cheapest, found.owed, found.totals["basic"]) == ("basic", Decimal("897.00"), Decimal("537.00"))
    assert found.saving == Decimal("360.00")


def test_nothing_is_saved_on_the_right_plan() -> None:
    found = compare([month(20_000)], [current(name) for name in CURRENT])
    assert found is not None
    assert (found.cheapest, str(found.saving)) == ("basic", "0.00")


def test_no_months_no_comparison() -> None:
    assert compare([], [current("free")]) is None
