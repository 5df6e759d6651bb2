"""Asking us: a request is kept, mailed, and answered within what the plan promises."""

from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect

from apps.billing.subscriptions.services import plan_for
from apps.portal.filters import choice, days, search
from apps.portal.page import Page
from apps.portal.table import Column, Empty, Table
from apps.support import services
from apps.support.models import TOPICS, SupportRequest
from apps.support.response_times import ANSWERED_WITHIN

TABLE = Table(
    row="portal/rows/support_request.html",
    key=("asked_at", "id"),
    filters=(search("Words", "subject", "message"), choice("topic", "About", TOPICS), *days("asked_at")),
    columns=(
        Column("asked_at", "When", lambda one: one.asked_at, ("asked_at", "id")),
        Column("asked_by", "By", lambda one: one.asked_by),
        Column("topic", "About", lambda one: one.get_topic_display()),
        Column("subject", "Subject", lambda one: one.subject),
        Column("message", "Message", lambda one: one.message, shown=False),
        Column("state", "State", lambda one: "answered" if one.answered_at else "open"),
    ),
)
NOTHING = Empty("No support requests yet", "Your requests and their state are listed here.")


class SupportForm(forms.ModelForm):
    """A request."""

    class Meta:
        model = SupportRequest
        fields = ("topic", "subject", "message")
        labels = {"topic": "About"}
        help_texts = {"message": "Ids of decisions or requests help us. Never send keys or card numbers."}
        widgets = {"message": forms.Textarea(attrs={"rows": 7})}


class SupportPage(Page):
    """The form, and what was asked before. Everybody may ask."""

    title, template = "Support", "portal/pages/support.html"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return self.exported(TABLE, self._rows(), "support") if TABLE.exports(request) else super().get(request)

    def context(self, **kwargs: Any) -> dict[str, Any]:
        plan, _, _ = plan_for(self.tenant.pk)
        within = ANSWERED_WITHIN[plan.name]
        return {
            "form": SupportForm(),
            "table": TABLE.show(self.request, self._rows(), NOTHING),
            "hours": int(within.total_seconds() // 3600) if within else None,
            "plan": plan.name,
        }

    def post(self, request: HttpRequest) -> HttpResponse:
        form = SupportForm(request.POST)
        if form.is_valid():
            try:
                services.ask(tenant=self.tenant, asked_by=self.actor, now=self.now, **form.cleaned_data)
            except services.TooMany:
                form.add_error(None, f"A company may ask {services.MOST_A_DAY} times a day.")
            else:
                messages.success(request, "Your request has arrived; a copy is on its way to you.")
                return redirect("support")
        return self.page(**self.context() | {"form": form}, status=422)

    def _rows(self) -> QuerySet[SupportRequest]:
        return SupportRequest.objects.filter(tenant=self.tenant)
