"""What would have turned a decision: milliseconds of the search, by schema, champion and ensemble.

    python -m bench.counterfactuals [--decisions 150]

Random transactions with a past each, under thresholds that nearly none passes; of each the best of three.
"""

import argparse
import os
import statistics
import time
from collections.abc import Iterator
from random import Random


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--decisions", type=int, default=150)
    given = asked.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.api")
    import django

    django.setup()
    from apps.scoring.engine.asking import ENSEMBLE
    from apps.scoring.engine.schemas import SCHEMAS

    print("| schema | asked | decisions | median | p95 | most (≤ 20 ms) |\n|---|---|---|---|---|---|")
    for name in SCHEMAS:
        for model in (None, ENSEMBLE):
            took = sorted(_searched(name, model, given.decisions))
            p95 = took[int(0.95 * len(took))]
            figures = f"{statistics.median(took):.1f} ms | {p95:.1f} ms | {took[-1]:.1f} ms"
            print(f"| `{name}` | {model or 'champion'} | {len(took)} | {figures} |", flush=True)


def _searched(name: str, model: str | None, number: int) -> Iterator[float]:
    """What each search took, ms."""
    from apps.scoring.engine.decide import Policy
    from apps.scoring.engine.schemas import SCHEMAS
    from tests.scoring.engine.generated import parsed, pasts
    from tests.scoring.engine.test_counterfactuals import decide, found_of, past_of

    schema, random, policy = SCHEMAS[name], Random(5), Policy(review_at=0.0005, block_at=0.05)
    for one in parsed(schema, number, random):
        made = decide(name, one, past_of(schema, one, pasts(schema, random)), policy, model)
        if made.recommended_action == "approve":
            continue
        times = []
        for _ in range(3):
            begun = time.perf_counter()
            found_of(schema, one, made, policy, model)
            times.append(1_000 * (time.perf_counter() - begun))
        yield min(times)


if __name__ == "__main__":
    main()
