"""One chunk of a batch, as a story:

    take      the first free chunk; its time is fixed when it is first taken
    lock      its row, for as long as it is scored: a worker that is killed lets go of it at once
    read      its part of the file; what can't be scored is a problem of its row
    known?    rows decided before by the ids their sender gave: duplicates, nothing is billed
    reserve   a unit a row at the gate; rows beyond quota or spend cap wait in a chunk of their own, the batch pauses
    decide    the block
    record    decisions, usage, roll-ups, results, progress, the mark "done": one transaction
    settle    what was reserved and not billed is given back

Killed anywhere before the end of that transaction, the chunk is done again, to the same rows; killed after it, what
was reserved is settled by whoever looks for it (`services.settle_left`).
"""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache, partial
from typing import Any

import msgspec
import numpy as np
from django.conf import settings
from django.db import transaction
from django.db.models import F, Max, Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from apps import times
from apps.accounts.models import Tenant
from apps.accounts.tenancy import in_tenant
from apps.api_keys.gate import Names, names_of, stopped_by
from apps.api_keys.services import get_gate
from apps.batches import columns, duplicates, identity, outcomes, own_models
from apps.batches.aggregate_history import by_name
from apps.batches.columns import Common, Kept
from apps.batches.duplicates import Named
from apps.batches.metrics import count_rows
from apps.batches.models import Batch, Chunk, chunk_id
from apps.batches.outcomes import ToldProblem
from apps.batches.parts import Part, part_of
from apps.batches.recording import record
from apps.scoring import receipts
from apps.scoring.engine import shelf
from apps.scoring.engine.aggregate_plan import Plan, plan_of
from apps.scoring.engine.asking import Model
from apps.scoring.engine.block import ACTIONS, Block, BlockDecisions
from apps.scoring.engine.engine import ENSEMBLE, Engine
from apps.scoring.engine.models import ModelRefused
from apps.scoring.engine.own import OwnBlock, shadowed_block
from apps.scoring.engine.values import RowView
from apps.scoring.lists.blocks import known_of_block
from apps.scoring.models import Decision
from apps.scoring.policies import get_policies
from apps.scoring.serving import decision_formats, ids
from apps.scoring.serving.decisions import ANSWERED
from apps.scoring.serving.journal_entries import hidden_hashes
from apps.scoring.serving.metrics import tier_of
from apps.usage.admission import reservations
from apps.usage.metering.events import BATCHES, UsageEvent

State = Batch.State
#: Tries to lock the chunk that was taken: another worker may have been quicker.
TRIES = 5


#: Times a chunk is done again because somebody was quicker with one of its rows.
MOST_AGAIN = 10


class Stopped(Exception):
    """The batch was cancelled or deleted meanwhile: nothing of the chunk is kept."""


class Again(Exception):
    """What was reserved is there no more, or somebody was quicker with a row: do the chunk once more."""


@dataclass(frozen=True, eq=False)
class Work:
    """A chunk under its lock, with its part of the file. `ids` are the decisions' to be, a row of the block each."""

    batch: Batch
    chunk: Chunk
    part: Part
    ids: Sequence[str]
    places: np.ndarray  # int64: of each row of the block, its place in the chunk; outside of [0, rows) it is another's
    at: datetime

    @property
    def tenant(self) -> Tenant:
        return self.batch.tenant

    @property
    def block(self) -> Block:
        return self.part.rows.block

    def mine(self, count: int) -> np.ndarray:
        """bool: which of the block's rows are among the first `count` of the chunk."""
        return (self.places >= 0) & (self.places < count)


@dataclass(frozen=True, eq=False)
class Shares:
    """What becomes of a block's rows: those decided and paid, and those that were decided before, by which decision.
    `done`: how many of the chunk's rows are done with; the others wait for units. `tier`: what metrics call the
    tenant's plan."""

    rows: np.ndarray  # int64, places in the block
    duplicates: Mapping[int, str]
    supersedes: Mapping[int, str]
    named: Mapping[int, Named]
    done: int
    tier: str


def score_next(batch_id: str, now: datetime) -> bool:
    """Score a free chunk of a running batch; False when there is none. Raises `apps.valkey.Away`, `OSError`."""
    for _ in range(TRIES):
        taken = take(batch_id, now)
        if taken is None:
            return False
        if score(taken):
            return True
    return True


@transaction.atomic
def take(batch_id: str, now: datetime) -> str | None:
    """Fix the time of the first free chunk; its id."""
    free = Chunk.objects.filter(batch_id=batch_id, batch__state=State.RUNNING, done=False)
    chunk = free.select_for_update(skip_locked=True, of=("self",)).order_by("number").first()
    if chunk is None:
        return None
    if chunk.occurred_at is None:
        Chunk.objects.filter(pk=chunk.pk).update(occurred_at=now.replace(microsecond=now.microsecond // 1000 * 1000))
    return chunk.pk


def score(name: str) -> bool:
    """Score a chunk; False when it is not free any more. Raises `apps.valkey.Away`, `OSError`."""
    for _ in range(MOST_AGAIN):
        try:
            with transaction.atomic():
                work = _locked(name)
                if work is None:
                    return False
                _score(work)
        except Again:
            continue
        except Stopped:
            return True
        settle_free(name)
        return True
    raise Again(f"{name}: others were quicker {MOST_AGAIN} times")


@transaction.atomic
def settle_free(name: str) -> None:
    """Give back what was reserved for a chunk that nobody scores now, and was not billed; of one that is not done
    forget which transactions it was about to decide on. Harmless when repeated.

    Raises `apps.valkey.Away`.
    """
    free = Chunk.objects.filter(pk=name, settled=False, occurred_at__isnull=False)
    chunk = free.select_for_update(skip_locked=True, of=("self",)).select_related("batch__tenant").first()
    if chunk is None or chunk.occurred_at is None:
        return
    if chunk.batch.livemode:
        reservations.settle(get_gate(), chunk.batch.tenant, chunk.pk, chunk.units, chunk.occurred_at)
    if not chunk.done:
        work = _work(chunk, chunk.occurred_at)
        duplicates.retract(get_gate().valkey, _names(work), work.batch.schema, _named(work))
    Chunk.objects.filter(pk=chunk.pk).update(settled=chunk.done, occurred_at=chunk.occurred_at if chunk.done else None)


# --- the story --------------------------------------------------------------------------------------------------------


def _score(work: Work) -> None:
    """Inside the transaction that holds the chunk's lock. Raises `Again`, `Stopped`."""
    shares = _shares(work)
    if not shares.done:
        _pause(work.batch)
        return
    started = time.perf_counter()
    decided = _decided(work)
    milliseconds = 1000 * (time.perf_counter() - started) / max(len(work.ids), 1)
    live = work.batch.livemode
    common = Common(work.batch.pk, work.at, live, int(live), round(milliseconds, 3))
    units = len(shares.rows) if live else 0
    kept = _kept(work, shares, decided, common)
    stored, counted = columns.stored_parts(decided, kept, common), columns.counted_columns(decided, kept, common)
    leaves = record(work.tenant.schema_name, stored, counted, _event(work, len(shares.rows), units, milliseconds))
    del counted  # as large as the rows themselves: gone before the results are put together
    problems = _write_results(work, shares, decided)
    if not _still_reserved(work, units) or _quicker(work, shares):
        raise Again
    transaction.on_commit(partial(count_rows, decided, shares.rows, shares.tier, len(shares.duplicates), len(problems)))
    transaction.on_commit(partial(_tell_own_models, work, shares, decided))
    flagged = int(decided.verdicts.flagged[work.mine(shares.done)].sum())
    _mark_done(work, shares, problems, flagged, units)
    receipts.append(work.tenant.schema_name, receipts.RECORDED, kept.ids, leaves, timezone.now())


def _locked(name: str) -> Work | None:
    """The chunk under its lock, with its rows; None when somebody else has it, or had."""
    free = Chunk.objects.filter(pk=name, done=False, batch__state=State.RUNNING, occurred_at__isnull=False)
    chunk = free.select_for_update(skip_locked=True, of=("self",)).select_related("batch__tenant").first()
    if chunk is None or chunk.occurred_at is None:
        return None
    return _work(chunk, chunk.occurred_at)


def _work(chunk: Chunk, at: datetime) -> Work:
    with_aggregates = bool(_plan(chunk.batch).sources)
    part = part_of(chunk.batch, chunk.part, own_models.asked_of(chunk.batch) is not None, with_aggregates)
    names = identity.row_names(chunk.batch_id, chunk.first_row - chunk.offset, len(part.rows.chunk))
    ids = [f"dec_{names[place]}" for place in part.rows.places.tolist()]
    return Work(chunk.batch, chunk, part, ids, part.rows.places - chunk.offset, at)


def _shares(work: Work) -> Shares:
    """Duplicates apart, and a unit reserved for each row that is left: when there are too few, for the first ones."""
    named = _named(work)
    known = duplicates.look_up(get_gate().valkey, _names(work), work.batch.schema, named)
    is_fresh = work.mine(work.chunk.rows)
    is_fresh[list(known.duplicates)] = False
    fresh = np.flatnonzero(is_fresh)
    granted, done, plan = len(fresh), work.chunk.rows, ""
    if work.batch.livemode and granted:
        allowed = reservations.allowed_now(work.tenant, timezone.now())
        plan = allowed.plan.name
        granted = reservations.reserve(get_gate(), work.tenant, work.chunk.pk, granted, work.at, allowed)
    if granted < len(fresh):
        done = int(work.places[fresh[granted]])
    before = {row: name for row, name in known.duplicates.items() if work.places[row] < done}
    tier = tier_of(work.batch.livemode, plan)
    return Shares(fresh[:granted], before, known.supersedes, {one.row: one for one in named}, done, tier)


def _named(work: Work) -> list[Named]:
    """The chunk's rows whose sender named the transaction, by that name."""
    block, schema, view = work.block, work.block.schema, RowView(work.block.columns)
    names = dict[int, str]()
    for view.index in np.flatnonzero(work.mine(work.chunk.rows)).tolist():
        if name := schema.transaction_id(view):
            names[view.index] = name
    rows = list(names)
    bodies = ids.body_hashes(schema.name, columns.canonical_facts(block, rows))
    decisions = [work.ids[row] for row in rows]
    return list(map(Named, rows, decisions, ids.text_hashes(names.values()), bodies, names.values()))


def _names(work: Work) -> Names:
    return names_of(work.tenant.handle, work.batch.livemode)


def _decided(work: Work) -> BlockDecisions:
    part = work.part
    return decide(work.batch, work.block, part.pasts, part.own, part.aggregates, work.batch.explain, work.at)


def decide(
    batch: Batch, block: Block, pasts: Sequence[Any], numbers: np.ndarray | None, aggregates: np.ndarray | None,
    explain: str, at: datetime,
) -> BlockDecisions:  # fmt: skip
    """A block decided, by the models and the policy the batch began with, and by lists as they were at that moment."""
    policy = get_policies().get(batch.tenant.schema_name, batch.policy_version)
    own = None if numbers is None else own_models.champion_of(batch)
    return engine_of(batch.schema, tuple(batch.entries)).decide_block(
        block,
        pasts,
        policy,
        model=ENSEMBLE if batch.model == ENSEMBLE else None,
        explain=explain,  # type: ignore[arg-type]  # Django's choices are the literal's
        known_lists=known_of_block(batch.tenant.schema_name, batch.livemode, policy, block, at),
        own=OwnBlock(own, numbers) if own is not None and numbers is not None else None,
        known_aggregates=None if aggregates is None else by_name(_plan(batch), aggregates),
    )


def _plan(batch: Batch) -> Plan:
    """What the policy a batch began with has counted."""
    return plan_of(get_policies().get(batch.tenant.schema_name, batch.policy_version), batch.schema)


def blocked(
    batch: Batch, block: Block, pasts: Sequence[Any], numbers: np.ndarray | None, aggregates: np.ndarray | None
) -> np.ndarray:
    """Which rows of a block are blocked: bool[rows]."""
    decided = decide(batch, block, pasts, numbers, aggregates, Batch.Explain.NONE, batch.created_at)
    return decided.verdicts.action == ACTIONS.index("block")


@lru_cache(maxsize=8)
def engine_of(schema: str, entries: tuple[str, ...]) -> Engine:
    """An engine of these models of a schema, each "<model>/<version>", active or not."""
    return Engine({schema: {name.partition("/")[0]: _model(schema, name) for name in entries}})


def _model(schema: str, entry: str) -> Model:
    try:
        return shelf.loaded(settings.ARTIFACTS_DIR, schema, entry)
    except ModelRefused as refusal:
        return refusal


# --- what is kept -----------------------------------------------------------------------------------------------------


def _kept(work: Work, shares: Shares, decided: BlockDecisions, common: Common) -> Kept:
    """Beside the decisions: names, states, and of rows with something of their own to tell the whole answer."""
    block, rows = work.block, shares.rows.tolist()
    masked = set(block.masked)
    told = masked | set(shares.supersedes) | set(decided.reasons)
    if work.batch.model == ENSEMBLE:
        told |= set(rows)  # each has votes of its own
    transaction_ids = [_transaction_id(work, shares, row) for row in rows]
    whole: dict[int, bytes] = {}
    for place, row in enumerate(rows):
        if row in told:
            more = {"status": "superseding", "supersedes": shares.supersedes[row]} if row in shares.supersedes else {}
            whole[place] = columns.whole_answer(decided, row, work.ids[row], transaction_ids[place], common, **more)
    places = [place for place, row in enumerate(rows) if row in masked]
    return Kept(
        rows=shares.rows,
        ids=[work.ids[row] for row in rows],
        transaction_ids=transaction_ids,
        body_hashes=[shares.named[row].body_hash if row in shares.named else "" for row in rows],
        statuses=["superseding" if row in shares.supersedes else "new" for row in rows],
        numbers=work.places[shares.rows].tolist(),
        whole=whole,
        hidden={place: _hidden(work, shares, rows[place]) for place in places},
        facts={place: msgspec.json.encode(block.parse(rows[place]).facts) for place in places},
        shadows=_shadows(work, shares.rows, decided),
    )


def _shadows(work: Work, rows: np.ndarray, decided: BlockDecisions) -> list[bytes] | None:
    """What own models in shadow would have said of these rows, as JSON; None where none is asked."""
    shadows = own_models.shadows_of(work.batch)
    if work.part.own is None or not shadows or not len(rows):
        return None
    features = decided.values.features[rows, : len(work.block.schema.features)]
    said = shadowed_block(shadows, features, work.part.own[rows])
    return None if said is None else [msgspec.json.encode(one) for one in said]


def _transaction_id(work: Work, shares: Shares, row: int) -> str:
    """As it is told and stored: the sender's, without card numbers, or one of ours."""
    if row not in shares.named:
        return f"txn_{work.ids[row].removeprefix('dec_')}"
    block = work.block
    if row not in block.masked:
        return shares.named[row].name
    return str(block.schema.transaction_id(block.parse(row).shown))


def _hidden(work: Work, shares: Shares, row: int) -> bytes:
    return msgspec.json.encode(hidden_hashes(work.block.parse(row), _known_by(work, shares, row)))


def _known_by(work: Work, shares: Shares, row: int) -> str:
    """The hash the live store knows a row's transaction by."""
    named = shares.named.get(row)
    return named.transaction_hash if named else ids.text_hash(_transaction_id(work, shares, row))


def _tell_own_models(work: Work, shares: Shares, decided: BlockDecisions) -> None:
    """What the tenant's own models will be asked about later follows from what was decided here."""
    rows = shares.rows.tolist()
    if not rows or not own_models.keeps(work.batch):
        return
    blocked = decided.verdicts.action == ACTIONS.index("block")
    told = {row: own_models.Row(int(_known_by(work, shares, row)[:16], 16), bool(blocked[row])) for row in rows}
    own_models.add(work.batch, work.block, told, work.at)


def _event(work: Work, decisions: int, units: int, milliseconds: float) -> UsageEvent:
    batch = work.batch
    return UsageEvent(
        id=work.chunk.pk,
        tenant_id=batch.tenant_id,
        key_id=batch.key_id,
        occurred_us=times.instant_us(work.at),
        endpoint=BATCHES,
        schema=batch.schema,
        livemode=batch.livemode,
        degraded=False,
        units=units,
        latency_us=int(milliseconds * 1000),
        address="",
        decisions=decisions,
    )


# --- what is told -----------------------------------------------------------------------------------------------------


def _write_results(work: Work, shares: Shares, decided: BlockDecisions) -> list[ToldProblem]:
    """Write what the results say of each row that is done with; what is wrong with some."""
    chunk = work.chunk
    table = outcomes.table_of(work.part, decided, chunk.offset, shares.done, _decided_before(work, shares))
    found = work.part.rows.problems
    problems = outcomes.problems_of(found, chunk.first_row, chunk.first_row + shares.done)
    outcomes.write(work.batch, chunk, table, problems)
    return problems


def _decided_before(work: Work, shares: Shares) -> dict[int, decision_formats.Decision]:
    """The stored decisions of duplicates, by place in the block; of one on its way what is decided now is told."""
    if not shares.duplicates:
        return {}
    with in_tenant(work.tenant):
        wanted = set(shares.duplicates.values())
        rows = Decision.objects.filter(pk__in=wanted, livemode=work.batch.livemode).only(*ANSWERED)
        found = {row.pk: decision_formats.decode(decision_formats.answer_of(row)) for row in rows}
    return {row: found[name] for row, name in shares.duplicates.items() if name in found}


# --- how it ends ------------------------------------------------------------------------------------------------------


def _still_reserved(work: Work, units: int) -> bool:
    """Whether what is about to be billed is reserved, or could be again: Valkey may have lost its memory meanwhile."""
    if not units:
        return True
    return reservations.confirm(get_gate(), work.tenant, work.chunk.pk, units, work.at, timezone.now())


def _quicker(work: Work, shares: Shares) -> bool:
    """Point the senders' ids at the decisions; whether somebody decided on the same facts since they were looked up."""
    mine = [one for row, one in shares.named.items() if row not in shares.duplicates]
    mine = [one for one in mine if work.places[one.row] < shares.done]
    return bool(duplicates.point(get_gate().valkey, _names(work), work.batch.schema, mine)) if mine else False


def _mark_done(work: Work, shares: Shares, wrong: Sequence[ToldProblem], flagged: int, units: int) -> None:
    """The chunk's mark and the batch's progress, once. Raises `Stopped` when the batch was cancelled meanwhile."""
    batch = Batch.objects.select_for_update().filter(pk=work.batch.pk).first()
    if batch is None or batch.ended:
        raise Stopped
    problems = outcomes.by_kind(wrong)
    Chunk.objects.filter(pk=work.chunk.pk).update(done=True, rows=shares.done, units=units, problems=problems.total())
    if shares.done < work.chunk.rows:
        _set_aside(work, shares.done)
        _pause(batch)
    Batch.objects.filter(pk=batch.pk).update(
        rows_done=F("rows_done") + shares.done,
        rows_flagged=F("rows_flagged") + flagged,
        duplicates=F("duplicates") + len(shares.duplicates),
        units=F("units") + units,
        problems=dict(Counter(batch.problems) + problems),
        touched_at=timezone.now(),
        assembled_at=None,
        started_at=Coalesce("started_at", Value(work.at)),
    )


def _set_aside(work: Work, done: int) -> None:
    """The rows that wait for units, as a chunk of their own."""
    chunk = work.chunk
    number = 1 + (Chunk.objects.filter(batch=work.batch).aggregate(last=Max("number"))["last"] or 0)
    Chunk.objects.create(
        id=chunk_id(work.batch.pk, number),
        batch=work.batch,
        number=number,
        part=chunk.part,
        offset=chunk.offset + done,
        rows=chunk.rows - done,
        first_row=chunk.first_row + done,
    )


def _pause(batch: Batch) -> None:
    """Stop the batch until there are units again, and say why."""
    found = reservations.allowed_now(batch.tenant, timezone.now())
    reason = stopped_by(found.stops_at, found.allowed_units or 0)
    running = Batch.objects.filter(pk=batch.pk, state=State.RUNNING)
    running.update(state=State.PAUSED, reason=reason, touched_at=timezone.now(), assembled_at=None)
