"""What a model in shadow would have said, held against what decided: on the same decisions, by what became known.

    decisions since it went into shadow ─► both scores and what is known, counted by bins ─► quality of both, the
    difference with its interval ─► kept with the model ─► where the tenant stated conditions and they hold: promoted

Known is what a label says; where none does, a decision older than the maturity was legitimate, as in training. What is
younger says nothing yet, and its share is told. A decision counts by its probability: rules are left aside.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Annotated, Any, NamedTuple

import msgspec
import numpy as np
from django.db import connection
from msgspec import Meta

from apps import times
from apps.accounts.models import Tenant
from apps.accounts.tenancy import in_tenant
from apps.analytics.intervals import RESAMPLES, SEED, Interval, average_precision, wilson
from apps.api_keys.gate import Gate
from apps.notifications.services import notify
from apps.own_models import services
from apps.own_models.services import NotNow, PromoteWhen
from apps.scoring.models import OwnModel

State = OwnModel.State
#: Who promotes where conditions hold: in the audit trail and as the one who published.
ACTOR = "stated conditions"
#: A model that was trained without a word on maturity, and whose card says none.
USUAL_MATURITY_DAYS = 30.0
#: Log odds are counted in bins, so that the memory is that of the bins, not of the decisions.
LEAST_ODDS, MOST_ODDS, BINS = -16.5, 16.5, 1_650
DIGITS = 6
_CELLS = f"""
WITH said AS (
    SELECT decision.id, decision.created_at, decision.fraud_probability AS champion,
           (one ->> 'fraud_probability')::float8 AS shadow
    FROM scoring_decision AS decision, jsonb_array_elements(decision.shadows) AS one
    WHERE decision.livemode = %(livemode)s AND decision.schema = %(schema)s AND decision.shadows IS NOT NULL
      AND decision.created_at >= %(since)s AND decision.created_at < %(now)s
      AND decision.fraud_probability IS NOT NULL AND one ->> 'model' = %(model)s
)
SELECT width_bucket(ln(greatest(champion, 1e-7) / greatest(1 - champion, 1e-7)), {LEAST_ODDS}, {MOST_ODDS}, {BINS}),
       width_bucket(ln(greatest(shadow, 1e-7) / greatest(1 - shadow, 1e-7)), {LEAST_ODDS}, {MOST_ODDS}, {BINS}),
       champion >= %(review_at)s, shadow >= %(review_at)s,
       CASE WHEN label.label IS NOT NULL THEN (label.label = 'fraud')::int
            WHEN said.created_at < %(mature)s THEN 0 ELSE -1 END AS known,
       count(*)
FROM said LEFT JOIN review_label AS label ON label.decision_id = said.id AND label.holds AND label.known_at <= %(now)s
GROUP BY 1, 2, 3, 4, 5
"""


class ShadowQuality(msgspec.Struct, frozen=True):
    """How one of the two did. Flagged is what its probability would have sent to review, by the policy in force."""

    average_precision: float | None
    precision: Annotated[float | None, Meta(description="Of what it flags, the share that is fraud.")]
    recall: Annotated[float | None, Meta(description="Of the frauds, the share it flags.")]
    flagged: int
    intervals_95: dict[str, Interval | None]


class ShadowDifference(msgspec.Struct, frozen=True):
    """Average precision of the model less that of what decided, decisions drawn anew for both alike."""

    average_precision: float
    interval_95: Interval


class ShadowReport(msgspec.Struct, frozen=True):
    """A model in shadow beside what decided, on the same decisions."""

    at: str
    since: str
    decisions: Annotated[int, Meta(description="Those that both scored.")]
    known: Annotated[int, Meta(description="Labelled, or older than the maturity: these are compared.")]
    frauds: int
    immature: Annotated[float | None, Meta(description="Share of the decisions of which nothing is known yet.")]
    maturity_days: float
    review_at: float
    shadow: ShadowQuality
    champion: ShadowQuality
    difference: ShadowDifference | None
    better_beyond_interval: bool


class Cells(NamedTuple):
    """Decisions that are alike: bins of both scores int[n], whether both flag bool[n], what is known int[n] (1 fraud,
    0 legitimate, -1 nothing yet), and how many int[n]."""

    champion: np.ndarray
    shadow: np.ndarray
    champion_flags: np.ndarray
    shadow_flags: np.ndarray
    known: np.ndarray
    decisions: np.ndarray


def compare_all(now: datetime, gate: Gate) -> int:
    """Compare every model in shadow, and promote those whose stated conditions hold; how many were promoted.

    Harmless when repeated.
    """
    tenants = Tenant.objects.filter(closed_at=None, suspended_at=None).order_by("pk")
    return sum(_compare(tenant, model, now, gate) for tenant in tenants for model in _in_shadow(tenant))


def compare(tenant: Tenant, model: OwnModel, now: datetime) -> ShadowReport | None:
    """Compare a model that is in shadow with what decided since, and keep what came of it; None of any other."""
    if model.state != State.SHADOW or model.shadow_at is None:
        return None
    review_at, maturity = services.policy_of(tenant).review_at, maturity_of(model)
    with in_tenant(tenant):
        cells = _read(model, now, review_at, now - timedelta(days=maturity))
        found = report(cells, at=now, since=model.shadow_at, maturity_days=maturity, review_at=review_at)
        OwnModel.objects.filter(pk=model.pk).update(shadow_report=msgspec.to_builtins(found))
    return found


def maturity_of(model: OwnModel) -> float:
    """After how many days a decision that nobody called a fraud was none."""
    measured = (model.card or {}).get("data", {}).get("maturity_days")
    return float(model.maturity_days or measured or USUAL_MATURITY_DAYS)


def conditions_hold(asked: PromoteWhen, found: ShadowReport, since: datetime, now: datetime) -> bool:
    """Whether what was stated of a model in shadow is so; better beyond the interval it always has to be."""
    is_long_enough = now - since >= timedelta(days=asked.days)
    return is_long_enough and found.frauds >= asked.frauds and found.better_beyond_interval


# --- reckoning --------------------------------------------------------------------------------------------------------


def report(cells: Cells, *, at: datetime, since: datetime, maturity_days: float, review_at: float) -> ShadowReport:
    """What the counts come to. Pure."""
    decisions, known = int(cells.decisions.sum()), cells.known >= 0
    mine = Cells(*(column[known] for column in cells))
    drawn = [_histograms(mine, draw) for draw in _draws(mine.decisions)] if (mine.known == 1).any() else []
    precisions = np.array([[_precision(*side) for side in sides] for sides in drawn])
    compared = int(mine.decisions.sum())
    champion, shadow = (_precision(*side) for side in _histograms(mine, mine.decisions))
    difference = _difference(shadow - champion, precisions) if len(precisions) else None
    return ShadowReport(
        at=times.rfc3339(at),
        since=times.rfc3339(since),
        decisions=decisions,
        known=compared,
        frauds=int(mine.decisions[mine.known == 1].sum()),
        immature=round(1 - compared / decisions, DIGITS) if decisions else None,
        maturity_days=maturity_days,
        review_at=review_at,
        shadow=_quality(mine, mine.shadow_flags, shadow, precisions[:, 1] if len(precisions) else None),
        champion=_quality(mine, mine.champion_flags, champion, precisions[:, 0] if len(precisions) else None),
        difference=difference,
        better_beyond_interval=difference is not None and difference.interval_95[0] > 0.0,
    )


def _draws(count: np.ndarray) -> Iterator[np.ndarray]:
    """The decisions drawn anew: Poisson's bootstrap of the counts, seeded."""
    chance = np.random.default_rng(SEED)
    return (chance.poisson(count) for _ in range(RESAMPLES))


def _histograms(cells: Cells, count: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Of what decided, and of the shadow: frauds and legitimate decisions by rising score, int[bins] each."""
    fraud = cells.known == 1
    return [
        tuple(np.bincount(bins[rows], count[rows], BINS + 2) for rows in (fraud, ~fraud))  # type: ignore[misc]
        for bins in (cells.champion, cells.shadow)
    ]


def _precision(frauds: np.ndarray, honest: np.ndarray) -> float:
    return float(average_precision(frauds, honest))


def _difference(found: float, drawn: np.ndarray) -> ShadowDifference:
    low, high = np.quantile(drawn[:, 1] - drawn[:, 0], (0.025, 0.975)).tolist()
    return ShadowDifference(round(found, DIGITS), (round(low, DIGITS), round(high, DIGITS)))


def _quality(cells: Cells, flags: np.ndarray, precision: float, drawn: np.ndarray | None) -> ShadowQuality:
    flagged, frauds = int(cells.decisions[flags].sum()), int(cells.decisions[cells.known == 1].sum())
    hits = int(cells.decisions[flags & (cells.known == 1)].sum())
    intervals: dict[str, Interval | None] = {"precision": wilson(hits, flagged), "recall": wilson(hits, frauds)}
    if drawn is not None:
        low, high = np.quantile(drawn, (0.025, 0.975)).tolist()
        intervals["average_precision"] = (low, high)
    told = {name: one and (round(one[0], DIGITS), round(one[1], DIGITS)) for name, one in intervals.items()}
    return ShadowQuality(
        average_precision=round(precision, DIGITS) if frauds else None,
        precision=round(hits / flagged, DIGITS) if flagged else None,
        recall=round(hits / frauds, DIGITS) if frauds else None,
        flagged=flagged,
        intervals_95=told,
    )


# --- state ------------------------------------------------------------------------------------------------------------


def _in_shadow(tenant: Tenant) -> list[OwnModel]:
    rows = [*services.all_of(tenant.schema_name, True), *services.all_of(tenant.schema_name, False)]
    return [model for model in rows if model.state == State.SHADOW]


def _read(model: OwnModel, now: datetime, review_at: float, mature: datetime) -> Cells:
    """Within the tenant."""
    asked: dict[str, Any] = {
        "livemode": model.livemode, "schema": model.schema, "since": model.shadow_at, "now": now, "model": model.pk,
        "review_at": review_at, "mature": mature,
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_CELLS, asked)
        rows = np.array(cursor.fetchall(), dtype=np.int64).reshape(-1, len(Cells._fields))
    champion, shadow, champion_flags, shadow_flags, known, decisions = rows.T
    return Cells(champion, shadow, champion_flags.astype(bool), shadow_flags.astype(bool), known, decisions)


def _compare(tenant: Tenant, model: OwnModel, now: datetime, gate: Gate) -> bool:
    """Compare one; True when it was promoted by what was stated."""
    found = compare(tenant, model, now)
    if found is None or model.promote_when is None or model.shadow_at is None:
        return False
    if not conditions_hold(msgspec.convert(model.promote_when, PromoteWhen), found, model.shadow_at, now):
        return False
    try:
        services.promote(tenant=tenant, model=model, gate=gate, now=now, actor=ACTOR)
    except NotNow:  # somebody took another step meanwhile
        return False
    key = f"model.promoted:{model.pk}:{now:%Y%m%d}"
    notify(tenant=tenant, kind="model.promoted", data=_told(model, found), key=key, now=now, livemode=model.livemode)
    return True


def _told(model: OwnModel, found: ShadowReport) -> dict[str, object]:
    """What a notification says, in the members of every notification of a model."""
    return services.told_of(model) | {
        "state": str(State.CHAMPION),
        "average_precision": found.shadow.average_precision,
        "shared_average_precision": found.champion.average_precision,
        "better_beyond_interval": found.better_beyond_interval,
    }
