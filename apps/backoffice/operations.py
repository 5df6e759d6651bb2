"""Operators' pages of the installation: its backups, and what `doctor` finds. To look at; commands do the rest."""

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.template.response import TemplateResponse
from django.urls import path
from django.utils import timezone
from unfold.decorators import display

from apps.backoffice.base import ReadOnlyAdmin
from apps.operations.doctor import examine
from apps.operations.models import Backup
from apps.valkey import server


@admin.register(Backup)
class BackupAdmin(ReadOnlyAdmin):
    list_display = ("made_at", "of", "outcome", "weight", "took", "file")
    list_filter = (("trouble", admin.EmptyFieldListFilter), ("removed_at", admin.EmptyFieldListFilter))
    search_fields = ("tenant", "file")
    date_hierarchy = "made_at"
    fields = ("made_at", "of", "outcome", "weight", "took", "file", "removed_at")

    def get_urls(self) -> Any:
        return [path("doctor/", self.admin_site.admin_view(self.doctor), name="doctor"), *super().get_urls()]

    def doctor(self, request: HttpRequest) -> TemplateResponse:
        """What is wrong here, in words, and what to do."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        findings = examine(server(settings.REDIS_URL, settings.REDIS_TIMEOUT), timezone.now())
        context = self.admin_site.each_context(request) | {"title": "What is wrong here", "findings": findings}
        return TemplateResponse(request, "admin/doctor.html", context)

    @display(description="of", ordering="tenant")
    def of(self, row: Backup) -> str:
        return row.tenant or "everything"

    @display(description="outcome", ordering="trouble")
    def outcome(self, row: Backup) -> str:
        if row.trouble:
            return f"failed: {row.trouble}"
        return "removed: its time was over" if row.removed_at else "kept"

    @display(description="size", ordering="size")
    def weight(self, row: Backup) -> str:
        return filesizeformat(row.size) if row.size else ""

    @display(description="took", ordering="seconds")
    def took(self, row: Backup) -> str:
        return f"{row.seconds:.1f} s"
