"""The parties with the most risky decisions."""

from collections.abc import Sequence
from heapq import nsmallest
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from apps.analytics.asked import Asked
from apps.analytics.replica import reading_in
from apps.scoring import heavy_hitters
from apps.scoring.heavy_hitters import Sketch
from apps.scoring.models import PartyDay

MOST = 20
#: Days of one answer: each brings up to 100 counters a field, which are put together when they are asked for.
MOST_DAYS = 31


class Party(msgspec.Struct, frozen=True):
    """A party, as it is recognised, by the field that named it, and its decisions at level high or critical."""

    schema: str
    field: str
    value: str
    fraud: Annotated[int, Meta(description="At least so many; at most `missed` more.")]
    mean_probability: float
    amount: float


class Parties(msgspec.Struct, frozen=True):
    """The parties of one field, those with the most risky decisions first."""

    schema: str
    field: str
    missed: Annotated[
        int, Meta(description="By how many decisions a count may be too low, and one that is not listed; 0: exact.")
    ]
    data: list[Party]


class Entities(msgspec.Struct, frozen=True, kw_only=True):
    """Risky parties by field, from a summary of bounded size a day."""

    object: Literal["entities"] = "entities"
    livemode: bool
    schema: str | None
    start: str
    end: str
    fields: list[Parties]


def entities(asked: Asked, most: int = MOST, field: str = "") -> Entities:
    """The riskiest parties of each field that named one, or of one field."""
    lookups = asked.on_days() | ({"field": field} if field else {})
    with reading_in(asked.tenant_schema):
        rows = list(PartyDay.objects.filter(**lookups).values_list("schema", "field", "sketch"))
    days: dict[tuple[str, str], list[Sketch]] = {}
    for schema, name, sketch in rows:
        days.setdefault((schema, name), []).append(heavy_hitters.unpack(bytes(sketch)))
    fields = [_of_field(*key, days[key], most) for key in sorted(days)]
    return Entities(
        livemode=asked.livemode, schema=asked.schema or None, start=str(asked.start), end=str(asked.end), fields=fields
    )


def _of_field(schema: str, field: str, days: Sequence[Sketch], most: int) -> Parties:
    sums, error = heavy_hitters.leading(days, most)
    first = nsmallest(most, sums.items(), key=lambda item: (-item[1][0], -item[1][2], item[0]))
    data = [
        Party(schema, field, name, round(decisions), round(probability / decisions, 4), round(amount, 2))
        for name, (decisions, probability, amount) in first
    ]
    return Parties(schema, field, round(error), data)
