"""No model breaks a law, whoever pays whatever: drawn pairs of every law, and whole answers of some."""

from functools import cache
from random import Random

import pytest

from apps.scoring.engine.decide import Policy
from apps.scoring.engine.engine import ENSEMBLE, Engine
from apps.scoring.engine.models import LoadedModel, load_active
from apps.scoring.engine.schemas import SCHEMAS
from tests.plausibility.__main__ import ARTIFACTS
from tests.plausibility.court import against, trial_of, try_laws
from tests.plausibility.drafts import Draft, crowd
from tests.plausibility.laws import LAWS, Law, name_of

PAIRS = 2_000  # a schema's; `python -m tests.plausibility --laws 100000` tries more
TRIES = 5  # answers a law: features, rules, reasons and all
SEVERITY = ("approve", "review", "challenge", "block")
EACH = [(schema, law) for schema in SCHEMAS for law in LAWS[schema]]


@cache
def models(schema: str) -> dict[str, LoadedModel]:
    active = load_active(ARTIFACTS, schema)
    return {name: model for name, model in active.items() if isinstance(model, LoadedModel)}


@pytest.mark.parametrize("schema", SCHEMAS)
def test_no_family_and_no_ensemble_breaks_a_law(schema: str) -> None:
    verdicts = try_laws(schema, models(schema), PAIRS)
    broken = {(name, breach.law) for name, verdict in verdicts.items() for breach in verdict.breaches}
    assert set(verdicts) == {*models(schema), ENSEMBLE}
    assert not broken


@pytest.mark.parametrize(("schema", "law"), EACH, ids=[f"{schema}-{name_of(law)}" for schema, law in EACH])
def test_no_answer_breaks_a_law(schema: str, law: Law) -> None:
    for seed in range(TRIES):
        trial = trial_of(schema, law, Random(seed))
        ours, theirs = _answer(trial.draft), [_answer(one) for one in against(trial)]
        assert ours >= min(theirs), seed
        assert not trial.below or ours <= max(theirs), seed


def _answer(draft: Draft) -> tuple[float, int]:
    """What is answered: the probability as told, and how hard the action is."""
    people = crowd(draft.schema)
    parsed = people.parsed(draft)
    decision = Engine({draft.schema: models(draft.schema)}).decide(
        draft.schema, parsed, people.seen(draft, parsed), Policy()
    )
    assert decision.fraud_probability is not None
    return decision.fraud_probability, SEVERITY.index(decision.recommended_action)
