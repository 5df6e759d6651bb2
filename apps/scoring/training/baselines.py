"""What simpler things reach on the same rows: the number a model's metrics are to be read against."""

from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np
import pandas as pd
import xgboost
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import QuantileTransformer

from apps.scoring.engine.history import Activity
from apps.scoring.engine.transaction import TransactionSchema
from apps.scoring.training import data, metrics
from apps.scoring.training.fit import SEED

RAW = ("type", "amount", "oldbalanceOrg", "newbalanceOrig", "oldbalanceDest", "newbalanceDest", "hour_of_day")
WITHOUT_BALANCES = ("type", "amount", "hour_of_day")


def compared(
    schema: TransactionSchema, train: data.Rows, held_out: data.Rows, last: data.Rows
) -> dict[str, dict[str, float | None]]:
    """name → metrics on `last`, for the drained-account rule, a logistic regression and plain XGBoost."""
    known = pd.concat([train.frame, held_out.frame], ignore_index=True)
    label = np.concatenate([train.label, held_out.label])
    weight = np.where(label, 1.0, 5.0)
    return {
        "rule: amount == oldbalanceOrg and newbalanceOrig == 0": _measured(last, drained_rule(last.frame)),
        "logistic regression, raw fields": _measured(last, _logistic(schema, known, label, weight, last)),
        "plain XGBoost, raw fields": _measured(last, _plain(schema, known, label, weight, last, RAW)),
        "plain XGBoost, without balances": _measured(
            last, _plain(schema, known, label, weight, last, WITHOUT_BALANCES)
        ),
    }


def drained_rule(frame: pd.DataFrame) -> np.ndarray:
    outgoing = frame["type"].isin(["TRANSFER", "CASH_OUT"])
    emptied = (frame["amount"] == frame["oldbalanceOrg"]) & (frame["newbalanceOrig"] == 0)
    return (outgoing & emptied).to_numpy(float)


def _measured(rows: data.Rows, score: np.ndarray) -> dict[str, float | None]:
    measured = metrics.measure(rows.label, score, rows.weight, 0.5)
    kept = ("auc_roc", "average_precision", "recall_at_1pct_fpr")
    return metrics.rounded({name: measured[name] for name in kept})


def _inputs(schema: TransactionSchema, frame: pd.DataFrame, names: Sequence[str]) -> np.ndarray:
    nothing = SimpleNamespace(**dict.fromkeys(Activity.__struct_fields__, np.full(len(frame), np.nan)))
    features = schema.block(data.columns(schema, frame), [nothing, nothing])
    return features[:, [schema.feature_names.index(name) for name in names]].astype(np.float32)


def _logistic(
    schema: TransactionSchema, known: pd.DataFrame, label: np.ndarray, weight: np.ndarray, last: data.Rows
) -> np.ndarray:
    model = make_pipeline(QuantileTransformer(n_quantiles=200, random_state=0), LogisticRegression(max_iter=500))
    model.fit(_inputs(schema, known, RAW), label, logisticregression__sample_weight=weight)
    return model.predict_proba(_inputs(schema, last.frame, RAW))[:, 1]


def _plain(
    schema: TransactionSchema, known: pd.DataFrame, label: np.ndarray, weight: np.ndarray, last: data.Rows,
    names: Sequence[str],
) -> np.ndarray:  # fmt: skip
    settings = {"objective": "binary:logistic", "seed": SEED, "nthread": 2, "max_depth": 6}
    booster = xgboost.train(settings, xgboost.DMatrix(_inputs(schema, known, names), label, weight=weight), 100)
    return booster.predict(xgboost.DMatrix(_inputs(schema, last.frame, names)))
