"""Answers that were given before: from the journal while they are on their way, then from Postgres."""

from typing import NamedTuple

from apps.accounts.tenancy import POSTGRES_AWAY
from apps.api_keys.gate import Admission, Names
from apps.errors import Problem
from apps.scoring.serving import decision_formats, decisions
from apps.scoring.serving.requests import Attempt
from apps.usage.metering.journal import Entry, Journal
from apps.valkey import Away

#: How an Idempotency-Key remembers that it was answered with another request's decision.
DUPLICATE_OF = "dup:"


class Answered(NamedTuple):
    """The body of the answer, under which admission, and whether it had been given before."""

    body: bytes
    admission: Admission
    replayed: bool = False

    @property
    def is_new(self) -> bool:
        """Whether it is answered for the first time."""
        return not self.replayed


class ConcurrentDuplicate(NamedTuple):
    """A concurrent duplicate won; return its answer.

    The reserved units were released already; do not release them again if reading fails.
    """

    decision_id: str

    @property
    def is_new(self) -> bool:
        return False


#: What deciding on an item comes to.
Outcome = Answered | ConcurrentDuplicate


class StoredAnswers:
    """Reads answers where they stand. Raises `Problem` when a decision is not there or can't be read."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal

    def find(self, names: Names, admission: Admission, decision_id: str) -> bytes:
        """A decision's answer as it was given."""
        entry, valkey_away = self.on_its_way(names, decision_id)
        if entry is not None:
            return decision_formats.unpack(entry.record).answer
        try:
            row = decisions.find(admission.tenant_schema, names.livemode, decision_id)
        except POSTGRES_AWAY as failure:
            raise Problem("stores_away", "The decision is stored and Postgres is away.", retry_after=2.0) from failure
        if row is None:
            raise missing(decision_id, valkey_away=valkey_away)
        return decision_formats.answer_of(row)

    def on_its_way(self, names: Names, decision_id: str) -> tuple[Entry | None, bool]:
        """A decision journaled and not recorded yet, or None; and whether Valkey could not be asked."""
        try:
            return self.journal.copy(names, decision_id), False
        except Away:
            return None, True

    def read(self, attempt: Attempt, outcome: Outcome) -> Answered:
        """An outcome as it is answered: a quicker request's decision as a duplicate."""
        if isinstance(outcome, Answered):
            return outcome
        return Answered(self._as_duplicate(attempt, outcome.decision_id), attempt.admission)

    def duplicate(self, attempt: Attempt, decision_id: str) -> Answered:
        """The decision on the same facts that the gate knows; from now on the Idempotency-Key is answered with it."""
        body = self._as_duplicate(attempt, decision_id)
        if attempt.admission.claim:
            ask = attempt.ask
            self.journal.settle(attempt.names, ask.idempotency_key, ask.fingerprint, f"{DUPLICATE_OF}{decision_id}")
        return Answered(body, attempt.admission)

    def replay(self, attempt: Attempt) -> Answered:
        """What the Idempotency-Key was answered before."""
        replayed = attempt.admission.replay_of
        if replayed.startswith(DUPLICATE_OF):
            body = self._as_duplicate(attempt, replayed.removeprefix(DUPLICATE_OF))
        else:
            body = self.find(attempt.names, attempt.admission, replayed)
        return Answered(body, attempt.admission, replayed=True)

    def batch(self, attempt: Attempt) -> bytes:
        """What a batch's Idempotency-Key was answered before."""
        body = self.journal.kept_answer(attempt.names, attempt.admission.replay_of)
        if body is None:
            raise Problem("idempotency_in_progress", retry_after=1.0)
        return body

    def _as_duplicate(self, attempt: Attempt, decision_id: str) -> bytes:
        """Raises `Problem`: of a decision that is not there yet a batch's worker is about to say, or never will."""
        try:
            found = self.find(attempt.names, attempt.admission, decision_id)
        except Problem as problem:
            if problem.code != "not_found":
                raise
            told = "A batch is deciding on the same transaction."
            raise Problem("idempotency_in_progress", told, retry_after=1.0) from problem
        return decision_formats.as_duplicate(found)


def missing(decision_id: str, *, valkey_away: bool) -> Problem:
    """No such decision; while Valkey is away that can't be said, for it may still be on its way there."""
    if valkey_away:
        return Problem("stores_away", "The decision may be on its way in Valkey, which is away.", retry_after=2.0)
    return Problem("not_found", f"There is no decision '{decision_id}'.")
