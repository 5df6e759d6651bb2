"""A plan taken over: its rules as drafts in a new version of the policy, its lists with their items, its labels.

Each part is harmless when repeated: a rule whose id is there stays as it is, so do a list and its items. What can't be
taken over is told, and the rest goes on.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Annotated, NamedTuple

import msgspec
from django.db import transaction
from msgspec import Meta

from apps import times
from apps.accounts.models import Tenant
from apps.api_keys.gate import Gate
from apps.imports.plan import CarriedLabel, CarriedList, CarriedRule, ImportPlan, Left
from apps.imports.words import SCHEMA
from apps.review import labels
from apps.review.given import Meant
from apps.scoring import policies
from apps.scoring.engine.aggregate_check import check_number
from apps.scoring.engine.aggregates import Aggregate
from apps.scoring.engine.decide import Policy
from apps.scoring.engine.rules import Rule
from apps.scoring.lists import given, reads
from apps.scoring.lists import services as lists
from apps.scoring.lists.given import GivenItem, NewItem
from apps.scoring.models import ValueList
from apps.usage.metering.journal import Journal

#: Items of one transaction, labels of one call.
AT_ONCE = 1_000


class Applied(msgspec.Struct, frozen=True):
    """What was taken over."""

    policy_version: Annotated[int, Meta(description="The version that has the drafts; 0: none was published.")]
    rules: Annotated[int, Meta(description="Drafts that came.")]
    rules_there: Annotated[int, Meta(description="Rules whose id was there: they stay as they are.")]
    aggregates: Annotated[int, Meta(description="Those that are counted from now on.")]
    lists: int
    items: int
    labels: int
    labels_unknown: Annotated[int, Meta(description="Labels of transactions that nothing was decided on here.")]
    left: list[Left]


class Target(NamedTuple):
    """Whom it is taken over for, by whom, and into which stores."""

    tenant: Tenant
    livemode: bool
    gate: Gate
    journal: Journal
    actor: str


def apply(target: Target, plan: ImportPlan, now: datetime) -> Applied:
    """Take a plan over: lists first, for rules ask for them. Raises `InvalidRules`, `lists.TooMany`."""
    left: list[Left] = []
    made = [_list(target, one, left, now) for one in plan.lists]
    version, came, counted = _drafts(target, plan, left, now)
    known, unknown = _labels(target, plan.labels, now)
    return Applied(
        policy_version=version,
        rules=came,
        aggregates=counted,
        rules_there=len(plan.rules) - came,
        lists=sum(new for new, _ in made),
        items=sum(items for _, items in made),
        labels=known,
        labels_unknown=unknown,
        left=left,
    )


def _drafts(target: Target, plan: ImportPlan, left: list[Left], now: datetime) -> tuple[int, int, int]:
    """The policy's version with the drafts, how many came, and how many aggregates with them."""
    with transaction.atomic():
        locked = Tenant.objects.select_for_update().get(pk=target.tenant.pk)
        was = policies.in_force(locked)
        there = {rule.id for rule in was.rules}
        new, others = _aggregates(plan, was)
        drafts = tuple(_told_apart((_draft(rule) for rule in plan.rules if rule.id not in there), others, left))
        if not drafts:
            return 0, 0, 0
        counted = tuple(one for one in new if any(one.asked_as in draft.names for draft in drafts))
        policy = msgspec.structs.replace(was, rules=was.rules + drafts, aggregates=was.aggregates + counted)
        check_number(policy.aggregates)
        note = f"Imported from {plan.source}"
        version = policies.publish(
            tenant=locked, policy=policy, gate=target.gate, now=now, actor=target.actor, note=note
        )
        return version, len(drafts), len(counted)


def _aggregates(plan: ImportPlan, was: Policy) -> tuple[list[Aggregate], set[str]]:
    """Those of a plan that the policy lacks, and the names by which it counts something else, or no more."""
    there = {one.name: one for one in was.aggregates}
    wanted = [Aggregate(one.name, SCHEMA, tuple(one.by), one.function, one.window, one.of) for one in plan.aggregates]
    others = {
        one.asked_as
        for one in wanted
        if (known := there.get(one.name)) and (known.archived or known.counts != one.counts)
    }
    return [one for one in wanted if one.name not in there], others


def _told_apart(drafts: Iterable[Rule], others: set[str], left: list[Left]) -> Iterator[Rule]:
    """The drafts that ask for no aggregate whose name is another's here; those that do are told."""
    for draft in drafts:
        if taken := sorted(others & draft.names):
            why = f"{', '.join(taken)} counts something else here, or nothing any more: write the rule by hand."
            left.append(Left("rule", draft.id, draft.when, why))
        else:
            yield draft


def _draft(rule: CarriedRule) -> Rule:
    fields = {"id": rule.id, "outcome": rule.outcome, "when": rule.when, "description": rule.description}
    return msgspec.convert({**fields, "schema": SCHEMA, "state": "draft"}, Rule)


def _list(target: Target, one: CarriedList, left: list[Left], now: datetime) -> tuple[bool, int]:
    """Whether a list is new, and how many items came."""
    row = reads.find(target.tenant.schema_name, target.livemode, one.name)
    is_new = row is None
    if row is None:
        row = lists.create(
            tenant=target.tenant, livemode=target.livemode, name=one.name, item_type=one.item_type,
            description=f"Imported: {one.theirs}"[:200], valkey=target.journal.valkey, now=now, actor=target.actor,
        )  # fmt: skip
    items = list(_items(row, one, left, now))
    added = 0
    for begin in range(0, len(items), AT_ONCE):
        added += lists.add_items(
            tenant=target.tenant, row=row, items=items[begin : begin + AT_ONCE], valkey=target.journal.valkey, now=now,
            actor=target.actor,
        ).added  # fmt: skip
    return is_new, added


def _items(row: ValueList, one: CarriedList, left: list[Left], now: datetime) -> Iterator[NewItem]:
    for item in one.items:
        new, errors = given.read(row.item_type, GivenItem(item.value, note=item.note[: given.LONGEST_NOTE]), now)
        if new is not None:
            yield new
        else:
            left.append(Left("item", one.name, item.value, " ".join(error.detail for error in errors)))


def _labels(target: Target, told: Sequence[CarriedLabel], now: datetime) -> tuple[int, int]:
    """How many labels are of decisions made here, and how many of none."""
    known = 0
    for begin in range(0, len(told), AT_ONCE):
        meant = [_meant(label, now) for label in told[begin : begin + AT_ONCE]]
        added = labels.add_labels(
            tenant=target.tenant, livemode=target.livemode, labels=meant, journal=target.journal, now=now,
            actor=target.actor,
        )  # fmt: skip
        known += sum(one.row is not None for one in added)
    return known, len(told) - known


def _meant(label: CarriedLabel, now: datetime) -> Meant:
    occurred, known = (_moment(said, now) for said in (label.occurred_at, label.known_at))
    return Meant(label.label, "analyst", None, label.transaction_id, occurred, known, None)


def _moment(said: str | None, now: datetime) -> datetime | None:
    """A time of theirs; None for one that is none or to come."""
    try:
        moment = times.read(said) if said else None
    except ValueError:
        return None
    return None if moment is None or moment.tzinfo is None or moment > now else moment
