"""Stored decisions: one by id, one by transaction, a page of them. Reads of the tenant's schema, nothing else."""

import base64
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

import msgspec
from django.db.models import Count, Q, QuerySet
from django.db.models.functions import TruncDate

from apps.accounts.tenancy import in_tenant
from apps.errors import Problem
from apps.scoring.models import Decision
from apps.text import forbidden, spellings

MOST_A_PAGE = 100


class Page(NamedTuple):
    """Answers as they were given, newest first, and where the next page begins."""

    answers: list[bytes]
    next_cursor: str | None


def find(tenant_schema: str, livemode: bool, decision_id: str) -> Decision | None:
    with in_tenant(tenant_schema):
        return Decision.objects.filter(pk=decision_id, livemode=livemode).first()


def find_same_facts(tenant_schema: str, livemode: bool, schema: str, transaction_id: str, body: str) -> Decision | None:
    """The decision on a transaction id with these very facts, if there is one (used while Valkey can't say)."""
    with in_tenant(tenant_schema):
        ids = spellings(transaction_id)
        known = Decision.objects.filter(livemode=livemode, schema=schema, transaction_id__in=ids, body_hash=body)
        return known.order_by("created_at").first()


def page(tenant_schema: str, livemode: bool, filters: Mapping[str, Any], cursor: str | None, limit: int) -> Page:
    """One page by keyset: stable while new decisions arrive. Raises `Problem` for a cursor that is not ours."""
    with in_tenant(tenant_schema):
        rows = Decision.objects.filter(livemode=livemode, **filters).order_by("-created_at", "-id")
        found = list(_after(rows, cursor).values_list("answer", "created_at", "id")[: limit + 1])
    shown, more = found[:limit], len(found) > limit
    return Page([answer.encode() for answer, _, _ in shown], cursor_of(shown[-1][1], shown[-1][2]) if more else None)


def cursor_of(created_at: datetime, decision_id: str) -> str:
    """Where a page ended, as one opaque word."""
    return base64.urlsafe_b64encode(msgspec.json.encode([created_at.isoformat(), decision_id])).decode().rstrip("=")


def _after(rows: QuerySet[Decision], cursor: str | None) -> QuerySet[Decision]:
    if cursor is None:
        return rows
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        said, decision_id = msgspec.json.decode(base64.urlsafe_b64decode(padded), type=tuple[str, str])
        found = datetime.fromisoformat(said)
        moment = found.astimezone(UTC)  # Postgres knows no offset beyond 16 hours
    except (ValueError, OverflowError, msgspec.DecodeError) as wrong:
        raise Problem("cursor_invalid", param="cursor") from wrong
    if found.tzinfo is None or forbidden(decision_id):
        raise Problem("cursor_invalid", param="cursor")
    return rows.filter(Q(created_at__lt=moment) | Q(created_at=moment, id__lt=decision_id))


def count_by_day(tenant_schema: str, start: date, end: date) -> dict[date, int]:
    """Decisions stored per UTC day, live and test."""
    with in_tenant(tenant_schema):
        first, last = (datetime.combine(day, datetime.min.time(), UTC) for day in (start, end))
        rows = Decision.objects.filter(created_at__gte=first, created_at__lt=last)
        counted = rows.annotate(day=TruncDate("created_at", tzinfo=UTC)).values("day").annotate(all=Count("id"))
        return {row["day"]: row["all"] for row in counted}
