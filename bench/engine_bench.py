"""What each step of one decision costs, in µs: the best of many short runs, as a busy neighbour slows any one.

python -m bench.engine_bench [SCHEMA...]
"""

import random
import sys
from collections.abc import Callable
from pathlib import Path
from timeit import repeat
from typing import Any

import msgspec
import numpy as np

from apps.scoring.engine.decide import Policy
from apps.scoring.engine.engine import ENSEMBLE, Engine
from apps.scoring.engine.explain import reasons
from apps.scoring.engine.history import Replay, unknown
from apps.scoring.engine.models import LoadedModel, load_active
from apps.scoring.engine.rules import evaluate
from apps.scoring.engine.schemas import SCHEMAS
from bench.transactions import MAKERS

ARTIFACTS = Path(__file__).resolve().parents[1] / "ml_artifacts"
NOW_MS = 1_780_000_000_000
RUNS, REPEATS = 1000, 7
FEW, MANY = 3, 256  # earlier events of every party


def micros(work: Callable[[], Any], runs: int = RUNS) -> float:
    return min(repeat(work, number=runs, repeat=REPEATS)) / runs * 1e6


def steps(name: str) -> dict[str, float]:
    """Step → µs."""
    schema, policy, models = SCHEMAS[name], Policy(), load_active(ARTIFACTS, name)
    model = next(iter(models.values()))
    if not isinstance(model, LoadedModel):
        raise model
    engine = Engine({name: models})
    body = msgspec.json.encode(MAKERS[name](random.Random(1)))
    parsed = schema.parse(body, NOW_MS)
    few, many = (_past(name, events) for events in (FEW, MANY))
    activity = few()
    pasts = [activity.get(role.name, unknown(role)) for role in schema.roles]
    row = schema.row(parsed.transaction, parsed.at_ms, pasts)
    features = np.array([row], dtype=np.float32)
    added = model.contributions(features)[0]
    return {
        "parse (JSON to facts)": micros(lambda: schema.parse(body, NOW_MS)),
        f"history, {FEW} earlier events a party": micros(few),
        f"history, {MANY} earlier events a party": micros(many, 300),
        "features": micros(lambda: schema.row(parsed.transaction, parsed.at_ms, pasts)),
        "rules": micros(lambda: evaluate(schema.rules, schema.values(parsed.facts, row))),
        "model": micros(lambda: model.score(features)),
        "contributions": micros(lambda: model.contributions(features)),
        "reasons": micros(lambda: reasons(schema, parsed.transaction, row, added)),
        "Engine.decide, champion": micros(lambda: engine.decide(name, parsed, activity, policy)),
        "Engine.decide, ensemble": micros(lambda: engine.decide(name, parsed, activity, policy, ENSEMBLE)),
        "decide_many, per row of 1,000": micros(
            lambda: engine.decide_many(name, [parsed] * 1000, [activity] * 1000, policy), 3
        ) / 1000,
    }  # fmt: skip


def _past(name: str, events: int) -> Callable[[], Any]:
    """A look at the pasts of a transaction's parties, each with so many earlier events."""
    schema, chance = SCHEMAS[name], random.Random(1)
    replay = Replay(schema.roles)
    parsed = schema.parse(MAKERS[name](chance), NOW_MS)
    parties, amount = schema.parties(parsed.transaction), schema.amount(parsed.transaction)
    for number in range(events):
        replay.remember(parties, parsed.at_ms - (events - number) * 60_000, amount * chance.random(), number + 1)
    return lambda: replay.look(parties, parsed.at_ms, 0)


if __name__ == "__main__":
    for schema in sys.argv[1:] or SCHEMAS:
        print(schema)
        for step, cost in steps(schema).items():
            print(f"  {step:38} {cost:8.1f} µs")
