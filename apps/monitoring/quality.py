"""What models are worth and how far their scores are from where they were made, over all tenants together.

Every tenant's schema is asked, fifty in a statement: by the hour, on the queue nobody waits for.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

import msgspec
import numpy as np
from django.db import connection
from psycopg import sql

from apps.accounts.models import Tenant
from apps.analytics.drift import FEWEST
from apps.scoring.engine.reference import BINS, psi
from apps.scoring.tallies import reference_of
from apps.usage.models import UsageDay

#: Decisions so old are looked at: their labels, and their scores.
LABELLED, SCORED = timedelta(days=30), timedelta(days=7)
#: Schemas asked by one statement.
TOGETHER = 50
_LABELS = """
(SELECT {place}, schema, model_name, (label = 'fraud') = (recommended_action <> 'approve'), count(*)
 FROM {tenant}.review_label WHERE holds AND livemode AND model_name <> '' AND decided_at >= {since} GROUP BY 2, 3, 4)
"""
_SCORES = """
(SELECT {place}, schema, model, reference, counts, decisions
 FROM {tenant}.scoring_featureday WHERE livemode AND day >= {since})
"""

Model = tuple[str, str]
Values = Iterator[tuple[Model, float]]


class OutOfTime(msgspec.Struct, frozen=True):
    """What a card says of later time: rows, frauds, precision and recall at the threshold."""

    rows: int
    frauds: int
    metrics: dict[str, float | None]


class _Quality(msgspec.Struct, frozen=True):
    out_of_time: OutOfTime


class _Card(msgspec.Struct, frozen=True):
    quality: _Quality


class _Scores(NamedTuple):
    """Of one tenant and model: how many decisions, and in which tenths of the reference their scores lie."""

    decisions: int
    counts: np.ndarray  # int64[BINS + 1]


def accuracy_of_card(card: bytes) -> float:
    """The share of right verdicts out of time, from what a card (JSON) says of it."""
    return accuracy(msgspec.json.decode(card, type=_Card).quality.out_of_time)


def accuracy(found: OutOfTime) -> float:
    """The share of right verdicts: frauds caught, and legitimate rows that were not taken for one."""
    caught = (found.metrics["recall"] or 0.0) * found.frauds
    precision = found.metrics["precision"]
    alarms = caught / precision - caught if precision else 0.0
    return (caught + found.rows - found.frauds - alarms) / found.rows


def accuracies(now: datetime) -> Values:
    """Of each model with labels: the share of labelled decisions that were right, approved or not."""
    right, labels = Counter[Model](), Counter[Model]()
    for _, schema, model, is_right, count in _asked(_LABELS, (now - LABELLED).date()):
        labels[schema, model] += count
        right[schema, model] += count * is_right
    for model, count in sorted(labels.items()):
        yield model, right[model] / count


def drift(now: datetime) -> Values:
    """Of each model with a reference: the largest index of a tenant's scores; tenants with few decisions tell none."""
    largest: dict[Model, float] = {}
    for (_, schema, model, digest), scores in _scores(now).items():
        reference = reference_of(schema, model)
        if reference is None or reference.digest != digest or scores.decisions < FEWEST:
            continue
        index, key = float(psi(reference.shares[-1], scores.counts)), (schema, model.partition("@")[0])
        largest[key] = max(index, largest.get(key, 0.0))
    yield from sorted(largest.items())


def _scores(now: datetime) -> dict[tuple[int, str, str, str], _Scores]:
    """By tenant, schema, model (name@version) and reference: the days' scores together."""
    found: dict[tuple[int, str, str, str], _Scores] = {}
    for *key, counts, decisions in _asked(_SCORES, (now - SCORED).date()):
        day = np.frombuffer(counts, "<i8").reshape(-1, BINS + 1)[-1]
        known = found.get(tuple(key), _Scores(0, np.zeros(BINS + 1, np.int64)))
        found[tuple(key)] = _Scores(known.decisions + decisions, known.counts + day)
    return found


def _asked(query: str, since: date) -> Iterator[tuple[Any, ...]]:
    """The rows of one query in each schema of tenants that decided anything since; the tenant's id first."""
    tenants = _tenants(since)
    for start in range(0, len(tenants), TOGETHER):
        yield from _asked_of(query, tenants[start : start + TOGETHER], since)


def _tenants(since: date) -> list[tuple[int, str]]:
    active = UsageDay.objects.filter(day__gte=since, livemode=True).values("tenant_id")
    return list(Tenant.objects.filter(closed_at=None, pk__in=active).order_by("pk").values_list("pk", "schema_name"))


def _asked_of(query: str, tenants: Sequence[tuple[int, str]], since: date) -> list[tuple[Any, ...]]:
    selects = [
        sql.SQL(query).format(place=sql.Literal(tenant_id), tenant=sql.Identifier(schema), since=sql.Literal(since))
        for tenant_id, schema in tenants
    ]
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL(" UNION ALL ").join(selects))
        return cursor.fetchall()
