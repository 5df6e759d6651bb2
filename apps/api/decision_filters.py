"""Asking for a page of decisions: which filters there are and what they take, declared once."""

from typing import Any, get_args

from django.http import HttpRequest

from apps.api.list_filters import Filters, asked_for, named, time, words
from apps.scoring.engine.decide import Action, RiskLevel
from apps.scoring.engine.schemas import SCHEMAS

FILTERS: Filters = {
    "schema": words("schema", "Only this kind of transaction.", tuple(SCHEMAS)),
    "status": words("status", "Only these.", ("new", "superseding")),
    "risk_level": words("risk_level", "Only this level.", get_args(RiskLevel)),
    "recommended_action": words("recommended_action", "Only this action.", get_args(Action)),
    "transaction_id": named("transaction_id", "Only decisions on this transaction."),
    "created_after": time("created_at__gte", "From this time on."),
    "created_before": time("created_at__lt", "Before this time."),
}


def filters_of(request: HttpRequest) -> tuple[int, str | None, dict[str, Any]]:
    """(limit, cursor, filters) of a query string. Raises `Problem` naming the parameter."""
    return asked_for(request, FILTERS)
