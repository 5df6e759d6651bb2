"""The outbox: what happened (events), to whom it is sent (deliveries), each try (attempts); and the webhooks.

All in `public`. An event's `key` is unique, so telling something twice tells it once. A delivery is claimed by moving
its `next_try_at` on, so a worker that dies leaves nothing behind but a try that is made again.
"""

import base64
import secrets
from datetime import datetime
from typing import Any, ClassVar

import msgspec
from django.db import models
from django.db.models.functions import Coalesce

from apps import times
from apps.accounts.models import Tenant
from apps.notifications.kinds import KINDS
from apps.sealing import SealedText


def new_id(prefix: str, now: datetime) -> str:
    """`prefix` and 24 hexadecimal digits that sort by time: 48 bits of milliseconds, 48 random bits."""
    return f"{prefix}_{int(now.timestamp() * 1000):012x}{secrets.token_hex(6)}"


def new_secret() -> str:
    """A secret as Standard Webhooks writes them: 256 random bits."""
    return f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"


class Receiver(models.Model):
    """A customer's address that is sent something, live or test, and how sending goes: see `delivery.note_health`."""

    id = models.CharField(primary_key=True, max_length=32)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE)
    livemode = models.BooleanField(default=True)
    created_at = models.DateTimeField()
    failing_since = models.DateTimeField(null=True, blank=True, help_text="The first failure after the last success.")
    failures = models.PositiveIntegerField(default=0, help_text="Since the last success.")
    disabled_at = models.DateTimeField(null=True, blank=True)
    disabled_because = models.CharField(max_length=200, blank=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.id

    @property
    def shown(self) -> str:
        """What it is called where people read of it."""
        raise NotImplementedError


class WebhookEndpoint(Receiver):
    """A customer's endpoint for events; live and test ones are apart."""

    url = models.CharField(max_length=2_048)
    description = models.CharField(max_length=200, blank=True)
    events = models.JSONField(default=list, blank=True, help_text="Kinds; empty = all.")
    secret = SealedText(editable=False)
    #: Signs along until it ends, so that a rotated secret can be exchanged without losing a message.
    previous_secret = SealedText(null=True, blank=True, editable=False)
    previous_until = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name, verbose_name_plural = "webhook", "webhooks"
        ordering: ClassVar = ["id"]
        verbose_name = "webhook"

    @property
    def shown(self) -> str:
        return self.url

    def wants(self, event: "Event") -> bool:
        return self.livemode == event.livemode and (not self.events or event.kind in self.events)

    def secrets(self, now: datetime) -> list[str]:
        """What a message is signed with now, the newest first."""
        old = self.previous_secret
        overlaps = old is not None and self.previous_until is not None and now < self.previous_until
        return [self.secret, old] if overlaps and old is not None else [self.secret]


class ChatChannel(Receiver):
    """A channel of a chat that takes Slack's incoming webhooks. Who has its URL may write there: a secret, sealed."""

    name = models.CharField(max_length=100)
    url = SealedText(editable=False)
    host = models.CharField(max_length=253, help_text="Of the URL: all that is shown of it.")

    class Meta:
        verbose_name, verbose_name_plural = "chat channel", "chat channels"
        ordering: ClassVar = ["id"]

    @property
    def shown(self) -> str:
        return f"{self.name} ({self.host})"


class Event(models.Model):
    """Something that happened to a tenant: notified once, to everybody subscribed."""

    id = models.CharField(primary_key=True, max_length=32)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE)
    key = models.CharField(max_length=200, unique=True, help_text="What makes it happen once.")
    kind = models.CharField(max_length=60, choices=[(kind, kind) for kind in KINDS])
    livemode = models.BooleanField(default=True)
    occurred_at = models.DateTimeField(db_index=True)
    data = models.JSONField()

    class Meta:
        ordering: ClassVar = ["-occurred_at"]

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"

    def body(self) -> bytes:
        """The webhook's body, the same bytes at every try."""
        payload: dict[str, Any] = {
            "id": self.id,
            "type": self.kind,
            "timestamp": times.rfc3339(self.occurred_at),
            "livemode": self.livemode,
            "data": self.data,
        }
        return msgspec.json.encode(payload, order="deterministic")


class Delivery(models.Model):
    """One event on its way to one recipient."""

    class Channel(models.TextChoices):
        EMAIL = "email"
        WEBHOOK = "webhook"
        CHAT = "chat"

    class State(models.TextChoices):
        WAITING = "waiting"
        DELIVERED = "delivered"
        DEAD = "dead"

    id = models.CharField(primary_key=True, max_length=32)
    event = models.ForeignKey(Event, on_delete=models.CASCADE, related_name="deliveries")
    tenant = models.ForeignKey(
        Tenant, on_delete=models.CASCADE, db_index=False, help_text="The event's; turns go round by it."
    )
    channel = models.CharField(max_length=10, choices=Channel)
    endpoint = models.ForeignKey(WebhookEndpoint, null=True, on_delete=models.CASCADE, related_name="deliveries")
    chat = models.ForeignKey(ChatChannel, null=True, on_delete=models.CASCADE, related_name="deliveries")
    recipient = models.CharField(max_length=2_048, help_text="An e-mail address, a URL or a channel's name.")
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    tries = models.PositiveSmallIntegerField(default=0)
    next_try_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField()
    delivered_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-id"]
        verbose_name_plural = "deliveries"
        indexes: ClassVar = [
            models.Index(fields=["next_try_at"], condition=models.Q(state="waiting"), name="delivery_due"),
            models.Index(fields=["endpoint", "-id"], name="delivery_of_endpoint"),
            # Turns go round by tenant and recipient (delivery.look): a lane's next is found without reading the others.
            models.Index(
                "tenant",
                Coalesce("endpoint", "chat", models.Value("")),
                "next_try_at",
                condition=models.Q(state="waiting"),
                name="delivery_lane",
            ),
        ]

    def __str__(self) -> str:
        return self.id

    @property
    def receiver(self) -> Receiver | None:
        """The customer's address it goes to; None of an e-mail."""
        return self.endpoint or self.chat


class Attempt(models.Model):
    """One try and what came of it."""

    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="attempts")
    number = models.PositiveSmallIntegerField()
    at = models.DateTimeField()
    delivered = models.BooleanField()
    status = models.PositiveSmallIntegerField(null=True, blank=True, help_text="Of HTTP or SMTP, when one was told.")
    answer = models.CharField(max_length=500, blank=True)
    duration_ms = models.PositiveIntegerField()

    class Meta:
        ordering: ClassVar = ["number"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["delivery", "number"], name="attempt_once")]

    def __str__(self) -> str:
        return f"{self.delivery_id} try {self.number}"
