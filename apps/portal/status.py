"""The public status page: the parts of the service, 90 days of each, incidents. For everybody; no login."""

from datetime import date, datetime
from typing import Any, NamedTuple

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from apps.accounts.tenancy import POSTGRES_AWAY
from apps.formats import day_text
from apps.sla import feed, status
from apps.sla.credits import TARGET
from apps.sla.status_shapes import DayBar, PartStatus, Status

#: A day's bar and the space to the next, in the drawing's units.
STEP, WIDTH = 4, 3
WORDS = {
    "ok": "All parts are well",
    "down": "A part is not well",
    "maintenance": "In announced maintenance",
    "unknown": "Nothing is known just now",
}
PART_WORDS = {"ok": "well", "down": "not well", "maintenance": "maintenance", "unknown": "not known"}


class Bar(NamedTuple):
    """A day as it is drawn."""

    x: int
    look: str
    title: str


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """The page."""
    found = _found()
    if found is None:
        return render(request, "portal/status.html", {"word": WORDS["unknown"], "look": "unknown"}, status=503)
    return render(request, "portal/status.html", _shown(found))


@require_safe
def as_json(request: HttpRequest) -> HttpResponse:
    """The same for machines; `GET /status` of the API answers it too."""
    found = _found()
    body = status.encode(found) if found else b'{"status": "unknown"}'
    return HttpResponse(body, content_type="application/json", status=200 if found else 503)


@require_safe
def as_atom(request: HttpRequest) -> HttpResponse:
    """Incidents for feed readers."""
    found = _found()
    if found is None:
        return HttpResponse(status=503)
    return HttpResponse(feed.atom(found, request.build_absolute_uri("/status")), content_type="application/atom+xml")


def bars(days: list[DayBar]) -> list[Bar]:
    """Days as they are drawn, the oldest first."""
    return [Bar(place * STEP, _look(day), _title(day)) for place, day in enumerate(days)]


def _found() -> Status | None:
    try:
        return status.current(timezone.now())
    except POSTGRES_AWAY:
        return None


def _shown(found: Status) -> dict[str, Any]:
    return {
        "word": WORDS[found.status],
        "look": found.status,
        "updated": datetime.fromisoformat(found.updated_at),
        "parts": [(part, PART_WORDS[part.status], bars(part.days), _of_days(part)) for part in found.parts],
        "width": status.DAYS * STEP,
        "bar_width": WIDTH,
        "days": status.DAYS,
        "incidents": [
            (one, [(datetime.fromisoformat(line.at), line.text) for line in one.timeline]) for one in found.incidents
        ],
        "maintenance": [
            (one.title, datetime.fromisoformat(one.starts_at), datetime.fromisoformat(one.ends_at))
            for one in found.maintenance
        ],
        "api": settings.API_URL,
    }


def _of_days(part: PartStatus) -> str:
    return f"{part.availability_percent} %" if part.availability_percent else "not known"


def _look(day: DayBar) -> str:
    """By the promise: kept, not kept on that day, or not known."""
    if day.availability_percent is None:
        return "none"
    if not day.down_seconds:
        return "ok"
    return "warn" if float(day.availability_percent) >= 100 * TARGET else "bad"


def _title(day: DayBar) -> str:
    text = day_text(date.fromisoformat(day.day))
    if day.availability_percent is None:
        return f"{text}: not probed"
    minutes = -(-day.down_seconds // 60)
    return f"{text}: {day.availability_percent} %" + (f", {minutes} min not well" if minutes else "")
