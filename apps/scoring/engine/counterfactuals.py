"""Counterfactuals: the smallest change of what the customer could have sent that would have turned the outcome. Pure.

    what may be changed (levers.py) ─► fewest fields first, then the smallest step (candidates.py) ─► scored as it was
    then (rescoring.py) ─► a milder action: found

Nothing is guessed: each change that is told was scored by the models, rules and thresholds that decided, and it is told
what came of it. Amounts stay within what people really pay: not below the lowest tenth of the model's reference
population. Where the decision can't be made again from what was stored, or nothing would have turned it, it is said.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import msgspec

from apps.scoring.engine.candidates import Candidate, Candidates
from apps.scoring.engine.decide import SEVERITY, Action, Cause, RiskLevel
from apps.scoring.engine.levers import LEVERS
from apps.scoring.engine.rescoring import Rescored, Rescoring, Sought, can_be_sent
from apps.scoring.engine.wording import number

MOST_TOLD = 3
#: Into so many parts what is left between two amounts is cut, each time it is scored; in which units, as cents.
PARTS = 4
UNITS = (10_000, 1)

Why = Literal[
    "turned",
    "approved",
    "no_lever",
    "rule_decides",
    "none_found",
    "model_away",
    "not_stored",
    "policy_changed",
]
#: Why there is none, in words; {rule} decided, {least} is the least amount that was tried.
SENTENCES: Mapping[str, str] = {
    "turned": "",
    "approved": "It was approved: nothing had to be otherwise.",
    "no_lever": "There is nothing in it that the customer could have sent otherwise.",
    "rule_decides": "The rule {rule} decides, and it asks for nothing that the customer could have sent otherwise.",
    "none_found": "No change the customer could have made would have turned it: no other way to pay, no amount down to "
    "{least}, alone or together. What speaks against it is who pays whom, where, and what happened before.",
    "model_away": "The model that decided is no longer kept: it can't be scored as it was then.",
    "not_stored": "Too little was stored of it to score it again: it was decided without a model.",
    "policy_changed": "What was stored of it does not give the same answer again: nothing can be said of what would.",
}


class Change(msgspec.Struct, frozen=True):
    """A field sent otherwise, in the sender's units."""

    field: str
    before: Any
    after: Any
    unit: str | None = None


class Counterfactual(msgspec.Struct, frozen=True):
    """A change that was scored, and what came of it."""

    changes: tuple[Change, ...]
    text: str
    fraud_probability: float
    risk_level: RiskLevel
    recommended_action: Action
    decisive: Cause


class Found(NamedTuple):
    """The changes that would have turned it, the smallest first, or why there is none; amounts were tried down to
    `least`."""

    found: tuple[Counterfactual, ...]
    why: Why
    least: float | None = None


def counterfactuals(sought: Sought, least: float | None) -> Found:
    """The smallest changes that make the action milder; `least`: the smallest amount that people pay, None where that
    is not known."""
    rescoring = Rescoring(sought)
    if not rescoring.repeats():
        return Found((), "policy_changed")
    candidates = Candidates(sought.schema, sought.parsed.transaction, least)
    found = _turned(sought, candidates, rescoring)
    if found:
        return Found(tuple(_told(sought, candidates, one) for one in found), "turned", candidates.least)
    return Found((), _why_none(candidates, rescoring), candidates.least)


def why_not(found: Found, decisive: str, unit: str | None) -> str:
    """Why there is none, in words. `decisive`: the id of what decided."""
    least = "its own" if found.least is None else f"{number(found.least)} {unit or ''}".rstrip()
    return SENTENCES[found.why].format(rule=decisive, least=least)


def _turned(sought: Sought, candidates: Candidates, rescoring: Rescoring) -> list[Rescored]:
    """The smallest changes that make it milder; where none of them is approved, with the smallest that is."""
    found: list[Rescored] = []
    for stage in candidates.stages():
        milder = [one for one in rescoring.score(stage) if _severity(one) < SEVERITY.index(sought.action)]
        if not found:
            found = _smallest(sought, candidates, rescoring, milder)
        if any(one.verdict.action == "approve" for one in found):
            return found
        approved = [one for one in milder if one.verdict.action == "approve"]
        if found and approved:
            return [*found[: MOST_TOLD - 1], *_smallest(sought, candidates, rescoring, approved)[:1]]
    return found


def _smallest(sought: Sought, candidates: Candidates, rescoring: Rescoring, scored: list[Rescored]) -> list[Rescored]:
    """Of each kind of change the smallest one that would be taken, the amount to the cent; those with one field more
    than the smallest of all are told beside it."""
    kinds: dict[Any, Rescored] = {}
    for one in sorted(scored, key=lambda one: candidates.cost(one.candidate)):
        kind = (*(way.says for way in one.candidate.ways), one.candidate.amount is None)
        if kind not in kinds and can_be_sent(sought, one.candidate):
            kinds[kind] = one
        if len(kinds) == MOST_TOLD:
            break
    fewest = min((candidates.cost(one.candidate)[0] for one in kinds.values()), default=0)
    told = [one for one in kinds.values() if candidates.cost(one.candidate)[0] <= fewest + 1]
    return _to_the_cent(sought, candidates, rescoring, told)


@dataclass
class _Search:
    """One change whose amount is looked for, in cents: the largest amount that turns it, found so far, and the smallest
    that does not."""

    first: Rescored
    high: int

    def __post_init__(self) -> None:
        self.found = self.first

    @property
    def low(self) -> int:
        return _cents(self.found.candidate)

    def learn(self, tried: Sequence[int], turned: Sequence[Rescored]) -> None:
        """Take what came of some amounts; what could not be told of counts as not turned."""
        self.found = max([self.found, *turned], key=lambda one: _cents(one.candidate))
        self.high = min((cents for cents in tried if cents > self.low), default=self.high)


def _to_the_cent(
    sought: Sought, candidates: Candidates, rescoring: Rescoring, scored: list[Rescored]
) -> list[Rescored]:
    """The same with the largest amounts that still turn it as far: a cent more does not, or can't be told of.

    What lies between the amount that was tried and the next larger one is cut into parts again and again, some amounts
    of all of them in one block: round ones first, since of an odd one the past may not be known.
    """
    searches = [
        _Search(one, round(100 * candidates.above(one.candidate))) for one in scored if one.candidate.amount is not None
    ]
    for unit in UNITS:
        while open_ := [(one, cents) for one in searches if (cents := _between(one.low, one.high, unit))]:
            asked = [candidates.changed(one.first.candidate.ways, cent / 100) for one, cents in open_ for cent in cents]
            told = rescoring.score(asked)
            for one, cents in open_:
                ways, least = one.first.candidate.ways, _severity(one.first)
                mine = [found for found in told if found.candidate.ways == ways and _severity(found) <= least]
                one.learn(cents, mine)
    found = {id(one.first): one.found for one in searches if can_be_sent(sought, one.found.candidate)}
    return [found.get(id(one), one) for one in scored]


def _cents(candidate: Candidate) -> int:
    return round(100 * (candidate.amount or 0.0))


def _between(low: int, high: int, unit: int) -> list[int]:
    """Some multiples of a unit between two amounts, spread evenly, all in cents; none where there is none."""
    first, count = low // unit + 1, max((high - 1) // unit - low // unit, 0)
    some = min(count, PARTS - 1)
    return [unit * (first + count * (2 * part + 1) // (2 * some)) for part in range(some)]


def _severity(scored: Rescored) -> int:
    return SEVERITY.index(scored.verdict.action)


def _why_none(candidates: Candidates, rescoring: Rescoring) -> Why:
    tried = next(candidates.stages())
    if not tried:
        return "no_lever"
    return "none_found" if rescoring.deciding_rule_is_moved_by(tried) else "rule_decides"


def _told(sought: Sought, candidates: Candidates, scored: Rescored) -> Counterfactual:
    return Counterfactual(
        changes=tuple(_changes(sought, scored.candidate)),
        text=_text(sought, candidates, scored.candidate),
        fraud_probability=round(scored.probability, 6),
        risk_level=scored.verdict.risk_level,
        recommended_action=scored.verdict.action,
        decisive=scored.verdict.cause,
    )


def _changes(sought: Sought, candidate: Candidate) -> list[Change]:
    schema, shown = sought.schema, sought.parsed.shown
    money, unit = LEVERS[schema.name].amount.field, schema.currency(shown)
    return [
        Change(name, getattr(shown, name), value, unit if name == money else None)
        for name, value in candidate.changes.items()
        if value != getattr(shown, name)
    ]


def _text(sought: Sought, candidates: Candidates, candidate: Candidate) -> str:
    """What the customer would have to do."""
    said = [way.says for way in candidate.ways]
    if candidate.amount is not None:
        amount = f"{number(candidate.amount)} {sought.schema.currency(sought.parsed.shown) or ''}".rstrip()
        said.append(f"Pay {amount} instead of {number(candidates.before)}.")
    return " ".join(said)
