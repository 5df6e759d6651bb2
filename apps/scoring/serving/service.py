"""Scoring with everything that is remembered around it: admission, activity, the engine, the journal.

    admit (activity rides along) ─► replay or duplicate? its answer ─► engine ─► journal ─► answer
      │                                                                   │         │
      └ Valkey away ──────────────────────────────────── without history ┴─────────┴ Postgres, nothing billed

The degradation ladder is in this file, in `without_valkey.py` and in `apps/usage/admission/admission.py`, nowhere else.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

import msgspec

from apps import tracing
from apps.api_keys.gate import Admission, Rate
from apps.errors import Problem
from apps.scoring.engine import windows
from apps.scoring.engine.decide import Decision, Policy
from apps.scoring.engine.engine import Engine
from apps.scoring.engine.known_aggregates import KnownAggregates
from apps.scoring.engine.list_checks import KnownLists
from apps.scoring.engine.own import OwnAsked
from apps.scoring.lists.membership import Answers, Lists, Wanted, fields_of
from apps.scoring.policies import Policies
from apps.scoring.serving import activity, ids, metrics, own_pasts, without_valkey
from apps.scoring.serving.activity import Seen
from apps.scoring.serving.aggregate_pasts import Aggregates
from apps.scoring.serving.journal_entries import Made, entry_of, joined, made_of
from apps.scoring.serving.own_asking import OwnAsking
from apps.scoring.serving.own_pasts import Numbers
from apps.scoring.serving.requests import Attempt, Clock, Item, ScoringRequest, ask_for, day_of
from apps.scoring.serving.stored_answers import Answered, ConcurrentDuplicate, Outcome, StoredAnswers
from apps.usage.admission.admission import Admissions
from apps.usage.metering import journal as journals
from apps.usage.metering.events import moment
from apps.usage.metering.journal import ClaimLost, Entry, Journal
from apps.valkey import Away

#: Under which nothing is admitted: a rehearsal's.
NOBODY = Admission(0, 0, "", 0, Rate(1, 1, 0), 0, 0, 0, False, ())

Result = TypeVar("Result")
LISTS_AWAY, HISTORY_AWAY = ("lists",), ("history",)


class Known(NamedTuple):
    """What is known of an item beside what was sent: recent activity of its parties by role (None where it can't be
    asked for), what its rules ask of lists, what its aggregates come to, what of all that can't be asked, and what own
    models know of its parties (None where that did not ride along)."""

    past: Mapping[str, windows.Activity] | None
    lists: KnownLists
    aggregates: KnownAggregates = MappingProxyType({})
    missing: tuple[str, ...] = ()
    own: Numbers | None = None


class Scoring:
    """One process's scoring."""

    def __init__(self, *, engine: Engine, admissions: Admissions, journal: Journal, policies: Policies) -> None:
        self.engine = engine
        self.admissions = admissions
        self.journal = journal
        self.policies = policies
        self.answers = StoredAnswers(journal)
        self.lists = Lists(journal.valkey)
        self.aggregates = Aggregates(journal.valkey)
        self.own = OwnAsking(journal.valkey)

    def decide(self, request: ScoringRequest, item: Item, elapsed_ms: Clock) -> Answered:
        """One decision: recorded once, billed once. Raises `Problem`."""
        attempt = self._admit(request, [item], elapsed_ms)
        outcome = self._or_undo(attempt, self._decide)
        return self.answers.read(attempt, outcome)

    def decide_many(
        self, request: ScoringRequest, items: Sequence[Item], elapsed_ms: Clock
    ) -> tuple[Admission, list[bytes], bytes]:
        """A batch under one admission: (admission, an answer an item, b""), or (admission, [], the replay)."""
        attempt = self._admit(request, items, elapsed_ms)
        if attempt.admission.replay_of:
            return attempt.admission, [], self._or_undo(attempt, self.answers.batch)
        outcomes = self._or_undo(attempt, self._decide_each)
        return attempt.admission, [self.answers.read(attempt, outcome).body for outcome in outcomes], b""

    def settle_batch(self, request: ScoringRequest, admission: Admission, body: bytes) -> None:
        """Keep a batch's answer for its Idempotency-Key. While Valkey is away its rows alone are remembered."""
        if not admission.claim or admission.gate_away:
            return
        key = request.key
        batch_id = "bat_" + ids.repeatable(key.handle, key.livemode, request.idempotency_key, day_of(request), -1)
        try:
            self.journal.keep_answer(request.names, request.idempotency_key, request.fingerprint, batch_id, body)
        except Away:
            return

    def rehearse(self, request: ScoringRequest, item: Item) -> bytes:
        """Make a decision and its journal entry as `decide` does, and keep neither."""
        attempt = Attempt(request, [item], ask_for(request, [item]), NOBODY, request.names, lambda: 0.0)
        (made,) = self._made(attempt, [item], [Known({}, {})], [""])
        return journals.encode(entry_of(attempt, item, made))

    # --- the story ----------------------------------------------------------------------------------------------------

    def _admit(self, request: ScoringRequest, items: Sequence[Item], elapsed_ms: Clock) -> Attempt:
        """Through the gate, which reads and adds to what is counted and looks into lists on the way. Raises
        `Problem`."""
        names, ask, add = request.names, ask_for(request, items), not request.dry_run
        seen = [item.seen for item in items]
        lists = self.lists.guess(names, items[0].schema, [item.parsed for item in items]) if items else {}
        asked = self.aggregates.guess(names, items[0].schema, seen) if items else None
        counted = asked.pasts(names, add=[add] * len(items)) if asked else ()
        own = self.own.guess(names, items)
        rider = activity.rider(names, seen, add=add, counted=counted, lists=fields_of(lists), own=own)
        admission = self.admissions.admit(ask, rider)
        return Attempt(request, items, ask, admission, names, elapsed_ms, lists, own, asked, len(counted))

    def _or_undo(self, attempt: Attempt, step: Callable[[Attempt], Result]) -> Result:
        """What a step comes to; when it fails, its units and its claim are given back."""
        try:
            return step(attempt)
        except BaseException:
            self.admissions.give_back(attempt.admission, attempt.ask)
            raise

    def _decide(self, attempt: Attempt) -> Outcome:
        """One item: replayed, answered as the duplicate it is, or decided."""
        if attempt.admission.replay_of:
            return self.answers.replay(attempt)
        if attempt.rows[0].startswith("D"):
            return self.answers.duplicate(attempt, attempt.rows[0][1:])
        return self._decide_each(attempt)[0]

    def _decide_each(self, attempt: Attempt) -> list[Outcome]:
        """Every item that is none the gate knows as a duplicate: decided, then acknowledged."""
        rows = attempt.rows
        fresh = [index for index, row in enumerate(rows) if not row.startswith("D")]
        known, items = self._known(attempt), [attempt.items[index] for index in fresh]
        made = self._made(attempt, items, [known[index] for index in fresh], [rows[index][1:] for index in fresh])
        outcomes = self._acknowledge(attempt, items, made)
        if not attempt.request.dry_run:
            metrics.count(attempt, [one for one, outcome in zip(made, outcomes, strict=True) if outcome.is_new])
        acknowledged = iter(outcomes)
        return [ConcurrentDuplicate(row[1:]) if row.startswith("D") else next(acknowledged) for row in rows]

    def _acknowledge(self, attempt: Attempt, items: Sequence[Item], made: Sequence[Made]) -> Sequence[Outcome]:
        """All through the journal in one call; while Valkey is away each through Postgres."""
        if attempt.request.dry_run or not made:
            return [Answered(one.body, attempt.admission) for one in made]
        if attempt.admission.gate_away:
            return [without_valkey.find_or_record(attempt, *pair) for pair in zip(items, made, strict=True)]
        try:
            pairs, trace = zip(items, made, strict=True), tracing.carried()
            entries = [entry_of(attempt, *pair, trace=trace) for pair in pairs]
            quicker = self._append(attempt, entries, _blocked(items, made))
        except Away:  # since admission: the gate knew of no duplicate, but a batch may be one of itself
            record = without_valkey.find_or_record if attempt.request.many else without_valkey.record_directly
            return [record(attempt, *pair) for pair in zip(items, made, strict=True)]
        return [
            ConcurrentDuplicate(decision_id) if decision_id else Answered(one.body, attempt.admission)
            for decision_id, one in zip(quicker, made, strict=True)
        ]

    # --- its steps ----------------------------------------------------------------------------------------------------

    def _known(self, attempt: Attempt) -> list[Known]:
        """What rode along with the gate's answer: the parties' recent activity, what aggregates come to, what is in
        lists, and what own models know of the parties."""
        items, policy = attempt.items, self._policy(attempt)
        wanted = Wanted.by(policy)
        if attempt.admission.gate_away:
            away = LISTS_AWAY if items and wanted.of(items[0].schema) else ()
            return [Known(None, {}, missing=away)] * len(items)
        if not items:
            return []
        ridden = attempt.ridden
        pasts = activity.summarised([item.seen for item in items], ridden.activity)
        own: Sequence[Numbers | None] = [None] * len(items)
        if attempt.own:
            own = own_pasts.numbers_of(attempt.own, ridden.own)
        counted, missing = self._counted(attempt, policy, ridden.counted)
        lists = Answers([{}] * len(items), ())
        if wanted.checks or attempt.lists:
            lists = self._listed(attempt, wanted, ridden.lists)
        missing += LISTS_AWAY if lists.missing else ()
        known = zip(pasts, lists.known, counted, own, strict=True)
        return [Known(past, of, some, missing, mine) for past, of, some, mine in known]

    def _counted(
        self, attempt: Attempt, policy: Policy, ridden: Sequence[Any]
    ) -> tuple[Sequence[KnownAggregates], tuple[str, ...]]:
        """What aggregates come to for each item, and whether they could not be asked for."""
        if not (policy.aggregates or attempt.counted):
            return [{}] * len(attempt.items), ()
        dry_run = attempt.request.dry_run
        add = [not dry_run and not row.startswith("D") for row in attempt.rows]
        try:
            return self.aggregates.answers(
                attempt.names, attempt.items[0].schema, [item.seen for item in attempt.items], policy,
                attempt.counted, ridden, add,
            ), ()  # fmt: skip
        except Away:
            return [{}] * len(attempt.items), HISTORY_AWAY

    def _listed(self, attempt: Attempt, wanted: Wanted, ridden: Sequence[Any]) -> Answers:
        """What is in lists of what each item holds; the worker is asked for lists that are missing."""
        found = self.lists.answers(
            attempt.names, attempt.items[0].schema, [item.parsed for item in attempt.items], wanted, attempt.lists,
            ridden, attempt.request.received_us,
        )  # fmt: skip
        self.lists.report_missing(attempt.admission.tenant_schema, attempt.names, found.missing)
        return found

    def _policy(self, attempt: Attempt) -> Policy:
        return self.policies.get(attempt.admission.tenant_schema, attempt.admission.policy_version)

    def _made(
        self, attempt: Attempt, items: Sequence[Item], known: Sequence[Known], supersedes: Sequence[str]
    ) -> list[Made]:
        """Decisions on items, not yet acknowledged. Raises `Problem` where a model has to answer and none can."""
        found = self._found(attempt, items, known)
        if attempt.request.model_required and any(decision.model is None for decision in found):
            raise Problem("inference_failed")
        elapsed_ms = attempt.elapsed_ms()
        return [
            made_of(attempt, item, decision, replaced, elapsed_ms)
            for item, decision, replaced in zip(items, found, supersedes, strict=True)
        ]

    def _found(self, attempt: Attempt, items: Sequence[Item], known: Sequence[Known]) -> list[Decision]:
        """What the engine says. One item goes as a row: as a block of one it would take several times as long."""
        if not items:
            return []
        policy, schema, model = self._policy(attempt), items[0].schema, attempt.request.model
        pasts, lists = [one.past for one in known], [one.lists for one in known]
        counted = [one.aggregates for one in known]
        own = self._own(attempt, items, known, policy)
        with tracing.step("engine"):
            if len(items) == 1:
                found = [
                    self.engine.decide(schema, items[0].parsed, pasts[0], policy, model, lists[0], own, counted[0])
                ]
            else:
                parsed = [item.parsed for item in items]
                found = self.engine.decide_many(schema, parsed, pasts, policy, model, lists, own, counted)
        return [_without(one, it.missing) if it.missing else one for one, it in zip(found, known, strict=True)]

    def _own(self, attempt: Attempt, items: Sequence[Item], known: Sequence[Known], policy: Policy) -> OwnAsked | None:
        """The tenant's own models that are asked, of a tenant that has some."""
        if not policy.own_models and not attempt.own:
            return None
        return self.own.of(attempt, items, policy, [one.own for one in known if one.own is not None])

    def _append(self, attempt: Attempt, entries: Sequence[Entry], blocked: Sequence[Seen]) -> list[str]:
        """Acknowledge entries; per entry "" or the decision of a quicker request on the same facts. Raises `Away`.

        The Idempotency-Key of one decision is settled with it; a batch's waits for the whole answer. What is blocked is
        kept out of its parties' habits.
        """
        try:
            with tracing.step("journal"):
                return self.journal.append(
                    entries,
                    attempt.names,
                    period=attempt.ask.period,
                    day=moment(entries[0].event.occurred_us).day,
                    claim=attempt.claim,
                    settle=not attempt.request.many,
                    surplus=attempt.admission.units - sum([entry.event.units for entry in entries]),
                    rider=activity.refusal(attempt.names, blocked),
                )
        except ClaimLost as lost:
            raise Problem("idempotency_in_progress", retry_after=1.0) from lost


def _blocked(items: Sequence[Item], made: Sequence[Made]) -> list[Seen]:
    pairs = zip(items, made, strict=True)
    return [item.seen for item, one in pairs if one.found.recommended_action == "block"]


def _without(decision: Decision, missing: tuple[str, ...]) -> Decision:
    """A decision that could not ask for all the lists its rules name, or for what is counted."""
    return msgspec.structs.replace(decision, degraded=joined(decision.degraded, missing))
