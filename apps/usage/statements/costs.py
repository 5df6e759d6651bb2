"""Costs of a month's usage: so far, by day, shared out, by the month's end, on other plans. Pure.

cost to date   the month's statement if nothing more were used: the plan's fee for the month and the overage so far,
               before credits and tax
by day         what each day added to it, in the order of use, so that the days sum to the overage
shared         an amount divided by units to the cent, so that the parts sum to it (endpoints, keys)
estimate       linear: units a second so far (over at least a day, so that the first hour predicts no month) for the
               rest of the month; never less than is used, never more than may be used
comparison     whole months of each plan sold today with the units of past months, against what was owed
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Literal

from apps.billing.rating.money import allocate, from_minor, rounded, to_minor
from apps.billing.rating.plans import Plan
from apps.billing.rating.pricing import Term, quote, statement
from apps.periods import Period

#: The estimate's method, as it is named in answers.
METHOD: Literal["linear"] = "linear"
_LEAST_ELAPSED = timedelta(days=1)
_NO_TIME = timedelta(0)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class MonthStatement:
    """A tenant's month: its terms and the units used in each of them."""

    terms: tuple[Term, ...]
    units: tuple[int, ...]
    period: Period
    currency: str

    @property
    def used(self) -> int:
        return sum(self.units)

    def cost(self) -> Decimal:
        """What it comes to, before credits and tax."""
        return self._subtotal(self.units)

    def fee(self) -> Decimal:
        """What it comes to without usage."""
        return self._subtotal([0] * len(self.units))

    def cost_after(self, used: int) -> Decimal:
        """What it came to when the first `used` of its units had been used."""
        return self._subtotal(first_units(self.units, used))

    def with_units(self, units: Sequence[int]) -> "MonthStatement":
        return MonthStatement(self.terms, tuple(units), self.period, self.currency)

    def _subtotal(self, units: Sequence[int]) -> Decimal:
        return statement(self.terms, units, self.period, self.currency).subtotal


@dataclass(frozen=True)
class Estimate:
    """The month at its end, if it goes on as it went."""

    units: int
    cost: Decimal


@dataclass(frozen=True)
class Comparison:
    """Past months on the plans sold today. `owed`: what they came to; `cheapest` by name, the smaller plan on a tie."""

    months: tuple[Period, ...]
    units: int
    currency: str
    owed: Decimal
    totals: Mapping[str, Decimal]
    cheapest: str

    @property
    def saving(self) -> Decimal:
        """What would have been saved; nothing when nothing would have been cheaper."""
        return max(self.owed - self.totals[self.cheapest], rounded(0, self.currency))


def first_units(units: Sequence[int], count: int) -> list[int]:
    """The first `count` of units used in successive terms, by term."""
    found = []
    for used in units:
        found.append(min(used, count))
        count -= found[-1]
    return found


def by_day(month: MonthStatement, days: Mapping[date, int]) -> dict[date, Decimal]:
    """What each day's units added to the month's cost."""
    used, cost, found = 0, month.fee(), {}
    for day in sorted(days):
        used += days[day]
        after = month.cost_after(used)
        found[day], cost = after - cost, after
    return found


def shared(amount: Decimal, units: Sequence[int], currency: str) -> list[Decimal]:
    """Split an amount by units (largest remainder). All zeros if there are no units."""
    if not sum(units):
        return [rounded(0, currency)] * len(units)
    parts = allocate(to_minor(amount, currency), [Fraction(unit) for unit in units])
    return [from_minor(part, currency) for part in parts]


def estimate(month: MonthStatement, now: datetime, allowed: int | None) -> Estimate:
    """The month at its end. `allowed`: units it may reach, None = any number."""
    elapsed = max(now - month.terms[0].start, _LEAST_ELAPSED)
    rest = max(month.period.end - now, _NO_TIME)
    more = month.used * (rest // _MICROSECOND) // (elapsed // _MICROSECOND)
    if allowed is not None:
        more = min(more, max(allowed - month.used, 0))
    weights = [Fraction(max(term.end - max(term.start, now), _NO_TIME) // _MICROSECOND) for term in month.terms]
    added = allocate(more, weights) if sum(weights) else [0] * len(weights)
    end = month.with_units([used + part for used, part in zip(month.units, added, strict=True)])
    return Estimate(end.used, end.cost())


def compare(months: Sequence[MonthStatement], plans: Iterable[Plan]) -> Comparison | None:
    """Past months on other plans; None without months."""
    if not months:
        return None
    currency = months[-1].currency
    totals = {plan.name: _total(plan, months, currency) for plan in plans}
    return Comparison(
        months=tuple(month.period for month in months),
        units=sum(month.used for month in months),
        currency=currency,
        owed=sum((month.cost() for month in months), rounded(0, currency)),
        totals=totals,
        cheapest=min(totals, key=lambda name: totals[name]),
    )


def _total(plan: Plan, months: Sequence[MonthStatement], currency: str) -> Decimal:
    quotes = (quote(plan, month.used, currency, month.period).subtotal for month in months)
    return sum(quotes, rounded(0, currency))
