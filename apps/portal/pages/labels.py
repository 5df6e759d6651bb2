"""Labels: what became of transactions, listed, told one by one on a decision's page, and as a file."""

import io
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse

from apps.accounts.tenancy import in_tenant
from apps.errors import Problem
from apps.portal.filters import choice, days, search
from apps.portal.kinds import CHOICES
from apps.portal.page import Page
from apps.portal.roles import Permission
from apps.portal.table import Column, Empty, Table
from apps.review import label_csv, labels
from apps.review.given import KINDS, MOST_LABELS, SOURCES, Meant, meant
from apps.scoring.serving import decisions
from apps.usage.metering.journal import Journal
from apps.valkey import server

MEGABYTE = 1024 * 1024
#: Wrong lines of a file that are shown.
SHOWN = 10
SOURCE_WORDS = {"chargeback": "Chargeback", "analyst": "Analyst", "customer": "Customer", "issuer": "Issuer"}
LABEL_WORDS = {"fraud": "Fraud", "legitimate": "Legitimate"}

TABLE = Table(
    row="portal/rows/label.html",
    key=labels.KEY,
    filters=(
        search("Transaction or decision", "transaction_id", "decision_id"),
        choice("label", "Label", ((name, LABEL_WORDS[name]) for name in KINDS)),
        choice("source", "Said by", ((name, SOURCE_WORDS[name]) for name in SOURCES)),
        choice("schema", "Kind", CHOICES),
        choice("holds", "Counts", (("True", "Yes"), ("False", "Corrected since"))),
        *days("known_at"),
    ),
    columns=(
        Column("known_at", "Known", lambda row: row.known_at, ("known_at", "id")),
        Column("transaction_id", "Transaction", lambda row: row.transaction_id),
        Column("label", "Label", lambda row: row.label),
        Column("source", "Said by", lambda row: row.source),
        Column("amount_lost", "Lost", lambda row: row.amount_lost, number=True),
        Column("decided", "We said", lambda row: row.recommended_action),
        Column("holds", "Counts", lambda row: row.holds),
        Column("recorded_at", "Recorded", lambda row: row.recorded_at, shown=False),
        Column("recorded_by", "Recorded by", lambda row: row.recorded_by, shown=False),
        Column("decision_id", "Decision", lambda row: row.decision_id, shown=False),
    ),
)


class FileForm(forms.Form):
    """Labels as a CSV file."""

    file = forms.FileField(
        label="A CSV file",
        help_text=f"Up to {MOST_LABELS:,} labels. The first line names the columns: transaction_id or decision_id, "
        "label (fraud, legitimate), source (chargeback, analyst, customer, issuer), known_at, amount_lost.",
    )


class LabelForm(forms.Form):
    """One decision's label."""

    label = forms.ChoiceField(choices=tuple(LABEL_WORDS.items()), label="It was")
    source = forms.ChoiceField(choices=tuple(SOURCE_WORDS.items()), initial="analyst", label="Said by")
    amount_lost = forms.DecimalField(
        required=False, min_value=0, max_value=10**12, decimal_places=4, label="Amount lost",
        help_text="In the transaction's currency; may be left out.",
    )  # fmt: skip


class _Labelling(Page):
    """Something that labels."""

    def keep(self, rows: list[Meant]) -> list[labels.Added]:
        journal = Journal(server(settings.REDIS_URL, settings.REDIS_TIMEOUT))
        return labels.add_labels(
            tenant=self.tenant, livemode=self.livemode, labels=rows, journal=journal, now=self.now, actor=self.actor
        )


class LabelsPage(_Labelling):
    """The labels of this mode; more of them from a file."""

    title, template = "Labels", "portal/pages/labels.html"
    changes = Permission.LABELS

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if TABLE.exports(request):
            return self.exported(TABLE, labels.listed(self.livemode), "labels", self._within)
        return super().get(request)

    def context(self, **kwargs: Any) -> dict[str, Any]:
        empty = Empty("No labels yet", "Label a decision on its page, send a file below, or call POST /v1/labels.",
                      reverse("decisions"), "Decisions")  # fmt: skip
        return {
            "table": TABLE.show(self.request, labels.listed(self.livemode), empty, self._within),
            "form": FileForm(),
            "most": MOST_LABELS,
        }

    def post(self, request: HttpRequest) -> HttpResponse:
        """Keep a file's labels; what of it can't be kept is said line by line."""
        form = FileForm(request.POST, request.FILES)
        if not form.is_valid():
            return self.page(**self.context() | {"form": form}, status=422)
        try:
            rows, wrong = self._read(form.cleaned_data["file"])
        except ValueError as refusal:
            form.add_error("file", str(refusal))
            return self.page(**self.context() | {"form": form}, status=422)
        added = self.keep([row for _, row in rows])
        wrong += [
            (line, "There is no such decision in this mode.")
            for (line, _), one in zip(rows, added, strict=True)
            if one.row is None
        ]
        kept = sum(1 for one in added if one.row is not None and one.status != "unchanged")
        messages.success(request, f"{kept} label{'' if kept == 1 else 's'} saved, {len(wrong)} refused.")
        if not wrong:
            return redirect("labels")
        return self.page(**self.context() | {"wrong": sorted(wrong)[:SHOWN], "more": max(0, len(wrong) - SHOWN)})

    def _read(self, file: Any) -> tuple[list[tuple[int, Meant]], list[tuple[int, str]]]:
        """The labels of a file by line, and what is wrong with others. Raises `ValueError` in words."""
        if file.size > MEGABYTE:
            raise ValueError("The file has more than 1 MB.")
        try:
            text = file.read().decode("utf-8-sig")
        except UnicodeDecodeError as wrong:
            raise ValueError("The file is not UTF-8.") from wrong
        rows: list[tuple[int, Meant]] = []
        refused: list[tuple[int, str]] = []
        for line, members in enumerate(label_csv.read(io.StringIO(text, newline="")), start=2):
            try:
                rows.append((line, meant(members, self.now)))
            except Problem as problem:
                refused.append((line, problem.detail))
        if not 0 < len(rows) + len(refused) <= MOST_LABELS:
            raise ValueError(f"A file holds 1 to {MOST_LABELS:,} labels.")
        return rows, refused

    def _within(self) -> Any:
        return in_tenant(self.tenant)


class LabelDecision(_Labelling):
    """One decision's label, from its page."""

    permission = Permission.LABELS
    http_method_names = ["post"]

    def post(self, request: HttpRequest, decision_id: str) -> HttpResponse:
        if decisions.find(self.tenant.schema_name, self.livemode, decision_id) is None:
            raise Http404
        form = LabelForm(request.POST)
        if form.is_valid():
            said = form.cleaned_data
            lost = None if said["amount_lost"] is None else float(said["amount_lost"])
            (one,) = self.keep([Meant(said["label"], said["source"], decision_id, None, None, None, lost)])
            messages.success(
                request, "This label was there already." if one.status == "unchanged" else "The label is saved."
            )
        else:
            messages.error(request, "The label was not saved: choose a label and a source.")
        return redirect("decision", decision_id)
