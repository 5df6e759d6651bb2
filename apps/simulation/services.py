"""Simulations: started, run in the background with progress, read; the oldest forgotten.

queued ─► running ─► completed     a block of decisions further each time; whoever looks at one that stands still has it
                  └► failed        run again from the beginning (`wake`): harmless, its flips are written anew
"""

import logging
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

import msgspec
from django.db import connection, transaction
from django.db.models import QuerySet, Sum
from django.utils import timezone

from apps import binary_copy
from apps.accounts.audit import record_audit
from apps.accounts.models import Tenant
from apps.accounts.tenancy import in_tenant
from apps.analytics.asked import Asked
from apps.analytics.performance import still_to_come
from apps.notifications.models import new_id
from apps.paging import Page, page_of
from apps.scoring.engine.block import ACTIONS
from apps.scoring.engine.decide import Policy
from apps.scoring.engine.held import Held, hold
from apps.scoring.models import OutcomeHour
from apps.scoring.policies import get_policies
from apps.simulation import reading
from apps.simulation.aggregates_then import known_then
from apps.simulation.curves import Costs
from apps.simulation.lists_then import lists_then
from apps.simulation.models import Flip, Simulation
from apps.simulation.reading import Read, Span
from apps.simulation.recounting import recounted
from apps.simulation.tally import Tally, causes_of
from apps.times import instant_us

log = logging.getLogger(__name__)

State = Simulation.State
#: Decisions up to which the answer is waited for; of more it is made in the background.
AT_ONCE = 2_000
#: Simulations of a tenant that are kept, the newest.
KEPT = 50
#: One that has not come further for so long is run again.
STUCK = timedelta(minutes=1)
KEY = ("asked_at", "id")
_FLIP_COLUMNS = {
    "simulation_id": "varchar", "decision_id": "varchar", "decided_at": "timestamp with time zone",
    "schema": "varchar", "transaction_id": "varchar", "amount": "double precision",
    "fraud_probability": "double precision", "before": "varchar", "after": "varchar", "decisive_before": "varchar",
    "decisive_after": "varchar", "label": "varchar",
}  # fmt: skip


def start(
    *, tenant: Tenant, livemode: bool, policy: Policy, begin: datetime, end: datetime, schema: str, costs: Costs,
    now: datetime, actor: str, later: Callable[[int, str], Any],
) -> Simulation:  # fmt: skip
    """Begin a simulation: of few decisions it is completed, of many `later(tenant's id, its id)` is asked to run it."""
    with in_tenant(tenant), transaction.atomic():
        made = Simulation.objects.create(
            id=new_id("sim", now),
            livemode=livemode,
            asked_at=now,
            asked_by=actor[:200],
            policy=msgspec.to_builtins(policy),
            against=tenant.policy_version,
            begin=begin,
            end=end,
            schema=schema,
            costs=msgspec.to_builtins(costs),
            total=_counted(livemode, begin, end, schema),
            touched_at=now,
        )
        record_audit(tenant=tenant, actor=actor, action="policy.simulated", target=made.pk, now=now)
        _forget_old(livemode)
    if made.total > AT_ONCE:
        transaction.on_commit(lambda: later(tenant.pk, made.pk))
        return made
    run(tenant, made.pk, now)
    return find(tenant.schema_name, livemode, made.pk) or made


def find(tenant_schema: str, livemode: bool, simulation_id: str) -> Simulation | None:
    with in_tenant(tenant_schema):
        return Simulation.objects.filter(pk=simulation_id, livemode=livemode).first()


def wake(tenant: Tenant, simulation: Simulation, now: datetime, later: Callable[[int, str], Any]) -> None:
    """Have one run again that has not come further for a while: its worker or its message was lost."""
    if simulation.state in (State.QUEUED, State.RUNNING) and simulation.touched_at < now - STUCK:
        later(tenant.pk, simulation.pk)


def listed(livemode: bool) -> QuerySet[Simulation]:
    """Simulations of a mode; to be asked within their tenant."""
    return Simulation.objects.filter(livemode=livemode)


def page(tenant_schema: str, livemode: bool, cursor: str | None, limit: int) -> Page[Simulation]:
    """One page, newest first. Raises `Problem` for a cursor that is not ours."""
    with in_tenant(tenant_schema):
        return page_of(listed(livemode).defer("policy"), KEY, cursor, limit)


def flips(
    tenant_schema: str, simulation_id: str, filters: dict[str, Any], cursor: str | None, limit: int
) -> Page[Flip]:
    """One page of the decisions that come out otherwise, in the order of deciding. Raises `Problem`."""
    with in_tenant(tenant_schema):
        rows = Flip.objects.filter(simulation_id=simulation_id, **filters)
        return page_of(rows, ("id",), cursor, limit, rising=True)


def run(tenant: Tenant, simulation_id: str, now: datetime) -> bool:
    """Run a simulation that waits, or stands still; False when another does. Harmless when repeated."""
    with in_tenant(tenant):
        row = _claimed(simulation_id, now)
        if row is None:
            return False
        try:
            result = _run(tenant, row)
        except Exception as failure:
            log.exception("the simulation %s failed", simulation_id)
            _end(row, State.FAILED, reason=f"{type(failure).__name__}: tell support its id.")
            raise
        _end(row, State.COMPLETED, result=result)
    return True


# --- its steps --------------------------------------------------------------------------------------------------------


def _claimed(simulation_id: str, now: datetime) -> Simulation | None:
    """The simulation, when nobody else is at it."""
    with transaction.atomic():
        row = Simulation.objects.select_for_update().filter(pk=simulation_id).first()
        if row is None or not _waits(row, now):
            return None
        row.state, row.touched_at, row.done = State.RUNNING, now, 0
        row.save(update_fields=["state", "touched_at", "done"])
        Flip.objects.filter(simulation=row).delete()
    return row


def _waits(row: Simulation, now: datetime) -> bool:
    return row.state == State.QUEUED or (row.state == State.RUNNING and row.touched_at < now - STUCK)


def _run(tenant: Tenant, row: Simulation) -> dict[str, Any]:
    """The outcome, as it is kept."""
    policy, costs = msgspec.convert(row.policy, Policy), msgspec.convert(row.costs, Costs)
    span, tally = Span(tenant.schema_name, row.livemode, row.begin, row.end, row.schema), Tally()
    with recounted(span, policy, lambda: _came_further(row)) as anew:
        for parts in reading.blocks(span):
            for part in parts:
                counted = known_then(span, part, policy, get_policies(), anew)
                lists = lists_then(span, part, policy, get_policies())
                held = hold(part.stored, policy, lists.members, counted.known, lists.unknown)
                tally.add(part.schema, part.seen, held)
                tally.add_recounted(counted.recounted)
                _keep_flips(row, part, held)
            row.done += sum(len(part.rows) for part in parts)
            _came_further(row)
    asked = Asked(tenant.schema_name, row.livemode, row.begin.date(), _day_after(row.end), row.schema)
    return msgspec.to_builtins(tally.outcome(costs, still_to_come(asked)))


def _came_further(row: Simulation) -> None:
    Simulation.objects.filter(pk=row.pk).update(done=row.done, touched_at=timezone.now())


def _keep_flips(row: Simulation, part: Read, held: Held) -> None:
    places = (part.seen.action != held.action).nonzero()[0].tolist()
    if not places:
        return
    causes = causes_of(held, places, {place: _otherwise(part, place) for place in places})
    rows = [part.rows[place] for place in places]
    columns = [
        [row.pk] * len(rows),
        [one.id for one in rows],
        [instant_us(one.created_at) for one in rows],
        [one.schema for one in rows],
        [one.transaction_id for one in rows],
        [one.amount for one in rows],
        [one.fraud_probability for one in rows],
        [one.recommended_action for one in rows],
        [ACTIONS[held.action[place]] for place in places],
        [one.decisive for one in rows],
        causes,
        [part.label(place) for place in places],
    ]
    with transaction.atomic(), connection.cursor() as cursor:
        copied = ", ".join(f'"{name}"' for name in _FLIP_COLUMNS)
        data = binary_copy.rows_of(list(_FLIP_COLUMNS.values()), columns)
        binary_copy.copy_into(cursor, f"simulation_flip ({copied})", data)


def _otherwise(part: Read, place: int) -> str:
    """What decides where no rule does: the model that was asked, or the policy's default."""
    row = part.rows[place]
    return f"model:{row.model_name}" if row.model_name else "default:"


def _end(row: Simulation, state: str, **said: Any) -> None:
    Simulation.objects.filter(pk=row.pk).update(state=state, finished_at=timezone.now(), **said)


def _counted(livemode: bool, begin: datetime, end: datetime, schema: str) -> int:
    """Decisions of the span, by the hour: enough to tell how far a simulation is."""
    hour = begin.replace(minute=0, second=0, microsecond=0)
    hours = OutcomeHour.objects.filter(livemode=livemode, hour__gte=hour, hour__lt=end)
    if schema:
        hours = hours.filter(schema=schema)
    return hours.aggregate(all=Sum("decisions"))["all"] or 0


def _forget_old(livemode: bool) -> None:
    kept = list(listed(livemode).order_by("-asked_at", "-id").values_list("pk", flat=True)[:KEPT])
    listed(livemode).exclude(pk__in=kept).delete()


def _day_after(end: datetime) -> date:
    """The first day that is no longer of the span."""
    return (end - timedelta(microseconds=1)).date() + timedelta(days=1)
