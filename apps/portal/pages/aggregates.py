"""What the tenant has counted for its rules: all of it, a new one, one archived."""

import re
from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect

from apps.api_keys.services import get_gate
from apps.portal.kinds import CHOICES
from apps.portal.page import Page
from apps.portal.roles import Permission
from apps.scoring import aggregate_changes, policies
from apps.scoring.aggregate_changes import AggregateExists, AggregateInUse, NoSuchAggregate, WrongAggregate
from apps.scoring.engine.aggregate_check import naming_fields, number_fields
from apps.scoring.engine.aggregates import MOST_FIELDS, WINDOWS, Aggregate, Function
from apps.scoring.engine.expressions.tokens import LONGEST
from apps.scoring.engine.rules import InvalidRules
from apps.scoring.engine.schemas import SCHEMAS

FUNCTIONS: dict[Function, str] = {
    "count": "How many transactions", "sum": "The sum of a number", "max": "The largest of a number",
    "average": "The average of a number", "distinct": "How many different ones of a field",
    "since_last": "Seconds since the last one",
}  # fmt: skip
_TEXT = {"rows": 2, "spellcheck": "false", "autocomplete": "off", "class": "expression"}


class AggregateForm(forms.Form):
    """Something to be counted."""

    name = forms.RegexField(
        r"^[a-z][a-z0-9_]{0,39}\Z", label="Name", help_text="Rules ask for it as aggregates.NAME: bin_count_1h.",
        error_messages={"invalid": "Small letters, digits and _, a letter first: bin_count_1h."},
    )  # fmt: skip
    schema = forms.ChoiceField(choices=CHOICES, label="Of")
    by = forms.CharField(max_length=130, label="By", help_text="One field, or two with a comma: user_id, merchant_id.")
    function = forms.ChoiceField(choices=tuple(FUNCTIONS.items()), label="What")
    of = forms.CharField(max_length=64, required=False, label="Of which field", help_text="Empty: of none.")
    window = forms.ChoiceField(choices=[(name, name) for name in WINDOWS], initial="1h", label="How far back")
    where = forms.CharField(
        required=False, max_length=LONGEST, label="Where", widget=forms.Textarea(attrs=_TEXT),
        help_text="A condition on fields that are sent, such as amount > 100. Empty: all are counted.",
    )  # fmt: skip
    description = forms.CharField(required=False, max_length=200, label="What it is for")
    reason = forms.CharField(required=False, max_length=500, label="Why", help_text="For the policy's versions.")

    def clean_by(self) -> tuple[str, ...]:
        """The fields by which is counted."""
        said = tuple(filter(None, re.split(r"[\s,]+", self.cleaned_data["by"])))
        if not 1 <= len(said) <= MOST_FIELDS:
            raise forms.ValidationError(f"One field or {MOST_FIELDS}.")
        return said

    def clean_where(self) -> str:
        """The condition on one line, as policies keep it."""
        return " ".join(self.cleaned_data["where"].split())

    def aggregate(self) -> Aggregate:
        """What is to be counted."""
        return Aggregate(**{name: value for name, value in self.cleaned_data.items() if name != "reason"})


class AggregatesPage(Page):
    """All of them, a new one, and the end of one."""

    title, template = "Aggregates", "portal/pages/aggregates.html"
    changes = Permission.POLICY

    def context(self, **kwargs: Any) -> dict[str, Any]:
        policy = policies.in_force(self.tenant)
        told = [
            (one, FUNCTIONS[one.function], aggregate_changes.rules_asking(policy, one)) for one in policy.aggregates
        ]
        fields = [(name, naming_fields(one), number_fields(one)) for name, one in SCHEMAS.items()]
        return {
            "aggregates": told, "fields": fields, "form": AggregateForm(), "may_change": self.may(Permission.POLICY),
        }  # fmt: skip

    def post(self, request: HttpRequest) -> HttpResponse:
        if request.POST.get("do") == "archive":
            return self._archive(request.POST.get("name", ""))
        form = AggregateForm(request.POST)
        if form.is_valid() and self._created(form):
            messages.success(request, "It is counted from now on. Let its window pass before a rule decides by it.")
            return redirect("aggregates")
        return self.page(**self.context() | {"form": form}, status=422)

    def _created(self, form: AggregateForm) -> bool:
        """Whether it could be; else the form says what is wrong where it stands."""
        try:
            aggregate_changes.create(aggregate=form.aggregate(), reason=form.cleaned_data["reason"], **self._by)
        except WrongAggregate as wrong:
            problem = wrong.problem
            where = f"Column {problem.place.column}: " if problem.place else ""
            form.add_error(problem.member, f"{where}{problem.in_words}")
        except AggregateExists:
            form.add_error("name", "There is one of this name; an archived one keeps it.")
        except InvalidRules as full:
            form.add_error(None, str(full))
        return not form.errors

    def _archive(self, name: str) -> HttpResponse:
        try:
            aggregate_changes.archive(name=name, reason="", **self._by)
            messages.success(self.request, f"{name} is counted no more.")
        except NoSuchAggregate as missing:
            raise Http404 from missing
        except AggregateInUse as used:
            messages.error(self.request, f"Rules in force ask for {name}: {used}. Retire them first.")
        return redirect("aggregates")

    @property
    def _by(self) -> dict[str, Any]:
        """Whose policy is changed by whom and when, and who is told."""
        return {"tenant": self.tenant, "gate": get_gate(), "now": self.now, "actor": self.actor}
