import json
import math
from io import StringIO

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from apps.scoring.engine.engine import Engine
from apps.scoring.engine.models import LoadedModel, load_active
from apps.scoring.training import data, metrics, simulate
from apps.scoring.training.data import UnusableData
from apps.scoring.training.evaluate import evaluate
from apps.scoring.training.train import train


@pytest.fixture(scope="module")
def log():
    """A small synthetic log: honest reconciling rows and drained accounts over 200 hours."""
    random = np.random.default_rng(3)
    frame = pd.concat([simulate.reconciling(3000, random), simulate.drained(300, random)], ignore_index=True)
    frame["step"] = random.integers(0, 200, len(frame))
    frame["nameOrig"] = [f"C{index}" for index in range(len(frame))]
    frame["nameDest"] = random.choice([f"C{index}" for index in range(200)], len(frame))
    return frame.sort_values("step", ignore_index=True)


@pytest.fixture(scope="module")
def trained(log, schema, tmp_path_factory):
    folder = tmp_path_factory.mktemp("artifacts")
    log.to_csv(folder / "log.csv", index=False)
    train(schema, [folder / "log.csv"], folder, say=lambda line: None, version="2026.1.1")
    return folder


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
    report = evaluate(schema, model, [trained / "log.csv"])
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
    once, twice = (evaluate(schema, model, [path]) for path in (trained / "log.csv", tmp_path / "weighted.csv"))
    assert twice["weighted_by"] == "weight"
    assert twice["average_precision"] == once["average_precision"]


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


def test_replayed_history_counts_what_came_before(schema, log):
    orig, dest = data.replayed(schema, log)
    assert np.nanmax(orig.count_7d) == 0
    assert dest.count_7d[0] == 0
    assert dest.count_7d[-1] > 3


def test_an_earlier_log_is_replayed_first(schema, log):
    later = log.assign(step=log["step"] + 200)
    _, alone = data.replayed(schema, later)
    _, informed = data.replayed(schema, later, log)
    assert informed.count_7d[0] > alone.count_7d[0] == 0


def test_the_commands_train_and_evaluate(trained, tmp_path):
    from django.core.management import CommandError, call_command

    said = StringIO()
    call_command("evaluate_model", "paysim", data=[trained / "log.csv"], artifacts=trained, json=True, stdout=said)
    assert json.loads(said.getvalue())["rows"] == 3300
    with pytest.raises(CommandError, match="nowhere"):
        call_command("train_model", "paysim", data=[tmp_path / "nowhere.csv"], out=tmp_path, stdout=said)
