"""Scoring with everything that is remembered around it: admission, activity, the engine, the journal.

    admit (activity rides along) ─► replay or duplicate? tell it again ─► engine ─► journal ─► answer
      │                                                                      │         │
      └ Valkey away ─────────────────────────────────────── without history ┴─────────┴ Postgres, nothing billed

The degradation ladder is in this file and in `apps/usage/admission/admission.py`, nowhere else.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from apps.accounts.tenancy import POSTGRES_AWAY
from apps.api_keys.gate import Admission, Ask, Names, Rate, Rider
from apps.errors import Problem
from apps.scoring.engine import history
from apps.scoring.engine.engine import Engine
from apps.scoring.policies import Policies
from apps.scoring.serving import activity, decision_formats, decisions, ids
from apps.scoring.serving.journal_entries import WITHOUT_VALKEY, Made, entry_of, joined, made_of
from apps.scoring.serving.requests import Item, ScoringRequest, ask_for, day_of
from apps.scoring.serving.store import record
from apps.usage.admission.admission import Admissions
from apps.usage.metering import journal as journals
from apps.usage.metering.events import moment
from apps.usage.metering.journal import ClaimLost, Entry, Journal
from apps.valkey import Away

#: Milliseconds since the request came: handed in, so that nothing here reads a clock of its own.
Clock = Callable[[], float]


#: Under which nothing is admitted: a rehearsal's.
NOBODY = Admission(0, 0, "", 0, Rate(1, 1, 0), 0, 0, 0, False, ())


class Answered(NamedTuple):
    """The body of the answer, under which admission, and whether it had been given before."""

    body: bytes
    admission: Admission
    replayed: bool = False


class ConcurrentDuplicate(NamedTuple):
    """A concurrent duplicate won; return its answer.

    The reserved units were released already; do not release them again if reading fails.
    """

    decision_id: str


class Scoring:
    """One process's scoring."""

    def __init__(self, *, engine: Engine, admissions: Admissions, journal: Journal, policies: Policies) -> None:
        self.engine = engine
        self.admissions = admissions
        self.journal = journal
        self.policies = policies

    # --- one ----------------------------------------------------------------------------------------------------------

    def decide(self, request: ScoringRequest, item: Item, elapsed_ms: Clock) -> Answered:
        """One decision: recorded once, billed once. Raises `Problem`."""
        ask = ask_for(request, [item])
        admission = self.admissions.admit(ask, self._rider(request, [item]))
        try:
            found = self._decide(request, ask, admission, item, elapsed_ms)
        except BaseException:
            self.admissions.give_back(admission, ask)
            raise
        if isinstance(found, ConcurrentDuplicate):
            return Answered(
                self._answer_of_duplicate(found, request.names, admission),
                admission,
            )
        return found

    def _decide(
        self, request: ScoringRequest, ask: Ask, admission: Admission, item: Item, elapsed_ms: Clock
    ) -> Answered | ConcurrentDuplicate:
        if admission.gate_away:
            return self._decide_without_valkey(request, admission, item, elapsed_ms)
        names = request.names
        if admission.replay_of:
            return Answered(self._replayed(names, admission, admission.replay_of), admission, replayed=True)
        told = admission.rows[0] if admission.rows else ""
        if told.startswith("D"):
            return self._answer_duplicate(names, admission, ask, told[1:])
        seen = activity.summarised([item.seen], admission.ridden)[0]
        made = self._make(request, admission, item, seen, told[1:], elapsed_ms)
        if request.dry_run:
            return Answered(made.body, admission)
        return self._journal_one(request, ask, admission, names, item, made)

    def _journal_one(
        self, request: ScoringRequest, ask: Ask, admission: Admission, names: Names, item: Item, made: Made
    ) -> Answered | ConcurrentDuplicate:
        """Acknowledge through the journal; when it went away, through Postgres."""
        entry = entry_of(request, admission, item, made)
        try:
            self._refuse_habits(names, [item], [made])
            quicker = self._append(names, ask, admission, [entry], settle=True)[0]
        except Away:
            return self._record_directly(request, admission, item, made)
        return ConcurrentDuplicate(quicker) if quicker else Answered(made.body, admission)

    def rehearse(self, request: ScoringRequest, item: Item) -> bytes:
        """Make a decision and its journal entry as `decide` does, and keep neither."""
        made = self._make(request, NOBODY, item, {}, "", lambda: 0.0)
        return journals.encode(entry_of(request, NOBODY, item, made))

    # --- many ---------------------------------------------------------------------------------------------------------

    def decide_many(
        self, request: ScoringRequest, items: Sequence[Item], elapsed_ms: Clock
    ) -> tuple[Admission, list[bytes], bytes]:
        """A batch under one admission: (admission, one answer per question, b""), or (admission, [], the replay)."""
        ask = ask_for(request, items)
        admission = self.admissions.admit(ask, self._rider(request, items))
        try:
            found, replay = self._decide_many(request, ask, admission, items, elapsed_ms)
        except BaseException:
            self.admissions.give_back(admission, ask)
            raise
        names = request.names
        told = [
            self._answer_of_duplicate(one, names, admission) if isinstance(one, ConcurrentDuplicate) else one
            for one in found
        ]
        return admission, told, replay

    def _decide_many(
        self, request: ScoringRequest, ask: Ask, admission: Admission, items: Sequence[Item], elapsed_ms: Clock
    ) -> tuple[list[bytes | ConcurrentDuplicate], bytes]:
        names = request.names
        if admission.replay_of:
            return [], self._batch_replayed(names, admission.replay_of)
        rows = admission.rows or ("",) * len(items)
        fresh = [index for index, row in enumerate(rows) if not row.startswith("D")]
        seen = None if admission.gate_away else activity.summarised([q.seen for q in items], admission.ridden)
        new = [items[i] for i in fresh]
        pasts = None if seen is None else [seen[i] for i in fresh]
        made = self._make_many(request, admission, new, pasts, [rows[i][1:] for i in fresh], elapsed_ms)
        bodies = self._acknowledge(request, ask, admission, names, new, made)
        told = dict(zip(fresh, bodies, strict=True))
        return [told[i] if i in told else ConcurrentDuplicate(row[1:]) for i, row in enumerate(rows)], b""

    def _acknowledge(
        self,
        request: ScoringRequest,
        ask: Ask,
        admission: Admission,
        names: Names,
        items: Sequence[Item],
        made: Sequence[Made],
    ) -> Sequence[bytes | ConcurrentDuplicate]:
        """Every fresh row through the journal in one call; when Valkey is away each through Postgres."""
        if request.dry_run or not made:
            return [one.body for one in made]
        entries = [entry_of(request, admission, item, one) for item, one in zip(items, made, strict=True)]
        try:
            if admission.gate_away:
                raise Away("since admission")
            self._refuse_habits(names, items, made)
            quicker = self._append(names, ask, admission, entries, settle=False)
        except Away:
            return [
                self._find_or_record(request, admission, item, one).body for item, one in zip(items, made, strict=True)
            ]
        return [ConcurrentDuplicate(known) if known else one.body for known, one in zip(quicker, made, strict=True)]

    def settle_batch(self, request: ScoringRequest, admission: Admission, body: bytes) -> None:
        """Keep a batch's answer for its Idempotency-Key. While Valkey is away its rows alone are remembered."""
        if not admission.claim or admission.gate_away:
            return
        names = request.names
        batch_id = "bat_" + ids.repeatable(
            request.key.handle, request.key.livemode, request.idempotency_key, day_of(request), -1
        )
        try:
            self.journal.keep_answer(names, request.idempotency_key, request.fingerprint, batch_id, body)
        except Away:
            return

    # --- the ladder ---------------------------------------------------------------------------------------------------

    def _decide_without_valkey(
        self, request: ScoringRequest, admission: Admission, item: Item, elapsed_ms: Clock
    ) -> Answered:
        """Valkey is away: what it would have known is asked of Postgres, what is new is written there."""
        made = self._make(request, admission, item, None, "", elapsed_ms)
        if request.dry_run:
            return Answered(made.body, admission)
        return self._find_or_record(request, admission, item, made)

    def _find_or_record(self, request: ScoringRequest, admission: Admission, item: Item, made: Made) -> Answered:
        """What was decided before on this request or these facts, else this decision, recorded."""
        try:
            known = self._find_in_postgres(request, admission, item)
        except POSTGRES_AWAY as failure:
            raise _both_away() from failure
        return known or self._record_directly(request, admission, item, made)

    def _find_in_postgres(self, request: ScoringRequest, admission: Admission, item: Item) -> Answered | None:
        """A replay (under today's or yesterday's id) or a duplicate."""
        for decision_id in item.possible_ids:
            row = decisions.find(admission.tenant_schema, request.key.livemode, decision_id)
            if row is not None and row.fingerprint != request.fingerprint:
                raise Problem("idempotency_mismatch")
            if row is not None:
                return Answered(row.answer.encode(), admission, replayed=True)
        if not item.named:
            return None
        same = decisions.find_same_facts(
            admission.tenant_schema, request.key.livemode, item.schema.name, item.transaction_id, item.body_hash
        )
        return None if same is None else Answered(decision_formats.as_duplicate(same.answer.encode()), admission)

    def _record_directly(self, request: ScoringRequest, admission: Admission, item: Item, made: Made) -> Answered:
        """Into Postgres in one transaction, marked and not billed; if it is there already, as it stands there."""
        decision = msgspec.structs.replace(
            made.decision, degraded=joined(made.decision.degraded, WITHOUT_VALKEY), billed_units=0
        )
        body = decision_formats.encode(decision)
        entry = entry_of(request, admission, item, made._replace(decision=decision, body=body), direct=True)
        try:
            new = record([entry])
            row = None if new else decisions.find(admission.tenant_schema, request.key.livemode, item.decision_id)
        except POSTGRES_AWAY as failure:
            raise _both_away() from failure
        return Answered(body if row is None else row.answer.encode(), admission)

    # --- pieces -------------------------------------------------------------------------------------------------------

    def stored(self, names: Names, admission: Admission, decision_id: str) -> bytes:
        """A decision's answer as it was given: from the journal while it is on its way, then from Postgres."""
        entry, valkey_away = self.on_its_way(names, decision_id)
        if entry is not None:
            return decision_formats.unpack(entry.record).answer
        try:
            row = decisions.find(admission.tenant_schema, names.livemode, decision_id)
        except POSTGRES_AWAY as failure:
            raise Problem("stores_away", "The decision is stored and Postgres is away.", retry_after=2.0) from failure
        if row is None:
            raise missing(decision_id, valkey_away=valkey_away)
        return row.answer.encode()

    def on_its_way(self, names: Names, decision_id: str) -> tuple[Entry | None, bool]:
        """A decision journaled and not recorded yet, or None; and whether Valkey could not be asked."""
        try:
            return self.journal.copy(names, decision_id), False
        except Away:
            return None, True

    def _answer_of_duplicate(self, duplicate: ConcurrentDuplicate, names: Names, admission: Admission) -> bytes:
        return decision_formats.as_duplicate(self.stored(names, admission, duplicate.decision_id))

    def _replayed(self, names: Names, admission: Admission, told: str) -> bytes:
        stored = self.stored(names, admission, told.removeprefix("dup:"))
        return decision_formats.as_duplicate(stored) if told.startswith("dup:") else stored

    def _batch_replayed(self, names: Names, batch_id: str) -> bytes:
        body = self.journal.kept_answer(names, batch_id)
        if body is None:
            raise Problem("idempotency_in_progress", retry_after=1.0)
        return body

    def _answer_duplicate(self, names: Names, admission: Admission, ask: Ask, decision_id: str) -> Answered:
        body = decision_formats.as_duplicate(self.stored(names, admission, decision_id))
        if admission.claim:
            self.journal.settle(names, ask.idempotency_key, ask.fingerprint, f"dup:{decision_id}")
        return Answered(body, admission)

    def _rider(self, request: ScoringRequest, items: Sequence[Item]) -> Rider | None:
        names = request.names
        return activity.rider(names, [item.seen for item in items], add=not request.dry_run)

    def _refuse_habits(self, names: Names, items: Sequence[Item], made: Sequence[Made]) -> None:
        """Keep what is blocked out of its parties' habits: one more call, for blocks alone. Raises `Away`."""
        pairs = zip(items, made, strict=True)
        blocked = [item.seen for item, one in pairs if one.found.recommended_action == "block"]
        if blocked:
            activity.refuse(self.journal.valkey, names, blocked)

    def _append(
        self, names: Names, ask: Ask, admission: Admission, entries: Sequence[Entry], *, settle: bool
    ) -> list[str]:
        claim = ("", "")
        if admission.claim:
            claim = (names.claim(ask.idempotency_key), f"P{ask.fingerprint}{admission.claim}")
        day = moment(entries[0].event.occurred_us).day
        surplus = admission.units - sum(entry.event.units for entry in entries)
        try:
            return self.journal.append(
                entries, names, period=ask.period, day=day, claim=claim, settle=settle, surplus=surplus
            )
        except ClaimLost as lost:
            raise Problem("idempotency_in_progress", retry_after=1.0) from lost

    def _make(
        self,
        request: ScoringRequest,
        admission: Admission,
        item: Item,
        seen: Mapping[str, history.Activity] | None,
        supersedes: str,
        elapsed_ms: Clock,
    ) -> Made:
        policy = self.policies.get(admission.tenant_schema, admission.policy_version)
        found = self.engine.decide(item.schema.name, item.parsed, seen, policy, request.model)
        if request.model_required and found.model is None:
            raise Problem("inference_failed")
        return made_of(request, admission, item, found, supersedes, elapsed_ms())

    def _make_many(
        self,
        request: ScoringRequest,
        admission: Admission,
        items: Sequence[Item],
        seen: Sequence[Mapping[str, history.Activity]] | None,
        supersedes: Sequence[str],
        elapsed_ms: Clock,
    ) -> list[Made]:
        if not items:
            return []
        policy = self.policies.get(admission.tenant_schema, admission.policy_version)
        pasts = seen if seen is not None else [None] * len(items)
        found = self.engine.decide_many(
            items[0].schema.name, [item.parsed for item in items], pasts, policy, request.model
        )
        elapsed = elapsed_ms()
        return [
            made_of(request, admission, item, one, old, elapsed)
            for item, one, old in zip(items, found, supersedes, strict=True)
        ]


def missing(decision_id: str, *, valkey_away: bool) -> Problem:
    """No such decision; while Valkey is away that can't be said, for it may still be on its way there."""
    if valkey_away:
        return Problem("stores_away", "The decision may be on its way in Valkey, which is away.", retry_after=2.0)
    return Problem("not_found", f"There is no decision '{decision_id}'.")


def _both_away() -> Problem:
    return Problem("stores_away", "Valkey and Postgres are both away.", retry_after=2.0)
