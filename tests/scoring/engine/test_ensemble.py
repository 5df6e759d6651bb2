"""The ensemble: the majority decides, their mean says how likely; one that breaks is left out and named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.scoring.engine.decide import Policy
from apps.scoring.engine.engine import ENSEMBLE, Engine, UnknownModel
from apps.scoring.engine.ensemble import verdict, vote
from apps.scoring.engine.models import LoadedModel, ModelFailed, ModelRefused
from tests.scoring.engine.conftest import DRAINED, HONEST

probabilities = st.lists(st.one_of(st.none(), st.floats(0, 1)), min_size=1, max_size=6)


def _votes(said: list[float | None]):
    return [vote(f"m{number}", "1", one, 0.5) for number, one in enumerate(said)]


@given(probabilities)
def test_the_probability_is_at_least_half_exactly_when_the_majority_says_fraud(said):
    found = verdict(_votes(said))
    heard = [one for one in _votes(said) if one.probability is not None]
    if not heard:
        assert found is None
        return
    frauds = sum(one.prediction for one in heard)
    assert 0 <= found.probability <= 1
    assert 0.5 <= found.ensemble.agreement <= 1
    if 2 * frauds != len(heard):
        assert (found.probability >= 0.5) == (2 * frauds > len(heard))


@pytest.mark.parametrize(
    ("said", "probability", "agreement"),
    [
        ([0.9, 0.7, 0.1], 1.7 / 3, 0.6667),
        ([0.2, 0.4, 0.9, 0.1], 0.4, 0.75),
        ([0.6, 0.6, 0.1], 0.5, 0.6667),  # the mean is 0.43: the majority says fraud all the same
        ([0.4, 0.4, 0.9], 0.499999, 0.6667),
        ([0.9, 0.4], 0.65, 0.5),  # a tie: the mean of all decides
        ([0.6, None, 0.8], 0.7, 1.0),  # who could not vote is not asked
    ],
)
def test_the_mean_on_the_majoritys_side(said, probability, agreement):
    found = verdict(_votes(said))
    assert found.probability == pytest.approx(probability)
    assert found.ensemble.agreement == agreement


@given(st.lists(st.floats(0, 1), min_size=1, max_size=5), st.integers(0, 4), st.floats(0, 1))
def test_the_probability_never_falls_when_a_models_does_not(said, which, more):
    risen = list(said)
    risen[which % len(said)] = max(more, said[which % len(said)])
    assert verdict(_votes(risen)).probability >= verdict(_votes(said)).probability


def test_who_could_not_vote_is_labelled():
    found = verdict(_votes([0.6, None]))
    assert [model.label for model in found.ensemble.models] == ["Fraud", "Error"]
    assert (found.ensemble.models[1].probability, found.ensemble.models[1].prediction) == (None, None)


class Broken:
    """A session that fails as onnxruntime's do."""

    def run(self, *_):
        raise RuntimeError("bad allocation")


@pytest.fixture(scope="module")
def whole(models) -> Engine:
    return Engine({"paysim": models})


@pytest.fixture
def broken(model: LoadedModel) -> LoadedModel:
    return LoadedModel(model.card, Broken(), model._explainer, model.example)


def test_the_ensemble_of_the_shipped_models(whole, paysim):
    for facts, fraud in ((DRAINED, True), (HONEST, False)):
        found = whole.decide("paysim", paysim(**facts), {}, Policy(), ENSEMBLE)
        assert (found.fraud_probability >= 0.5) == fraud
        assert len(found.ensemble.models) == 4
        assert found.degraded == ()


def test_a_model_that_breaks_is_named_and_the_rest_decide(models, broken, paysim):
    engine = Engine({"paysim": {**models, "xgboost": broken}})
    found = engine.decide("paysim", paysim(**DRAINED), {}, Policy(), ENSEMBLE)
    assert found.degraded == ("model:xgboost",)
    assert [model.label for model in found.ensemble.models] == ["Error", "Fraud", "Fraud", "Fraud"]
    assert found.fraud_probability >= 0.5
    assert found.model.version.startswith("lightgbm@")  # the first that answered explains
    assert len(found.contributions) == len(found.features)


def test_a_model_that_breaks_alone_leaves_the_rules(models, broken, paysim):
    with pytest.raises(ModelFailed, match="xgboost: RuntimeError"):
        broken.score(None)
    engine = Engine({"paysim": {**models, "xgboost": broken}})
    found = engine.decide("paysim", paysim(**DRAINED), {}, Policy())
    assert (found.fraud_probability, found.model, found.degraded) == (None, None, ("model:xgboost",))
    assert found.decisive.kind == "rule"


def test_no_model_at_all_is_no_ensemble(paysim):
    refused = Engine({"paysim": {"xgboost": ModelRefused("gone"), "lightgbm": ModelRefused("gone")}})
    found = refused.decide("paysim", paysim(), {}, Policy(), ENSEMBLE)
    assert (found.fraud_probability, found.ensemble) == (None, None)
    assert found.degraded == ("model:xgboost", "model:lightgbm")
    with pytest.raises(UnknownModel, match="none"):
        Engine({}).require("paysim", ENSEMBLE)


def test_a_block_says_what_its_rows_say(whole, paysim):
    rows = [paysim(**DRAINED), paysim(), paysim(amount=1.0)]
    together = whole.decide_many("paysim", rows, [{}] * 3, Policy(), ENSEMBLE)
    alone = [whole.decide("paysim", row, {}, Policy(), ENSEMBLE) for row in rows]
    assert [one.ensemble for one in together] == [one.ensemble for one in alone]
    assert [one.fraud_probability for one in together] == [one.fraud_probability for one in alone]
