import json
import math
from shutil import copytree
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from apps.scoring.engine import shelf
from apps.scoring.engine.engine import Engine
from apps.scoring.engine.models import LoadedModel, load_active, sigmoid
from apps.scoring.engine.past_events import HOUR_MS
from apps.training import card, data, metrics, replay
from apps.training.baselines import row_features
from apps.training.data import UnusableData
from apps.training.dataset import Dataset, Extra
from apps.training.evaluate import evaluate, score
from apps.training.families import FAMILIES
from apps.training.recipes import RECIPES
from apps.training.recipes.paysim import FROM_BALANCES
from apps.training.scorecard import measured, page
from apps.training.split import by_time
from apps.training.train import train
from tests.scoring.engine.conftest import ARTIFACTS
from tests.training.training_data import small


def read(schema, tmp_path, frame, name="log.csv"):
    frame.to_csv(tmp_path / name, index=False)
    return data.read(schema, [tmp_path / name])


def test_a_trained_model_loads_and_decides(trained, paysim, policy):
    model = load_active(trained, "paysim")["xgboost"]
    assert isinstance(model, LoadedModel)
    decision = Engine({"paysim": {"xgboost": model}}).decide("paysim", paysim(), None, policy)
    assert decision.fraud_probability < 0.5


def test_evaluation_reports_every_metric(trained, schema, log):
    model = load_active(trained, "paysim")["xgboost"]
    report = evaluate(schema, [model], [trained / "log.csv"])
    assert (report["rows"], report["frauds"], report["weighted_by"]) == (3300, 300, "none")
    named = {"auc_roc", "average_precision", "recall_at_1pct_fpr", "brier", "calibration_error", "precision", "recall"}
    assert named <= set(report)
    assert named == set(report["intervals_95"])
    low, high = report["intervals_95"]["auc_roc"]
    assert low <= report["auc_roc"] <= high
    json.dumps(report, allow_nan=False)


def test_a_weight_column_is_respected(trained, schema, log, tmp_path):
    model = load_active(trained, "paysim")["xgboost"]
    log.assign(weight=2.0).to_csv(tmp_path / "weighted.csv", index=False)
    once, twice = (evaluate(schema, [model], [path]) for path in (trained / "log.csv", tmp_path / "weighted.csv"))
    assert twice["weighted_by"] == "weight"
    assert twice["average_precision"] == once["average_precision"]


def test_the_ensemble_is_measured_as_it_decides(trained, schema, paysim, policy, log):
    models = load_active(trained, "paysim")
    features = replay.features(schema, data.rows(schema, log))[:50]
    decided = Engine({"paysim": models}).decide("paysim", paysim(), {}, policy, model="ensemble")
    votes = [sigmoid(model.card.log_odds(model.score(features[:1]))) for model in models.values()]
    assert decided.ensemble is not None
    assert len(decided.ensemble.models) == 4
    together = score(list(models.values()), features)
    assert min(votes) <= together[0] <= max(votes)


def test_every_family_is_trained_and_the_champion_named_first(trained):
    named = (trained / "paysim" / "ACTIVE").read_text().split()
    assert named == [f"{name}/2026.1.1" for name in FAMILIES]
    assert (trained / "paysim" / "without_balances" / "2026.1.1" / "card.json").exists()


def test_training_one_family_leaves_the_others_active(trained, schema, tmp_path):
    copytree(trained / "paysim", tmp_path / "paysim")
    train(schema, [trained / "log.csv"], tmp_path, say=lambda line: None, version="2026.2.1",
          models=["lightgbm"], recipe=small("paysim"))  # fmt: skip
    named = (tmp_path / "paysim" / "ACTIVE").read_text().split()
    assert named == ["xgboost/2026.1.1", "lightgbm/2026.2.1", "random_forest/2026.1.1", "logistic_regression/2026.1.1"]


def test_training_twice_gives_the_same_model(trained, schema, tmp_path):
    train(schema, [trained / "log.csv"], tmp_path, say=lambda line: None, version="2026.1.1",
          recipe=small("paysim", ("xgboost", "logistic_regression")))  # fmt: skip
    for file in ("xgboost/2026.1.1/model.onnx", "logistic_regression/2026.1.1/trees.npz"):
        assert (tmp_path / "paysim" / file).read_bytes() == (trained / "paysim" / file).read_bytes()


def test_the_model_without_balances_does_not_look_at_them(trained, schema, log):
    model = shelf.loaded(trained, "paysim", "without_balances/2026.1.1")
    features = replay.features(schema, data.rows(schema, log))
    other = features.copy()
    other[:, [schema.feature_names.index(name) for name in FROM_BALANCES]] = 12_345.0
    assert np.array_equal(model.score_block(features), model.score_block(other))


@pytest.mark.parametrize("name", FAMILIES)
def test_a_risk_score_of_900_is_the_riskiest_tenth_on_whatever_scale(trained, schema, log, name):
    model, rows = shelf.loaded(trained, "paysim", f"{name}/2026.1.1"), data.rows(schema, log)
    population = replay.features(schema, rows)[by_time(rows, HOUR_MS).last]
    scores = np.array([model.risk_score(margin) for margin in model.margins(population)])
    assert np.mean(scores >= 900) <= 0.105
    assert np.mean(scores >= 900) > 0.05 or len(set(scores)) < 100  # few trees say few different things


def test_parquet_is_read_as_csv_is(schema, log, tmp_path):
    log.to_parquet(tmp_path / "log.parquet")
    parquet = data.read(schema, [tmp_path / "log.parquet"])
    assert np.array_equal(parquet.label, read(schema, tmp_path, log).label)


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda log: log.drop(columns="amount"), "amount"),
        (lambda log: log.drop(columns="isFraud"), "isFraud"),
        (lambda log: log.assign(step="soon"), "step"),
        (lambda log: log.assign(isFraud=3), "isFraud"),
        (lambda log: log.assign(newbalanceDest=np.nan), "newbalanceDest"),
        (lambda log: log.assign(weight=-1.0), "weight"),
    ],
)
def test_a_wrong_column_is_named(schema, log, tmp_path, spoil, named):
    with pytest.raises(UnusableData, match=named):
        read(schema, tmp_path, spoil(log))


def test_a_word_for_nothing_is_a_word_in_texts_and_nothing_in_numbers(schema, log, tmp_path):
    written = log.astype({"nameOrig": object}).assign(weight=1.0)
    written.loc[:, "nameOrig"] = "None"
    rows = read(schema, tmp_path, written)
    assert set(rows.frame["nameOrig"]) == {"None"}
    with pytest.raises(UnusableData, match="'amount' has empty cells"):
        read(schema, tmp_path, log.astype({"amount": object}).assign(amount=[*log["amount"][1:], "None"]))


def test_a_missing_file_is_named(schema, tmp_path):
    with pytest.raises(UnusableData, match=r"gone\.csv"):
        data.read(schema, [tmp_path / "gone.csv"])


@pytest.mark.parametrize("label", ["is_fraud", "fraud"])
def test_other_names_of_the_label_are_known(schema, log, tmp_path, label):
    assert read(schema, tmp_path, log.rename(columns={"isFraud": label})).label.sum() == 300


def test_a_sample_is_weighed_back_to_the_full_log(schema, log, tmp_path):
    sample = np.where(
        log["isFraud"] == 1, "fraud_all", np.where(log.index % 2 == 0, "negative_uniform", "negative_other")
    )
    rows = read(schema, tmp_path, log.assign(sample=sample))
    rate = rows.weight[rows.label].sum() / rows.weight.sum()
    assert math.isclose(rate, 8_213 / 6_362_620, rel_tol=1e-6)


def test_metrics_are_those_of_scikit_learn():
    random = np.random.default_rng(1)
    label = random.random(3000) < 0.1
    score = np.round(np.clip(label * 0.3 + random.random(3000) * 0.7, 0, 1), 2)  # with ties
    weight = random.uniform(0.5, 3, 3000)
    found = metrics.measure(label, score, weight, 0.5)
    assert found["auc_roc"] == pytest.approx(roc_auc_score(label, score, sample_weight=weight))
    assert found["average_precision"] == pytest.approx(average_precision_score(label, score, sample_weight=weight))


def of(schema, features, name):
    return features[:, schema.feature_names.index(name)]


def test_replayed_history_counts_what_came_before(schema, log):
    features = replay.features(schema, data.rows(schema, log))
    assert np.nanmax(of(schema, features, "orig_count_7d")) == 0
    assert of(schema, features, "dest_count_7d")[0] == 0
    assert of(schema, features, "dest_count_7d")[-1] > 3


def test_a_replay_in_chunks_is_the_same_replay(schema, log, monkeypatch):
    rows = data.rows(schema, log)
    whole = replay.features(schema, rows)
    monkeypatch.setattr(replay, "CHUNK", 700)
    assert np.array_equal(whole, replay.features(schema, rows), equal_nan=True)


def test_an_earlier_log_is_replayed_first(schema, log):
    later = data.rows(schema, log.assign(step=log["step"] + 200))
    alone = replay.features(schema, later)
    informed = replay.features(schema, later, history=data.rows(schema, log, labelled=False))
    assert of(schema, informed, "dest_count_7d")[0] > of(schema, alone, "dest_count_7d")[0] == 0


def test_features_that_look_at_no_past_are_known_without_being_named(schema, log):
    prepared = SimpleNamespace(schema=schema, rows=data.rows(schema, log))
    assert row_features(prepared) == schema.feature_names[:14]


def test_the_time_is_split_in_three(schema, log):
    rows = data.rows(schema, log)
    split = by_time(rows, HOUR_MS)
    assert split.bounds["held_out"] == (120 * HOUR_MS, 149 * HOUR_MS)
    assert (split.fit.astype(int) + split.held_out + split.last == 1).all()


@pytest.mark.parametrize(
    ("written", "read_as"),
    [
        (["true", "False", None], [1.0, 0.0, np.nan]),
        ([1, 0, 0], [1.0, 0.0, 0.0]),
        ([True, False, None], [1.0, 0.0, np.nan]),
    ],
)
def test_yes_and_no_are_read_as_people_write_them(written, read_as):
    column = pd.Series(written, dtype=object if None in written else None)
    assert np.array_equal(data._yes_or_no("used_chip", column), read_as, equal_nan=True)


@pytest.mark.parametrize(
    "written",
    ["2026-01-01T00:00:10Z", "2026-01-01 00:00:10", pd.Timestamp("2026-01-01 00:00:10"), 1_767_225_610],
)
def test_moments_are_read_as_people_write_them(written):
    assert data._moments("timestamp", pd.Series([written]))[0] == 1_767_225_610_000.0


def test_a_moment_that_is_none_is_named():
    with pytest.raises(UnusableData, match="timestamp"):
        data._moments("timestamp", pd.Series(["yesterday"]))


def test_a_yes_that_is_neither_is_named():
    with pytest.raises(UnusableData, match="used_chip"):
        data._yes_or_no("used_chip", pd.Series(["maybe"]))


def test_a_missing_text_is_missing_as_in_a_request(schema, log):
    frame = log.assign(nameOrig=log["nameOrig"].where(log.index > 0))
    column = data.columns(schema, data.rows(schema, frame).frame).nameOrig
    assert column[0] is None
    assert column[1] == log["nameOrig"][1]


def test_a_name_written_as_a_number_is_a_name():
    assert data._texts("user_id", pd.Series([7.0, np.nan, 12.5])).tolist() == ["7", None, "12.5"]


def test_nothing_too_large_is_written(trained, schema, tmp_path, monkeypatch):
    monkeypatch.setattr(card, "MOST_BYTES", 1000)
    with pytest.raises(card.TooLarge, match="logistic_regression"):
        train(schema, [trained / "log.csv"], tmp_path, say=lambda line: None,
              recipe=small("paysim", ("logistic_regression",)))  # fmt: skip
    assert not list(tmp_path.iterdir())


def test_added_rows_stay_in_the_time_of_the_row_they_were_made_from():
    block = Dataset(np.arange(4, dtype=np.float32).reshape(-1, 1), np.zeros(4, bool), np.ones(4))
    extra = Extra(block, np.array([0, 2, -1, 1]))
    early = extra.within(np.array([True, True, False]), np.array([True, False, True]))
    assert early.features[:, 0].tolist() == [0.0, 2.0, 3.0]


def test_the_page_of_models_is_written_from_their_cards(trained):
    written = page(trained)
    assert "**`xgboost`** |" in written
    assert "`without_balances` |" in written
    assert "rule: amount == oldbalanceOrg and newbalanceOrig == 0 |" in written
    assert written.count("Not measured") == len(RECIPES) - 1
    assert "0.940, 0.938, 0.932, 0.890" in written


def test_the_page_in_the_docs_is_that_of_the_models_shipped():
    assert (ARTIFACTS.parent / "docs" / "model-quality.md").read_text() == page(ARTIFACTS)


def test_nothing_to_measure_is_said(tmp_path):
    with pytest.raises(UnusableData, match="No training file"):
        measured(tmp_path, say=lambda line: None, among=("paysim",))
