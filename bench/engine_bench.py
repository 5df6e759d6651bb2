"""What each step of one PaySim decision costs, in µs: the best of many short runs, as a busy neighbour slows any one.

python -m bench.engine_bench
"""

from collections.abc import Callable
from pathlib import Path
from timeit import repeat
from typing import Any

import msgspec
import numpy as np

from apps.scoring.engine.decide import Policy
from apps.scoring.engine.engine import Engine
from apps.scoring.engine.explain import reasons
from apps.scoring.engine.history import KEPT, QUIET, pack, summarise
from apps.scoring.engine.models import LoadedModel, load_active
from apps.scoring.engine.rules import evaluate
from apps.scoring.engine.schemas import SCHEMAS

ARTIFACTS = Path(__file__).resolve().parents[1] / "ml_artifacts"
DRAINED = {
    "transaction_id": "t1", "step": 372, "type": "TRANSFER", "amount": 180000.0, "nameOrig": "C1", "nameDest": "C2",
    "oldbalanceOrg": 180000.0, "newbalanceOrig": 0.0, "oldbalanceDest": 50000.0, "newbalanceDest": 230000.0,
}  # fmt: skip
RUNS, REPEATS = 2000, 7


def micros(work: Callable[[], Any], runs: int = RUNS) -> float:
    return min(repeat(work, number=runs, repeat=REPEATS)) / runs * 1e6


def steps() -> dict[str, float]:
    """Step → µs."""
    schema, policy = SCHEMAS["paysim"], Policy()
    models = load_active(ARTIFACTS, "paysim")
    model = models["xgboost"]
    if not isinstance(model, LoadedModel):
        raise model
    engine = Engine({"paysim": models})
    body, activity = msgspec.json.encode(DRAINED), {"nameOrig": QUIET, "nameDest": QUIET}
    parsed = schema.parse(body)
    row = schema.row(parsed.transaction, parsed.at_ms, [QUIET, QUIET])
    features = np.array([row], dtype=np.float32)
    added = model.contributions(features)[0]
    values = schema.values(parsed.facts, row)
    few, full = (b"".join(pack(372 * 3_600_000, 1.0, f"C{one}", one) for one in range(count)) for count in (3, KEPT))
    return {
        "parse (JSON to facts)": micros(lambda: schema.parse(body)),
        "history, 2 parties of 3 events": 2 * micros(lambda: summarise(few, 372 * 3_600_000, 999)),
        "history, 2 parties of 256 events": 2 * micros(lambda: summarise(full, 372 * 3_600_000, 999), 500),
        "features": micros(lambda: schema.row(parsed.transaction, parsed.at_ms, [QUIET, QUIET])),
        "rules": micros(lambda: evaluate(schema.rules, schema.values(parsed.facts, row))),
        "rules alone": micros(lambda: evaluate(schema.rules, values)),
        "model": micros(lambda: model.score(features)),
        "contributions": micros(lambda: model.contributions(features)),
        "reasons": micros(lambda: reasons(schema, parsed.transaction, row, added)),
        "Engine.decide, all of it": micros(lambda: engine.decide("paysim", parsed, activity, policy)),
        "decide_many, per row of 1,000": micros(
            lambda: engine.decide_many("paysim", [parsed] * 1000, [activity] * 1000, policy), 3
        ) / 1000,
    }  # fmt: skip


if __name__ == "__main__":
    for step, cost in steps().items():
        print(f"{step:36} {cost:8.1f} µs")
