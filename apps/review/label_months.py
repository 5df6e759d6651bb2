"""Labels that hold by the month of their decisions: what models are worth over a year, and how long labels took.

Whoever adds, corrects or removes labels says so (`changed`) in the same transaction; see `apps/scoring/months.py`.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from apps.periods import Period
from apps.scoring import months
from apps.scoring.months import Fold, Subject

LABELS = "labels"
#: Scores are counted in bins of half a percent; what has none is in a bin of its own.
BINS, NO_SCORE = 200, -1
_HELD = f"""(
    SELECT livemode, decided_at, schema, model_name || '@' || model_version AS model, label = 'fraud' AS fraud,
           recommended_action <> 'approve' AS caught,
           coalesce(least(floor({BINS} * fraud_probability), {BINS - 1})::int, {NO_SCORE}) AS bin,
           1 AS labels, amount, coalesce(amount_lost::float8, amount) AS lost
    FROM review_label WHERE holds)"""
_TOOK = """(
    SELECT livemode, decided_at, schema, 1 AS labels,
           (known_at AT TIME ZONE 'UTC')::date - (decided_at AT TIME ZONE 'UTC')::date AS days
    FROM review_label WHERE holds)"""

LABEL_MONTHS = Fold(
    LABELS, _HELD, "decided_at", "review_labelmonth", "month", ("model", "fraud", "caught", "bin"),
    {"labels": "bigint", "amount": "float8", "lost": "float8"},
)  # fmt: skip
DELAY_MONTHS = Fold(LABELS, _TOOK, "decided_at", "review_delaymonth", "month", ("days",), {"labels": "bigint"})
SUBJECT = Subject(
    LABELS, "SELECT min(decided_at) FROM review_label WHERE holds", (LABEL_MONTHS.add_up, DELAY_MONTHS.add_up)
)


def changed(cursor: Any, tenant_schema: str, decided_at: Iterable[datetime]) -> None:
    """Say that labels of decisions of these times were written or removed in this transaction."""
    months.changed(cursor, tenant_schema, LABELS, {Period.of(moment) for moment in decided_at})
