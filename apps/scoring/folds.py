"""Roll-ups of decisions by month (outcomes: by day), and how a month of each is added up. `months.py` says when.

Parties are not among them: a person is in the sketches of days alone.
"""

from typing import Any

import numpy as np

from apps.periods import Period
from apps.roll_ups import RollUp
from apps.scoring import tallies
from apps.scoring.models import FeatureDay, FeatureMonth
from apps.scoring.months import Fold, Subject
from apps.scoring.tallies import OUTCOMES, PATTERNS, RULES, SCORES


def _by_month(roll_up: RollUp, table: str, *keys: str) -> Fold:
    return Fold(tallies.DECISIONS, roll_up.table, "day", table, "month", keys, roll_up.sums)


#: Hours by day: what is drawn of a year has a point a day.
_HOURS = (
    "(SELECT livemode, hour, (hour AT TIME ZONE 'UTC')::date AS day, schema, recommended_action, decisions, fraud"
    " FROM scoring_outcomehour)"
)
OUTCOME_DAYS = Fold(
    tallies.DECISIONS, _HOURS, "hour", "scoring_outcomeday", "day", ("recommended_action",), OUTCOMES.sums
)
SCORE_MONTHS = _by_month(SCORES, "scoring_scoremonth", "percent")
PATTERN_MONTHS = _by_month(PATTERNS, "scoring_patternmonth", "dimension", "word")
RULE_MONTHS = _by_month(RULES, "scoring_rulemonth", "rule", "other")

_OF = ("livemode", "schema", "model", "reference")


def add_up_features(cursor: Any, month: Period) -> None:
    """Write the histograms of a month anew; in its tenant's schema."""
    first = month.start.date()
    days = FeatureDay.objects.filter(livemode__in=(True, False), day__gte=first, day__lt=month.end.date())
    sums: dict[tuple[Any, ...], tuple[np.ndarray, int]] = {}
    for *of, counts, decisions in days.values_list(*_OF, "counts", "decisions").iterator():
        known, so_far = sums.get(tuple(of), (0, 0))
        sums[tuple(of)] = (known + np.frombuffer(counts, "<i8"), so_far + decisions)
    FeatureMonth.objects.filter(month=first).delete()
    FeatureMonth.objects.bulk_create(
        FeatureMonth(month=first, counts=counts.tobytes(), decisions=decisions, **dict(zip(_OF, of, strict=True)))
        for of, (counts, decisions) in sums.items()
    )


#: Every decision is counted by the hour, so the first hour is the first there is.
DECISIONS = Subject(
    tallies.DECISIONS,
    "SELECT min(hour) FROM (SELECT min(hour) AS hour FROM scoring_outcomehour WHERE livemode"
    " UNION ALL SELECT min(hour) FROM scoring_outcomehour WHERE NOT livemode) modes",
    (*(fold.add_up for fold in (OUTCOME_DAYS, SCORE_MONTHS, PATTERN_MONTHS, RULE_MONTHS)), add_up_features),
)
