"""Telling somebody something: rows of the outbox, in the caller's transaction. And the life of a webhook."""

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from apps.accounts.audit import record_audit
from apps.accounts.models import Membership, Tenant
from apps.notifications.kinds import KINDS
from apps.notifications.models import ChatChannel, Delivery, Event, Receiver, WebhookEndpoint, new_id, new_secret
from apps.notifications.targets import Network, parse

#: Webhooks of one tenant and mode, and chat channels.
MOST_WEBHOOKS = MOST_CHANNELS = 20
#: A replaced secret may sign along this long.
MAX_OVERLAP = timedelta(days=7)


Kind = TypeVar("Kind", bound=Receiver)


class TooMany(ValueError):
    """The tenant has as many webhooks, or chat channels, as it may have."""


@dataclass(frozen=True)
class News:
    """Something that happened to a tenant, to be notified once: `key` says what. `data`: JSON types, the kind's fields.

    It is mailed to `to`, or else to the tenant's owners and admins; goes to every webhook that wants it, and to the
    chat channels with the ids `chats`, or else to all; and to webhooks of its mode whose ids are in `also`.
    """

    tenant: Tenant
    kind: str
    data: Mapping[str, Any]
    key: str
    to: Sequence[str] | None = None
    livemode: bool = True
    chats: Sequence[str] | None = None
    also: Sequence[str] = ()

    def goes_to(self, webhook: WebhookEndpoint, event: Event) -> bool:
        return webhook.wants(event) or (webhook.pk in self.also and webhook.livemode == event.livemode)


def notify(
    *,
    tenant: Tenant,
    kind: str,
    data: Mapping[str, Any],
    key: str,
    now: datetime,
    to: Sequence[str] | None = None,
    livemode: bool = True,
    chats: Sequence[str] | None = None,
    also: Sequence[str] = (),
) -> bool:
    """Notify a tenant once that something happened at `now` (see `News`); False when `key` was notified before."""
    return bool(notify_all([News(tenant, kind, data, key, to, livemode, chats, also)], now))


@transaction.atomic
def notify_all(news: Sequence[News], now: datetime) -> int:
    """Notify of many things, with a few statements for all of them; how many were new."""
    happened = _happened(news, now)
    people = people_of({one.tenant.pk for _, one in happened if one.to is None and KINDS[one.kind].mailed})
    webhooks = _receivers(WebhookEndpoint, {one.tenant.pk for _, one in happened if KINDS[one.kind].hooked})
    chats = _receivers(ChatChannel, {one.tenant.pk for _, one in happened if KINDS[one.kind].chatted})
    rows: list[Delivery] = []
    for event, one in happened:
        mails = people.get(event.tenant_id, []) if one.to is None else one.to
        wanting = [hook for hook in webhooks.get(event.tenant_id, []) if one.goes_to(hook, event)]
        channels = [chat for chat in chats.get(event.tenant_id, []) if _is_meant(chat, one)]
        rows += _deliveries(event, mails if KINDS[one.kind].mailed else (), [*wanting, *channels], now)
    Delivery.objects.bulk_create(rows)
    return len(happened)


def people_of(tenant_ids: Iterable[int]) -> dict[int, list[str]]:
    """Who answers for each tenant: its owners and admins."""
    roles = (Membership.Role.OWNER, Membership.Role.ADMIN)
    rows = Membership.objects.filter(tenant_id__in=tenant_ids, role__in=roles, user__is_active=True)
    found: dict[int, list[str]] = {}
    for tenant_id, email in rows.order_by("user__email").values_list("tenant_id", "user__email"):
        found.setdefault(tenant_id, []).append(email)
    return found


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
    after = {"url": url, "events": list(events)}
    record_audit(tenant=tenant, actor=actor, action="webhook.created", target=made, after=after, now=now)
    return made


@transaction.atomic
def change_webhook(
    *, webhook: WebhookEndpoint, changes: Mapping[str, Any], now: datetime, actor: str = "command"
) -> WebhookEndpoint:
    """Change `url`, `events`, `description` or `enabled`. Raises `NotAllowed` for the URL."""
    row = WebhookEndpoint.objects.select_for_update().get(pk=webhook.pk)
    before = {name: row.disabled_at is None if name == "enabled" else getattr(row, name) for name in changes}
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
        record_audit(
            tenant=row.tenant,
            actor=actor,
            action="webhook.changed",
            target=row,
            before=before,
            after=dict(changes),
            now=now,
        )
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
    after = {"overlap_s": int(overlap.total_seconds())}
    record_audit(tenant=row.tenant, actor=actor, action="webhook.rotated", target=row, after=after, now=now)
    return row


@transaction.atomic
def delete_webhook(*, webhook: WebhookEndpoint, now: datetime, actor: str = "command") -> None:
    """It and what was on its way to it."""
    before = {"url": webhook.url, "events": webhook.events}
    record_audit(tenant=webhook.tenant, actor=actor, action="webhook.deleted", target=webhook, before=before, now=now)
    WebhookEndpoint.objects.filter(pk=webhook.pk).delete()


@transaction.atomic
def send_test(*, webhook: WebhookEndpoint, now: datetime, actor: str = "command") -> Delivery:
    """A `webhook.test` to this one alone, whatever it wants otherwise."""
    data = {"message": "It works when you can verify this signature."}
    news = News(webhook.tenant, "webhook.test", data, new_id("test", now), livemode=webhook.livemode)
    ((event, _),) = _happened([news], now)
    (sent,) = Delivery.objects.bulk_create(_deliveries(event, (), [webhook], now))
    record_audit(tenant=webhook.tenant, actor=actor, action="webhook.tested", target=webhook, now=now)
    sent.refresh_from_db()
    return sent


@transaction.atomic
def replay(*, delivery: Delivery, now: datetime, actor: str = "command") -> Delivery:
    """Send it again, as a delivery of its own with tries of its own; the event, and so `webhook-id`, is the same."""
    event = delivery.event
    receiver = delivery.receiver
    rows = _deliveries(event, () if receiver else (delivery.recipient,), [receiver] if receiver else (), now)
    (again,) = Delivery.objects.bulk_create(rows)
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


def disable(receiver: Receiver, why: str, now: datetime) -> None:
    """Send it nothing any more; what waits is given up and can be replayed. Its row must be locked by the caller."""
    receiver.disabled_at, receiver.disabled_because = now, why
    receiver.save(update_fields=["disabled_at", "disabled_because"])
    Delivery.objects.filter(**_way_to(receiver), state=Delivery.State.WAITING).update(
        state=Delivery.State.DEAD, next_try_at=None
    )


@transaction.atomic
def create_channel(
    *, tenant: Tenant, livemode: bool, name: str, url: str, now: datetime, actor: str = "command"
) -> ChatChannel:
    """A chat channel by the URL of its incoming webhook. Raises `NotAllowed` for the URL, `TooMany`."""
    host = parse(url, private_networks()).host
    Tenant.objects.select_for_update().get(pk=tenant.pk)
    if ChatChannel.objects.filter(tenant=tenant, livemode=livemode).count() >= MOST_CHANNELS:
        raise TooMany
    made = ChatChannel.objects.create(
        id=new_id("cht", now), tenant=tenant, livemode=livemode, name=name, url=url, host=host, created_at=now
    )
    after = {"name": name, "host": host}
    record_audit(tenant=tenant, actor=actor, action="chat_channel.created", target=made, after=after, now=now)
    return made


@transaction.atomic
def delete_channel(*, channel: ChatChannel, now: datetime, actor: str = "command") -> None:
    """It and what was on its way to it."""
    before = {"name": channel.name, "host": channel.host}
    record_audit(
        tenant=channel.tenant, actor=actor, action="chat_channel.deleted", target=channel, before=before, now=now
    )
    ChatChannel.objects.filter(pk=channel.pk).delete()


@transaction.atomic
def send_channel_test(*, channel: ChatChannel, now: datetime, actor: str = "command") -> Delivery:
    """A message to this channel; one that was switched off works again from now on."""
    ChatChannel.objects.filter(pk=channel.pk).update(
        disabled_at=None, disabled_because="", failing_since=None, failures=0
    )
    data = {"message": "Palisade can write to this channel."}
    news = News(channel.tenant, "chat.test", data, new_id("test", now), livemode=channel.livemode)
    ((event, _),) = _happened([news], now)
    (sent,) = Delivery.objects.bulk_create(_deliveries(event, (), [channel], now))
    record_audit(tenant=channel.tenant, actor=actor, action="chat_channel.tested", target=channel, now=now)
    return sent


def _happened(news: Sequence[News], now: datetime) -> list[tuple[Event, News]]:
    """The events of what was not notified before."""
    events = {event.pk: (event, new) for new in news for event in [_event(new, now)]}
    Event.objects.bulk_create([event for event, _ in events.values()], ignore_conflicts=True)
    return [events[pk] for pk in Event.objects.filter(pk__in=events).order_by("pk").values_list("pk", flat=True)]


def _event(one: News, now: datetime) -> Event:
    lacking = set(KINDS[one.kind].fields) - set(one.data)
    if lacking:
        raise ValueError(f"{one.kind} lacks {', '.join(sorted(lacking))}")
    return Event(
        id=new_id("evt", now),
        tenant=one.tenant,
        key=f"{one.tenant.pk}:{one.key}",
        kind=one.kind,
        livemode=one.livemode,
        occurred_at=now,
        data=dict(one.data),
    )


def _deliveries(event: Event, mails: Iterable[str], receivers: Iterable[Receiver], now: datetime) -> list[Delivery]:
    """Rows that wait to be delivered, from this moment of the database on."""
    rows = [_delivery(event, Delivery.Channel.EMAIL, mail, {}, now) for mail in dict.fromkeys(mails)]
    for one in receivers:
        channel = Delivery.Channel.CHAT if isinstance(one, ChatChannel) else Delivery.Channel.WEBHOOK
        rows.append(_delivery(event, channel, one.shown, _way_to(one), now))
    return rows


def _delivery(
    event: Event, channel: Delivery.Channel, recipient: str, way: Mapping[str, Any], now: datetime
) -> Delivery:
    return Delivery(
        id=new_id("dlv", now),
        event=event,
        tenant_id=event.tenant_id,
        channel=channel,
        recipient=recipient,
        next_try_at=Now(),
        created_at=now,
        **way,
    )


def _way_to(receiver: Receiver) -> dict[str, Receiver]:
    """The column of a delivery that names a receiver."""
    return {"chat" if isinstance(receiver, ChatChannel) else "endpoint": receiver}


def _is_meant(chat: ChatChannel, one: News) -> bool:
    return chat.livemode == one.livemode and (one.chats is None or chat.pk in one.chats)


def _receivers(model: type[Kind], tenant_ids: Iterable[int]) -> dict[int, list[Kind]]:
    """Those that are not switched off, by tenant."""
    found: dict[int, list[Kind]] = {}
    for row in model._default_manager.filter(tenant_id__in=tenant_ids, disabled_at=None):
        found.setdefault(row.tenant_id, []).append(row)
    return found
