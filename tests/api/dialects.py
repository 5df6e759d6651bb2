"""One good request of each of the older interfaces, for tests that try them all."""

import json
from pathlib import Path
from typing import Any, NamedTuple

_DOCUMENTED = {
    example["id"]: example for example in json.loads((Path(__file__).parent.parent / "examples.json").read_text())
}


class Request(NamedTuple):
    """`rows`, `answers`: where the transactions and their answers stand; "" when there is but one."""

    path: str
    body: dict[str, Any]
    rows: str = ""
    answers: str = ""

    def transactions(self) -> list[dict[str, Any]]:
        return self.body[self.rows] if self.rows else [self.body]


def _documented(name: str, rows: str = "", answers: str = "") -> Request:
    example = _DOCUMENTED[name]
    return Request(example["path"], example["body"], rows, answers)


COMMERCIAL = _documented("commercial_single")
COMMERCIAL_BATCH = _documented("commercial_batch", "transactions", "predictions")
HYBRID = _documented("hybrid_account_drained")
ENTERPRISE = _documented("enterprise_single")
ENTERPRISE_BATCH = _documented("enterprise_batch", "transactions", "results")
GATEWAY = _documented("gateway_score", "transactions", "results")
DETECT = _documented("multimodel_detect_random_forest")
ENSEMBLE = _documented("multimodel_ensemble")

ALL = {
    "commercial": COMMERCIAL,
    "commercial batch": COMMERCIAL_BATCH,
    "hybrid": HYBRID,
    "enterprise": ENTERPRISE,
    "enterprise batch": ENTERPRISE_BATCH,
    "gateway": GATEWAY,
    "detect": DETECT,
    "ensemble": ENSEMBLE,
}
BATCHES = {name: one for name, one in ALL.items() if one.rows}
