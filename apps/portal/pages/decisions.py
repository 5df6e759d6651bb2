"""Decisions: found, read, explained."""

import json
from typing import Any

import msgspec
from django.http import Http404
from django.utils.dateparse import parse_date

from apps.accounts.models import Tenant
from apps.errors import Problem
from apps.portal.page import Page
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.serving import decisions
from apps.text import forbidden, spellings

A_PAGE = 25
LEVELS = ("low", "medium", "high", "critical")
ACTIONS = ("approve", "challenge", "review", "block")


def newest(tenant: Tenant, *, livemode: bool) -> dict[str, Any] | None:
    """The newest decision of a tenant, as it was answered."""
    found = decisions.page(tenant.schema_name, livemode, {}, None, 1).rows
    return msgspec.json.decode(found[0].answer) if found else None


class DecisionsPage(Page):
    """The decisions of this mode, newest first, by what was asked."""

    title, template = "Decisions", "portal/pages/decisions.html"

    def context(self, **kwargs: Any) -> dict[str, Any]:
        asked = {name: value.strip() for name, value in self.request.GET.dict().items() if value.strip()}
        cursor = asked.get("cursor")
        try:
            found = decisions.page(self.tenant.schema_name, self.livemode, _lookups(asked), cursor, A_PAGE)
        except Problem:  # the cursor of another page, or none of ours
            found = decisions.page(self.tenant.schema_name, self.livemode, _lookups(asked), None, A_PAGE)
        return {
            "decisions": [msgspec.json.decode(row.answer) for row in found.rows],
            "next_cursor": found.next_cursor,
            "asked": {name: value for name, value in asked.items() if name != "cursor"},
            "schemas": list(SCHEMAS),
            "levels": LEVELS,
            "actions": ACTIONS,
        }


class DecisionPage(Page):
    """One decision: what was decided and why."""

    title, template = "Decision", "portal/pages/decision.html"

    def context(self, **kwargs: Any) -> dict[str, Any]:
        found = decisions.find(self.tenant.schema_name, self.livemode, kwargs["decision_id"])
        if found is None:
            raise Http404
        answer = json.loads(found.answer)
        return {
            "decision": answer,
            "facts": found.facts,
            "raw": json.dumps(answer, indent=2, ensure_ascii=False),
            "sent": json.dumps({"schema": found.schema, "transaction": found.facts}, indent=2, ensure_ascii=False),
        }


def _lookups(asked: dict[str, str]) -> dict[str, Any]:
    """What the page's form says, as lookups; what can't be is left out."""
    found: dict[str, Any] = {}
    for name, known in (("schema", tuple(SCHEMAS)), ("risk_level", LEVELS), ("recommended_action", ACTIONS)):
        if asked.get(name) in known:
            found[name] = asked[name]
    if (said := asked.get("id", "")) and not forbidden(said):
        found |= {"pk": said} if said.startswith("dec_") else {"transaction_id__in": spellings(said[:128])}
    if day := parse_date(asked.get("from", "")[:10]) if asked.get("from") else None:
        found["created_at__date__gte"] = day
    if day := parse_date(asked.get("to", "")[:10]) if asked.get("to") else None:
        found["created_at__date__lte"] = day
    return found
