"""Trying transactions out: a form a schema, scored again while it is changed."""

import json
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse

from apps.portal import scoring_api
from apps.portal.page import Page
from apps.portal.roles import Permission
from apps.portal.try_fields import KINDS, Kind, transaction_of
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.engine.transaction import IN_QUOTES, InvalidTransaction
from apps.scoring.serving import model_cards

#: What a switch says: a field is not sent, true or false.
STATES = (("", "not sent"), ("true", "yes"), ("false", "no"))


class TryPage(Page):
    """The form of one kind, filled with an example."""

    title, template = "Try it out", "portal/pages/try.html"
    permission = Permission.SCORE

    def context(self, **kwargs: Any) -> dict[str, Any]:
        name = self.request.GET.get("kind", "payments")
        kind = KINDS.get(name) or KINDS["payments"]
        example = self.request.GET.get("example", "")
        filled = kind.examples.get(example) or next(iter(kind.examples.values()))
        shown = {field: _shown(value) for field, value in filled.items()}
        return {
            "research_only": model_cards.for_research_only(name if name in KINDS else "payments"),
            "kinds": {one: KINDS[one].title for one in KINDS},
            "name": name if name in KINDS else "payments",
            "kind": kind,
            "fields": [(field, shown.get(field.name, "")) for field in kind.fields],
            "example": example or next(iter(kind.examples)),
            "states": STATES,
        }


class TryAnswer(Page):
    """The answer to what the form says now."""

    template = "portal/parts/try_answer.html"
    permission = Permission.SCORE
    http_method_names = ["post"]

    def post(self, request: HttpRequest, name: str) -> HttpResponse:
        kind: Kind | None = KINDS.get(name)
        if kind is None:
            raise Http404
        transaction = transaction_of(kind, request.POST.dict())
        try:
            SCHEMAS[name].parse(transaction, int(self.now.timestamp() * 1000))
        except InvalidTransaction as wrong:  # told here: what is typed is no failed call of the customer's
            said = wrong.detail.replace(IN_QUOTES, "")
            return self.page(status_of=422, decision={"title": "This can't be scored.", "detail": said})
        answer = scoring_api.dry_run(self.tenant, name, transaction, self.now, self.actor)
        sent = json.dumps({"schema": name, "transaction": transaction}, indent=2)
        return self.page(status_of=answer.status, decision=answer.body, sent=sent)


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
