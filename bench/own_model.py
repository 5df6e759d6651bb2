"""A tenant's own model by the product's calls alone: decisions and labels in, train, shadow, promote; its worth.

    python -m bench.own_model --data FILE [--delay-days 7] [--play] [--families lightgbm …]

FILE is a labelled log (Parquet or CSV) with the columns of the fraud-detection handbook (TX_DATETIME, CUSTOMER_ID,
TERMINAL_ID, TX_AMOUNT, TX_FRAUD) or of the `payments` schema. It is played in as one tenant's decisions, a file by
`POST /v1/batches`; its frauds are labelled by `POST /v1/labels` as known so many days later. Told is what the model's
card says of its last four weeks.

`--play` keeps the last four weeks back: the model is trained on what comes before, promoted, and then asked for each of
their payments by `POST /v1/decisions/batch`, labels arriving as they become known; told is what was answered. Behind
that a model is trained on all of it, which its card measures on the same weeks: the online answers beside the offline
ones. `--parts N` plays the first part as so many files. `--keep FOLDER` keeps the log with the answers there.

Precision among the 100 riskiest cards a day is told twice: of each day by itself, and by the Fraud Detection Handbook's
rule, by which a card that was found on one day stands in no later day's list ("once").
"""

import argparse
import json
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from apps.training.metrics import Ranking
from apps.training.own.compare import Rows, riskiest_a_day
from bench.batch_jobs import asked
from bench.copy import Copy, running

NAMES = {
    "TRANSACTION_ID": "transaction_id", "TX_DATETIME": "timestamp", "CUSTOMER_ID": "user_id",
    "TERMINAL_ID": "merchant_id", "TX_AMOUNT": "amount", "TX_FRAUD": "is_fraud",
}  # fmt: skip
COLUMNS = ["transaction_id", "timestamp", "amount", "user_id", "merchant_id"]
AT_ONCE = 1_000  # rows of a call
#: All payments of a call know of the labels that had come when it began: a short call, as each of them alone would.
MINUTES_OF_A_CALL = 5
WEEKS = timedelta(days=28)
ENDED = ("candidate", "failed")


def read(path: Path) -> pd.DataFrame:
    """The log in order of time, by the schema's names."""
    log = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    log = log.rename(columns=NAMES)
    log["timestamp"] = pd.to_datetime(log["timestamp"], utc=True)
    log = log.sort_values("timestamp", kind="stable", ignore_index=True)
    ids = log["transaction_id"].astype(str) if "transaction_id" in log else "t" + log.index.astype(str)
    return log.assign(
        transaction_id=ids, user_id=log["user_id"].astype(str), merchant_id=log["merchant_id"].astype(str)
    )


def send(copy: Copy, key: str, path: str, body: Any) -> dict[str, Any]:
    request = urllib.request.Request(
        copy.api + path, json.dumps(body).encode(), {"X-API-Key": key, "Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=120) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def play_file(copy: Copy, key: str, log: pd.DataFrame, folder: Path) -> None:
    """A whole log by `POST /v1/batches`."""
    file = folder / "log.csv"
    moments = log["timestamp"].dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    log.assign(timestamp=moments)[COLUMNS].to_csv(file, index=False)
    request = urllib.request.Request(
        f"{copy.api}/v1/batches?schema=payments&explain=none", file.read_bytes(),
        {"X-API-Key": key, "Content-Type": "text/csv"},
    )  # fmt: skip
    with urllib.request.urlopen(request, timeout=600) as answer:
        name = json.load(answer)["id"]
    while (batch := asked(copy, key, f"/v1/batches/{name}"))["state"] in ("queued", "running"):
        time.sleep(2)
    require(batch["state"] == "completed", batch)
    say(f"played {batch['rows']['done']:,} decisions")


def label(copy: Copy, key: str, frauds: pd.DataFrame, delay: timedelta) -> None:
    """What became known of some frauds."""
    said = [
        {"transaction_id": name, "label": "fraud", "source": "chargeback", "known_at": (at + delay).isoformat()}
        for name, at in zip(frauds["transaction_id"], frauds["timestamp"], strict=True)
    ]
    for start in range(0, len(said), AT_ONCE):
        counts = send(copy, key, "/v1/labels", {"labels": said[start : start + AT_ONCE]})["counts"]
        require(not counts["error"], counts)


def trained(copy: Copy, key: str, families: list[str]) -> dict[str, Any]:
    """Train and wait; the model as it is told."""
    name = send(copy, key, "/v1/models/train", {"schema": "payments", "families": families})["id"]
    told = ""
    while (model := asked(copy, key, f"/v1/models/{name}"))["state"] not in ENDED:
        if model["progress"] != told:
            told = model["progress"]
            say(told)
        time.sleep(1)
    require(model["state"] == "candidate", model["failure"])
    return model


def play_calls(
    copy: Copy, key: str, log: pd.DataFrame, late: pd.DataFrame, delay: timedelta
) -> tuple[np.ndarray, pd.DataFrame]:
    """Payments by `POST /v1/decisions/batch` in order of time, labels as they become known; probabilities float64[n],
    and the frauds that were not known at the end.

    `late`: frauds of before that are not known yet.
    """
    found: list[float] = []
    waiting = pd.concat([late, log[log["is_fraud"] == 1]]).sort_values("timestamp")
    for calls in _calls(log):
        known = waiting["timestamp"] + delay <= calls["timestamp"].iloc[0]
        label(copy, key, waiting[known], delay)
        waiting = waiting[~known]
        rows = calls.assign(timestamp=calls["timestamp"].dt.strftime("%Y-%m-%dT%H:%M:%SZ"))[COLUMNS]
        body = {"schema": "payments", "transactions": rows.to_dict("records")}
        answer = send(copy, key, "/v1/decisions/batch", body)["data"]
        require({one["model"]["name"] for one in answer} == {"own"}, answer[0])
        found += [one["fraud_probability"] for one in answer]
    return np.array(found), waiting


def _calls(log: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """At most 1,000 payments of a few minutes each."""
    for _, some in log.groupby(log["timestamp"].dt.floor(f"{MINUTES_OF_A_CALL}min")):
        for start in range(0, len(some), AT_ONCE):
            yield some.iloc[start : start + AT_ONCE]


def figures(log: pd.DataFrame, probability: np.ndarray) -> dict[str, float]:
    """Average precision, precision among the 100 riskiest cards a day, and the same with each found once."""
    fraud = log["is_fraud"].to_numpy(bool)
    ranked = Ranking(fraud, probability)
    at_ms = log["timestamp"].to_numpy("datetime64[ms]").astype(np.int64)
    rows = Rows(fraud, at_ms, pd.factorize(log["user_id"])[0])
    return {
        "average_precision": ranked.metrics(np.ones(len(fraud)))["average_precision"],
        "precision_of_100_a_day": float(riskiest_a_day(rows, probability).mean()),
        "precision_of_100_a_day_once": float(riskiest_a_day(rows, probability, once=True).mean()),
        "mean_probability": float(probability.mean()),
        "rate_of_fraud": float(fraud.mean()),
    }


def weekly(log: pd.DataFrame, probability: np.ndarray) -> Iterator[tuple[str, dict[str, float]]]:
    """The figures of each week."""
    week = (log["timestamp"] - log["timestamp"].iloc[0].floor("D")) // timedelta(days=7)
    for number in sorted(week.unique()):
        mine = (week == number).to_numpy()
        yield f"week {number + 1}", figures(log[mine], probability[mine])


def require(holds: bool, else_told: Any) -> None:
    if not holds:
        raise RuntimeError(else_told)


def say(line: str) -> None:
    print(f"[{datetime.now(UTC):%H:%M:%S}] {line}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--delay-days", type=float, default=7.0)
    parser.add_argument("--play", action="store_true")
    parser.add_argument("--parts", type=int, default=1)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--families", nargs="+", default=["lightgbm"])
    options = parser.parse_args()
    log, delay = read(options.data), timedelta(days=options.delay_days)
    begins = log["timestamp"].iloc[-1].floor("D") + timedelta(days=1) - WEEKS if options.play else None
    before = log[log["timestamp"] < begins] if options.play else log
    with tempfile.TemporaryDirectory() as folder, running() as copy:
        copy.tenant_with_key("own-model")
        said = copy.manage("key_create", "--tenant", "own-model", "--scopes", "read,predict,batch,admin", "--json")
        key = json.loads(said)["key"]
        for part in np.array_split(np.arange(len(before)), options.parts):
            play_file(copy, key, before.iloc[part], Path(folder))
        frauds = before[before["is_fraud"] == 1]
        known = frauds["timestamp"] + delay < begins if options.play else frauds["is_fraud"] == 1
        label(copy, key, frauds[known], delay)
        say(f"labelled {int(known.sum()):,} frauds")
        model = tell(copy, key, trained(copy, key, options.families))
        for step in ("shadow", "promote"):
            state = send(copy, key, f"/v1/models/{model['id']}/{step}", {})["state"]
            say(f"{step}: {state}")
        if options.play:
            go_on(copy, key, log[log["timestamp"] >= begins], frauds[~known], delay, options)
    return 0


def tell(copy: Copy, key: str, model: dict[str, Any]) -> dict[str, Any]:
    print(json.dumps({"comparison": model["comparison"], "card": model["card"]}, indent=1))
    print(json.dumps(asked(copy, key, f"/v1/models/{model['id']}/stability")["report"], indent=1))
    return model


def go_on(
    copy: Copy, key: str, later: pd.DataFrame, late: pd.DataFrame, delay: timedelta, options: argparse.Namespace
) -> None:
    """The last weeks online, and then measured offline by a model trained on all."""
    answered, unlabelled = play_calls(copy, key, later, late, delay)
    say(f"of {len(later):,} payments answered: {json.dumps(figures(later, answered))}")
    for name, found in weekly(later, answered):
        say(f"{name}: {json.dumps(found)}")
    if options.keep:
        later.assign(probability=answered).to_parquet(options.keep / "answered.parquet")
    label(copy, key, unlabelled, delay)
    say("offline, on the same weeks:")
    tell(copy, key, trained(copy, key, options.families))


if __name__ == "__main__":
    sys.exit(main())
