"""The peer of `make bench-batch`: pandas and xgboost as a script is usually written. It reads, scores and writes.

    python -m bench.batch_peer FILE OUT

It runs the very model Palisade ships, on both cores. Its features are Palisade's own of the columns alone: no history,
no checks, no reasons, no rules; the file is held whole.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from xgboost import Booster

from apps.scoring.engine.block_pasts import Unknown
from apps.scoring.engine.schemas.paysim import PAYSIM
from apps.scoring.engine.values import Columns
from bench.peer import ARTIFACTS


def main(file: Path, out: Path) -> None:
    """Read, score, write."""
    frame = pd.read_csv(file)
    probability = 1.0 / (1.0 + np.exp(-_booster().inplace_predict(features(frame), predict_type="margin")))
    frame["fraud_probability"] = probability
    frame.to_csv(out, index=False)


def features(frame: pd.DataFrame) -> np.ndarray:
    """float32[n, F]: the model's features, of a past that is not known."""
    columns = Columns(lambda name: frame[name].to_numpy())
    pasts = [Unknown(len(frame))] * len(PAYSIM.roles)
    return PAYSIM.block(columns, np.zeros(len(frame)), pasts).astype(np.float32)


def _booster() -> Booster:
    booster = Booster()
    booster.load_model(ARTIFACTS / Path((ARTIFACTS / "ACTIVE").read_text().split()[0]) / "model.ubj")
    booster.set_param({"nthread": 2})
    return booster


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
