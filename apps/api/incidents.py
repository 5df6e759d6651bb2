"""The doors of incidents: `/v1/incidents` behind a key, and the public status as JSON and Atom."""

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from msgspec import Meta

from apps import paging
from apps.accounts.tenancy import POSTGRES_AWAY
from apps.api import problems
from apps.api.endpoint import ApiView, json_answer
from apps.api.list_filters import Filters, asked_for, described, words
from apps.api.operation import Answer, Operation, operation, page_of
from apps.api.response_headers import shielded
from apps.errors import Problem
from apps.sla import feed, status
from apps.sla.models import Incident
from apps.sla.parts import PARTS
from apps.sla.status_shapes import PublicIncident, Status

FILTERS: Filters = {"part": words("part", "Of this part.", tuple(PARTS))}
KEY = ("started_at", "id")


class IncidentPage(msgspec.Struct, frozen=True):
    """A page of incidents, newest first."""

    object: Literal["list"]
    data: list[PublicIncident]
    has_more: bool
    next_cursor: Annotated[str | None, Meta(description="Give it as `cursor` for the next page.")]


class IncidentsView(ApiView):
    """GET: a page of them."""

    endpoint = "incidents"

    def get(self, request: HttpRequest) -> HttpResponse:
        limit, cursor, asked = self.understood(request, lambda request: asked_for(request, FILTERS))
        self.admit_only(request)
        page = paging.page_of(Incident.objects.filter(**asked).prefetch_related("notes"), KEY, cursor, limit)
        data = [status.shown(row) for row in page.rows]
        return json_answer(IncidentPage("list", data, page.next_cursor is not None, page.next_cursor))


@problems.only_read
def public_status(request: HttpRequest) -> HttpResponse:
    """The service as it is and was. No key."""
    return _told(request, "json")


@problems.only_read
def public_feed(request: HttpRequest) -> HttpResponse:
    """Its incidents as an Atom feed. No key."""
    return _told(request, "atom")


def _told(request: HttpRequest, form: Literal["json", "atom"]) -> HttpResponse:
    try:
        found = status.current(timezone.now())
    except POSTGRES_AWAY:
        return problems.plain(Problem("stores_away", "Nothing is known just now.", retry_after=10.0), request.META)
    if form == "json":
        return shielded(json_answer(found))
    page = request.build_absolute_uri("/status")
    return shielded(HttpResponse(feed.atom(found, page), content_type="application/atom+xml"))


TAG = "Availability"
OPERATIONS: Sequence[Operation] = (
    operation(
        TAG,
        "GET",
        "/v1/incidents",
        "listIncidents",
        "List incidents",
        "Parts of the service that were not well: opened after three failed probes in a row, closed by themselves, "
        "with what we had to say.",
        Answer(IncidentPage, "A page of incidents, newest first."),
        parameters=(*page_of("Incidents"), *described(FILTERS)),
        problems=("field_invalid", "cursor_invalid"),
    ),
    Operation(
        "GET",
        "/status",
        "getStatus",
        TAG,
        "The public status",
        "Each part now and on each of 90 days, incidents, announced maintenance. The portal has it as a page.",
        Answer(Status, "The status."),
        problems=("stores_away",),
    ),
    Operation(
        "GET",
        "/status.atom",
        "getStatusFeed",
        TAG,
        "Incidents as an Atom feed",
        "An entry an incident, for feed readers.",
        Answer({"type": "string"}, "The feed.", "application/atom+xml"),
        problems=("stores_away",),
    ),
)
