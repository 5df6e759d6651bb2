"""Review: the cases that wait, and one of them, worked by keyboard (static/cases.js)."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect

from apps.accounts.models import Membership
from apps.accounts.tenancy import in_tenant
from apps.errors import Problem
from apps.portal import case_graph
from apps.portal.case_forms import RESOLUTION_WORDS, AssignForm, EvidenceForm, NoteForm, ResolveForm
from apps.portal.filters import choice, days, least_and_most, search
from apps.portal.kinds import CHOICES
from apps.portal.page import InOtherMode, Page
from apps.portal.roles import Permission
from apps.portal.table import Column, Empty, Table
from apps.review.cases import evidence, graph, queues, work
from apps.review.cases.queues import Sorter
from apps.review.cases.work import Reviewer
from apps.review.models import Case
from apps.scoring.models import Decision
from apps.scoring.serving.decision_formats import answer_of
from apps.usage.metering.journal import Journal
from apps.valkey import server

STATE_WORDS = {
    "open": "Open", "second_review": "Second pair of eyes", "disputed": "Disputed", "resolved": "Resolved"
}  # fmt: skip
NOTHING = Empty(
    "Nothing to review",
    "Decisions with the action “review” appear here within a second. Lower “Review from” in the policy to get more.",
    "/policy/",
    "Policy",
)
TABLE = Table(
    row="portal/rows/case.html",
    key=("due_at", "id"),
    rising=True,
    filters=(
        search("Transaction", "transaction_id"),
        choice("state", "State", STATE_WORDS.items()),
        choice("resolution", "Resolved as", RESOLUTION_WORDS.items()),
        choice("schema", "Kind", CHOICES),
        *least_and_most("amount", "Amount", "amount"),
        *days("created_at"),
    ),
    columns=(
        Column("transaction_id", "Transaction", lambda row: row.transaction_id),
        Column("queue", "Queue", lambda row: row.queue),
        Column("amount", "Amount", lambda row: row.amount, ("amount", "id"), number=True),
        Column("fraud_probability", "Probability", lambda row: row.fraud_probability, number=True),
        Column("expected_loss", "Expected loss", lambda row: row.expected_loss, ("expected_loss", "id"), number=True),
        Column("created_at", "Since", lambda row: row.created_at, ("created_at", "id")),
        Column("due_at", "Due", lambda row: row.due_at, ("due_at", "id")),
        Column("state", "State", lambda row: row.state),
        Column("id", "Case", lambda row: row.pk, shown=False),
        Column("decision_id", "Decision", lambda row: row.decision_id, shown=False),
        Column("resolution", "Resolution", lambda row: row.resolution, shown=False),
        Column("resolved_by", "Resolved by", lambda row: row.resolved_by, shown=False),
    ),
)


class _Reviewing(Page):
    """Something of review."""

    changes = Permission.REVIEW

    @property
    def whose(self) -> dict[str, Any]:
        """Of which tenant and mode, by whom, when."""
        reviewer = Reviewer(self.actor, self.may(Permission.QUEUES))
        return {"tenant": self.tenant, "livemode": self.livemode, "reviewer": reviewer, "now": self.now}

    def case(self, case_id: str) -> Case:
        found = work.find(self.tenant, self.livemode, case_id)
        if found is not None:
            return found
        if work.find(self.tenant, not self.livemode, case_id) is not None:
            raise InOtherMode("test case" if self.livemode else "live case")
        raise Http404

    def within(self) -> Any:
        return in_tenant(self.tenant)


class CasesPage(_Reviewing):
    """The cases that wait, what is due first; counts by queue."""

    title, template = "Review", "portal/pages/cases.html"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if TABLE.exports(request):
            with self.within():
                table = self._table(queues.sorter(self.livemode))
            return self.exported(table, self._rows(), "cases", self.within)
        return super().get(request)

    def context(self, **kwargs: Any) -> dict[str, Any]:
        with self.within():
            sorting, counts = queues.sorter(self.livemode), work.counts_by_queue(self.livemode, self.now)
        return {
            "table": self._table(sorting).show(self.request, self._rows(), NOTHING, self.within),
            "queues": [(one, *counts.get(one.code, (0, 0))) for one in sorting.queues],
            "queue": self.request.GET.get("queue", ""),
            "waiting": sum(waiting for waiting, _ in counts.values()),
        }

    def _table(self, sorting: Sorter) -> Table:
        """The table with the tenant's own queues."""
        names = {one.code: one.name for one in sorting.queues}

        def told(row: Case) -> Case:
            row.queue_name = names.get(row.queue, "")  # type: ignore[attr-defined]
            row.held_by = work.holder_of(row, self.now)  # type: ignore[attr-defined]
            row.overdue = row.state != Case.RESOLVED and row.due_at < self.now  # type: ignore[attr-defined]
            return row

        return replace(TABLE, filters=(choice("queue", "Queue", names.items()), *TABLE.filters), prepare=told)

    def _rows(self) -> QuerySet[Case]:
        """All of them where a state is asked for, else those that wait."""
        rows = work.listed(self.livemode)
        asked = self.request.GET
        return rows if asked.get("state") or asked.get("resolution") else rows.exclude(state=Case.RESOLVED)


class NextCase(_Reviewing):
    """Claim the most urgent case and go there."""

    permission = Permission.REVIEW
    http_method_names = ["post"]

    def post(self, request: HttpRequest) -> HttpResponse:
        found = work.claim_next(**self.whose, queue=request.POST.get("queue") or None)
        if found is None:
            messages.info(request, "No case is waiting.")
            return redirect("cases")
        return redirect("case", found.pk)


class CasePage(_Reviewing):
    """One case: the decision and why, what else its parties did, notes, evidence, and what it was."""

    title, template = "Case", "portal/pages/case.html"

    def context(self, **kwargs: Any) -> dict[str, Any]:
        case = self.case(kwargs["case_id"])
        with self.within():
            decision = Decision.objects.filter(pk=case.decision_id).first()
            sorting = queues.sorter(self.livemode)
            more = {
                "notes": list(case.notes.all()),
                "files": list(case.evidence.all()),
                "verdicts": list(case.verdicts.all()),
            }
        around = graph.around(self.tenant.schema_name, decision, self.now)
        holder = work.holder_of(case, self.now)
        return more | {
            "case": case,
            "queue": sorting.find(case.queue),
            "two": work.takes_two(case, sorting),
            "holder": holder,
            "mine": holder == self.actor,
            "overdue": case.state != Case.RESOLVED and case.due_at < self.now,
            "decision": None if decision is None else json.loads(answer_of(decision)),
            "facts": None if decision is None else decision.facts,
            "graph": around,
            "drawing": case_graph.drawing(around),
            "related": case_graph.related(around),
            "resolve_form": ResolveForm(),
            "note_form": NoteForm(),
            "evidence_form": EvidenceForm(),
            "assign_form": self._assign_form(case) if self._may_assign(case) else None,
        }

    def post(self, request: HttpRequest, case_id: str) -> HttpResponse:
        """Do what the button says."""
        case = self.case(case_id)
        acts: dict[str, Callable[[Case], HttpResponse]] = {
            "claim": self._claim, "release": self._release, "note": self._note, "evidence": self._attach,
            "resolve": self._resolve, "assign": self._assign,
        }  # fmt: skip
        act = acts.get(request.POST.get("do", ""))
        if act is None:
            return redirect("case", case_id)
        try:
            return act(case)
        except Problem as refused:
            messages.error(request, refused.detail or refused.kind.title)
            return redirect("case", case_id)

    def _claim(self, case: Case) -> HttpResponse:
        work.claim(**self.whose, case_id=case.pk)
        return redirect("case", case.pk)

    def _release(self, case: Case) -> HttpResponse:
        work.release(**self.whose, case_id=case.pk)
        return redirect("cases")

    def _note(self, case: Case) -> HttpResponse:
        form = NoteForm(self.request.POST)
        if not form.is_valid():
            return self._again(case, "note_form", form)
        work.add_note(**self.whose, case_id=case.pk, text=form.cleaned_data["text"])
        return redirect("case", case.pk)

    def _attach(self, case: Case) -> HttpResponse:
        form = EvidenceForm(self.request.POST, self.request.FILES)
        if not form.is_valid():
            return self._again(case, "evidence_form", form)
        file = form.cleaned_data["file"]
        try:
            evidence.attach(**self.whose, case_id=case.pk, name=file.name, content=file.read())
        except Problem as refused:
            form.add_error("file", refused.detail or refused.kind.title)
            return self._again(case, "evidence_form", form)
        return redirect("case", case.pk)

    def _resolve(self, case: Case) -> HttpResponse:
        form = ResolveForm(self.request.POST)
        if not form.is_valid():
            return self._again(case, "resolve_form", form)
        journal = Journal(server(settings.REDIS_URL, settings.REDIS_TIMEOUT))
        done = work.resolve(**self.whose, case_id=case.pk, journal=journal, **form.cleaned_data)
        messages.success(self.request, _told(done))
        return redirect("cases") if done.state == Case.RESOLVED else redirect("case", case.pk)

    def _assign(self, case: Case) -> HttpResponse:
        form = self._assign_form(case, self.request.POST) if self._may_assign(case) else None
        if form is None or not form.is_valid():
            messages.error(self.request, "The case was not assigned.")
        else:
            work.assign(**self.whose, case_id=case.pk, to=form.cleaned_data["to"])
        return redirect("case", case.pk)

    def _again(self, case: Case, name: str, form: forms.Form) -> HttpResponse:
        """The page once more, with what is wrong with a form."""
        return self.page(**self.context(case_id=case.pk) | {name: form}, status=422)

    def _may_assign(self, case: Case) -> bool:
        return self.may(Permission.QUEUES) and case.state != Case.RESOLVED

    def _assign_form(self, case: Case, data: Any = None) -> AssignForm:
        """Who may review, and whoever has it now."""
        members = Membership.objects.filter(tenant=self.tenant, user__is_active=True)
        people = members.exclude(role=Membership.Role.VIEWER).order_by("user__email")
        names = dict.fromkeys([*people.values_list("user__email", flat=True), *filter(None, [case.assignee])])
        return AssignForm(list(names), data, initial={"to": case.assignee})


class EvidenceFile(_Reviewing):
    """A file, to be saved."""

    http_method_names = ["get", "head"]

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        found = evidence.find(self.tenant, self.livemode, kwargs["evidence_id"])
        if found is None:
            raise Http404
        try:
            content = evidence.read(self.tenant.schema_name, found)
        except Problem as gone:
            raise Http404 from gone
        return HttpResponse(content, content_type=evidence.SERVED_AS, headers=evidence.headers_of(found))


def _told(case: Case) -> str:
    """What became of a case by what somebody said."""
    return {
        Case.SECOND_REVIEW: "Your word is kept: another person has to agree.",
        Case.DISPUTED: "You two do not agree: an admin settles it.",
        Case.RESOLVED: f"{case.transaction_id}: resolved as {case.resolution}.",
    }[case.state]
