"""Pricing: what is owed for a month. Pure: terms and units in, lines and totals out.

    fee        a plan's monthly fee × its exact share of the month's microseconds
    included   Σ share × included units, half-up to whole units; what was agreed with the tenant alone takes its place
    overage    the last units of the month are beyond the included ones; each belongs to the plan in force when it was
               used and is priced through that plan's tiers by its place among that plan's overage units of the month
    lines      one a term and one a tier used; each is rounded once, half-up, and no sum is rounded again
    totals     subtotal − credits + tax = total; tax is on what is left after credits

A month cut into pieces of the same plan is the same month: neighbours of one plan are joined before anything is priced.
One more unit lengthens exactly one tier's line by one, so more units never cost less. A trial costs nothing; its units
beyond the included ones are free (the gate stops there). So it is with a term in which a tenant was limited for not
paying: no fee, and it includes what a limited tenant may use (`plans.LIMITED_UNITS`), by its share like any other.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from apps.billing.rating.money import allocate, rounded
from apps.billing.rating.plans import LIMITED_UNITS, Plan, Price, Tier
from apps.formats import days_text
from apps.periods import Period

#: [begin, end).
Interval = tuple[datetime, datetime]
_NOTHING = Fraction(0)


@dataclass(frozen=True)
class Term:
    """A plan in force in [start, end), within one month. `own_included`: units a month, agreed."""

    plan: Plan
    start: datetime
    end: datetime
    trial: bool = False
    own_included: int | None = None
    limited: bool = False

    @property
    def included(self) -> int:
        whole = self.plan.included if self.own_included is None else self.own_included
        return min(whole, LIMITED_UNITS) if self.limited else whole

    @property
    def free(self) -> bool:
        """Whether nothing is charged for it."""
        return self.trial or self.limited

    def continues(self, other: "Term") -> bool:
        """Whether this is the same promise as the term before it, unbroken."""
        return other.end == self.start and replace(self, start=other.start, end=other.end) == other


@dataclass(frozen=True)
class Line:
    """One line of a statement: `amount` is rounded, `exact` is what it was rounded from.

    `component` is what is charged for, and [start, end) for when: nothing is charged twice for the same time.
    """

    component: str
    description: str
    quantity: Decimal
    unit_price: Decimal
    exact: Fraction
    amount: Decimal
    start: datetime
    end: datetime


@dataclass(frozen=True)
class Statement:
    """A month before credits and tax."""

    lines: tuple[Line, ...]
    subtotal: Decimal
    units: int
    included: int

    @property
    def exact(self) -> Fraction:
        """The subtotal as it is before any rounding."""
        return sum((line.exact for line in self.lines), _NOTHING)


def statement(terms: Sequence[Term], units: Sequence[int], period: Period, currency: str) -> Statement:
    """A month's statement. `units`: those used in each term. Raises `ValueError` for terms that do not follow on."""
    _check(terms, units, period)
    terms, units = _joined(terms, units)
    included = included_units(terms, period)
    lines = (*_fees(terms, included, period, currency), *_overage(terms, units, included, period, currency))
    subtotal = sum((line.amount for line in lines), rounded(0, currency))
    return Statement(lines, subtotal, sum(units), included)


def included_units(terms: Sequence[Term], period: Period) -> int:
    """Units the month includes. A tenant's first plan counts from the first of its month: newcomers get it in full."""
    if terms[-1].own_included is not None and not any(term.limited for term in terms):
        return terms[-1].own_included
    return rounded_units(sum(_weights(terms, period), _NOTHING))


def rounded_units(exact: Fraction) -> int:
    """Half-up to whole units."""
    return (2 * exact.numerator + exact.denominator) // (2 * exact.denominator)


def beyond(units: Sequence[int], included: int) -> list[int]:
    """Units of each term that are not included: the last ones of the month."""
    found = []
    for used in units:
        free = min(included, used)
        included -= free
        found.append(used - free)
    return found


def most_units(terms: Sequence[Term], used: Sequence[int], period: Period, currency: str, cap: Decimal) -> int:
    """Units the month may reach in its term number `len(used)` before it would owe more than `cap`.

    `used`: units of the terms before. The cap is on the subtotal: fees and overage, before credits and tax. What the
    fee has paid for is never refused.
    """
    place, before = len(used), sum(used)
    included = included_units(terms, period)
    if terms[place].trial:
        return included

    def fits(total: int) -> bool:
        now = [*used, total - before, *([0] * (len(terms) - place - 1))]
        return statement(terms, now, period, currency).subtotal <= cap

    low = max(included, before)
    if not fits(low):
        return low
    high = low + 1
    while fits(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def limited_during(terms: Sequence[Term], limits: Sequence[Interval]) -> list[Term]:
    """Cut terms where a limitation begins or ends, and mark what lies within one. `limits`: in order, apart."""
    marks = sorted({moment for limit in limits for moment in limit})
    pieces = []
    for term in terms:
        inside = [mark for mark in marks if term.start < mark < term.end]
        pieces += [replace(term, start=a, end=b) for a, b in itertools.pairwise([term.start, *inside, term.end])]
    return [
        replace(piece, limited=any(begin <= piece.start and piece.end <= end for begin, end in limits))
        for piece in pieces
    ]


@dataclass(frozen=True)
class Offer:
    """What may be taken off a month: a coupon's percentage or amount, or what remains of a credit."""

    kind: str  # coupon or credit
    reference: str
    description: str
    percent: Decimal | None = None
    amount: Decimal | None = None


@dataclass(frozen=True)
class Deduction:
    """What was taken off."""

    kind: str
    reference: str
    description: str
    amount: Decimal


@dataclass(frozen=True)
class Totals:
    """subtotal − credits + tax = total."""

    subtotal: Decimal
    credits: Decimal
    tax: Decimal
    total: Decimal


def deduct(subtotal: Decimal, offers: Sequence[Offer], currency: str) -> tuple[Deduction, ...]:
    """Offers in their order, each as far as there is something left to pay; a percentage is of the subtotal."""
    left, found = subtotal, []
    for offer in offers:
        whole = Fraction(subtotal) * Fraction(offer.percent or 0) / 100 if offer.amount is None else offer.amount
        taken = min(rounded(whole, currency), left)
        if taken > 0:
            found.append(Deduction(offer.kind, offer.reference, offer.description, taken))
            left -= taken
    return tuple(found)


def totals(subtotal: Decimal, deductions: Sequence[Deduction], tax_percent: Decimal, currency: str) -> Totals:
    """Credits off, then tax on the rest."""
    credited = sum((deduction.amount for deduction in deductions), rounded(0, currency))
    tax = rounded(Fraction(subtotal - credited) * Fraction(tax_percent) / 100, currency)
    return Totals(subtotal, credited, tax, subtotal - credited + tax)


def quote(plan: Plan, units: int, currency: str, period: Period) -> Statement:
    """One whole month of a plan."""
    return statement([Term(plan, period.start, period.end)], [units], period, currency)


def _check(terms: Sequence[Term], units: Sequence[int], period: Period) -> None:
    if not terms or len(terms) != len(units):
        raise ValueError("a month has terms, and units for each of them")
    follow = all(earlier.end == later.start for earlier, later in itertools.pairwise(terms))
    inside = period.start <= terms[0].start and terms[-1].end == period.end
    if not follow or not inside or any(term.end <= term.start for term in terms):
        raise ValueError(f"the terms of {period} leave a gap, overlap, or do not reach its end")
    if any(used < 0 for used in units):
        raise ValueError("units are counted from 0")


def _joined(terms: Sequence[Term], units: Sequence[int]) -> tuple[list[Term], list[int]]:
    joined, counts = [terms[0]], [units[0]]
    for term, used in zip(terms[1:], units[1:], strict=True):
        if term.continues(joined[-1]):
            joined[-1], counts[-1] = replace(joined[-1], end=term.end), counts[-1] + used
        else:
            joined.append(term)
            counts.append(used)
    return joined, counts


def _weights(terms: Sequence[Term], period: Period) -> list[Fraction]:
    """Included units each term brings, exactly."""
    starts = [period.start, *(term.start for term in terms[1:])]
    return [period.share(start, term.end) * term.included for start, term in zip(starts, terms, strict=True)]


def _fees(terms: Sequence[Term], included: int, period: Period, currency: str) -> Iterator[Line]:
    weights = _weights(terms, period)
    parts = allocate(included, weights) if sum(weights) else [included, *([0] * (len(terms) - 1))]
    for term, part in zip(terms, parts, strict=True):
        share, monthly = period.share(term.start, term.end), _price(term.plan, currency).monthly
        exact = _NOTHING if term.free else Fraction(monthly) * share
        yield Line(
            component="plan",
            description=_fee_text(term, share, part, period),
            quantity=_decimal(share),
            unit_price=Decimal(0) if term.free else monthly,
            exact=exact,
            amount=rounded(exact, currency),
            start=term.start,
            end=term.end,
        )


def _fee_text(term: Term, share: Fraction, included: int, period: Period) -> str:
    state = ", trial" if term.trial else ", limited while unpaid" if term.limited else ""
    name = f"{term.plan.name.title()} plan{state}"
    part = "" if share == 1 else f", {days_text(share, period.days)}"
    return f"{name}{part}: {included:,} units included"


def _overage(
    terms: Sequence[Term], units: Sequence[int], included: int, period: Period, currency: str
) -> Iterator[Line]:
    by_plan: dict[str, tuple[Plan, int]] = {}
    for term, over in zip(terms, beyond(units, included), strict=True):
        if over and not term.free:
            by_plan[term.plan.code] = (term.plan, by_plan.get(term.plan.code, (term.plan, 0))[1] + over)
    for plan, over in by_plan.values():
        for number, (first, count, price) in enumerate(tiers_used(_price(plan, currency).overage, over), start=1):
            exact = count * Fraction(price)
            yield Line(
                component=f"overage.{plan.code}.{number}",
                description=f"{plan.name.title()} plan, {_units_text(first, count)} beyond the included",
                quantity=Decimal(count),
                unit_price=price,
                exact=exact,
                amount=rounded(exact, currency),
                start=period.start,
                end=period.end,
            )


def tiers_used(tiers: Sequence[Tier], units: int) -> Iterator[tuple[int, int, Decimal]]:
    """(place of the first unit, units, price of one) for each tier that `units` of overage reach."""
    below = 0
    for bound, price in tiers:
        reached = units if bound is None else min(units, bound)
        if reached > below:
            yield below + 1, reached - below, price
        below = max(below, reached)


def _price(plan: Plan, currency: str) -> Price:
    return plan.prices[currency]


def _decimal(share: Fraction) -> Decimal:
    """For the eye: twelve decimals of a share."""
    return (Decimal(share.numerator) / Decimal(share.denominator)).quantize(Decimal("1.000000000000")).normalize()


def _units_text(first: int, count: int) -> str:
    """Units by their place: units 1 to 10,000; unit 10,001."""
    return f"unit {first:,}" if count == 1 else f"units {first:,} to {first + count - 1:,}"
