"""Backups that were made, for operators to see and for `doctor` to judge. In `public`."""

from typing import ClassVar

from django.db import models


class Backup(models.Model):
    """One try to make a backup: a file in a folder, or why there is none."""

    made_at = models.DateTimeField(db_index=True)
    tenant = models.CharField(max_length=48, blank=True, help_text="Whose alone it is; empty: all of it.")
    file = models.CharField(max_length=500, blank=True)
    size = models.BigIntegerField(default=0, help_text="Bytes.")
    seconds = models.FloatField(default=0.0, help_text="How long it took.")
    trouble = models.CharField(max_length=500, blank=True, help_text="Why it failed; empty: it did not.")
    removed_at = models.DateTimeField(null=True, blank=True, help_text="When its time was over.")

    class Meta:
        ordering: ClassVar = ["-made_at"]

    def __str__(self) -> str:
        return f"{self.tenant or 'everything'} of {self.made_at:%Y-%m-%d %H:%M}"
