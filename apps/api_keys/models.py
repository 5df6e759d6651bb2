"""API keys as rows: what a key may do, never the key."""

from datetime import UTC, datetime
from typing import ClassVar

from django.db import models
from django.utils import timezone

from apps.accounts.models import Tenant
from apps.accounts.naming import check_one_line


class ApiKey(models.Model):
    """One key of a tenant. `digest` finds it; `prefix` and `last_four` are all a person can see of it again."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=100, validators=[check_one_line])
    digest = models.CharField(max_length=64, unique=True, editable=False)
    prefix = models.CharField(max_length=20)
    last_four = models.CharField(max_length=4)
    livemode = models.BooleanField(default=True)
    scopes = models.JSONField(default=list)
    allowed_networks = models.JSONField(default=list, blank=True, help_text="CIDRs; empty = from anywhere.")
    rate_per_minute = models.PositiveIntegerField(
        null=True, blank=True, help_text="Below the plan's; empty = the plan's."
    )
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    last_used_ip = models.GenericIPAddressField(null=True, blank=True)
    #: The successor it was rotated for.
    replaced_by = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    #: Changed here, not yet told to Valkey (which was away): the recorder tells it as soon as it is back.
    gate_pending = models.BooleanField(default=False, db_index=True)

    class Meta:
        verbose_name, verbose_name_plural = "API key", "API keys"
        ordering: ClassVar = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.prefix}…{self.last_four}"

    @property
    def replacement(self) -> str:
        """By what it was replaced and when, as far as may be seen of a key; empty when it was not."""
        new = self.replaced_by
        return f"{new} on {new.created_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if new else ""

    def state(self, now: datetime) -> str:
        """active, revoked or expired."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "active"


class KeyNetwork(models.Model):
    """A network that a key was used from: an IPv4 /24 or an IPv6 /48, and when it was first seen there."""

    key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, related_name="networks_seen")
    network = models.CharField(max_length=45)
    first_seen_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["key", "network"], name="key_network_once")]

    def __str__(self) -> str:
        return self.network
