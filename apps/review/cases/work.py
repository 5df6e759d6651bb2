"""What reviewers do with cases: claim, release, assign, note, resolve; and which case is the next best.

A claim is a lease of 15 minutes by the database's clock, taken under the lock of the case's row: two never hold one
case, and whoever was away too long has lost it. Every act that may be repeated is harmless when it is.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from apps import card_numbers
from apps.accounts.audit import record_audit
from apps.accounts.models import Tenant
from apps.accounts.tenancy import in_tenant
from apps.errors import Problem
from apps.notifications.models import new_id
from apps.notifications.services import notify
from apps.review import labels
from apps.review.cases import events, priority, queues, verdicts
from apps.review.cases.queues import Sorter
from apps.review.given import Meant
from apps.review.models import Case, CaseNote, Verdict
from apps.scoring.models import Decision
from apps.usage.metering.journal import Journal

LEASE = timedelta(minutes=15)
LONGEST_NOTE = 5_000
MOST_NOTES = 200
#: How many cases others may be quicker with while somebody asks for the next one.
TRIES = 50


class Reviewer(NamedTuple):
    """Somebody who works on cases, as the audit trail names them. `may_settle`: an admin, who also takes what was
    assigned to others and decides where two reviewers do not agree."""

    name: str
    may_settle: bool = False


def listed(livemode: bool) -> QuerySet[Case]:
    """The cases of a mode; to be asked within their tenant."""
    return Case.objects.filter(livemode=livemode)


def find(tenant: Tenant | str, livemode: bool, case_id: str) -> Case | None:
    with in_tenant(tenant):
        return listed(livemode).filter(pk=case_id).first()


def of_transaction(transaction_hash: str, schema: str, livemode: bool) -> Case | None:
    """The last case of a transaction; to be asked within its tenant."""
    rows = listed(livemode).filter(transaction_hash=transaction_hash, schema=schema)
    return rows.order_by("-created_at", "-id").first()


def counts_by_queue(livemode: bool, now: datetime) -> dict[str, tuple[int, int]]:
    """Cases that are not resolved, and how many of them are overdue, by queue; within their tenant."""
    rows = listed(livemode).exclude(state=Case.RESOLVED).values_list("queue")
    told = rows.annotate(Count("queue"), overdue=Count("queue", filter=Q(due_at__lt=now))).order_by()
    return {queue: (waiting, overdue) for queue, waiting, overdue in told}


def claim(*, tenant: Tenant, livemode: bool, case_id: str, reviewer: Reviewer, now: datetime) -> Case:
    """Take a case for 15 minutes, or hold it 15 minutes more. Raises `Problem`: not_found, case_held, case_resolved,
    case_assigned."""
    with locked(tenant, livemode, case_id) as (case, at):
        _take(tenant, case, reviewer, at, now)
        case.save(update_fields=["holder", "lease_until"])
    return case


def claim_next(
    *, tenant: Tenant, livemode: bool, reviewer: Reviewer, now: datetime, queue: str | None = None
) -> Case | None:
    """Claim the most urgent case that is free for somebody, of one queue or of all; None where there is none."""
    lost: list[str] = []
    while len(lost) < TRIES:
        with in_tenant(tenant), transaction.atomic():
            free = _free_for(reviewer, livemode).exclude(pk__in=lost)
            best = _most_urgent(queues.sorter(livemode), free, now, queue)
            if best is None:
                return None
            case = free.select_for_update(skip_locked=True).filter(pk=best.pk).first()
            if case is None:  # somebody was quicker
                lost.append(best.pk)
                continue
            _take(tenant, case, reviewer, _clock(case.pk), now)
            case.save(update_fields=["holder", "lease_until"])
            return case
    return None


def release(*, tenant: Tenant, livemode: bool, case_id: str, reviewer: Reviewer, now: datetime) -> Case:
    """Give a case back. Harmless when one does not hold it. Raises `Problem`: not_found."""
    with locked(tenant, livemode, case_id) as (case, at):
        if holder_of(case, at) == reviewer.name:
            case.holder, case.lease_until = "", None
            case.save(update_fields=["holder", "lease_until"])
            _audit(tenant, "case.released", case, reviewer, now)
    return case


def assign(*, tenant: Tenant, livemode: bool, case_id: str, to: str, reviewer: Reviewer, now: datetime) -> Case:
    """Give a case to somebody, "" to anybody. Whoever holds it loses it. Raises `Problem`: not_found, case_resolved."""
    with locked(tenant, livemode, case_id) as (case, at):
        _check_open(case)
        before, case.assignee = case.assignee, to
        if to and holder_of(case, at) != to:
            case.holder, case.lease_until = "", None
        case.save(update_fields=["assignee", "holder", "lease_until"])
        _audit(tenant, "case.assigned", case, reviewer, now, before={"to": before}, after={"to": to})
    return case


def add_note(*, tenant: Tenant, livemode: bool, case_id: str, text: str, reviewer: Reviewer, now: datetime) -> CaseNote:
    """Write something down on a case; card numbers are masked. Raises `Problem`: not_found, limit_reached."""
    with locked(tenant, livemode, case_id) as (case, _):
        if case.notes.count() >= MOST_NOTES:
            raise Problem("limit_reached", f"A case takes {MOST_NOTES} notes.")
        made = CaseNote.objects.create(
            id=new_id("not", now), case=case, author=reviewer.name, at=now, text=card_numbers.mask(text)
        )
        _audit(tenant, "case.noted", case, reviewer, now, after={"note": made.pk})
    return made


def resolve(
    *,
    tenant: Tenant,
    livemode: bool,
    case_id: str,
    resolution: str,
    reviewer: Reviewer,
    journal: Journal,
    now: datetime,
    note: str = "",
    amount_lost: float | None = None,
) -> Case:
    """Say what a case was. When that is enough it is resolved, and what was said becomes the decision's label.

    Above an amount the queue names, two people must agree; where they do not, a third, who `may_settle`, decides.
    Repeating what one has said changes nothing. Raises `Problem`: not_found, case_held, case_resolved, case_assigned,
    case_other_reviewer.
    """
    with locked(tenant, livemode, case_id) as (case, at):
        given = list(case.verdicts.filter(decision_id=case.decision_id))
        if any(one.reviewer == reviewer.name and one.resolution == resolution for one in given):
            return case
        _check_open(case)
        if why := verdicts.refusal(case.state, given, reviewer.name, reviewer.may_settle):
            raise Problem("case_other_reviewer", why)
        _check_free(case, reviewer, at)
        given.append(_given(case, resolution, reviewer, now))
        outcome = verdicts.outcome(given, 2 if takes_two(case, queues.sorter(livemode)) else 1)
        case.state, case.resolution = outcome
        case.holder, case.lease_until, case.assignee = "", None, ""
        if note:
            CaseNote.objects.create(
                id=new_id("not", now), case=case, author=reviewer.name, at=now, text=card_numbers.mask(note)
            )
        if case.state == Case.RESOLVED:
            _end(tenant, case, reviewer, journal, now, amount_lost)
        case.save()
        after = {"resolution": resolution, "state": case.state, "label": case.label_id}
        _audit(tenant, "case.resolved", case, reviewer, now, after=after)
        if case.state == Case.RESOLVED:
            _notify(tenant, case, now)
    return case


def takes_two(case: Case, sorting: Sorter) -> bool:
    """Whether two people have to agree on a case."""
    above = sorting.second_review_above(case.queue)
    return above is not None and case.amount > above


def holder_of(case: Case, at: datetime) -> str:
    """Who holds a case at a moment, "" when nobody does."""
    return case.holder if case.lease_until is not None and case.lease_until > at else ""


@contextmanager
def locked(tenant: Tenant, livemode: bool, case_id: str) -> Iterator[tuple[Case, datetime]]:
    """A case whose row is ours until the block ends, and what time the database has. Raises `Problem`: not_found."""
    with in_tenant(tenant), transaction.atomic():
        case = listed(livemode).select_for_update().filter(pk=case_id).first()
        if case is None:
            raise Problem("not_found")
        yield case, _clock(case_id)


def _clock(case_id: str) -> datetime:
    """The database's time, now that the row is ours."""
    return Case.objects.filter(pk=case_id).values_list(Now(), flat=True).get()


def _take(tenant: Tenant, case: Case, reviewer: Reviewer, at: datetime, now: datetime) -> None:
    """Let a reviewer hold a case. Raises `Problem` where they can't. Holding it longer is no news."""
    _check_open(case)
    _check_free(case, reviewer, at)
    is_new = holder_of(case, at) != reviewer.name
    case.holder, case.lease_until = reviewer.name, at + LEASE
    if is_new:
        _audit(tenant, "case.claimed", case, reviewer, now)


def _check_open(case: Case) -> None:
    if case.state == Case.RESOLVED:
        raise Problem("case_resolved", f"The case was resolved as {case.resolution} by {case.resolved_by}.")


def _check_free(case: Case, reviewer: Reviewer, at: datetime) -> None:
    held = holder_of(case, at)
    if held not in ("", reviewer.name):
        raise Problem("case_held", f"{held} holds the case until {case.lease_until:%H:%M:%S} UTC.")
    if case.assignee not in ("", reviewer.name) and not reviewer.may_settle:
        raise Problem("case_assigned", f"The case is assigned to {case.assignee}.")


def _free_for(reviewer: Reviewer, livemode: bool) -> QuerySet[Case]:
    """The cases somebody may claim: held by nobody, given to nobody else, and where their own word is not said yet."""
    said = Verdict.objects.filter(case=OuterRef("pk"), decision_id=OuterRef("decision_id"), reviewer=reviewer.name)
    rows = listed(livemode).exclude(state=Case.RESOLVED).filter(assignee__in=["", reviewer.name])
    rows = rows.filter(Q(lease_until=None) | Q(lease_until__lte=Now()))
    return (rows if reviewer.may_settle else rows.exclude(state=Case.DISPUTED)).exclude(Exists(said))


def _most_urgent(sorting: Sorter, free: QuerySet[Case], now: datetime, only: str | None) -> Case | None:
    """The first free case of each queue, and of these the most urgent."""
    found: list[tuple[float, Case]] = []
    for queue in sorting.queues:
        if only in (None, queue.code):
            first = free.filter(queue=queue.code).order_by("-rank", "-id").first()
            if first is not None:
                found.append((priority.urgency(first, queues.sla_of(queue), now), first))
    return max(found, key=lambda one: (one[0], one[1].pk))[1] if found else None


def _given(case: Case, resolution: str, reviewer: Reviewer, now: datetime) -> Verdict:
    return Verdict.objects.create(
        case=case,
        decision_id=case.decision_id,
        reviewer=reviewer.name,
        resolution=resolution,
        settles=case.state == Case.DISPUTED,
        at=now,
    )


def _end(
    tenant: Tenant, case: Case, reviewer: Reviewer, journal: Journal, now: datetime, amount_lost: float | None
) -> None:
    """Note who resolved it, and keep the label; nothing is known of what nobody is sure of."""
    case.resolved_at, case.resolved_by = now, reviewer.name
    if case.resolution == "unsure":
        return
    label = Meant(case.resolution, "analyst", case.decision_id, None, None, None, amount_lost)
    (added,) = labels.add_labels(
        tenant=tenant, livemode=case.livemode, labels=[label], journal=journal, now=now, actor=reviewer.name,
        audited=False,
    )  # fmt: skip
    case.label_id = added.row.pk if added.row else ""  # the decision was removed since


def _notify(tenant: Tenant, case: Case, now: datetime) -> None:
    decision = Decision.objects.filter(pk=case.decision_id).first()
    data = events.data_of(case, decision)
    key = f"{events.RESOLVED}:{case.pk}"
    notify(tenant=tenant, kind=events.RESOLVED, data=data, key=key, now=now, livemode=case.livemode)


def _audit(
    tenant: Tenant, action: str, case: Case, reviewer: Reviewer, now: datetime, **more: dict[str, Any] | None
) -> None:
    record_audit(tenant=tenant, actor=reviewer.name, action=action, target=case, now=now, **more)
