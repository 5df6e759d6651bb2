"""`POST /predict` serves three interfaces and tells their bodies apart by the wrapper."""

from collections.abc import Mapping
from typing import Any

from apps.errors import Problem
from apps.scoring.dialects import commercial, enterprise, hybrid
from apps.scoring.dialects.requests import Single

WRAPPERS: Mapping[str, Single] = {"transaction_data": commercial, "payload": hybrid}
SHAPES = (
    '{"transaction_data": {…}} (Commercial), {"payload": {…}} (Hybrid), '
    "or the transaction's fields at the top with amount, user_id and merchant_id (Enterprise)"
)


def dialect_of(body: dict[str, Any]) -> Single:
    """The interface a body belongs to. Raises `Problem` (422) naming the three shapes."""
    for wrapper, dialect in WRAPPERS.items():
        if wrapper in body:
            return dialect
    if body.keys() & enterprise.RECOGNISED_BY:
        return enterprise
    raise Problem("shape_unknown", f"The body fits no known shape: {SHAPES}.")
