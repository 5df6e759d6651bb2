"""A stored decision scored again with something of its transaction changed, as of its own moment. Pure.

What the change does not touch is taken from the decision as it was stored: its rules' results, its features. What it
touches is made again by the engine's own code, on the past recalled from the features. So no list, label or event of
later date has a say; of what could be told by them alone nothing is told.

A tenant's aggregates stay what they came to: the present transaction is never among those they count, so neither its
amount nor what their `where` asks for moves them. Only what they are counted by does, for then it is another's past
that counts, which is not known.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from math import log1p
from typing import NamedTuple

import msgspec
import numpy as np

from apps.scoring.engine.aggregates import counted_by
from apps.scoring.engine.asking import Chosen, asked, probability_of
from apps.scoring.engine.candidates import UNCHANGED, Candidate
from apps.scoring.engine.decide import Action, Policy, Verdict, decide
from apps.scoring.engine.known_aggregates import PREFIX, KnownAggregates
from apps.scoring.engine.own_features import features_of
from apps.scoring.engine.own_past import hundredths_of
from apps.scoring.engine.parties import Party
from apps.scoring.engine.recalled_pasts import NOTHING_RECALLED, RecalledPast, recalled_pasts
from apps.scoring.engine.rule_fields import counted_of
from apps.scoring.engine.rule_programs import Programs, programs_of
from apps.scoring.engine.rules import Rule, RuleResult
from apps.scoring.engine.transaction import InvalidTransaction, Parsed, TransactionSchema

#: How far a feature made again may be off the stored float32.
TOLERANCE = 1e-4


class Sought(NamedTuple):
    """A stored decision: `row` its features float32[F], `results` its rules' by id, `chosen` the models that decide. Of
    a tenant's own model the schema is the widened one."""

    schema: TransactionSchema
    parsed: Parsed
    row: np.ndarray
    results: dict[str, RuleResult]
    action: Action
    policy: Policy
    chosen: Chosen
    aggregates: KnownAggregates = {}  # as they came to then; one that is not there is not known


class Rescored(NamedTuple):
    """What would have come of a candidate."""

    candidate: Candidate
    probability: float
    verdict: Verdict


class _Built(NamedTuple):
    """A candidate's transaction: its features float32[F], the pasts it has, and the names that are otherwise by it."""

    candidate: Candidate
    parsed: Parsed
    row: np.ndarray
    pasts: Sequence[RecalledPast]
    moved: frozenset[str]


class Rescoring:
    """Scores what else could have been sent in place of one decision's transaction."""

    def __init__(self, sought: Sought) -> None:
        self._sought = sought
        transaction = sought.parsed.transaction
        self._pasts = recalled_pasts(sought.schema, transaction, sought.row.tolist())
        self._written = _named(sought.schema.written_parties(transaction))
        self._parties = _named(sought.schema.parties(transaction))
        self._rebuilt = self._features(sought.parsed, self._pasts)
        self._programs = programs_of(sought.policy, sought.schema)
        self._counted = counted_of(sought.schema)
        self._counted_by = {
            one.asked_as: set(one.by) for one in counted_by(sought.policy.aggregates, sought.schema.name)
        }
        self._is_exact = _near(self._rebuilt, sought.row)
        self._asks = [self._asks_of(rule) for rule in self._programs.rules]
        self._by_moved: dict[frozenset[str], _Moved] = {}
        self._unchanged = _Built(UNCHANGED, sought.parsed, sought.row, self._pasts, frozenset())

    def repeats(self) -> bool:
        """Whether what was stored gives the stored action again."""
        if {rule.id for rule in self._programs.rules} - self._sought.results.keys():
            return False
        scored = self._scored([self._unchanged])
        return bool(scored) and scored[0].verdict.action == self._sought.action

    def score(self, candidates: Sequence[Candidate]) -> list[Rescored]:
        """What would have come of the candidates of which it can be told, asked of the models in one block."""
        return self._scored([built for one in candidates for built in self._built(one)])

    def deciding_rule_is_moved_by(self, candidates: Sequence[Candidate]) -> bool:
        """Whether any of the candidates moves what the rule that decided asks for; True where none decided."""
        (unchanged,) = self._scored([self._unchanged])
        rule = unchanged.verdict.rule
        return rule is None or any(rule.names & built.moved for one in candidates for built in self._built(one))

    def _scored(self, built: Sequence[_Built]) -> list[Rescored]:
        if not built:
            return []
        chosen = self._sought.chosen
        answer = asked(chosen, np.stack([one.row for one in built]), explain=False)
        found = []
        for place, one in enumerate(built):
            probability = probability_of(chosen, answer, place)
            if probability is not None:
                verdict = decide(
                    self._sought.policy, self._programs.rules, self._results(one), chosen.name, probability
                )
                found.append(Rescored(one.candidate, probability, verdict))
        return found

    def _built(self, candidate: Candidate) -> Iterator[_Built]:
        """The transaction and its features, of which those are made again that the change moves; nothing where the past
        it would have had, or what a rule would have said, is not known."""
        sought, parsed = self._sought, _changed(self._sought.parsed, candidate)
        pasts = self._pasts_of(parsed)
        if pasts is None:
            return
        made = self._features(parsed, pasts)
        differs = _differ(made, self._rebuilt)
        if not (self._is_exact | ~differs).all():
            return
        row = np.where(differs, made, sought.row).astype("<f4")
        built = _Built(candidate, parsed, row, pasts, self._moved(candidate, parsed, row, pasts))
        if all(_can_be_asked(asks, built) for asks in self._asking(built.moved).asks):
            yield built

    def _features(self, parsed: Parsed, pasts: Sequence[RecalledPast]) -> np.ndarray:
        """float64[F]: the schema's features made again; those only own models have behind them."""
        sought = self._sought
        made = np.array(sought.schema.row(parsed.transaction, sought.parsed.at_ms, pasts))
        own = sought.row[len(made) :]
        return np.concatenate([made, self._own(parsed, own)]) if len(own) else made

    def _own(self, parsed: Parsed, stored: np.ndarray) -> np.ndarray:
        """The own features of the same parties' pasts: of them the amount alone moves what it is held against."""
        before, after = (float(self._sought.schema.amount(one.transaction)) for one in (self._sought.parsed, parsed))
        if before == after:
            return stored
        return stored + self._against * (log1p(hundredths_of(after) / 100) - log1p(hundredths_of(before) / 100))

    @cached_property
    def _against(self) -> np.ndarray:
        """float64[own]: 1 for each own feature that is the logarithm of the amount against a mean, else 0."""
        return np.array(["_against_mean_" in one.name for one in features_of(self._sought.schema.name)], dtype=float)

    def _pasts_of(self, parsed: Parsed) -> list[RecalledPast] | None:
        """Whoever is no party any more has no past; None where somebody becomes another."""
        schema, transaction = self._sought.schema, parsed.transaction
        if _named(schema.written_parties(transaction)) == self._written:  # nearly always, and nobody to be recognised
            return self._pasts
        parties = _named(schema.parties(transaction))
        if any(who != self._parties.get(role) for role, who in parties.items()):
            return None
        gone = self._parties.keys() - parties.keys()
        return [
            NOTHING_RECALLED if role.name in gone else past
            for role, past in zip(schema.roles, self._pasts, strict=True)
        ]

    def _moved(
        self, candidate: Candidate, parsed: Parsed, row: np.ndarray, pasts: Sequence[RecalledPast]
    ) -> frozenset[str]:
        """Fields, features, counts of parties and aggregates that are otherwise."""
        schema, before = self._sought.schema, self._sought.parsed.facts
        fields = [name for name in candidate.changes if parsed.facts.get(name) != before.get(name)]
        places = _differ(row, self._sought.row).nonzero()[0].tolist()
        gone = [role for role, past in enumerate(pasts) if past is not self._pasts[role]]
        counts = [name for name, one in self._counted.items() if one.role in gone] if gone else []
        others = [name for name, by in self._counted_by.items() if not by.isdisjoint(fields)]
        return frozenset((*fields, *(schema.feature_names[place] for place in places), *counts, *others))

    def _asks_of(self, rule: Rule) -> "_Asks":
        counts = [self._counted[name] for name in rule.names if name in self._counted]
        aggregates = frozenset(name for name in rule.names if name.startswith(PREFIX))
        is_known = not rule.list_checks and aggregates <= self._sought.aggregates.keys()
        return _Asks(rule.names, [(one.role, one.what) for one in counts], aggregates, is_known)

    def _results(self, built: _Built) -> tuple[RuleResult, ...]:
        """The rules' results: of those that ask for what is moved made again, of the others as they were stored."""
        asking = self._asking(built.moved)
        anew = {result.id: result for result in self._found(asking.programs, built)} if asking.ids else {}
        results = self._sought.results | {name: result for name, result in anew.items() if name in asking.ids}
        return tuple([results[rule.id] for rule in self._programs.rules])

    def _found(self, programs: Programs, built: _Built) -> tuple[RuleResult, ...]:
        sought = self._sought
        values = sought.schema.values(built.parsed.facts, built.row.tolist(), sought.policy.home_country)
        values.look_back(self._counted, built.pasts)
        values.tell(sought.aggregates)
        return programs.found(built.parsed, values, None)[0]

    def _asking(self, moved: frozenset[str]) -> "_Moved":
        """The rules that ask for any of what is moved; candidates of one kind move the same."""
        found = self._by_moved.get(moved)
        if found is None:
            asks = [one for one in self._asks if one.names & moved]
            ids = frozenset(rule.id for rule in self._programs.rules if rule.names & moved)
            found = self._by_moved[moved] = _Moved(asks, ids, _some(self._programs, moved))
        return found


class _Asks(NamedTuple):
    """What a rule asks for: all its names, of those the counts of pasts, each by its role and name, and aggregates.
    Where it `is_known`: no list, and aggregates whose values were kept."""

    names: frozenset[str]
    counts: Sequence[tuple[int, str]]
    aggregates: frozenset[str]
    is_known: bool


class _Moved(NamedTuple):
    """The rules that ask for something that is moved: what each asks for, their ids, and themselves."""

    asks: Sequence[_Asks]
    ids: frozenset[str]
    programs: Programs


def _some(programs: Programs, moved: frozenset[str]) -> Programs:
    """The rules that ask for any of what is moved; the tenant's, which are asked in one, all or none."""
    built_in = tuple(rule for rule in programs.built_in if rule.names & moved)
    if any(one.rule.names & moved for one in programs.live):
        return replace(programs, built_in=built_in)
    return replace(programs, built_in=built_in, live=(), shadows=())


def _can_be_asked(asks: _Asks, built: _Built) -> bool:
    """Whether all that a rule asks for is known: no list is, of aggregates those that stay what they came to, and of a
    past what its features tell."""
    if not asks.is_known or asks.aggregates & built.moved:
        return False
    return all(built.pasts[role].knows(what) for role, what in asks.counts)


def can_be_sent(sought: Sought, candidate: Candidate) -> bool:
    """Whether the transaction would be taken with the changes, and as they are."""
    changed = _changed(sought.parsed, candidate)
    try:
        return bool(sought.schema.parse(changed.facts, sought.parsed.received_ms).facts == changed.facts)
    except InvalidTransaction:
        return False


def _changed(parsed: Parsed, candidate: Candidate) -> Parsed:
    """The transaction as it is read with the changes: of values that a schema takes as they are."""
    changes = dict(candidate.changes)
    facts = {name: value for name, value in {**parsed.facts, **changes}.items() if value is not None}
    transaction = msgspec.structs.replace(parsed.transaction, **changes)
    shown = transaction if parsed.shown is parsed.transaction else msgspec.structs.replace(parsed.shown, **changes)
    return msgspec.structs.replace(parsed, transaction=transaction, facts=facts, sent=facts, shown=shown)


def _named(parties: Sequence[Party]) -> dict[str, tuple[str, ...]]:
    """Role → who it is, and what their past is held against."""
    return {one.role: (one.name, one.counterparty, one.kind, one.place, one.device) for one in parties}


def _differ(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return ~((one == other) | (np.isnan(one) & np.isnan(other)))


def _near(made: np.ndarray, stored: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        close = np.abs(made - stored) <= TOLERANCE * np.maximum(1.0, np.abs(stored))
    return close | (np.isnan(made) & np.isnan(stored)) | (made == stored)
