"""Operators' page of backups: to look at; they are made by the clock and by `manage.py backup`."""

from django.contrib import admin
from django.template.defaultfilters import filesizeformat
from unfold.decorators import display

from apps.backoffice.base import ReadOnlyAdmin
from apps.operations.models import Backup


@admin.register(Backup)
class BackupAdmin(ReadOnlyAdmin):
    list_display = ("made_at", "of", "outcome", "weight", "took", "file")
    list_filter = (("trouble", admin.EmptyFieldListFilter), ("removed_at", admin.EmptyFieldListFilter))
    search_fields = ("tenant", "file")
    date_hierarchy = "made_at"
    fields = ("made_at", "of", "outcome", "weight", "took", "file", "removed_at")

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
