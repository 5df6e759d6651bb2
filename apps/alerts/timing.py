"""When an alert may be sent: quiet hours in somebody's zone, one message a period, steps of escalation. Pure."""

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec


class QuietHours(msgspec.Struct, frozen=True):
    """From one time of the day to another, over midnight where that is earlier; in a zone of the IANA list."""

    start: str
    end: str
    zone: str = "UTC"


class Step(msgspec.Struct, frozen=True):
    """Whom an alert that nobody acknowledged is sent to, so long after it was sent first."""

    after_minutes: int
    mail_to: tuple[str, ...]


def is_quiet(hours: QuietHours | None, now: datetime) -> bool:
    """Whether `now` lies in the quiet hours."""
    if hours is None:
        return False
    local = now.astimezone(zone(hours.zone)).time()
    start, end = clock(hours.start), clock(hours.end)
    return start <= local < end if start < end else local >= start or local < end


def may_send(sent_at: datetime | None, period: timedelta, now: datetime) -> bool:
    """Whether a rule's next message may go out: one a period."""
    return sent_at is None or now >= sent_at + period


def due_step(steps: tuple[Step, ...], done: int, told_at: datetime, now: datetime) -> Step | None:
    """The next step of an alert that was sent at `told_at`, when its time has come."""
    if done >= len(steps):
        return None
    return steps[done] if now >= told_at + timedelta(minutes=steps[done].after_minutes) else None


def clock(text: str) -> time:
    """A time of day such as 22:00. Raises `ValueError`."""
    hour, colon, minute = text.partition(":")
    if not (colon and len(hour) == len(minute) == 2 and text.replace(":", "", 1).isdecimal() and text.isascii()):
        raise ValueError("A time such as 22:00.")
    return time(int(hour), int(minute))


def zone(name: str) -> ZoneInfo:
    """A zone of the IANA list. Raises `ValueError`."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as wrong:  # OSError: a folder of zones
        raise ValueError("A zone such as Europe/Berlin.") from wrong
