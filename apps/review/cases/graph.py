"""What else the parties of a case did: decisions around it and the parties they share with it, as a small graph.

Bounded: newest decisions of 90 days, so many a party and in all; parties that are shared by two decisions alone.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import connection

from apps.accounts.tenancy import in_tenant
from apps.review.models import Label
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.models import Decision
from apps.scoring.sought import party_name

SPAN = timedelta(days=90)
#: Newest decisions of one party, decisions and parties of one graph.
OF_A_PARTY, MOST_DECISIONS, MOST_PARTIES = 12, 40, 40
_NEWEST = """(SELECT %s AS place, id FROM scoring_decision WHERE parties @> ARRAY[%s] AND livemode = %s
 AND created_at > %s AND created_at <= %s ORDER BY created_at DESC, id DESC LIMIT %s)"""


class Party(NamedTuple):
    """Somebody or something that decisions share: the field that names it, and its name as it is recognised."""

    field: str
    name: str


class Node(NamedTuple):
    """A decision of the graph; `label` is what became of it, "" while nobody said."""

    id: str
    transaction_id: str
    created_at: datetime
    amount: float
    fraud_probability: float | None
    recommended_action: str
    label: str


class Graph(NamedTuple):
    """Decisions, the case's own first; parties; edges as (decision, party) by their places. `truncated`: there is
    more than what is shown."""

    decisions: Sequence[Node]
    parties: Sequence[Party]
    edges: Sequence[tuple[int, int]]
    truncated: bool


def around(tenant_schema: str, center: Decision | None, now: datetime) -> Graph:
    """The graph around a case's last decision; empty when that was removed. Three statements."""
    if center is None:
        return Graph((), (), (), False)
    with in_tenant(tenant_schema):
        found, truncated = _related(center, now)
        rows = [center, *_rows(found)]
        labels = dict(
            Label.objects.filter(decision_id__in=[row.pk for row in rows], holds=True).values_list(
                "decision_id", "label"
            )
        )
    return _drawn(rows, labels, truncated)


def _related(center: Decision, now: datetime) -> tuple[list[str], bool]:
    """Ids of the newest decisions on each party, and whether there may be more."""
    if not center.parties:
        return [], False
    start = min(center.created_at, now) - SPAN
    parties = list(dict.fromkeys(center.parties))
    asked = [
        value
        for place, party in enumerate(parties)
        for value in (place, party, center.livemode, start, now, OF_A_PARTY + 2)  # itself, and one to see there is more
    ]
    found: list[list[str]] = [[] for _ in parties]
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join([_NEWEST] * len(parties)), asked)
        for place, name in cursor.fetchall():
            if name != center.pk:
                found[place].append(name)
    ids = list(dict.fromkeys(name for names in found for name in names[:OF_A_PARTY]))
    return ids[:MOST_DECISIONS], len(ids) > MOST_DECISIONS or any(len(names) > OF_A_PARTY for names in found)


def _rows(ids: Sequence[str]) -> list[Decision]:
    """The decisions, the newest first."""
    rows = Decision.objects.filter(pk__in=ids).defer("answer", "features", "contributions", "hidden")
    return sorted(rows, key=lambda row: (row.created_at, row.pk), reverse=True)


def _drawn(rows: Sequence[Decision], labels: Mapping[str, str], truncated: bool) -> Graph:
    """Parties that two decisions share, and who shares them."""
    sharing: dict[Party, list[int]] = {}
    for place, row in enumerate(rows):
        for party in _parties(row.schema, row.facts):
            sharing.setdefault(party, []).append(place)
    shared = {party: places for party, places in sharing.items() if len(places) > 1}
    parties = sorted(shared, key=lambda party: (0 not in shared[party], -len(shared[party]), party))[:MOST_PARTIES]
    edges = [(place, number) for number, party in enumerate(parties) for place in shared[party]]
    return Graph(
        [_node(row, labels.get(row.pk, "")) for row in rows], parties, edges, truncated or len(shared) > MOST_PARTIES
    )


def _parties(schema: str, facts: Mapping[str, Any]) -> Iterator[Party]:
    """Each party of a decision once, under the first field that names it."""
    seen: set[str] = set()
    for field in SCHEMAS[schema].searched:
        if facts.get(field) is not None and (name := party_name(facts[field])) not in seen:
            seen.add(name)
            yield Party(field, name)


def _node(row: Decision, label: str) -> Node:
    return Node(
        row.pk, row.transaction_id, row.created_at, row.amount, row.fraud_probability, row.recommended_action, label
    )
