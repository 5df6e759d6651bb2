"""What files tell at /metrics: how many of their rows were done with, and what became of them."""

import numpy as np
from prometheus_client import Counter

from apps.scoring.engine.block import BlockDecisions
from apps.scoring.serving.metrics import count_block

ROWS = Counter("palisade_batch_rows_total", "Rows of files that are done with", ["outcome"])
OUTCOMES = ("decided", "duplicate", "problem")
for _outcome in OUTCOMES:
    ROWS.labels(_outcome)  # told from the beginning, so that the first ones are seen as a rise


def count_rows(decided: BlockDecisions, rows: np.ndarray, tier: str, duplicates: int, problems: int) -> None:
    """Count a chunk that is committed: its decided rows by their places in the block, and how many were not."""
    count_block(decided, rows, tier)
    for outcome, number in zip(OUTCOMES, (len(rows), duplicates, problems), strict=True):
        ROWS.labels(outcome).inc(number)
