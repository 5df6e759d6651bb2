"""A tenant's queues, of each mode: made, changed, deleted; where a case waits in them.

A case goes to the first queue that takes it, else to the default one, which everybody has and which takes all. When
queues change, all cases that are not resolved are sorted anew, and by the minute those that grew old enough for one.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec
from django.db import connection, transaction
from django.db.models import QuerySet
from psycopg import sql

from apps.accounts.audit import record_audit
from apps.accounts.models import Tenant
from apps.accounts.tenancy import in_tenant
from apps.notifications.models import new_id
from apps.review.cases import priority
from apps.review.cases.criteria import Criteria, takes
from apps.review.models import Case, Queue

DEFAULT = "default"
MOST_QUEUES = 20
#: From one minute to thirty days.
LEAST_SLA, LONGEST_SLA, USUAL_SLA = 1, 43_200, 1_440
CHANGEABLE = ("name", "position", "criteria", "order", "sla_minutes", "second_review_above")
#: Cases that are sorted by one statement.
TOGETHER = 1_000
#: Tenants that are asked by one statement.
TENANTS_TOGETHER = 50

_LOCK = "SELECT pg_advisory_xact_lock(hashtext(current_schema()), hashtext('review_queues'))"
_LOCK_SHARED = _LOCK.replace("xact_lock", "xact_lock_shared")


class TooMany(ValueError):
    """The tenant has as many queues as it may have."""


class Place(NamedTuple):
    """Where a case waits."""

    queue: str
    rank: float
    due_at: datetime


class Sorter(NamedTuple):
    """The queues of a mode, in the order in which they are asked; the last one is the default."""

    queues: Sequence[Queue]

    def place(self, case: Any, now: datetime) -> Place:
        """Where a case waits now: `case` has the columns of a `Case`."""
        queue = next(one for one in self.queues if takes(criteria_of(one), case, now))
        sla = sla_of(queue)
        return Place(queue.code, priority.rank(queue.order, case, sla), case.created_at + sla)  # type: ignore[arg-type]

    def find(self, code: str) -> Queue:
        """The queue of that code; the default one when it is gone."""
        return next((one for one in self.queues if one.code == code), self.queues[-1])

    def second_review_above(self, code: str) -> float | None:
        """From beyond which amount a case of a queue takes two reviewers; None: never."""
        own = self.find(code).second_review_above
        return self.queues[-1].second_review_above if own is None else own


def criteria_of(queue: Queue) -> Criteria:
    return msgspec.convert(queue.criteria, Criteria)


def sla_of(queue: Queue) -> timedelta:
    return timedelta(minutes=queue.sla_minutes)


def sorter(livemode: bool) -> Sorter:
    """The queues of a mode; to be asked within their tenant."""
    rows = list(Queue.objects.filter(livemode=livemode))
    default = next((row for row in rows if row.code == DEFAULT), None) or _default(livemode)
    return Sorter([*(row for row in rows if row.code != DEFAULT), default])


def _default(livemode: bool) -> Queue:
    return Queue(
        code=DEFAULT, livemode=livemode, name="All others", position=0, order="money", sla_minutes=USUAL_SLA,
        created_at=datetime.fromtimestamp(0).astimezone(),
    )  # fmt: skip


def find(tenant: Tenant | str, livemode: bool, code: str) -> Queue | None:
    with in_tenant(tenant):
        return next((one for one in sorter(livemode).queues if one.code == code), None)


def create_queue(*, tenant: Tenant, livemode: bool, facts: Mapping[str, Any], now: datetime, actor: str) -> Queue:
    """Make a queue, behind those there are unless `position` says otherwise. Raises `TooMany`."""
    with in_tenant(tenant), transaction.atomic():
        hold_still()
        known = Queue.objects.filter(livemode=livemode).exclude(code=DEFAULT)
        positions = list(known.values_list("position", flat=True))
        if len(positions) >= MOST_QUEUES:
            raise TooMany
        usual = {"position": max(positions, default=0) + 1, "order": "money", "sla_minutes": USUAL_SLA}
        made = Queue.objects.create(code=new_id("que", now), livemode=livemode, created_at=now, **usual | dict(facts))
        sort_again(livemode, now)
        after = _told(made, CHANGEABLE)
        record_audit(tenant=tenant, actor=actor, action="review_queue.created", target=made, after=after, now=now)
    return made


def change_queue(*, tenant: Tenant, queue: Queue, facts: Mapping[str, Any], now: datetime, actor: str) -> Queue:
    """Change a queue; the default one takes every case, whatever is said of it."""
    with in_tenant(tenant), transaction.atomic():
        hold_still()
        queue = Queue.objects.filter(livemode=queue.livemode, code=queue.code).first() or queue
        before = _told(queue, facts)
        for name, value in facts.items():
            setattr(queue, name, value)
        if queue.code == DEFAULT:
            queue.criteria = {}
        queue.save()
        sort_again(queue.livemode, now)
        after = _told(queue, facts)
        record_audit(
            tenant=tenant, actor=actor, action="review_queue.changed", target=queue, before=before, after=after, now=now
        )
    return queue


def delete_queue(*, tenant: Tenant, queue: Queue, now: datetime, actor: str) -> None:
    """Delete a queue, its cases go to others; the default one is as it was for everybody."""
    with in_tenant(tenant), transaction.atomic():
        hold_still()
        Queue.objects.filter(livemode=queue.livemode, code=queue.code).delete()
        sort_again(queue.livemode, now)
        before = _told(queue, CHANGEABLE)
        record_audit(tenant=tenant, actor=actor, action="review_queue.deleted", target=queue, before=before, now=now)


def hold_still(*, shared: bool = False) -> None:
    """Keep queues as they are until the transaction ends: `shared` by those who sort new cases, else to change them.
    Without it a case could be sorted by queues that are gone, and wait where nobody looks."""
    with connection.cursor() as cursor:
        cursor.execute(_LOCK_SHARED if shared else _LOCK)


def sort_again(livemode: bool, now: datetime) -> int:
    """Sort all cases that are not resolved into the queues; how many moved. Within their tenant, in a transaction."""
    return _sort(sorter(livemode), Case.objects.filter(livemode=livemode), now)


def sort_aged(livemode: bool, now: datetime) -> int:
    """Move cases that grew old enough for a queue; how many. Within their tenant. Harmless when repeated."""
    ages = [minutes for one in sorter(livemode).queues if (minutes := criteria_of(one).older_than_minutes)]
    if not ages:
        return 0
    aged = Case.objects.filter(livemode=livemode, created_at__lte=now - timedelta(minutes=min(ages)))
    with transaction.atomic():
        hold_still(shared=True)
        return _sort(sorter(livemode), aged, now)


def sort_aged_everywhere(now: datetime) -> int:
    """Move cases that grew old enough, of every tenant that has a queue for such; how many."""
    schemas = list(Tenant.objects.filter(closed_at=None).order_by("pk").values_list("schema_name", flat=True))
    moved = 0
    for start in range(0, len(schemas), TENANTS_TOGETHER):
        for tenant_schema in _with_aged_queues(schemas[start : start + TENANTS_TOGETHER]):
            with in_tenant(tenant_schema):
                moved += sort_aged(True, now) + sort_aged(False, now)
    return moved


def _with_aged_queues(schemas: Sequence[str]) -> list[str]:
    """Those of some tenants' schemas in which a queue asks for an age: one statement."""
    asked = sql.SQL(
        "(SELECT {name} WHERE EXISTS (SELECT FROM {schema}.review_queue WHERE criteria ? 'older_than_minutes'))"
    )
    parts = [asked.format(name=sql.Literal(name), schema=sql.Identifier(name)) for name in schemas]
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL(" UNION ALL ").join(parts))
        return [name for (name,) in cursor.fetchall()]


def _sort(sorting: Sorter, cases: QuerySet[Case], now: datetime) -> int:
    """Move what stands elsewhere than it should: only that is locked, in the order in which everybody locks cases."""
    waiting = cases.exclude(state=Case.RESOLVED)
    moving = sorted(case.pk for case in waiting.iterator(TOGETHER) if sorting.place(case, now) != _place(case))
    for start in range(0, len(moving), TOGETHER):
        rows = list(waiting.filter(pk__in=moving[start : start + TOGETHER]).order_by("pk").select_for_update())
        for case in rows:
            case.queue, case.rank, case.due_at = sorting.place(case, now)
        Case.objects.bulk_update(rows, ["queue", "rank", "due_at"])
    return len(moving)


def _place(case: Case) -> Place:
    """Where a case stands now."""
    return Place(case.queue, case.rank, case.due_at)


def _told(queue: Queue, names: Iterable[str]) -> dict[str, Any]:
    return {name: getattr(queue, name) for name in names}
