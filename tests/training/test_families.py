"""Every family: what is written is what was fitted, to the last path through the last tree."""

import io

import lightgbm
import numpy as np
import pytest
import shap
import xgboost

from apps.scoring.engine.models import Calibration, session
from apps.scoring.engine.shapley import TreeShap
from apps.training.calibrate import platt, probabilities
from apps.training.checks import NotProved, proved
from apps.training.dataset import Dataset, thinned
from apps.training.families import FAMILIES
from apps.training.families.fitted import Laws, Settings, Task
from apps.training.families.trees import below, rounded_down

WIDTH = 12
SETTINGS = {
    "xgboost": Settings({"max_depth": 5}, rounds=30, patience=10, averaged=2),
    "lightgbm": Settings({"num_leaves": 15, "min_data_in_leaf": 5}, rounds=30, patience=10, averaged=2),
    "random_forest": Settings({"num_leaves": 63, "min_data_in_leaf": 5}, rounds=15),
    "logistic_regression": Settings(rounds=200),
}


def block(count: int, seed: int) -> Dataset:
    """Values over every order of magnitude, whole numbers, unknown ones; the last feature is never known."""
    random = np.random.default_rng(seed)
    features = np.exp(random.normal(0, 4, (count, WIDTH))) * random.choice([-1, 0, 1], (count, WIDTH))
    features[:, 0] = random.integers(0, 5, count)
    features[random.random(features.shape) < 0.15] = np.nan
    features[:, -1] = np.nan
    risk = np.nan_to_num(np.sign(features[:, 1])) + np.isnan(features[:, 2]) + np.nan_to_num(features[:, 0])
    return Dataset(features.astype(np.float32), risk + random.normal(size=count) > 3.5, np.ones(count))


@pytest.fixture(scope="module")
def rows():
    """float32[10000, F], with the extremes a float32 can hold."""
    rows = block(10_000, seed=9).features
    rows[:4, :3] = np.array([np.inf, -np.inf, np.finfo(np.float32).max, 1e-45], np.float32)[:, None]
    return rows


@pytest.fixture(scope="module")
def baseline():
    row = np.ones(WIDTH, np.float32)
    row[3] = np.nan
    return row


@pytest.fixture(scope="module", params=FAMILIES)
def model(request):
    task = Task(block(3000, 1), block(1000, 2), Laws.none(WIDTH), None, lambda line: None)
    return FAMILIES[request.param](task, SETTINGS[request.param])


def test_onnx_says_what_the_library_says(model, rows):
    said = session(model.onnx(WIDTH)).run(None, {"features": rows})[0][:, 0]
    assert np.abs(said - model.margins(rows)).max() < 1e-5


def test_contributions_sum_to_the_margin(model, rows, baseline):
    explainer = TreeShap(model.arrays(baseline))
    explained = explainer.contributions(rows[:2000])
    assert np.abs(explained.sum(axis=1) - model.margins(rows[:2000])).max() < 1e-3
    assert explained[0, -1] == pytest.approx(model.margins(baseline.reshape(1, -1))[0], abs=1e-5)


def test_the_arrays_survive_the_disk(model, rows, baseline):
    into = io.BytesIO()
    np.savez_compressed(into, **model.arrays(baseline))
    into.seek(0)
    with np.load(into, allow_pickle=False) as stored:
        again = TreeShap({name: stored[name] for name in stored.files})
    once = TreeShap(model.arrays(baseline))
    assert np.array_equal(once.contributions(rows[:20]), again.contributions(rows[:20]))


@pytest.mark.parametrize("name", ["xgboost", "lightgbm"])
def test_a_second_fit_takes_as_many_rounds_as_the_first(name):
    task = Task(block(3000, 1), block(1000, 2), Laws.none(WIDTH), None, lambda line: None)
    first = FAMILIES[name](task, SETTINGS[name])
    second = FAMILIES[name](task._replace(held_out=None, rounds=first.rounds), SETTINGS[name])
    assert second.rounds == first.rounds
    assert len(first.rounds) == 2


def test_a_feature_never_known_contributes_nothing(model, rows, baseline):
    known = rows[:100].copy()
    known[:, -1] = 5.0
    assert np.allclose(
        model.margins(known), model.margins(rows[:100]), atol=1e-12
    )  # a forest's threads add in any order


def test_a_tampered_model_is_not_proved(model, rows, baseline):
    arrays = model.arrays(baseline)
    wrong = {**arrays, "values": arrays["values"] * 1.5}
    onnx, by = model.onnx(WIDTH), Calibration(1.0, 0.0)
    assert proved(model, onnx, arrays, rows[10:], by).score < 1e-5
    with pytest.raises(NotProved):
        proved(model, onnx, wrong, rows[10:], by)


def explained_by_shap(native, rows, baseline):
    explainer = shap.TreeExplainer(native, data=baseline.reshape(1, -1), feature_perturbation="interventional")
    return explainer.shap_values(rows, check_additivity=False)


def test_contributions_of_xgboost_are_those_of_shap(rows, baseline):
    train = block(3000, 1)
    matrix = xgboost.DMatrix(train.features, train.label, missing=np.nan)
    native = xgboost.train({"objective": "binary:logistic", "base_score": 0.5, "max_depth": 5, "seed": 20_261_101,
                            "tree_method": "hist", "nthread": 1}, matrix, 10)  # fmt: skip
    ours = fitted("xgboost", Settings({"max_depth": 5}), 10).arrays(baseline)
    expected = explained_by_shap(native, rows[10:200], baseline)
    assert np.abs(TreeShap(ours).contributions(rows[10:200])[:, :-1] - expected).max() < 1e-4


def test_contributions_of_lightgbm_are_those_of_shap(baseline):
    """Rows that know everything: shap's own reading of LightGBM's unknown values is another."""
    train, rows = known(block(3000, 1)), known(block(200, 5)).features
    params = {"objective": "binary", "num_leaves": 15, "verbosity": -1, "seed": 20_261_101, "num_threads": 1}
    native = lightgbm.train(params, lightgbm.Dataset(train.features, train.label), 10)
    ours = fitted("lightgbm", Settings({"num_leaves": 15}), 10, train).arrays(np.nan_to_num(baseline))
    expected = explained_by_shap(native, rows, np.nan_to_num(baseline))
    assert np.abs(TreeShap(ours).contributions(rows)[:, :-1] - expected).max() < 1e-4


def test_a_forest_says_how_often_its_leaves_are_frauds():
    """Up to a constant: what a row is worth more than another is the difference of those frequencies."""
    train = block(3000, 1)
    ours = fitted("random_forest", Settings({"num_leaves": 2, "bagging_fraction": 0.999, "min_data_in_leaf": 5}), 1)
    column = train.features[:, ours.trees.features[0]]
    left = (column <= ours.trees.thresholds[0]) | (np.isnan(column) & ours.trees.missing_left[0])
    frequency = np.where(left, train.label[left].mean(), train.label[~left].mean())
    assert np.ptp(ours.margins(train.features)) == pytest.approx(np.ptp(frequency), rel=0.02)


def known(some: Dataset) -> Dataset:
    return some._replace(features=np.nan_to_num(some.features, posinf=1e30, neginf=-1e30))


def fitted(name, settings, rounds, train=None):
    settings = Settings(settings.params, rounds=rounds)
    return FAMILIES[name](Task(train or block(3000, 1), None, Laws.none(WIDTH), (rounds,), lambda line: None), settings)


def test_a_threshold_is_moved_to_where_no_float32_can_tell():
    random = np.random.default_rng(4)
    thresholds = random.normal(size=1000) * 10.0 ** random.integers(-30, 30, 1000)
    near = thresholds.astype(np.float32)
    for step in (-np.inf, np.inf):
        values = np.nextafter(near, np.float32(step))
        assert np.array_equal(values <= thresholds, values <= rounded_down(thresholds))
        assert np.array_equal(values < near, values <= below(near))


# Two features may only raise the margin, one may only lower it, one is taken for 1 where it is unknown.
LAWS = Laws((1, 1, -1) + (0,) * (WIDTH - 3), (np.nan,) * 4 + (1.0,) + (np.nan,) * (WIDTH - 5))
LAWFUL = tuple(index for index, direction in enumerate(LAWS.directions) if direction)
EXTREMES = np.array(
    [-np.inf, -1e30, -1e6, -100, -10, -1, -0.1, 0, 0.1, 1, 2, 3, 10, 100, 1e6, 1e30, np.inf], np.float32
)


@pytest.fixture(scope="module", params=FAMILIES)
def lawful(request):
    task = Task(block(6000, 1), block(1000, 2), LAWS, None, lambda line: None)
    return FAMILIES[request.param](task, SETTINGS[request.param])


def ladder(index: int) -> np.ndarray:
    """float32[200 × steps, F]: each of 200 rows with one feature going from its least to its most."""
    rows = np.repeat(block(200, 6).features, len(EXTREMES), axis=0)
    rows[:, index] = np.tile(EXTREMES, 200)
    return rows


@pytest.mark.parametrize("index", LAWFUL)
def test_the_margin_never_goes_against_a_features_direction(lawful, index):
    margins = session(lawful.onnx(WIDTH)).run(None, {"features": ladder(index)})[0].reshape(200, -1)
    assert (np.diff(margins * LAWS.directions[index], axis=1) >= 0.0).all()


@pytest.mark.parametrize("index", LAWFUL)
def test_an_unknown_value_is_between_the_features_best_and_worst(lawful, index):
    known = lawful.margins(ladder(index)).reshape(200, -1)
    rows = block(200, 6).features
    rows[:, index] = np.nan
    unknown = lawful.margins(rows)
    assert (unknown >= known.min(axis=1) - 1e-9).all()
    assert (unknown <= known.max(axis=1) + 1e-9).all()


def test_an_unknown_value_is_what_the_laws_take_it_for(lawful):
    rows, taken = block(200, 6).features, block(200, 6).features
    rows[:, 4], taken[:, 4] = np.nan, 1.0
    served = session(lawful.onnx(WIDTH))
    assert np.array_equal(*(served.run(None, {"features": one})[0] for one in (rows, taken)))


def test_calibration_finds_the_odds_that_made_the_labels():
    random = np.random.default_rng(2)
    margin = random.normal(-3, 2, 200_000)
    label = random.random(len(margin)) < probabilities(Calibration(0.7, -0.4), margin)
    found = platt(margin, label, np.full(len(margin), 3.0))
    assert (found.a, found.b) == pytest.approx((0.7, -0.4), abs=0.05)


def test_calibration_exists_where_classes_are_told_apart():
    found = platt(np.r_[np.full(500, -9.0), np.full(20, 9.0)], np.arange(520) >= 500, np.ones(520))
    assert 0.5 < probabilities(found, np.array([9.0]))[0] < 1.0


def test_thinned_honest_rows_weigh_for_those_left_out():
    some = block(5000, 3)
    thin = thinned(some, 0.2, seed=1)
    assert thin.label.sum() == some.label.sum()
    assert len(thin.label) < len(some.label) / 2
    assert thin.weight[~thin.label].sum() == pytest.approx(some.weight[~some.label].sum(), rel=0.1)
