"""Tries the laws: draws pairs of payments that differ in one law's field, and finds the pairs that break it.

    laws ─► pairs of drafts ─► rows of features, each once ─► every model's probabilities ─► verdicts

Drawing and features cost most and are shared by all models; `try_laws` takes 100,000 pairs a model in minutes.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import exp, log
from random import Random
from typing import Any, NamedTuple

import numpy as np

from apps.scoring.engine import ensemble
from apps.scoring.engine.engine import ENSEMBLE
from apps.scoring.engine.history import unknown
from apps.scoring.engine.models import LoadedModel
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.engine.transaction import TransactionSchema
from tests.plausibility.drafts import Draft, crowd, drawn
from tests.plausibility.laws import LAWS, Busier, Law, Ledger, LeftOut, Ranked, name_of

TOLD_DIGITS = 6  # a difference that no answer tells is none
TRIES = 200  # draws for a law that does not hold everywhere
BLOCK = 20_000  # rows a model is asked at once
MONEY = ("amount", "oldbalanceOrg", "oldbalanceDest")
MEDIAN_MOVED, MOST_MOVED = 75_000.0, 4e11  # of a ledger's transaction


Pair = tuple[Draft, Draft]  # the safer one and the riskier one


class Trial(NamedTuple):
    """One draft that must be no safer than the safest of some, nor riskier than the riskiest of others."""

    law: Law
    draft: Draft
    above: tuple[Draft, ...]
    below: tuple[Draft, ...]


class Breach(NamedTuple):
    """A trial that a model failed: the probability, and the bound it is beyond."""

    law: str
    model: str
    probability: float
    bound: float
    draft: Draft
    against: tuple[Draft, ...]


class Verdict(NamedTuple):
    """What a model's trials came to: how many pairs of each law, and the breaches."""

    pairs: Counter[str]
    breaches: list[Breach]


def try_laws(
    schema: str, models: Mapping[str, LoadedModel], pairs: int, seed: int = 0, laws: Sequence[Law] | None = None
) -> dict[str, Verdict]:
    """Each model's verdict, and the ensemble's, over as many pairs, all laws of the schema in turn."""
    trials = list(_trials(schema, laws or LAWS[schema], pairs, Random(seed)))
    features = _features(schema, trials)
    found = {name: _probabilities(model, features) for name, model in models.items()}
    if len(models) > 1:
        found[ENSEMBLE] = _together(models, found)
    return {name: _judged(name, trials, probabilities) for name, probabilities in found.items()}


def _trials(schema: str, laws: Sequence[Law], pairs: int, random: Random) -> Iterator[Trial]:
    """Trials of all laws, as many pairs of one as of another, until they come to so many."""
    for law in laws:
        made = 0
        while made < pairs / len(laws):
            trial = trial_of(schema, law, random)
            made += len(against(trial))
            yield trial


def trial_of(schema: str, law: Law, random: Random) -> Trial:
    """A drawn trial of a law. Raises LookupError when it held nowhere that was drawn."""
    for _ in range(TRIES):
        draft = drawn(schema, random)
        if (made := _made(law, draft, random)) is not None:
            return made
    raise LookupError(f"{name_of(law)} holds nowhere")


def _made(law: Law, draft: Draft, random: Random) -> Trial | None:
    if isinstance(law, LeftOut):
        values = tuple(draft.with_field(law.field, value) for value in _values(SCHEMAS[draft.schema], law))
        return Trial(law, draft.with_field(law.field, None), values, values) if law.when(draft) else None
    pair = _pair(law, draft, random)
    if pair is None or not all(law.when(one) for one in pair):
        return None
    return Trial(law, pair[1], (pair[0],), ())


def _values(schema: TransactionSchema, law: LeftOut) -> tuple[Any, ...]:
    """The law's values, and the one the models take an unknown one for, where the field may have it."""
    number = schema.unknown_as.get(law.field)
    taken_for = schema.words.get(law.field, {}).get(number, number)
    known = taken_for is None or taken_for in law.values or schema.problem(law.field, taken_for) is not None
    return tuple(law.values) if known else (*law.values, taken_for)


def _pair(law: Law, draft: Draft, random: Random) -> Pair | None:
    """The safer one and the riskier one."""
    if isinstance(law, Busier):
        return draft, draft._replace(variant=law.variant)
    if isinstance(law, Ledger):
        return LEDGERS[law.what](draft, random)
    if isinstance(law, Ranked):
        low, high = sorted(random.sample(range(len(law.values)), 2))
        return draft.with_field(law.field, law.values[low]), draft.with_field(law.field, law.values[high])
    least = max(law.least, _usual(draft) if law.usual else 0.0)
    small, large = sorted((_number(random, least, law.most), _number(random, least, law.most)))
    return draft.with_field(law.field, small), draft.with_field(law.field, large)


def _usual(draft: Draft) -> float:
    people = crowd(draft.schema)
    return people.members[draft.person].usual


def _number(random: Random, least: float, most: float) -> float:
    """Anything between, on a logarithmic scale, the bounds themselves now and then."""
    if random.random() < 0.1:
        return random.choice((least, most))
    return round(min(most, least + exp(random.uniform(log(0.1), log(max(1.0, most - least))))), 2)


def _more_of_it(draft: Draft, random: Random) -> Pair:
    """A larger share of the same balance, which the destination gets."""
    before = draft.fields["oldbalanceOrg"]
    small, large = sorted(round(before * random.choice((random.random(), 1.0, 0.99, 0.95)), 2) for _ in range(2))
    return draft.with_field("amount", small), draft.with_field("amount", large)


def _more_lost(draft: Draft, random: Random) -> Pair:
    """More that left beyond the same amount."""
    most = draft.fields["oldbalanceOrg"] - draft.fields["amount"]
    less, more = sorted((most * random.random(), most * random.choice((0.0, random.random(), 1.0))))
    kept, left = round(most - less, 2), round(most - more, 2)
    return draft.with_field("newbalanceOrig", kept), draft.with_field("newbalanceOrig", left)


def _larger(draft: Draft, random: Random) -> Pair | None:
    """The same share of everything larger, beyond what the population moves as a rule, if there is room for more."""
    least = max(1.0, MEDIAN_MOVED / max(0.01, draft.fields["amount"]))
    most = MOST_MOVED / max(draft.fields[name] for name in MONEY)
    if least > most:
        return None
    small, large = sorted(exp(random.uniform(log(least), log(most))) for _ in range(2))
    return _scaled(draft, small), _scaled(draft, large)


def _scaled(draft: Draft, factor: float) -> Draft:
    return draft._replace(fields=draft.fields | {name: round(draft.fields[name] * factor, 2) for name in MONEY})


LEDGERS: Mapping[str, Callable[[Draft, Random], Pair | None]] = {
    "share": _more_of_it,
    "excess": _more_lost,
    "scale": _larger,
}


def _features(schema: str, trials: Sequence[Trial]) -> np.ndarray:
    """float32[n, F]: of every trial its draft, then those it is held against."""
    people = crowd(schema)
    rows = [_row(people, draft) for trial in trials for draft in (trial.draft, *against(trial))]
    with np.errstate(over="ignore"):
        return np.array(rows, dtype=np.float64).astype(np.float32)


def _row(people: Any, draft: Draft) -> tuple[float, ...]:
    schema, parsed = SCHEMAS[draft.schema], people.parsed(draft)
    seen = people.seen(draft, parsed)
    return schema.row(parsed.transaction, parsed.at_ms, [seen.get(role.name, unknown(role)) for role in schema.roles])


def against(trial: Trial) -> tuple[Draft, ...]:
    """Those above and below, each once: a field left out is held against the same ones both ways."""
    return trial.above if trial.above else trial.below


def _probabilities(model: LoadedModel, features: np.ndarray) -> np.ndarray:
    margins = [
        one for start in range(0, len(features), BLOCK) for one in model.margins(features[start : start + BLOCK])
    ]
    return np.array([model.probability(margin) for margin in margins])


def _together(models: Mapping[str, LoadedModel], found: Mapping[str, np.ndarray]) -> np.ndarray:
    heads = [(name, model.version, model.threshold) for name, model in models.items()]
    rows = zip(*(found[name].tolist() for name in models), strict=True)
    return np.array([_mean(heads, row) for row in rows])


def _mean(heads: Sequence[tuple[str, str, float]], row: Sequence[float]) -> float:
    votes = [
        ensemble.vote(name, version, probability, threshold)
        for (name, version, threshold), probability in zip(heads, row, strict=True)
    ]
    verdict = ensemble.verdict(votes)
    assert verdict is not None
    return verdict.probability


def _judged(model: str, trials: Sequence[Trial], probabilities: np.ndarray) -> Verdict:
    told = probabilities.round(TOLD_DIGITS)
    counted: Counter[str] = Counter()
    breaches, at = [], 0
    for trial in trials:
        size, law = len(against(trial)), name_of(trial.law)
        ours, theirs = told[at], told[at + 1 : at + 1 + size]
        at += 1 + size
        counted[law] += size
        bounds = [float(theirs.min())] if ours < theirs.min() else []
        if trial.below and ours > theirs.max():
            bounds.append(float(theirs.max()))
        breaches += [Breach(law, model, float(ours), bound, trial.draft, against(trial)) for bound in bounds]
    return Verdict(counted, breaches)
