"""Billing periods: calendar months, UTC. Pure."""

import re
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Annotated, NamedTuple

from msgspec import Meta

#: A month as the whole API writes it; for people it is written by `apps.formats.month_text`: November 2026.
Month = Annotated[str, Meta(description="A month, UTC, such as 2026-11.", pattern="^[0-9]{4}-[0-9]{2}$")]
_MICROSECOND = timedelta(microseconds=1)


class Period(NamedTuple):
    """One month, from its first second to the next one's."""

    year: int
    month: int

    @classmethod
    def of(cls, moment: datetime | date) -> "Period":
        """The month a moment (or a UTC day) belongs to."""
        if isinstance(moment, datetime):
            moment = moment.astimezone(UTC)
        return cls(moment.year, moment.month)

    @classmethod
    def parse(cls, text: str) -> "Period":
        """From "2026-11". Raises `ValueError`."""
        found = re.fullmatch(r"(\d{4})-(0[1-9]|1[0-2])", text)
        if not found or text < "0001":
            raise ValueError(f"'{text}' is no month: say YYYY-MM")
        return cls(int(found[1]), int(found[2]))

    @property
    def start(self) -> datetime:
        return datetime(self.year, self.month, 1, tzinfo=UTC)

    @property
    def end(self) -> datetime:
        return self.next().start

    @property
    def days(self) -> int:
        return (self.end - self.start) // timedelta(days=1)

    def share(self, start: datetime, end: datetime) -> Fraction:
        """What part of the month [start, end) is, exact to the microsecond."""
        return Fraction((end - start) // _MICROSECOND, (self.end - self.start) // _MICROSECOND)

    def next(self) -> "Period":
        return Period(self.year + self.month // 12, self.month % 12 + 1)

    def before(self) -> "Period":
        return Period(self.year - (self.month == 1), (self.month - 2) % 12 + 1)

    def later(self, months: int) -> "Period":
        """This month and so many more (or less)."""
        number = self.year * 12 + self.month - 1 + months
        return Period(number // 12, number % 12 + 1)

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.month:02d}"
