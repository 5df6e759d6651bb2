"""What everybody may see of the service: its parts, 90 days of each, incidents with their timelines, maintenance.

The prober publishes it to Valkey with each round, so that the page is one read and is there while Postgres is away.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction

import msgspec
from django.conf import settings
from django.db.models import Q, QuerySet

from apps.sla import incidents
from apps.sla.credits import percent_of
from apps.sla.intervals import Seconds, difference, intersection, length, second_of, union
from apps.sla.models import Incident, Maintenance, PartState
from apps.sla.parts import PARTS
from apps.sla.status_shapes import DayBar, PartCondition, PartStatus, PublicIncident, Status, TimelineEntry, Window
from apps.sla.watching import LONGEST_PAUSE, Watched
from apps.times import rfc3339, rfc3339_or_none
from apps.valkey import Away, Valkey, server

DAYS = 90
DAY_SECONDS = 86_400
PUBLISHED = "sla:status"


def publish(status: Status) -> None:
    """Hand it to whoever shows it, until the next rounds should have come. Raises `Away`."""
    _valkey().command("SET", PUBLISHED, msgspec.json.encode(status), "EX", LONGEST_PAUSE)


def encode(status: Status) -> bytes:
    """It as JSON."""
    return msgspec.json.encode(status)


def current(now: datetime) -> Status:
    """The last that was published, or what Postgres says."""
    return published() or read(now)


def published() -> Status | None:
    """The last that was published; None while Valkey is away, and when no prober has published for three rounds."""
    try:
        found = _valkey().command("GET", PUBLISHED)
    except Away:
        return None
    return msgspec.json.decode(found, type=Status) if found else None


def read(now: datetime) -> Status:
    """What Postgres says."""
    today = datetime.combine(now.date(), time(), UTC)
    start = today - timedelta(days=DAYS - 1)
    known, excluded = union(incidents.probed(start, now)), union(incidents.windows(start, now))
    rows = list(_rows(start).prefetch_related("notes"))
    states = {row.part: row for row in PartState.objects.all()}
    counted = difference(known, excluded)
    in_window = any(begin <= second_of(now) < end for begin, end in incidents.windows(now, now + timedelta(seconds=1)))
    days = _by_day(counted, start.date())
    parts = [
        _part(name, _condition(states[name], rows, in_window, now), _down(rows, name, now), days)
        for name in PARTS
        if name in states
    ]
    return Status(_worst([part.status for part in parts]), rfc3339(now), parts, list(map(shown, rows)), _announced(now))


def with_states(status: Status, watched: Mapping[str, Watched], now: datetime) -> Status:
    """The same with what the probes say now: all that can be said while Postgres is away."""
    parts = [
        msgspec.structs.replace(part, status=_of_probe(watched[part.name])) if part.name in watched else part
        for part in status.parts
    ]
    worst = _worst([part.status for part in parts])
    return msgspec.structs.replace(status, parts=parts, status=worst, updated_at=rfc3339(now))


def shown(row: Incident) -> PublicIncident:
    """An incident as customers see it; who wrote a note is not told."""
    return PublicIncident(
        id=row.pk,
        object="incident",
        part=row.part,
        title=PARTS[row.part].title,
        status="closed" if row.ended_at else "open",
        started_at=rfc3339(row.started_at),
        ended_at=rfc3339_or_none(row.ended_at),
        timeline=[TimelineEntry(rfc3339(note.at), note.text) for note in row.notes.all()],
    )


def _rows(start: datetime) -> QuerySet[Incident]:
    return Incident.objects.filter(Q(ended_at=None) | Q(ended_at__gt=start))


def _down(rows: Sequence[Incident], part: str, now: datetime) -> Seconds:
    return union((second_of(row.started_at), second_of(row.ended_at or now)) for row in rows if row.part == part)


def _by_day(seconds: Seconds, first: date) -> dict[date, Seconds]:
    """What of some seconds is in each of the days."""
    begins = second_of(datetime.combine(first, time(), UTC))
    return {
        first + timedelta(days=number): intersection(
            seconds, ((begins + number * DAY_SECONDS, begins + (number + 1) * DAY_SECONDS),)
        )
        for number in range(DAYS)
    }


def _part(name: str, condition: PartCondition, down: Seconds, days: Mapping[date, Seconds]) -> PartStatus:
    bars = [
        DayBar(day.isoformat(), _available(down, known), length(intersection(down, known)))
        for day, known in days.items()
    ]
    whole = union(interval for known in days.values() for interval in known)
    about = PARTS[name]
    return PartStatus(name, about.title, about.about, condition, _available(down, whole), bars)


def _available(down: Seconds, known: Seconds) -> str | None:
    seconds = length(known)
    return percent_of(Fraction(seconds - length(intersection(down, known)), seconds)) if seconds else None


def _condition(state: PartState, rows: Sequence[Incident], in_window: bool, now: datetime) -> PartCondition:
    if state.checked_at < now - timedelta(seconds=LONGEST_PAUSE):
        return "unknown"
    if in_window:
        return "maintenance"
    return "down" if any(row.part == state.part and row.ended_at is None for row in rows) else "ok"


def _of_probe(watched: Watched) -> PartCondition:
    return "down" if watched.incident else "unknown" if watched.up is None else "ok"


def _worst(conditions: Sequence[PartCondition]) -> PartCondition:
    order: Sequence[PartCondition] = ("down", "maintenance", "ok", "unknown")
    return next((one for one in order if one in conditions), "unknown")


def _announced(now: datetime) -> list[Window]:
    rows = Maintenance.objects.filter(ends_at__gt=now, withdrawn_at=None).order_by("starts_at")
    return [Window(row.title, rfc3339(row.starts_at), rfc3339(row.ends_at)) for row in rows]


def _valkey() -> Valkey:
    return server(settings.REDIS_URL, settings.REDIS_TIMEOUT)
