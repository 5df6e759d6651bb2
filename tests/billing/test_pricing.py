"""What a month costs: the golden totals, the laws it obeys, not a cent of drift against a bill written another way."""

import itertools
import json
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.billing.rating.money import EXPONENTS, allocate, from_minor, rounded, shown, to_minor
from apps.billing.rating.plans import CURRENT, PLANS, Plan, current
from apps.billing.rating.pricing import (
    Offer,
    Statement,
    Term,
    deduct,
    included_units,
    most_units,
    quote,
    statement,
    totals,
)
from apps.periods import Period
from tests.billing.oracle import Piece, cents_of, month_seconds
from tests.campaign import SIZE, campaign

NOVEMBER = Period(2026, 11)


def drawn(law: Callable[..., None]) -> Callable[..., Any]:
    return campaign(settings(max_examples=SIZE.examples, deadline=None)(law))


GOLDEN = [
    ("free", 0, "0.00"),
    ("free", 1_000, "0.00"),
    ("free", 1_001, "0.01"),
    ("free", 10_000, "90.00"),
    ("basic", 0, "99.00"),
    ("basic", 10_001, "99.01"),
    ("basic", 20_000, "179.00"),
    ("basic", 20_001, "179.01"),
    ("basic", 25_000, "204.00"),
    ("professional", 50_001, "299.01"),
    ("professional", 75_000, "449.00"),
    ("professional", 200_000, "849.00"),
    ("enterprise", 300_000, "1299.00"),
    ("enterprise", 300_001, "1299.00"),
    ("enterprise", 1_000_000, "2399.00"),
]


@pytest.mark.parametrize(("plan", "units", "total"), GOLDEN)
def test_golden_totals(plan: str, units: int, total: str) -> None:
    for period in (NOVEMBER, Period(2028, 2), Period(2026, 12)):
        assert str(quote(current(plan), units, "USD", period).subtotal) == total


@pytest.mark.parametrize(("lasted", "said"), [
    (timedelta(seconds=59), "less than a minute of 30 days"), (timedelta(minutes=9, seconds=59), "9 min of 30 days"),
    (timedelta(hours=3), "3 h of 30 days"), (timedelta(hours=23, minutes=59), "23 h 59 min of 30 days"),
    (timedelta(days=1), "1 of 30 days"), (timedelta(days=15), "15 of 30 days"),
])  # fmt: skip
def test_a_plans_part_of_a_month_is_said_in_days_or_less(lasted: timedelta, said: str) -> None:
    change = NOVEMBER.start + lasted
    terms = [Term(current("basic"), NOVEMBER.start, change), Term(current("enterprise"), change, NOVEMBER.end)]
    assert statement(terms, [0, 0], NOVEMBER, "USD").lines[0].description.startswith(f"Basic plan, {said}: ")


@pytest.mark.parametrize(("plan", "units", "total"), GOLDEN)
def test_the_command_quotes_them(plan: str, units: int, total: str) -> None:
    said = price("--plan", plan, "--units", str(units))
    assert (said["units"], said["currency"], said["total"], said["tax"]) == (units, "USD", total, "0.00")
    assert sum(Decimal(line["amount"]) for line in said["lines"]) == Decimal(said["subtotal"])


def price(*arguments: str) -> dict[str, Any]:
    out = StringIO()
    call_command("price", *arguments, "--json", stdout=out)
    return json.loads(out.getvalue())


def test_the_command_quotes_other_currencies_in_their_decimals() -> None:
    assert price("--plan", "basic", "--units", "10001", "--currency", "JPY")["total"] == "14801"
    assert price("--plan", "basic", "--units", "10001", "--currency", "KWD")["total"] == "30.003"
    assert price("--plan", "basic", "--units", "0", "--currency", "EUR", "--tax", "19")["total"] == "105.91"


@pytest.mark.parametrize(
    "wrong",
    [("--plan", "gold", "--units", "1"), ("--plan", "free", "--units", "-1"),
     ("--plan", "free", "--units", "1", "--tax", "x"), ("--plan", "free", "--units", "1", "--currency", "XXX")],
)  # fmt: skip
def test_the_command_refuses_what_makes_no_sense(wrong: tuple[str, ...]) -> None:
    with pytest.raises(CommandError):
        call_command("price", *wrong)


# --- money ---


@pytest.mark.parametrize(
    ("amount", "currency", "expected"),
    [("0.005", "USD", "0.01"), ("0.0049999", "USD", "0.00"), ("-0.005", "USD", "-0.01"), ("2.675", "EUR", "2.68"),
     ("0.5", "JPY", "1"), ("1.4999", "JPY", "1"), ("0.0005", "KWD", "0.001")],
)  # fmt: skip
def test_rounding_is_half_up(amount: str, currency: str, expected: str) -> None:
    assert str(rounded(Decimal(amount), currency)) == expected


@drawn
@given(st.integers(-(10**15), 10**15), st.sampled_from(sorted(EXPONENTS)))
def test_smallest_units_there_and_back(units: int, currency: str) -> None:
    assert to_minor(from_minor(units, currency), currency) == units


def test_a_fraction_of_a_cent_has_no_smallest_unit() -> None:
    with pytest.raises(ValueError):
        to_minor(Decimal("0.005"), "USD")
    assert shown(Decimal("1299.5"), "USD") == "1,299.50 USD"


@drawn
@given(st.integers(0, 10**6), st.lists(st.integers(0, 50), min_size=1, max_size=20).filter(any))
def test_allocation_loses_nothing_and_is_off_by_less_than_one(total: int, weights: list[int]) -> None:
    parts = allocate(total, [Fraction(weight) for weight in weights])
    assert sum(parts) == total
    assert all(abs(part - Fraction(total * w, sum(weights))) < 1 for part, w in zip(parts, weights, strict=True))


# --- months ---

PERIODS = st.builds(Period, st.integers(2024, 2030), st.integers(1, 12))
CURRENCIES = st.sampled_from(sorted(EXPONENTS))
PLAN = st.sampled_from(sorted(PLANS.values(), key=lambda plan: plan.included))
USED = st.one_of(st.integers(0, 30), st.integers(0, 60_000), st.integers(0, 2_000_000))


@st.composite
def months(draw: st.DrawFn) -> tuple[list[Term], list[int], Period, str]:
    """A month in up to six terms of any plans, some of them trials, with units used in each."""
    period, plans = draw(PERIODS), draw(st.lists(PLAN, min_size=1, max_size=6))
    marks = st.lists(st.integers(1, period.days * 86_400 - 1), min_size=len(plans), max_size=len(plans), unique=True)
    starts = [period.start + timedelta(seconds=second) for second in sorted(draw(marks))]
    if draw(st.booleans()):
        starts[0] = period.start
    ends = [*starts[1:], period.end]
    terms = [
        Term(plan, start, end, draw(st.booleans()), draw(st.none() | st.integers(0, 5_000)))
        for plan, start, end in zip(plans, starts, ends, strict=True)
    ]
    return terms, [draw(USED) for _ in terms], period, draw(CURRENCIES)


Month = tuple[list[Term], list[int], Period, str]


@drawn
@given(months())
def test_lines_sum_to_the_subtotal_and_have_the_currencys_decimals(month: Month) -> None:
    found, currency = statement(*month), month[3]
    assert sum(line.amount for line in found.lines) == found.subtotal
    assert all(line.amount == rounded(line.exact, currency) for line in found.lines)
    assert -int(found.subtotal.as_tuple().exponent) == EXPONENTS[currency]
    assert found.units == sum(month[1])


@drawn
@given(months())
def test_no_component_is_charged_twice_for_the_same_time(month: Month) -> None:
    lines = sorted(statement(*month).lines, key=lambda line: (line.component, line.start))
    for before, after in itertools.pairwise(lines):
        assert before.component != after.component or before.end <= after.start


@drawn
@given(months(), st.integers(0, 5), st.integers(1, 40_000))
def test_more_units_never_cost_less(month: Month, place: int, more: int) -> None:
    terms, units, period, currency = month
    grown = list(units)
    grown[place % len(units)] += more
    assert statement(terms, grown, period, currency).subtotal >= statement(*month).subtotal


@drawn
@given(months(), st.integers(0, 5), st.integers(1, 49), st.randoms(use_true_random=False))
def test_cutting_a_term_in_up_to_fifty_changes_nothing(month: Month, place: int, cuts: int, chance: Any) -> None:
    terms, units, period, currency = month
    place %= len(terms)
    term, pieces = terms[place], _cut(terms[place], cuts, chance)
    counts = _cut_units(units[place], len(pieces), chance)
    after = statement(
        [*terms[:place], *pieces, *terms[place + 1 :]],
        [*units[:place], *counts, *units[place + 1 :]],
        period,
        currency,
    )
    before = statement(*month)
    assert (after.exact, after.subtotal, after.included) == (before.exact, before.subtotal, before.included), term


def _cut(term: Term, cuts: int, chance: random.Random) -> list[Term]:
    length = int((term.end - term.start).total_seconds())
    marks = sorted({chance.randrange(1, length) for _ in range(cuts)}) if length > 1 else []
    edges = [term.start, *(term.start + timedelta(seconds=mark) for mark in marks), term.end]
    return [Term(term.plan, a, b, term.trial, term.own_included) for a, b in itertools.pairwise(edges)]


def _cut_units(units: int, pieces: int, chance: random.Random) -> list[int]:
    marks = sorted(chance.randint(0, units) for _ in range(pieces - 1))
    return [b - a for a, b in zip([0, *marks], [*marks, units], strict=True)]


@drawn
@given(months(), st.decimals(0, 100, places=2), st.lists(st.decimals(0, 5_000, places=2), max_size=4))
def test_totals_add_up_and_credits_never_exceed_what_is_owed(
    month: Month, tax: Decimal, credits: list[Decimal]
) -> None:
    subtotal, currency = statement(*month).subtotal, month[3]
    offers = [Offer("coupon", "half", "half", percent=Decimal(50))]
    offers += [Offer("credit", str(number), "a credit", amount=amount) for number, amount in enumerate(credits)]
    deductions = deduct(subtotal, offers, currency)
    sums = totals(subtotal, deductions, tax, currency)
    assert sums.subtotal - sums.credits + sums.tax == sums.total
    assert sums.credits == sum(deduction.amount for deduction in deductions) <= subtotal
    assert sums.tax == rounded((sums.subtotal - sums.credits) * tax / 100, currency)


@drawn
@given(months(), st.integers(0, 5), st.decimals(0, 3_000, places=2))
def test_the_cap_is_exact(month: Month, place: int, cap: Decimal) -> None:
    terms, units, period, currency = month
    place %= len(terms)
    used = units[:place]
    most = most_units(terms, used, period, currency, cap)

    def owed(total: int) -> Statement:
        rest = [0] * (len(terms) - place - 1)
        return statement(terms, [*used, total - sum(used), *rest], period, currency)

    if terms[place].trial:
        assert most == included_units(terms, period)
        return
    assert owed(most + 1).subtotal > cap
    assert owed(most).subtotal <= cap or most == max(included_units(terms, period), sum(used))


def test_months_with_gaps_or_overlaps_are_refused() -> None:
    plan, start, end = current("basic"), NOVEMBER.start, NOVEMBER.end
    middle = start + timedelta(days=10)
    for terms in (
        [Term(plan, start, middle)],
        [Term(plan, start, middle), Term(plan, middle + timedelta(seconds=1), end)],
        [Term(plan, start, middle), Term(plan, middle - timedelta(seconds=1), end)],
        [Term(plan, start - timedelta(seconds=1), end)],
        [],
    ):
        with pytest.raises(ValueError):
            statement(terms, [0] * len(terms), NOVEMBER, "USD")


def test_an_upgrade_in_the_middle_is_prorated() -> None:
    middle = datetime(2026, 11, 16, tzinfo=UTC)
    terms = [Term(current("basic"), NOVEMBER.start, middle), Term(current("professional"), middle, NOVEMBER.end)]
    found = statement(terms, [10_000, 30_000], NOVEMBER, "USD")
    assert [(line.component, str(line.amount)) for line in found.lines] == [
        ("plan", "49.50"),
        ("plan", "149.50"),
        ("overage.professional-2026-11.1", "60.00"),
    ]
    assert found.included == 30_000


def test_a_trial_costs_nothing_and_gives_what_the_plan_includes() -> None:
    found = statement([Term(current("basic"), NOVEMBER.start, NOVEMBER.end, trial=True)], [12_000], NOVEMBER, "USD")
    assert (str(found.subtotal), found.included) == ("0.00", 10_000)


@campaign
def test_not_a_cent_of_drift_against_the_oracle() -> None:
    chance, drift = random.Random(4), []
    for number in range(SIZE.invoices):
        month, pieces, tax, credit = _drawn(chance)
        terms, units, period, currency = month
        found = statement(terms, units, period, currency)
        offer = Offer("credit", "1", "a credit", amount=from_minor(credit, currency))
        sums = totals(found.subtotal, deduct(found.subtotal, [offer], currency), Decimal(tax) / 10, currency)
        ours = {name: to_minor(amount, currency) for name, amount in vars(sums).items()}
        if ours != cents_of(pieces, month_seconds(*period), currency, tax, credit):
            drift.append((number, ours))
    assert not drift


def _drawn(chance: random.Random) -> tuple[Month, list[Piece], int, int]:
    """A random invoice for both sides: terms and the oracle's pieces."""
    period = Period(chance.randint(2024, 2031), chance.randint(1, 12))
    length, plans = period.days * 86_400, [PLANS[code] for code in CURRENT.values()]
    marks = sorted(chance.sample(range(1, length), chance.choice((0, 0, 0, 1, 1, 2, 4))))
    edges = [chance.choice((0, 0, marks[0] // 2 if marks else 0)), *marks, length]
    terms, units, pieces = [], [], []
    for start, end in itertools.pairwise(edges):
        plan: Plan = chance.choice(plans)
        used = chance.choice((chance.randint(0, 50), int(chance.lognormvariate(9, 2.5)), plan.included))
        trial = chance.random() < 0.1
        terms.append(Term(plan, period.start + timedelta(seconds=start), period.start + timedelta(seconds=end), trial))
        units.append(used)
        pieces.append((plan, start, end, used, trial))
    currency = chance.choice(sorted(EXPONENTS))
    return (terms, units, period, currency), pieces, chance.choice((0, 77, 190, 200, 250)), chance.choice((0, 0, 12345))
