"""Formats of dates, numbers and shares for people: on invoices, in mails, on operators' pages. Pure.

Times are UTC. APIs and webhooks have their own forms (RFC 3339, decimal strings); these are never parsed again.
"""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction

#: A true minus sign, as wide as a plus.
MINUS = "\u2212"
_UNBROKEN = "\u00a0"
_DASH = "\u2013"
_DAY = timedelta(days=1)


def number_text(number: Decimal | int) -> str:
    """A number with its thousands apart and a true minus sign: −1,250.5."""
    return f"{Decimal(number):,f}".replace("-", MINUS)


def amount_text(amount: Decimal, decimals: int) -> str:
    """An amount of money without its currency: −1,299.00."""
    return f"{amount:,.{decimals}f}".replace("-", MINUS)


def percent_text(percent: Decimal | Fraction | int) -> str:
    """A percentage without zeros nobody needs: 19 %, 7.5 %."""
    return f"{plain(Decimal(percent))} %" if not isinstance(percent, Fraction) else f"{float(percent):.4g} %"


def plain(number: Decimal) -> str:
    """A decimal without exponent or trailing zeros: 0.005, 15000. For machines, too."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def day_text(day: date) -> str:
    """15 November 2026."""
    return f"{_utc(day):%-d %B %Y}"


def short_day_text(day: date) -> str:
    """15 Nov."""
    return f"{day:%-d %b}"


def moment_text(moment: datetime) -> str:
    """15 November 2026, 10:30 UTC."""
    return f"{_utc(moment):%-d %B %Y, %H:%M} UTC"


def month_text(month: str) -> str:
    """From 2026-12: December 2026."""
    return f"{date.fromisoformat(f'{month}-01'):%B %Y}"


def span_text(start: datetime, end: datetime) -> str:
    """[start, end) as the days it has, 1 – 30 November 2026, or to the minute where it has parts of days."""
    begin, until = start.astimezone(UTC), end.astimezone(UTC)
    if begin.time() != time() or until.time() != time():
        ends = (f"{moment:%-d %b %Y, %H:%M}".replace(" ", _UNBROKEN) for moment in (begin, until))
        return f" {_DASH} ".join(ends) + f"{_UNBROKEN}UTC"
    first, last = begin, until - _DAY
    if first == last:
        return day_text(last)
    parts = "%-d" if (first.year, first.month) == (last.year, last.month) else "%-d %B"
    head = day_text(first) if first.year != last.year else f"{first:{parts}}"
    return f"{head} {_DASH} {day_text(last)}"


def days_text(share: Fraction, days: int) -> str:
    """A share of so many days: 14 of 31 days, 14.25 of 31 days; less than a day in hours and minutes."""
    lasted = share * days
    if lasted >= 1:
        return f"{plain(Decimal(round(float(lasted), 2)).quantize(Decimal('0.01')))} of {days} days"
    hours, minutes = divmod(int(lasted * 24 * 60), 60)
    parts = [f"{count} {unit}" for count, unit in ((hours, "h"), (minutes, "min")) if count]
    return f"{' '.join(parts) or 'less than a minute'} of {days} days"


def _utc(moment: date) -> date:
    return moment.astimezone(UTC) if isinstance(moment, datetime) else moment
