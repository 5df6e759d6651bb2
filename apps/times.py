"""Times: as others write them, read by one parser at every door; as we write them, in one form. Pure.

Taken are RFC 3339 and what of ISO 8601 clients really write: without seconds, with a space for the T or before the
zone, in small letters, with a comma before the fraction, with any number of its digits (microseconds are kept), with a
zone of hours alone (+00) or without a colon (+0000), without any zone, without dashes and colons (20261128T103000Z).

A leap second, which Unix time has none of, is the second after it; only the last second of a UTC day may be one. Not
taken: seconds since 1970 (of which nobody can say whether they are milliseconds), days alone, weeks, 24:00.
"""

import re
from datetime import UTC, datetime, timedelta, timezone

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

# As nearly everybody writes it: what the interpreter reads fast, and would read loosely.
_PLAIN = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?(?:Z|[+-][0-9]{2}:[0-5][0-9])?"
)
_ANY = re.compile(
    r"([0-9]{4})(?P<dash>-?)([0-9]{2})(?P=dash)([0-9]{2})[Tt ]"
    r"([0-9]{2})(?P<colon>:?)([0-9]{2})(?:(?P=colon)(?P<second>[0-9]{2})(?:[.,](?P<fraction>[0-9]+))?)?"
    r"(?: ?(?:[Zz]|(?P<sign>[+-])(?P<hours>[0-9]{2})(?::?(?P<minutes>[0-5][0-9]))?))?"
)


def read(text: str) -> datetime:
    """The time a text says, with its zone when it has one. Raises `ValueError` when it is none."""
    if _PLAIN.fullmatch(text) and text[17:19] != "60":
        return datetime.fromisoformat(text)
    found = _ANY.fullmatch(text)
    if found is None:
        raise ValueError("not a time")
    leap = found["second"] == "60"
    year, month, day, hour, minute = map(int, found.group(1, 3, 4, 5, 7))
    second = 59 if leap else int(found["second"] or 0)
    time = datetime(year, month, day, hour, minute, second, _microseconds(found["fraction"]), _zone(found))
    return _after_leap(time) if leap else time


def rfc3339(moment: datetime) -> str:
    """Write a time as answers and webhooks say it: RFC 3339, UTC, milliseconds (2026-11-28T10:30:00.000Z)."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def rfc3339_or_none(moment: datetime | None) -> str | None:
    """The same of a time that may not have come."""
    return None if moment is None else rfc3339(moment)


def rfc3339_of_us(microseconds: int) -> str:
    """The same of µs since 1970."""
    return datetime.fromtimestamp(microseconds / 1_000_000, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def instant_us(moment: datetime) -> int:
    """Microseconds since 1970; a time without a zone is UTC."""
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - EPOCH) // MICROSECOND


def _microseconds(fraction: str | None) -> int:
    return int((fraction or "")[:6].ljust(6, "0"))


def _zone(found: re.Match[str]) -> timezone | None:
    if found["sign"]:
        ahead = timedelta(hours=int(found["hours"]), minutes=int(found["minutes"] or 0))
        return timezone(ahead if found["sign"] == "+" else -ahead)
    return UTC if found.string[-1] in "Zz" else None


def _after_leap(time: datetime) -> datetime:
    if instant_us(time) // 1_000_000 % 86_400 != 86_399:
        raise ValueError("no leap second is there")
    try:
        return time + timedelta(seconds=1)
    except OverflowError as wrong:
        raise ValueError("beyond the year 9999") from wrong
