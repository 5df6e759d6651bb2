"""What is asked of analytics: whose decisions, of which days, of which kind of transaction and model. Pure."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple

#: Days of one answer, and of one by the hour.
MOST_DAYS, MOST_DAYS_BY_HOUR = 366, 31
USUAL_DAYS = 30


class Asked(NamedTuple):
    """Days (UTC) from `start` to before `end`. `schema` and `model` (name or name@version): only these; "" for all."""

    tenant_schema: str
    livemode: bool
    start: date
    end: date
    schema: str = ""
    model: str = ""

    @property
    def days(self) -> list[date]:
        return [self.start + timedelta(days=n) for n in range((self.end - self.start).days)]

    @property
    def begin(self) -> datetime:
        return datetime.combine(self.start, time.min, UTC)

    @property
    def until(self) -> datetime:
        return datetime.combine(self.end, time.min, UTC)

    def on_days(self) -> dict[str, Any]:
        """Lookups of a roll-up by day."""
        found: dict[str, Any] = {"livemode": self.livemode, "day__gte": self.start, "day__lt": self.end}
        return found | ({"schema": self.schema} if self.schema else {})

    def is_of(self, model: str) -> bool:
        """Whether name@version is asked for."""
        return self.model in ("", model, model.partition("@")[0])


def days_before(day: date, days: int) -> date:
    """So many days earlier; the first day there is, where there are fewer."""
    return date.min + max((day - date.min) - timedelta(days=days), timedelta(0))


def last_days(tenant_schema: str, livemode: bool, days: int, now: datetime, schema: str = "", model: str = "") -> Asked:
    """The last days, today being one of them."""
    end = now.astimezone(UTC).date() + timedelta(days=1)
    return Asked(tenant_schema, livemode, end - timedelta(days=days), end, schema, model)
