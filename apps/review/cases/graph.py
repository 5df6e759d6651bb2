"""What else the parties of a case did: decisions around it and the parties they share with it, as a small graph.

Bounded: newest decisions of 90 days, so many a party and in all; parties that are shared by two decisions alone.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import connection

from apps.accounts.tenancy import in_tenant
from apps.scoring.engine.parties import party_name
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.models import Decision

SPAN = timedelta(days=90)
#: Newest decisions of one party, decisions and parties of one graph.
OF_A_PARTY, MOST_DECISIONS, MOST_PARTIES = 12, 40, 40
_COLUMNS = """id, schema, transaction_id, created_at, amount, fraud_probability, recommended_action, facts,
 (SELECT label FROM review_label WHERE decision_id = scoring_decision.id AND holds)"""
_ITSELF = f"(SELECT -1, {_COLUMNS} FROM scoring_decision WHERE id = %s)"
_NEWEST = f"""(SELECT %s::int, {_COLUMNS} FROM scoring_decision WHERE parties @> ARRAY[%s] AND livemode = %s
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


class _Row(NamedTuple):
    """A decision as it is read; `facts` is JSON."""

    id: str
    schema: str
    transaction_id: str
    created_at: datetime
    amount: float
    fraud_probability: float | None
    recommended_action: str
    facts: str
    label: str | None


def around(tenant_schema: str, center: Decision | None, now: datetime) -> Graph:
    """The graph around a case's last decision; empty when that was removed. One statement."""
    if center is None:
        return Graph((), (), (), False)
    start = min(center.created_at, now) - SPAN
    parties = list(dict.fromkeys(center.parties))
    asked: list[Any] = [center.pk]
    for place, party in enumerate(parties):  # itself is among them, and one shows that there is more
        asked += [place, party, center.livemode, start, now, OF_A_PARTY + 2]
    found: list[list[_Row]] = [[] for _ in parties]
    with in_tenant(tenant_schema), connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join([_ITSELF, *[_NEWEST] * len(parties)]), asked)
        rows = [(place, _Row._make(row)) for place, *row in cursor.fetchall()]
    own = [row for place, row in rows if place < 0]
    for place, row in sorted(rows, key=lambda one: (one[1].created_at, one[1].id), reverse=True):
        if row.id != center.pk:
            found[place].append(row)
    others = {row.id: row for of_party in found for row in of_party[:OF_A_PARTY]}
    newest = sorted(others.values(), key=lambda row: (row.created_at, row.id), reverse=True)[:MOST_DECISIONS]
    is_more = len(others) > MOST_DECISIONS or any(len(of_party) > OF_A_PARTY for of_party in found)
    return _drawn([*own, *newest], is_more)


def _drawn(rows: Sequence[_Row], truncated: bool) -> Graph:
    """Parties that two decisions share, and who shares them."""
    sharing: dict[Party, list[int]] = {}
    for place, row in enumerate(rows):
        for party in _parties(row.schema, json.loads(row.facts)):
            sharing.setdefault(party, []).append(place)
    shared = {party: places for party, places in sharing.items() if len(places) > 1}
    parties = sorted(shared, key=lambda party: (0 not in shared[party], -len(shared[party]), party))[:MOST_PARTIES]
    edges = [(place, number) for number, party in enumerate(parties) for place in shared[party]]
    return Graph([_node(row) for row in rows], parties, edges, truncated or len(shared) > MOST_PARTIES)


def _parties(schema: str, facts: Mapping[str, Any]) -> Iterator[Party]:
    """Each party of a decision once, under the first field that names it."""
    seen: set[str] = set()
    for field in SCHEMAS[schema].searched:
        if facts.get(field) is not None and (name := party_name(facts[field])) not in seen:
            seen.add(name)
            yield Party(field, name)


def _node(row: _Row) -> Node:
    return Node(
        row.id, row.transaction_id, row.created_at, row.amount, row.fraud_probability, row.recommended_action,
        row.label or "",
    )  # fmt: skip
