"""What everybody may see of the service, as JSON. Pure."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

PartCondition = Literal["ok", "down", "maintenance", "unknown"]
Moment = Annotated[str, Meta(description="RFC 3339, UTC.", extra_json_schema={"format": "date-time"})]


class DayBar(msgspec.Struct, frozen=True):
    """A part on one day, UTC."""

    day: Annotated[str, Meta(extra_json_schema={"format": "date"})]
    availability_percent: Annotated[str | None, Meta(description="null: it was not probed.")]
    down_seconds: int


class PartStatus(msgspec.Struct, frozen=True):
    """A part of the service."""

    name: str
    title: str
    about: str
    status: PartCondition
    availability_percent: Annotated[str | None, Meta(description="Of the days.")]
    days: Annotated[list[DayBar], Meta(description="The oldest first; today's so far.")]


class TimelineEntry(msgspec.Struct, frozen=True):
    """What happened, or what we have to say."""

    at: Moment
    text: str


class PublicIncident(msgspec.Struct, frozen=True):
    """A part that was not well."""

    id: str
    object: Literal["incident"]
    part: str
    title: str
    status: Literal["open", "closed"]
    started_at: Moment
    ended_at: Moment | None
    timeline: list[TimelineEntry]


class Window(msgspec.Struct, frozen=True):
    """Announced maintenance."""

    title: str
    starts_at: Moment
    ends_at: Moment


class Status(msgspec.Struct, frozen=True):
    """The service as it is now, and as it was."""

    status: Annotated[PartCondition, Meta(description="down when one of the parts is.")]
    updated_at: Moment
    parts: list[PartStatus]
    incidents: Annotated[list[PublicIncident], Meta(description="Of the days, the newest first.")]
    maintenance: Annotated[list[Window], Meta(description="Now or to come.")]
