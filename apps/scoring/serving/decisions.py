"""Stored decisions: one by id, one by transaction, a page of them. Reads of the tenant's schema, nothing else."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from django.db.models import Count, QuerySet
from django.db.models.functions import TruncDate

from apps.accounts.tenancy import in_tenant
from apps.paging import Page, page_of
from apps.scoring.models import LIKELIHOOD, Decision
from apps.text import spellings

#: By what decisions are listed, newest first.
KEY = ("created_at", "id")
#: The columns of which a decision's answer is made (`decision_formats.answer_of`).
ANSWERED = (
    "answer", "livemode", "schema", "transaction_id", "status", "fraud_probability", "risk_score", "risk_level",
    "recommended_action", "decisive", "policy_version", *KEY,
)  # fmt: skip


def find(tenant_schema: str, livemode: bool, decision_id: str) -> Decision | None:
    with in_tenant(tenant_schema):
        return Decision.objects.filter(pk=decision_id, livemode=livemode).first()


def find_same_facts(tenant_schema: str, livemode: bool, schema: str, transaction_id: str, body: str) -> Decision | None:
    """The decision on a transaction id with these very facts, if there is one (used while Valkey can't say)."""
    with in_tenant(tenant_schema):
        ids = spellings(transaction_id)
        known = Decision.objects.filter(livemode=livemode, schema=schema, transaction_id__in=ids, body_hash=body)
        return known.order_by("created_at").first()


def page(
    tenant_schema: str, livemode: bool, filters: Mapping[str, Any], cursor: str | None, limit: int
) -> Page[Decision]:
    """One page by keyset: stable while new decisions arrive. Raises `Problem` for a cursor that is not ours."""
    with in_tenant(tenant_schema):
        rows = Decision.objects.filter(livemode=livemode, **filters).only(*ANSWERED)
        return page_of(rows, KEY, cursor, limit)


def listed(livemode: bool) -> QuerySet[Decision]:
    """The decisions of a mode as lists show them, with their `likelihood`; to be asked within their tenant."""
    rows = Decision.objects.filter(livemode=livemode).only("amount", *ANSWERED)
    return rows.annotate(likelihood=LIKELIHOOD)


def count_by_day(tenant_schema: str, start: date, end: date) -> dict[date, int]:
    """Decisions stored per UTC day, live and test."""
    with in_tenant(tenant_schema):
        first, last = (datetime.combine(day, datetime.min.time(), UTC) for day in (start, end))
        rows = Decision.objects.filter(created_at__gte=first, created_at__lt=last)
        counted = rows.annotate(day=TruncDate("created_at", tzinfo=UTC)).values("day").annotate(all=Count("id"))
        return {row["day"]: row["all"] for row in counted}
