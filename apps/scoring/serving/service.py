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
from apps.api_keys.gate import Admission, Ask, Names, Rate, Rider, names_of
from apps.errors import Problem
from apps.scoring.engine import history
from apps.scoring.engine.engine import Engine
from apps.scoring.policies import Policies
from apps.scoring.serving import activity, decision_formats, decisions, ids
from apps.scoring.serving.journal_entries import WITHOUT_VALKEY, Made, entry_of, joined, made_of
from apps.scoring.serving.requests import Call, Question, ask_for, day_of
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


class Twin(NamedTuple):
    """These facts were journaled by a quicker request; what that one was answered is told again.

    By then the units reserved here are given back: whatever fails while it is read must not give them back once more.
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

    def decide(self, call: Call, question: Question, elapsed_ms: Clock) -> Answered:
        """One decision: recorded once, billed once. Raises `Problem`."""
        ask = ask_for(call, [question])
        admission = self.admissions.admit(ask, self._rider(call, [question]))
        try:
            found = self._decide(call, ask, admission, question, elapsed_ms)
        except BaseException:
            self.admissions.give_back(admission, ask)
            raise
        if isinstance(found, Twin):
            return Answered(self._told_of(found, names_of(call.key.handle, call.key.livemode), admission), admission)
        return found

    def _decide(
        self, call: Call, ask: Ask, admission: Admission, question: Question, elapsed_ms: Clock
    ) -> Answered | Twin:
        if admission.gate_away:
            return self._decide_without_valkey(call, admission, question, elapsed_ms)
        names = names_of(call.key.handle, call.key.livemode)
        if admission.replay_of:
            return Answered(self._told_before(names, admission, admission.replay_of), admission, replayed=True)
        told = admission.rows[0] if admission.rows else ""
        if told.startswith("D"):
            return self._tell_duplicate(names, admission, ask, told[1:])
        seen = activity.summarised([question.seen], admission.ridden)[0]
        made = self._make(call, admission, question, seen, told[1:], elapsed_ms)
        if call.dry_run:
            return Answered(made.body, admission)
        return self._journal_one(call, ask, admission, names, question, made)

    def _journal_one(
        self, call: Call, ask: Ask, admission: Admission, names: Names, question: Question, made: Made
    ) -> Answered | Twin:
        """Acknowledge through the journal; when it went away, through Postgres."""
        entry = entry_of(call, admission, question, made)
        try:
            quicker = self._append(names, ask, admission, [entry], settle=True)[0]
        except Away:
            return self._record_directly(call, admission, question, made)
        return Twin(quicker) if quicker else Answered(made.body, admission)

    def rehearse(self, call: Call, question: Question) -> bytes:
        """Make a decision and its journal entry as `decide` does, and keep neither."""
        made = self._make(call, NOBODY, question, {}, "", lambda: 0.0)
        return journals.encode(entry_of(call, NOBODY, question, made))

    # --- many ---------------------------------------------------------------------------------------------------------

    def decide_many(
        self, call: Call, questions: Sequence[Question], elapsed_ms: Clock
    ) -> tuple[Admission, list[bytes], bytes]:
        """A batch under one admission: (admission, one answer per question, b""), or (admission, [], the replay)."""
        ask = ask_for(call, questions)
        admission = self.admissions.admit(ask, self._rider(call, questions))
        try:
            found, replay = self._decide_many(call, ask, admission, questions, elapsed_ms)
        except BaseException:
            self.admissions.give_back(admission, ask)
            raise
        names = names_of(call.key.handle, call.key.livemode)
        told = [self._told_of(one, names, admission) if isinstance(one, Twin) else one for one in found]
        return admission, told, replay

    def _decide_many(
        self, call: Call, ask: Ask, admission: Admission, questions: Sequence[Question], elapsed_ms: Clock
    ) -> tuple[list[bytes | Twin], bytes]:
        names = names_of(call.key.handle, call.key.livemode)
        if admission.replay_of:
            return [], self._batch_told_before(names, admission.replay_of)
        rows = admission.rows or ("",) * len(questions)
        fresh = [index for index, row in enumerate(rows) if not row.startswith("D")]
        seen = None if admission.gate_away else activity.summarised([q.seen for q in questions], admission.ridden)
        new = [questions[i] for i in fresh]
        pasts = None if seen is None else [seen[i] for i in fresh]
        made = self._make_many(call, admission, new, pasts, [rows[i][1:] for i in fresh], elapsed_ms)
        bodies = self._acknowledge(call, ask, admission, names, new, made)
        told = dict(zip(fresh, bodies, strict=True))
        return [told[i] if i in told else Twin(row[1:]) for i, row in enumerate(rows)], b""

    def _acknowledge(
        self,
        call: Call,
        ask: Ask,
        admission: Admission,
        names: Names,
        questions: Sequence[Question],
        made: Sequence[Made],
    ) -> Sequence[bytes | Twin]:
        """Every fresh row through the journal in one call; when Valkey is away each through Postgres."""
        if call.dry_run or not made:
            return [one.body for one in made]
        entries = [entry_of(call, admission, question, one) for question, one in zip(questions, made, strict=True)]
        try:
            if admission.gate_away:
                raise Away("since admission")
            quicker = self._append(names, ask, admission, entries, settle=False)
        except Away:
            return [
                self._told_by_postgres(call, admission, question, one).body
                for question, one in zip(questions, made, strict=True)
            ]
        return [Twin(known) if known else one.body for known, one in zip(quicker, made, strict=True)]

    def settle_batch(self, call: Call, admission: Admission, body: bytes) -> None:
        """Keep a batch's answer for its Idempotency-Key. While Valkey is away its rows alone are remembered."""
        if not admission.claim or admission.gate_away:
            return
        names = names_of(call.key.handle, call.key.livemode)
        batch_id = "bat_" + ids.repeatable(call.key.handle, call.key.livemode, call.idempotency_key, day_of(call), -1)
        try:
            self.journal.keep_answer(names, call.idempotency_key, call.fingerprint, batch_id, body)
        except Away:
            return

    # --- the ladder ---------------------------------------------------------------------------------------------------

    def _decide_without_valkey(
        self, call: Call, admission: Admission, question: Question, elapsed_ms: Clock
    ) -> Answered:
        """Valkey is away: what it would have known is asked of Postgres, what is new is written there."""
        made = self._make(call, admission, question, None, "", elapsed_ms)
        if call.dry_run:
            return Answered(made.body, admission)
        return self._told_by_postgres(call, admission, question, made)

    def _told_by_postgres(self, call: Call, admission: Admission, question: Question, made: Made) -> Answered:
        """What was decided before on this request or these facts, else this decision, recorded."""
        try:
            known = self._known_to_postgres(call, admission, question)
        except POSTGRES_AWAY as failure:
            raise _both_away() from failure
        return known or self._record_directly(call, admission, question, made)

    def _known_to_postgres(self, call: Call, admission: Admission, question: Question) -> Answered | None:
        """A replay (under today's or yesterday's id) or a duplicate."""
        for decision_id in question.possible_ids:
            row = decisions.find(admission.schema, call.key.livemode, decision_id)
            if row is not None and row.fingerprint != call.fingerprint:
                raise Problem("idempotency_mismatch")
            if row is not None:
                return Answered(row.answer.encode(), admission, replayed=True)
        if not question.named:
            return None
        same = decisions.find_same_facts(
            admission.schema, call.key.livemode, question.schema.name, question.transaction_id, question.body_hash
        )
        return None if same is None else Answered(decision_formats.as_duplicate(same.answer.encode()), admission)

    def _record_directly(self, call: Call, admission: Admission, question: Question, made: Made) -> Answered:
        """Into Postgres in one transaction, marked and not billed; if it is there already, as it stands there."""
        decision = msgspec.structs.replace(
            made.decision, degraded=joined(made.decision.degraded, WITHOUT_VALKEY), billed_units=0
        )
        body = decision_formats.encode(decision)
        entry = entry_of(call, admission, question, made._replace(decision=decision, body=body), direct=True)
        try:
            new = record([entry])
            row = None if new else decisions.find(admission.schema, call.key.livemode, question.decision_id)
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
            row = decisions.find(admission.schema, names.livemode, decision_id)
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

    def _told_of(self, twin: Twin, names: Names, admission: Admission) -> bytes:
        return decision_formats.as_duplicate(self.stored(names, admission, twin.decision_id))

    def _told_before(self, names: Names, admission: Admission, told: str) -> bytes:
        stored = self.stored(names, admission, told.removeprefix("dup:"))
        return decision_formats.as_duplicate(stored) if told.startswith("dup:") else stored

    def _batch_told_before(self, names: Names, batch_id: str) -> bytes:
        body = self.journal.kept_answer(names, batch_id)
        if body is None:
            raise Problem("idempotency_in_progress", retry_after=1.0)
        return body

    def _tell_duplicate(self, names: Names, admission: Admission, ask: Ask, decision_id: str) -> Answered:
        body = decision_formats.as_duplicate(self.stored(names, admission, decision_id))
        if admission.claim:
            self.journal.settle(names, ask.idempotency_key, ask.fingerprint, f"dup:{decision_id}")
        return Answered(body, admission)

    def _rider(self, call: Call, questions: Sequence[Question]) -> Rider | None:
        names = names_of(call.key.handle, call.key.livemode)
        return activity.rider(names, [question.seen for question in questions], add=not call.dry_run)

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
        call: Call,
        admission: Admission,
        question: Question,
        seen: Mapping[str, history.Activity] | None,
        supersedes: str,
        elapsed_ms: Clock,
    ) -> Made:
        policy = self.policies.get(admission.schema, admission.policy_version)
        found = self.engine.decide(question.schema.name, question.parsed, seen, policy, call.model)
        if call.model_required and found.model is None:
            raise Problem("inference_failed")
        return made_of(call, admission, question, found, supersedes, elapsed_ms())

    def _make_many(
        self,
        call: Call,
        admission: Admission,
        questions: Sequence[Question],
        seen: Sequence[Mapping[str, history.Activity]] | None,
        supersedes: Sequence[str],
        elapsed_ms: Clock,
    ) -> list[Made]:
        if not questions:
            return []
        policy = self.policies.get(admission.schema, admission.policy_version)
        pasts = seen if seen is not None else [None] * len(questions)
        found = self.engine.decide_many(
            questions[0].schema.name, [question.parsed for question in questions], pasts, policy, call.model
        )
        elapsed = elapsed_ms()
        return [
            made_of(call, admission, question, one, old, elapsed)
            for question, one, old in zip(questions, found, supersedes, strict=True)
        ]


def missing(decision_id: str, *, valkey_away: bool) -> Problem:
    """No such decision; while Valkey is away that can't be said, for it may still be on its way there."""
    if valkey_away:
        return Problem("stores_away", "The decision may be on its way in Valkey, which is away.", retry_after=2.0)
    return Problem("not_found", f"There is no decision '{decision_id}'.")


def _both_away() -> Problem:
    return Problem("stores_away", "Valkey and Postgres are both away.", retry_after=2.0)
