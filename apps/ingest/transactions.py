"""Stored transactions: each is kept with the decisions made on it, as the facts they were made on."""

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet

from apps.accounts.tenancy import in_tenant
from apps.paging import Page, page_of
from apps.scoring.models import Decision
from apps.scoring.serving.decisions import ANSWERED

#: By what they are listed, newest first.
KEY = ("created_at", "id")
_COLUMNS = ("facts", *ANSWERED)


def listed(livemode: bool) -> QuerySet[Decision]:
    """The stored transactions of a mode; to be asked within their tenant."""
    return Decision.objects.filter(livemode=livemode).only(*_COLUMNS)


def page(
    tenant_schema: str, livemode: bool, filters: Mapping[str, Any], cursor: str | None, limit: int
) -> Page[Decision]:
    """One page, newest first. Raises `Problem` for a cursor that is not ours."""
    with in_tenant(tenant_schema):
        return page_of(listed(livemode).filter(**filters), KEY, cursor, limit)
