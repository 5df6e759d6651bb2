"""Telling somebody something: rows of the outbox, in the caller's transaction. And the life of a webhook."""

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from apps.accounts.models import Membership, Tenant
from apps.accounts.services import record_audit
from apps.notifications.kinds import KINDS
from apps.notifications.models import Delivery, Event, WebhookEndpoint, new_id, new_secret
from apps.notifications.targets import Network, parse

#: Webhooks of one tenant and mode.
MOST_WEBHOOKS = 20
#: A replaced secret may sign along this long.
MAX_OVERLAP = timedelta(days=7)


class TooMany(ValueError):
    """The tenant has as many webhooks as it may have."""


@transaction.atomic
def notify(
    *,
    tenant: Tenant,
    kind: str,
    data: Mapping[str, Any],
    key: str,
    now: datetime,
    to: Sequence[str] | None = None,
    livemode: bool = True,
) -> bool:
    """Tell a tenant once that something happened at `now`; False when `key` was told before.

    By e-mail to `to`, or else to the tenant's owners and admins; and to every webhook that wants it. `data` holds JSON
    types and at least the kind's fields.
    """
    event, new = _happened(tenant, kind, data, key, now, livemode)
    if new:
        mails = _people(tenant) if to is None else to
        _enqueue(event, mails if KINDS[kind].mailed else (), _wanting(event) if KINDS[kind].hooked else (), now)
    return new


def private_networks() -> list[Network]:
    """Networks that are not public and may be called nevertheless."""
    return [ipaddress.ip_network(network) for network in settings.WEBHOOK_NETWORKS]


@transaction.atomic
def create_webhook(
    *,
    tenant: Tenant,
    livemode: bool,
    url: str,
    now: datetime,
    events: Sequence[str] = (),
    description: str = "",
    actor: str = "command",
) -> WebhookEndpoint:
    """A webhook with a secret of its own. Raises `NotAllowed` for the URL, `TooMany`."""
    parse(url, private_networks())
    Tenant.objects.select_for_update().get(pk=tenant.pk)
    if WebhookEndpoint.objects.filter(tenant=tenant, livemode=livemode).count() >= MOST_WEBHOOKS:
        raise TooMany
    made = WebhookEndpoint.objects.create(
        id=new_id("whe", now),
        tenant=tenant,
        livemode=livemode,
        url=url,
        events=list(events),
        description=description,
        secret=new_secret(),
        created_at=now,
    )
    _audit(made, "created", actor, now, {"url": url, "events": list(events)})
    return made


@transaction.atomic
def change_webhook(
    *, webhook: WebhookEndpoint, changes: Mapping[str, Any], now: datetime, actor: str = "command"
) -> WebhookEndpoint:
    """Change `url`, `events`, `description` or `enabled`. Raises `NotAllowed` for the URL."""
    row = WebhookEndpoint.objects.select_for_update().get(pk=webhook.pk)
    if "url" in changes:
        parse(changes["url"], private_networks())
    for name in set(changes) & {"url", "events", "description"}:
        setattr(row, name, changes[name])
    if changes.get("enabled") is True:
        row.disabled_at, row.disabled_because, row.failing_since, row.failures = None, "", None, 0
    row.save()
    if changes.get("enabled") is False:
        disable(row, "You switched it off.", now)
    if changes:
        _audit(row, "changed", actor, now, dict(changes))
    return row


@transaction.atomic
def rotate_secret(
    *, webhook: WebhookEndpoint, overlap: timedelta, now: datetime, actor: str = "command"
) -> WebhookEndpoint:
    """A new secret; the old one signs along for `overlap` (0 to 7 days)."""
    if not timedelta(0) <= overlap <= MAX_OVERLAP:
        raise ValueError("overlap: 0 to 7 days")
    row = WebhookEndpoint.objects.select_for_update().get(pk=webhook.pk)
    row.previous_secret, row.previous_until = (row.secret, now + overlap) if overlap else (None, None)
    row.secret = new_secret()
    row.save()
    _audit(row, "rotated", actor, now, {"overlap_s": int(overlap.total_seconds())})
    return row


@transaction.atomic
def delete_webhook(*, webhook: WebhookEndpoint, now: datetime, actor: str = "command") -> None:
    """It and what was on its way to it."""
    _audit(webhook, "deleted", actor, now, {"url": webhook.url})
    WebhookEndpoint.objects.filter(pk=webhook.pk).delete()


@transaction.atomic
def send_test(*, webhook: WebhookEndpoint, now: datetime) -> Delivery:
    """A `webhook.test` to this one alone, whatever it wants otherwise."""
    data = {"message": "It works when you can verify this signature."}
    event, _ = _happened(webhook.tenant, "webhook.test", data, new_id("test", now), now, webhook.livemode)
    (sent,) = _enqueue(event, (), [webhook], now)
    sent.refresh_from_db()
    return sent


@transaction.atomic
def replay(*, delivery: Delivery, now: datetime, actor: str = "command") -> Delivery:
    """Send it again, as a delivery of its own with tries of its own; the event, and so `webhook-id`, is the same."""
    event = delivery.event
    mails = () if delivery.endpoint else (delivery.recipient,)
    (again,) = _enqueue(event, mails, [delivery.endpoint] if delivery.endpoint else (), now)
    record_audit(
        tenant=event.tenant,
        actor=actor,
        action="delivery.replayed",
        target=delivery.pk,
        after={"as": again.pk},
        now=now,
    )
    again.refresh_from_db()
    return again


def disable(webhook: WebhookEndpoint, why: str, now: datetime) -> None:
    """Send it nothing any more; what waits is given up and can be replayed. Its row must be locked by the caller."""
    webhook.disabled_at, webhook.disabled_because = now, why
    webhook.save(update_fields=["disabled_at", "disabled_because"])
    Delivery.objects.filter(endpoint=webhook, state=Delivery.State.WAITING).update(
        state=Delivery.State.DEAD, next_try_at=None
    )


def _happened(
    tenant: Tenant, kind: str, data: Mapping[str, Any], key: str, now: datetime, livemode: bool
) -> tuple[Event, bool]:
    lacking = set(KINDS[kind].fields) - set(data)
    if lacking:
        raise ValueError(f"{kind} lacks {', '.join(sorted(lacking))}")
    facts = {"id": new_id("evt", now), "tenant": tenant, "kind": kind, "livemode": livemode}
    return Event.objects.get_or_create(
        key=f"{tenant.pk}:{key}", defaults={**facts, "data": dict(data), "occurred_at": now}
    )


def _enqueue(event: Event, mails: Iterable[str], webhooks: Iterable[WebhookEndpoint], now: datetime) -> list[Delivery]:
    """Rows that wait to be delivered, from this moment of the database on."""
    rows = [_delivery(event, Delivery.Channel.EMAIL, mail, None, now) for mail in dict.fromkeys(mails)]
    rows += [_delivery(event, Delivery.Channel.WEBHOOK, one.url, one, now) for one in webhooks]
    return Delivery.objects.bulk_create(rows)


def _delivery(
    event: Event, channel: Delivery.Channel, recipient: str, endpoint: WebhookEndpoint | None, now: datetime
) -> Delivery:
    return Delivery(
        id=new_id("dlv", now),
        event=event,
        channel=channel,
        recipient=recipient,
        endpoint=endpoint,
        next_try_at=Now(),
        created_at=now,
    )


def _people(tenant: Tenant) -> list[str]:
    """Who answers for the tenant."""
    roles = (Membership.Role.OWNER, Membership.Role.ADMIN)
    rows = Membership.objects.filter(tenant=tenant, role__in=roles, user__is_active=True)
    return list(rows.order_by("user__email").values_list("user__email", flat=True))


def _wanting(event: Event) -> list[WebhookEndpoint]:
    rows = WebhookEndpoint.objects.filter(tenant=event.tenant, livemode=event.livemode, disabled_at=None)
    return [row for row in rows if row.wants(event.kind)]


def _audit(webhook: WebhookEndpoint, verb: str, actor: str, now: datetime, after: dict[str, Any]) -> None:
    record_audit(tenant=webhook.tenant, actor=actor, action=f"webhook.{verb}", target=webhook.pk, after=after, now=now)
