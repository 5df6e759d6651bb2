"""Scoring with everything that is remembered around it: admission, activity, the engine, the journal.

    admit (activity rides along) ─► replay or duplicate? tell it again ─► engine ─► journal ─► answer
      │                                                                      │         │
      └ Valkey away ─────────────────────────────────────── without history ┴─────────┴ Postgres, nothing billed

The degradation ladder is in this file and in `apps/usage/admission.py`, nowhere else.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec
from django.db import DatabaseError
from msgspec import UNSET

from apps.api_keys.gate import Admission, Ask, Names, Rider, names_of
from apps.api_keys.keys import PresentedKey
from apps.errors import Problem
from apps.scoring import activity, answers, decisions, ids
from apps.scoring.answers import Decision, Record, Timing
from apps.scoring.engine import engine as engines
from apps.scoring.engine import history
from apps.scoring.engine.engine import Engine
from apps.scoring.engine.transaction import Parsed, TransactionSchema
from apps.scoring.policies import Policies
from apps.scoring.recording import record
from apps.usage.admission import Admissions, period_of
from apps.usage.events import UsageEvent, moment
from apps.usage.journal import ClaimLost, Entry, Journal
from apps.valkey import Away

DAY_US = 86_400_000_000
#: What the answer says when Valkey was away: no history was read, limits were each process's own.
WITHOUT_VALKEY = ("history", "limits")


#: Milliseconds since the request came: handed in, so that nothing here reads a clock of its own.
Clock = Callable[[], float]


class Call(NamedTuple):
    """One HTTP request, as scoring needs it. `received_us`: µs since 1970, the only clock there is."""

    key: PresentedKey
    digest: str
    address: str
    endpoint: str
    scope: str
    received_us: int
    idempotency_key: str = ""
    fingerprint: str = ""
    model: str | None = None
    dry_run: bool = False


class Question(NamedTuple):
    """One transaction to decide on, with the names it goes by. `named`: the client gave the transaction id."""

    schema: TransactionSchema
    parsed: Parsed
    decision_id: str
    transaction_id: str
    transaction_hash: str
    body_hash: str
    named: bool


class Answered(NamedTuple):
    """The body of the answer, under which admission, and whether it had been given before."""

    body: bytes
    admission: Admission
    replayed: bool = False


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
            return self._decide(call, ask, admission, question, elapsed_ms)
        except BaseException:
            self.admissions.give_back(admission, ask)
            raise

    def _decide(self, call: Call, ask: Ask, admission: Admission, question: Question, elapsed_ms: Clock) -> Answered:
        if admission.gate_away:
            return self._decide_without_valkey(call, admission, question, elapsed_ms)
        names = names_of(call.key.handle, call.key.livemode)
        if admission.replay_of:
            return Answered(self._told_before(names, admission, admission.replay_of), admission, replayed=True)
        told = admission.rows[0] if admission.rows else ""
        if told.startswith("D"):
            return self._tell_duplicate(names, admission, ask, told[1:])
        seen = activity.summarised([_seen(question)], admission.ridden)[0]
        made = self._make(call, admission, question, seen, told[1:], elapsed_ms)
        if call.dry_run:
            return Answered(made.body, admission)
        return self._journal_one(call, ask, admission, names, question, made)

    def _journal_one(
        self, call: Call, ask: Ask, admission: Admission, names: Names, question: Question, made: "Made"
    ) -> Answered:
        """Acknowledge through the journal; when it went away, through Postgres."""
        entry = entry_of(call, admission, question, made)
        try:
            quicker = self._append(names, ask, admission, [entry], settle=True)[0]
        except Away:
            return self._record_directly(call, admission, question, made)
        if quicker:
            return Answered(answers.as_duplicate(self.stored(names, admission, quicker)), admission)
        return Answered(made.body, admission)

    # --- many ---------------------------------------------------------------------------------------------------------

    def decide_many(
        self, call: Call, questions: Sequence[Question], elapsed_ms: Clock
    ) -> tuple[Admission, list[bytes], bytes]:
        """A batch under one admission: (admission, one answer per question, b""), or (admission, [], the replay)."""
        ask = ask_for(call, questions)
        admission = self.admissions.admit(ask, self._rider(call, questions))
        try:
            return self._decide_many(call, ask, admission, questions, elapsed_ms)
        except BaseException:
            self.admissions.give_back(admission, ask)
            raise

    def _decide_many(
        self, call: Call, ask: Ask, admission: Admission, questions: Sequence[Question], elapsed_ms: Clock
    ) -> tuple[Admission, list[bytes], bytes]:
        names = names_of(call.key.handle, call.key.livemode)
        if admission.replay_of:
            return admission, [], self._batch_told_before(names, admission.replay_of)
        rows = admission.rows or ("",) * len(questions)
        fresh = [index for index, row in enumerate(rows) if not row.startswith("D")]
        seen = None if admission.gate_away else activity.summarised([_seen(q) for q in questions], admission.ridden)
        new = [questions[i] for i in fresh]
        pasts = None if seen is None else [seen[i] for i in fresh]
        made = self._make_many(call, admission, new, pasts, [rows[i][1:] for i in fresh], elapsed_ms)
        bodies = self._acknowledge(call, ask, admission, names, new, made)
        told = dict(zip(fresh, bodies, strict=True))
        return (
            admission,
            [
                told[i] if i in told else answers.as_duplicate(self.stored(names, admission, row[1:]))
                for i, row in enumerate(rows)
            ],
            b"",
        )

    def _acknowledge(
        self,
        call: Call,
        ask: Ask,
        admission: Admission,
        names: Names,
        questions: Sequence[Question],
        made: Sequence["Made"],
    ) -> list[bytes]:
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
                self._record_directly(call, admission, question, one).body
                for question, one in zip(questions, made, strict=True)
            ]
        return [
            answers.as_duplicate(self.stored(names, admission, known)) if known else one.body
            for known, one in zip(quicker, made, strict=True)
        ]

    def settle_batch(self, call: Call, admission: Admission, body: bytes) -> None:
        """Keep a batch's answer for its Idempotency-Key. While Valkey is away its rows alone are remembered."""
        if not admission.claim or admission.gate_away:
            return
        names = names_of(call.key.handle, call.key.livemode)
        batch_id = "bat_" + ids.repeatable(call.key.handle, call.key.livemode, call.idempotency_key, _day(call), -1)
        try:
            self.journal.keep_answer(names, call.idempotency_key, call.fingerprint, batch_id, body)
        except Away:
            return

    # --- the ladder ---------------------------------------------------------------------------------------------------

    def _decide_without_valkey(
        self, call: Call, admission: Admission, question: Question, elapsed_ms: Clock
    ) -> Answered:
        """Valkey is away: what it would have known is asked of Postgres, what is new is written there."""
        try:
            known = self._known_to_postgres(call, admission, question)
        except DatabaseError as failure:
            raise _both_away() from failure
        if known is not None:
            return known
        made = self._make(call, admission, question, None, "", elapsed_ms)
        return (
            Answered(made.body, admission) if call.dry_run else self._record_directly(call, admission, question, made)
        )

    def _known_to_postgres(self, call: Call, admission: Admission, question: Question) -> Answered | None:
        """A replay (under today's or yesterday's id) or a duplicate."""
        for decision_id in _possible_ids(call, question):
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
        return None if same is None else Answered(answers.as_duplicate(same.answer.encode()), admission)

    def _record_directly(self, call: Call, admission: Admission, question: Question, made: "Made") -> Answered:
        """Into Postgres in one transaction, marked and not billed; if it is there already, as it stands there."""
        decision = msgspec.structs.replace(
            made.decision, degraded=_joined(made.decision.degraded, WITHOUT_VALKEY), billed_units=0
        )
        body = answers.encode(decision)
        entry = entry_of(call, admission, question, made._replace(decision=decision, body=body), direct=True)
        try:
            new = record([entry])
            row = None if new else decisions.find(admission.schema, call.key.livemode, question.decision_id)
        except DatabaseError as failure:
            raise _both_away() from failure
        return Answered(body if row is None else row.answer.encode(), admission)

    # --- pieces -------------------------------------------------------------------------------------------------------

    def stored(self, names: Names, admission: Admission, decision_id: str) -> bytes:
        """A decision's answer as it was given: from its copy while it is on its way, then from Postgres."""
        entry = self.copy(names, decision_id)
        if entry is not None:
            return answers.unpack(entry.record).answer
        try:
            row = decisions.find(admission.schema, names.livemode, decision_id)
        except DatabaseError as failure:
            raise Problem("stores_away", "The decision is stored and Postgres is away.", retry_after=2.0) from failure
        if row is None:
            raise Problem("not_found", f"There is no decision '{decision_id}'.")
        return row.answer.encode()

    def copy(self, names: Names, decision_id: str) -> Entry | None:
        """A decision not recorded yet, or None (also when Valkey is away)."""
        try:
            return self.journal.copy(names, decision_id)
        except Away:
            return None

    def _told_before(self, names: Names, admission: Admission, told: str) -> bytes:
        stored = self.stored(names, admission, told.removeprefix("dup:"))
        return answers.as_duplicate(stored) if told.startswith("dup:") else stored

    def _batch_told_before(self, names: Names, batch_id: str) -> bytes:
        body = self.journal.kept_answer(names, batch_id)
        if body is None:
            raise Problem("idempotency_in_progress", retry_after=1.0)
        return body

    def _tell_duplicate(self, names: Names, admission: Admission, ask: Ask, decision_id: str) -> Answered:
        body = answers.as_duplicate(self.stored(names, admission, decision_id))
        if admission.claim:
            self.journal.settle(names, ask.idempotency_key, ask.fingerprint, f"dup:{decision_id}")
        return Answered(body, admission)

    def _rider(self, call: Call, questions: Sequence[Question]) -> Rider | None:
        names = names_of(call.key.handle, call.key.livemode)
        return activity.rider(names, [_seen(question) for question in questions], add=not call.dry_run)

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
    ) -> "Made":
        policy = self.policies.get(admission.schema, admission.policy_version)
        found = self.engine.decide(question.schema.name, question.parsed, seen, policy, call.model)
        return _made(call, admission, question, found, supersedes, seen is None, elapsed_ms())

    def _make_many(
        self,
        call: Call,
        admission: Admission,
        questions: Sequence[Question],
        seen: Sequence[Mapping[str, history.Activity]] | None,
        supersedes: Sequence[str],
        elapsed_ms: Clock,
    ) -> list["Made"]:
        if not questions:
            return []
        policy = self.policies.get(admission.schema, admission.policy_version)
        pasts = seen if seen is not None else [None] * len(questions)
        found = self.engine.decide_many(
            questions[0].schema.name, [question.parsed for question in questions], pasts, policy, call.model
        )
        elapsed = elapsed_ms()
        return [
            _made(call, admission, question, one, old, seen is None, elapsed)
            for question, one, old in zip(questions, found, supersedes, strict=True)
        ]


class Made(NamedTuple):
    """A decision made and not yet acknowledged."""

    decision: Decision
    body: bytes
    found: engines.Decision


def ask_for(call: Call, questions: Sequence[Question]) -> Ask:
    """What the gate is asked for these questions; a dry run asks for no unit."""
    names = names_of(call.key.handle, call.key.livemode)
    transactions = [
        (names.transaction(q.schema.name, q.transaction_hash) if q.named else "", q.body_hash if q.named else "")
        for q in questions
    ]
    return Ask(
        key=call.key,
        digest=call.digest,
        scope=call.scope,
        address=call.address,
        period=period_of(moment(call.received_us)),
        transactions=() if call.dry_run else transactions,
        idempotency_key=call.idempotency_key,
        fingerprint="" if call.dry_run else call.fingerprint,
    )


def question_of(call: Call, schema: TransactionSchema, parsed: Parsed, row: int = 0) -> Question:
    """Name what is asked. Under an Idempotency-Key the names repeat, else they are new."""
    if call.idempotency_key:
        name = ids.repeatable(call.key.handle, call.key.livemode, call.idempotency_key, _day(call), row)
    else:
        name = ids.fresh(call.received_us)
    given = schema.transaction_id(parsed.transaction)
    transaction_id = given or f"txn_{name}"
    return Question(
        schema=schema,
        parsed=parsed,
        decision_id=f"dec_{name}",
        transaction_id=transaction_id,
        transaction_hash=ids.text_hash(transaction_id),
        body_hash=ids.body_hash(schema.name, parsed.facts),
        named=given is not None,
    )


def entry_of(call: Call, admission: Admission, question: Question, made: Made, *, direct: bool = False) -> Entry:
    """A decision as the journal carries it."""
    decision, found = made.decision, made.found
    event = UsageEvent(
        id=decision.id,
        tenant_id=admission.tenant_id,
        key_id=admission.key_id,
        occurred_us=call.received_us,
        endpoint=call.endpoint,
        schema=decision.schema,
        livemode=decision.livemode,
        degraded=bool(decision.degraded),
        units=decision.billed_units,
        latency_us=int(decision.timing_ms.total * 1000),
        address=call.address,
        direct=direct,
    )
    stored = Record(
        tenant_schema=admission.schema,
        id=decision.id,
        created_us=call.received_us,
        livemode=decision.livemode,
        schema=decision.schema,
        transaction_id=decision.transaction_id,
        body_hash=question.body_hash,
        fingerprint=call.fingerprint,
        status=decision.status,
        fraud_probability=decision.fraud_probability,
        risk_score=decision.risk_score,
        risk_level=decision.risk_level,
        recommended_action=decision.recommended_action,
        decisive=f"{decision.decisive.kind}:{decision.decisive.id}",
        model_name=decision.model.name if decision.model else "",
        model_version=decision.model.version if decision.model else "",
        facts=msgspec.json.encode(question.parsed.facts),
        answer=made.body,
        features=found.features,
        contributions=found.contributions,
    )
    return Entry(
        handle=call.key.handle,
        event=event,
        body_hash=question.body_hash if question.named else "",
        transaction_hash=question.transaction_hash,
        record=msgspec.Raw(answers.pack(stored)),
    )


def _made(
    call: Call,
    admission: Admission,
    question: Question,
    found: engines.Decision,
    supersedes: str,
    history_away: bool,
    elapsed_ms: float,
) -> Made:
    degraded = found.degraded
    if admission.storage_away:
        degraded = _joined(degraded, ("storage",))
    if admission.gate_away or history_away:
        degraded = _joined(degraded, WITHOUT_VALKEY)
    free = call.dry_run or bool(degraded) or not call.key.livemode
    decision = Decision(
        id=question.decision_id,
        livemode=call.key.livemode,
        created_at=answers.iso(call.received_us),
        transaction_id=question.transaction_id,
        schema=question.schema.name,
        status="superseding" if supersedes else "new",
        supersedes=supersedes or UNSET,
        fraud_probability=found.fraud_probability,
        risk_score=found.risk_score,
        risk_level=found.risk_level,
        recommended_action=found.recommended_action,
        fraud_type=found.fraud_type,
        decisive=found.decisive,
        reasons=found.reasons,
        rules=found.rules,
        model=found.model,
        degraded=degraded,
        warnings=found.warnings,
        timing_ms=Timing(round(elapsed_ms, 3)),
        billed_units=0 if free else 1,
    )
    return Made(decision, answers.encode(decision), found)


def _seen(question: Question) -> activity.Seen:
    return activity.Seen(question.schema, question.parsed, int(question.transaction_hash[:16], 16))


def _possible_ids(call: Call, question: Question) -> tuple[str, ...]:
    """The ids a repeated Idempotency-Key may have been recorded under: of today and of yesterday."""
    if not call.idempotency_key:
        return ()
    earlier = ids.repeatable(call.key.handle, call.key.livemode, call.idempotency_key, _day(call) - 1, 0)
    return (question.decision_id, f"dec_{earlier}")


def _day(call: Call) -> int:
    return call.received_us // DAY_US


def _joined(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    return (*one, *(word for word in other if word not in one))


def _both_away() -> Problem:
    return Problem("stores_away", "Valkey and Postgres are both away.", retry_after=2.0)
