"""Operators' page of what customers ask: the oldest that wait first, marked when they are answered."""

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db.models import F, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from apps.backoffice.base import operator
from apps.backoffice.notifications import ActionsAdmin
from apps.support.models import SupportRequest
from apps.support.services import mark_answered


@admin.register(SupportRequest)
class SupportRequestAdmin(ActionsAdmin):
    """Requests for support; they are answered by mail."""

    list_display = ("subject", "tenant", "topic", "asked_by", "asked_at", "answer_by", "answered_at")
    list_filter = (("answered_at", admin.EmptyFieldListFilter), "topic")
    list_select_related = ("tenant",)
    search_fields = ("id", "subject", "asked_by", "tenant__slug")
    actions: ClassVar = ["answered"]
    fields = ("id", "tenant", "asked_by", "asked_at", "topic", "subject", "message", "answer_by", "answered_at")

    def get_queryset(self, request: HttpRequest) -> QuerySet[SupportRequest]:
        rows: QuerySet[SupportRequest] = super().get_queryset(request)
        return rows.order_by(F("answered_at").desc(nulls_first=True), F("answer_by").asc(nulls_last=True), "asked_at")

    @admin.action(description="Mark as answered")
    def answered(self, request: HttpRequest, rows: QuerySet[Any]) -> None:
        now = timezone.now()
        done = sum(
            mark_answered(request=row, now=now, actor=operator(request)) for row in rows.select_related("tenant")
        )
        messages.success(request, f"{done} marked as answered.")
