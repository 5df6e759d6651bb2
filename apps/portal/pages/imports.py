"""Rules brought along from another service: what each becomes is shown first, then taken over as drafts."""

from typing import Any

import msgspec
from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.defaultfilters import pluralize

from apps.api_keys.services import get_gate
from apps.imports import fraud_detector, services, stripe_radar
from apps.imports.fraud_detector import DetectorExport
from apps.imports.plan import ImportPlan
from apps.imports.services import Target
from apps.imports.stripe_radar import RadarExport
from apps.imports.translation import LeftOut
from apps.portal.page import Page
from apps.portal.roles import Permission
from apps.scoring.engine.rules import InvalidRules
from apps.scoring.lists.services import TooMany
from apps.usage.metering.journal import Journal
from apps.valkey import server

SOURCES = (("stripe_radar", "Stripe Radar"), ("amazon_fraud_detector", "Amazon Fraud Detector"))
MOST_CHARACTERS = 900_000


class Brought(forms.Form):
    """What is brought along."""

    source = forms.ChoiceField(choices=SOURCES, label="From")
    text = forms.CharField(
        label="Rules",
        max_length=MOST_CHARACTERS,
        widget=forms.Textarea(attrs={"rows": 12, "spellcheck": "false"}),
        help_text="Stripe Radar: the rules as its page shows them, one a line. Amazon Fraud Detector: the answers of "
        "its Get calls, in one JSON object.",
    )

    def plan(self) -> ImportPlan | None:
        """What becomes of it; None, and the form says why, where it can't be read."""
        try:
            if self.cleaned_data["source"] == "stripe_radar":
                return stripe_radar.plan(RadarExport(rules=[self.cleaned_data["text"]]))
            return fraud_detector.plan(msgspec.json.decode(self.cleaned_data["text"], type=DetectorExport))
        except (msgspec.DecodeError, LeftOut) as wrong:
            self.add_error("text", f"It can't be read: {wrong}")
        return None


class ImportRules(Page):
    """The form, and what becomes of what was brought along."""

    title, template = "Import rules", "portal/pages/import_rules.html"
    permission = changes = Permission.POLICY

    def context(self, **kwargs: Any) -> dict[str, Any]:
        return {"form": Brought()}

    def post(self, request: HttpRequest) -> HttpResponse:
        form = Brought(request.POST)
        plan = form.plan() if form.is_valid() else None
        if plan is None:
            return self.page(form=form, status=422)
        if request.POST.get("do") != "apply":
            return self.page(form=form, plan=plan)
        return self._applied(form, plan)

    def _applied(self, form: Brought, plan: ImportPlan) -> HttpResponse:
        journal = Journal(server(settings.REDIS_URL, settings.REDIS_TIMEOUT))
        target = Target(self.tenant, self.livemode, get_gate(), journal, self.actor)
        try:
            made = services.apply(target, plan, self.now)
        except (InvalidRules, TooMany) as refused:
            form.add_error(None, str(refused))
            return self.page(form=form, plan=plan, status=422)
        told = f"{made.rules} draft rule{pluralize(made.rules)} and {made.lists} list{pluralize(made.lists)} imported."
        messages.success(self.request, f"{told} Drafts decide nothing until you make them live.")
        return redirect("rules")
