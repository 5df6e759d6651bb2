"""Spans of time that charts show, each beside the one before it, cut into points. Pure."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


class Span(NamedTuple):
    """So many points of one length, the last one being under way; read from roll-ups `by` hour or day (UTC)."""

    words: str
    step: timedelta
    points: int
    by: Literal["hour", "day"]


SPANS: Mapping[str, Span] = {
    "24h": Span("24 hours", HOUR, 24, "hour"),
    "7d": Span("7 days", 6 * HOUR, 28, "hour"),
    "30d": Span("30 days", DAY, 30, "day"),
    "90d": Span("90 days", DAY, 90, "day"),
}
USUAL = "30d"


class Points:
    """The points of a span that ends now, and those of the span before."""

    def __init__(self, span: Span, now: datetime) -> None:
        self.span = span
        unit = HOUR if span.by == "hour" else DAY
        begun = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        self.end = (begun if unit == HOUR else begun.replace(hour=0)) + unit
        self.start = self.end - span.points * span.step
        self.before = self.start - span.points * span.step

    def of(self, values: Iterable[tuple[datetime, float]]) -> tuple[list[float], list[float]]:
        """The sums of a span's points and of those before, of moments with values."""
        count = self.span.points
        sums = [0.0] * (2 * count)
        for moment, value in values:
            place = (moment - self.before) // self.span.step
            if 0 <= place < 2 * count:
                sums[place] += value
        return sums[count:], sums[:count]

    def place(self, moment: datetime) -> int:
        """Which point of the span a moment belongs to; below 0 in the span before."""
        return (moment - self.start) // self.span.step


def change(now: float, before: float) -> float | None:
    """By how many percent it is more than before; None where there was nothing."""
    return 100 * (now - before) / before if before else None
