"""What a model that learned from the simulator alone finds in rows it never saw.

A simulator of one's own proves nothing by itself. So rows of two public logs are told as card activity, their histories
replayed, and the shipped model of `card_activity` is held against one that was trained on those very rows: the same
features under the same laws, fitted on the log's first three quarters, both measured on the last.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import lightgbm
import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from apps.scoring.engine.models import LoadedModel
from apps.scoring.engine.schemas.card_activity import CARD_ACTIVITY
from apps.training import data, replay
from apps.training.families.fitted import SEED, Laws, Say

FIT_UNTIL = 0.75  # of the log's time
HONEST = 0.2  # share of the honest rows that are looked at
USERS = {"payments": 120, "fdh": 150}
ROUNDS = 150
WORDS = {
    "grocery": "Groceries", "gas_transport": "Transport", "food_dining": "Restaurants", "health_fitness": "Health",
    "travel": "Travel", "entertainment": "Entertainment", "home": "Utilities",
}  # fmt: skip


class Transfer(NamedTuple):
    """ROC AUC on a log's last quarter: of the simulator's model, and of one trained on the log."""

    rows: int
    frauds: int
    simulator: float
    trained_there: float


def measured(model: LoadedModel, folder: Path, say: Say = print) -> dict[str, Transfer]:
    """Each log that is in the folder. Raises OSError for one that can't be read."""
    found = {}
    for name, (file, told) in LOGS.items():
        if (folder / file).exists():
            found[name] = _measured(model, told(pd.read_parquet(folder / file)))
            say(f"{name}: {found[name]}")
    return found


def _measured(model: LoadedModel, frame: pd.DataFrame) -> Transfer:
    rows = data.rows(CARD_ACTIVITY, frame)
    random = np.random.default_rng(SEED)
    looked_at = rows.label | (random.random(len(rows.label)) < HONEST)
    features = replay.features(CARD_ACTIVITY, rows, wanted=looked_at)
    early = rows.at_ms < rows.at_ms[0] + FIT_UNTIL * (rows.at_ms[-1] - rows.at_ms[0])
    fit, last = early & looked_at, ~early & looked_at
    label = rows.label[last]
    return Transfer(
        int(last.sum()),
        int(label.sum()),
        round(float(roc_auc_score(label, model.margins(features[last]))), 4),
        round(float(roc_auc_score(label, _trained(features[fit], rows.label[fit]).predict(features[last]))), 4),
    )


def _trained(features: np.ndarray, label: np.ndarray) -> lightgbm.Booster:
    params = {
        "objective": "binary", "verbosity": -1, "seed": SEED, "num_threads": 2, "learning_rate": 0.08,
        "monotone_constraints": list(Laws.of(CARD_ACTIVITY).directions), "monotone_constraints_method": "intermediate",
    }  # fmt: skip
    return lightgbm.train(params, lightgbm.Dataset(features, label), ROUNDS)


def _payments(log: pd.DataFrame) -> pd.DataFrame:
    """Payments of some users: a credit card at home, shown or only its number told."""
    log = _of_some(log, "user_id", USERS["payments"])
    method = np.where(log["card_present"].astype(bool), "PIN", "CVV")
    category = log["merchant_category"].map(WORDS).fillna("Shopping")
    return _told(log["user_id"], log["merchant_id"], log["timestamp"], log["amount"], category, method, log["is_fraud"])


def _fdh(log: pd.DataFrame) -> pd.DataFrame:
    """The handbook's stream: customers at terminals."""
    log = _of_some(log, "CUSTOMER_ID", USERS["fdh"])
    count = len(log)
    return _told(
        log["CUSTOMER_ID"], log["TERMINAL_ID"], log["TX_DATETIME"], log["TX_AMOUNT"], np.full(count, "Shopping"),
        np.full(count, "PIN"), log["TX_FRAUD"],
    )  # fmt: skip


def _of_some(log: pd.DataFrame, user: str, count: int) -> pd.DataFrame:
    users = np.sort(log[user].unique())
    chosen = np.random.default_rng(SEED).choice(users, min(count, len(users)), replace=False)
    return log[log[user].isin(chosen)]


def _told(
    user: pd.Series, merchant: pd.Series, when: pd.Series, usd: pd.Series, category: np.ndarray, method: np.ndarray,
    fraud: pd.Series,
) -> pd.DataFrame:  # fmt: skip
    """A log as card activity, with what a sender counts; of devices, places and journeys it knows nothing."""
    time = pd.to_datetime(when, utc=True).dt.tz_localize(None)
    frame = pd.DataFrame(
        {
            "User_ID": pd.factorize(user)[0] + 1,
            "Merchant_ID": pd.factorize(merchant)[0] + 1,
            "Timestamp": time.to_numpy(),
            "Transaction_Amount": np.maximum(usd.to_numpy(float), 0.01),
            "Transaction_Category": np.asarray(category, dtype=object),
            "Authentication_Method": np.asarray(method, dtype=object),
            "is_fraud": fraud.to_numpy(int),
        }
    ).sort_values(["User_ID", "Timestamp"], kind="stable", ignore_index=True)
    by_user = frame.groupby("User_ID")["Timestamp"]
    minutes = by_user.diff().dt.total_seconds().fillna(0.0) / 60.0
    at = frame["Timestamp"]
    return frame.assign(
        Device_ID=frame["User_ID"],
        Transaction_Location="USA",
        Card_Type="Credit",
        Transaction_Currency="USD",
        Transaction_Status="Completed",
        Previous_Transaction_Count=by_user.cumcount(),
        Distance_Between_Transactions_km=0.0,
        Time_Since_Last_Transaction_min=minutes,
        Transaction_Velocity=1.0,
        Transaction_Hour=at.dt.hour,
        Transaction_Day=at.dt.day,
        Transaction_Month=at.dt.month,
        Transaction_Weekday=at.dt.weekday,
    )


LOGS: Mapping[str, tuple[str, Callable[[pd.DataFrame], pd.DataFrame]]] = {
    "payments": ("payments_2019-01_2020-06.parquet", _payments),
    "fdh": ("fdh_cards_2018-04-01_2018-08-07.parquet", _fdh),
}
