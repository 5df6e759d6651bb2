"""Decisions: found, read, explained, repeated."""

import json
from collections.abc import Iterator
from typing import Any, get_args

import msgspec
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse

from apps.accounts.models import Tenant
from apps.accounts.tenancy import in_tenant
from apps.errors import Problem
from apps.portal import scoring_api
from apps.portal.filters import Filter, choice, days, least_and_most
from apps.portal.kinds import CHOICES, KINDS
from apps.portal.page import InOtherMode, Page
from apps.portal.pages.labels import LabelForm
from apps.portal.pages.lists import FromDecisionForm, listable
from apps.portal.roles import Permission
from apps.portal.table import Column, Empty, Table
from apps.review import labels
from apps.review.cases import work
from apps.review.cases.opening import hash_of
from apps.review.models import Case
from apps.scoring import searches
from apps.scoring.engine.decide import Action, RiskLevel
from apps.scoring.engine.engine import Engine
from apps.scoring.engine.parties import party_name
from apps.scoring.lists import reads
from apps.scoring.models import Decision
from apps.scoring.policies import get_policies
from apps.scoring.serving import counterfactuals, decisions, explanations
from apps.scoring.serving.decision_formats import answer_of
from apps.scoring.serving.replay import replay
from apps.text import spellings

#: The portal scores nothing: what a replay asks is loaded for it, by version.
NO_MODELS = Engine({})
#: Earlier decisions of a party that are shown beside one.
HISTORY = 8


def _of_id(said: str) -> Q:
    return Q(pk=said) if said.startswith("dec_") else Q(transaction_id__in=spellings(said))


def _words(names: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    return ((name, name.capitalize()) for name in names)


def _told(row: Decision) -> dict[str, Any]:
    """A decision as lists show it: as it was answered, with its amount."""
    return msgspec.json.decode(answer_of(row)) | {"amount": row.amount}


TABLE = Table(
    row="portal/rows/decision.html",
    prepare=_told,
    filters=(
        Filter("id", "Decision or transaction", lambda said, _: _of_id(said)),
        Filter("party", "Party", lambda said, _: Q(parties__contains=[party_name(said)])),
        *least_and_most("amount", "Amount", "amount"),
        choice("schema", "Kind", CHOICES),
        choice("risk_level", "Level", _words(get_args(RiskLevel))),
        choice("recommended_action", "Action", _words(get_args(Action))),
        Filter("rule", "Rule that hit", lambda said, _: Q(rules_hit__contains=[said]) & ~Q(rules_hit=[])),  # its index
        *days("created_at"),
    ),
    columns=(
        Column("created_at", "When", lambda one: one["created_at"], ("created_at", "id")),
        Column("transaction_id", "Transaction", lambda one: one["transaction_id"]),
        Column("schema", "Kind", lambda one: one["schema"]),
        Column("amount", "Amount", lambda one: one["amount"], ("amount", "id"), number=True),
        Column("recommended_action", "Action", lambda one: one["recommended_action"]),
        Column("risk_level", "Level", lambda one: one["risk_level"]),
        Column(
            "fraud_probability",
            "Probability",
            lambda one: one["fraud_probability"],
            ("likelihood", "id"),
            number=True,
        ),
        Column("reason", "First reason", lambda one: one["reasons"][0]["text"] if one["reasons"] else ""),
        Column("id", "Decision", lambda one: one["id"], shown=False),
    ),
)


def first(tenant: Tenant, *, livemode: bool) -> dict[str, Any] | None:
    """The first decision of a tenant, as it was answered."""
    with in_tenant(tenant):
        found = decisions.listed(livemode).order_by("created_at", "id").first()
    return None if found is None else msgspec.json.decode(answer_of(found))


class DecisionsPage(Page):
    """The decisions of this mode, searched; searches are kept under a name."""

    title, template = "Decisions", "portal/pages/decisions.html"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if TABLE.exports(request):
            return self.exported(TABLE, decisions.listed(self.livemode), "decisions", self._within)
        return super().get(request)

    def context(self, **kwargs: Any) -> dict[str, Any]:
        return {
            "table": TABLE.show(self.request, decisions.listed(self.livemode), self._empty(), self._within),
            "searches": searches.of(self.tenant, self.request.user.pk),
            "query": self.request.META.get("QUERY_STRING", ""),
        }

    def post(self, request: HttpRequest) -> HttpResponse:
        """Keep a search, or forget one."""
        name, query = request.POST.get("name", "").strip(), request.POST.get("query", "")
        if request.POST.get("do") == "forget":
            searches.forget(self.tenant, self.request.user.pk, name)
        elif name:
            searches.keep(self.tenant, self.request.user.pk, name, query)
        return redirect(reverse("decisions") + (f"?{query}" if query else ""))

    def _within(self) -> Any:
        return in_tenant(self.tenant)

    def _empty(self) -> Empty:
        if self.livemode:
            return Empty("No live decisions yet", "They appear here a moment after a call with a live key.",
                         reverse("keys"), "Make a live key")  # fmt: skip
        return Empty("No test decisions yet", "Make your first call; it takes two minutes.",
                     reverse("start"), "First steps")  # fmt: skip


class _OneDecision(Page):
    """Something about one decision of this mode."""

    def decision(self, decision_id: str) -> Decision:
        found = decisions.find(self.tenant.schema_name, self.livemode, decision_id)
        if found is not None:
            return found
        if decisions.find(self.tenant.schema_name, not self.livemode, decision_id) is not None:
            raise InOtherMode("test decision" if self.livemode else "live decision")
        raise Http404


class DecisionPage(_OneDecision):
    """One decision: what was decided and why, and what else its parties did."""

    title, template = "Decision", "portal/pages/decision.html"

    def context(self, **kwargs: Any) -> dict[str, Any]:
        found = self.decision(kwargs["decision_id"])
        answer = json.loads(answer_of(found))
        return {
            "decision": answer,
            "kind": KINDS[found.schema],
            "facts": found.facts,
            "drawn": bool(found.model_name),
            "case": self._case(found),
            "to_customer": counterfactuals.notice(counterfactuals.of_row(self.tenant.schema_name, found)),
            "labels": labels.of_decision(self.tenant.schema_name, found.pk),
            "label_form": LabelForm(),
            "list_form": self._list_form(found),
            "history": [(party, self._others(party, found)) for party in found.parties],
            "raw": json.dumps(answer, indent=2, ensure_ascii=False),
            "sent": json.dumps({"schema": found.schema, "transaction": found.facts}, indent=2, ensure_ascii=False),
        }

    def _list_form(self, found: Decision) -> FromDecisionForm | None:
        """What of it can be put into which list; nothing where there is no list."""
        with in_tenant(self.tenant):
            lists = list(reads.lists(self.livemode).order_by("name"))
        return FromDecisionForm(lists=lists, facts=listable(found.facts, found.hidden)) if lists else None

    def _case(self, of: Decision) -> Case | None:
        """The review case of its transaction, where there is one."""
        with in_tenant(self.tenant):
            return work.of_transaction(hash_of(of.transaction_id, of.hidden), of.schema, self.livemode)

    def _others(self, party: str, but: Decision) -> list[dict[str, Any]]:
        """The newest other decisions on a party."""
        with in_tenant(self.tenant):
            rows = decisions.listed(self.livemode).filter(parties__contains=[party]).exclude(pk=but.pk)
            return [_told(row) for row in rows.order_by("-created_at", "-id")[:HISTORY]]


class DecisionDrawing(_OneDecision):
    """Its explanation as a waterfall, SVG."""

    http_method_names = ["get", "head"]

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            svg = explanations.drawn(
                explanations.of_stored(self.decision(kwargs["decision_id"]), self.tenant.schema_name)
            )
        except Problem as nothing:
            raise Http404 from nothing
        policy = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
        return HttpResponse(svg, content_type="image/svg+xml", headers=policy)


class TurnedDecision(_OneDecision):
    """What would have changed the outcome. The model is loaded when this is first asked for: the page needs none."""

    template = "portal/parts/turned.html"
    http_method_names = ["get", "head"]

    def context(self, **kwargs: Any) -> dict[str, Any]:
        stored = counterfactuals.of_row(self.tenant.schema_name, self.decision(kwargs["decision_id"]))
        return {"turned": counterfactuals.turned(stored, counterfactuals.kept)}


class RepeatDecision(_OneDecision):
    """The same transaction asked again as things are now: a dry run, beside what was answered then."""

    template = "portal/parts/repeated.html"
    permission = Permission.SCORE
    http_method_names = ["post"]

    def post(self, request: HttpRequest, decision_id: str) -> HttpResponse:
        found = self.decision(decision_id)
        answer = scoring_api.dry_run(self.tenant, found.schema, found.facts, self.now, self.actor)
        return self.page(status_of=answer.status, decision=answer.body, before=json.loads(answer_of(found)))


class ReplayDecision(_OneDecision):
    """The decision made again under the policy and by the models it was made with, held against what was answered."""

    template = "portal/parts/replayed.html"
    http_method_names = ["post"]

    def post(self, request: HttpRequest, decision_id: str) -> HttpResponse:
        found = self.decision(decision_id)
        with in_tenant(self.tenant):
            replayed = replay(found, self.tenant.schema_name, get_policies(), NO_MODELS)
        told = [(one, _shown(one.stored), _shown(one.replayed)) for one in replayed.differences]
        return self.page(identical=replayed.identical, differences=told, version=found.policy_version)


def _shown(value: Any) -> str:
    """A member of an answer as JSON; nothing for one that was not held against another."""
    return "" if value is None else json.dumps(msgspec.json.decode(value), ensure_ascii=False, indent=1)
