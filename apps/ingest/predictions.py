"""Predictions made elsewhere: kept beside ours, and held against them."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import Q

from apps.accounts.audit import record_audit
from apps.accounts.models import Tenant
from apps.accounts.tenancy import in_tenant
from apps.ingest.models import Prediction
from apps.notifications.models import new_id
from apps.paging import page_of
from apps.scoring.models import Decision
from apps.text import spellings

#: By what predictions are listed, newest first.
KEY = ("created_at", "id")
#: From this probability on a transaction counts as fraud, where its sender does not say.
FRAUD_FROM = 0.5


class GivenPrediction(NamedTuple):
    """A prediction as it was sent."""

    transaction_id: str
    model: str
    model_version: str
    fraud_probability: float
    is_fraud: bool
    predicted_at: datetime


class Ours(NamedTuple):
    """Our last decision on the same transaction."""

    id: str
    transaction_id: str
    fraud_probability: float | None
    risk_level: str
    recommended_action: str
    model_name: str
    model_version: str


class Compared(NamedTuple):
    """A prediction with our decision on the transaction, None when there is none."""

    row: Prediction
    ours: Ours | None

    @property
    def difference(self) -> float | None:
        """Theirs less ours."""
        known = self.ours is not None and self.ours.fraud_probability is not None
        return self.row.fraud_probability - self.ours.fraud_probability if known else None  # type: ignore[union-attr, operator]

    @property
    def agree(self) -> bool | None:
        """Whether both call it fraud, or both do not."""
        if self.ours is None or self.ours.fraud_probability is None:
            return None
        return self.row.is_fraud == (self.ours.fraud_probability >= FRAUD_FROM)


class ComparedPage(NamedTuple):
    rows: list[Compared]
    next_cursor: str | None


def keep(
    *, tenant: Tenant, livemode: bool, given: Sequence[GivenPrediction], now: datetime, actor: str
) -> list[Compared]:
    """Keep predictions, each in place of the same model's earlier one on the transaction. Harmless when repeated."""
    newest = {(one.transaction_id, one.model, one.model_version): one for one in given}
    rows = [
        Prediction(id=new_id("prd", now), created_at=now + timedelta(microseconds=number), livemode=livemode,
                   **one._asdict())
        for number, one in enumerate(newest.values())
    ]  # fmt: skip
    with in_tenant(tenant), transaction.atomic():
        Prediction.objects.bulk_create(
            rows,
            update_conflicts=True,
            unique_fields=["livemode", "transaction_id", "model", "model_version"],
            update_fields=["fraud_probability", "is_fraud", "predicted_at"],
        )
        record_audit(
            tenant=tenant, actor=actor, action="predictions.stored", target=tenant.handle,
            after={"predictions": len(rows)}, now=now,
        )  # fmt: skip
        kept = _kept(livemode, newest)
        ours = _ours(livemode, [row.transaction_id for row in kept.values()])
    found = [kept[one.transaction_id, one.model, one.model_version] for one in given]
    return [Compared(row, ours.get(row.transaction_id)) for row in found]


def page(
    tenant_schema: str, livemode: bool, filters: Mapping[str, Any], cursor: str | None, limit: int
) -> ComparedPage:
    """One page, newest first. Raises `Problem` for a cursor that is not ours."""
    with in_tenant(tenant_schema):
        found = page_of(Prediction.objects.filter(livemode=livemode, **filters), KEY, cursor, limit)
        ours = _ours(livemode, [row.transaction_id for row in found.rows])
    return ComparedPage([Compared(row, ours.get(row.transaction_id)) for row in found.rows], found.next_cursor)


def _kept(livemode: bool, newest: Iterable[tuple[str, str, str]]) -> dict[tuple[str, str, str], Prediction]:
    """The rows as they stand now, by transaction and model."""
    wanted = set(newest)
    rows = Prediction.objects.filter(livemode=livemode, transaction_id__in={name for name, _, _ in wanted})
    return {key: row for row in rows if (key := (row.transaction_id, row.model, row.model_version)) in wanted}


def _ours(livemode: bool, transaction_ids: Sequence[str]) -> dict[str, Ours]:
    """Our last decision on each of these transactions."""
    spelled = {spelling: name for name in transaction_ids for spelling in spellings(name)}
    rows = Decision.objects.filter(Q(transaction_id__in=list(spelled)), livemode=livemode)
    told = rows.order_by("created_at", "row", "id").values_list(*Ours._fields)
    return {spelled[one.transaction_id]: one for one in map(Ours._make, told)}
