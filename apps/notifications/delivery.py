"""The outbox, one step at a time: look, claim, try, record. `courier.py` takes the steps, in any number of processes.

    look     lane by lane (a tenant's e-mail, each of its webhooks), the few that are due first in each; however many
             wait in one lane, the next lane is as near
    claim    under SELECT … FOR UPDATE SKIP LOCKED a delivery's next try moves on by LEASE: nobody else takes it now,
             and if this process dies it is due again afterwards
    try      outside any transaction
    record   only if the claim is still ours; delivered, or due again by the schedule, or dead

So everything is told at least once; `webhook-id` and Message-ID tell a receiver what it has had before.
"""

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import connection, transaction
from django.db.models import F
from prometheus_client import Counter

from apps.notifications import chat, hooks, mail
from apps.notifications.attachments import attachment_of
from apps.notifications.models import Attempt, ChatChannel, Delivery, Receiver, WebhookEndpoint
from apps.notifications.outcome import Outcome
from apps.notifications.schedule import MOST_TRIES, next_try
from apps.notifications.services import disable, notify, private_networks
from apps.notifications.turns import Waiting

#: Lanes that one look takes in, and deliveries of each.
LANES_A_LOOK, OF_EACH = 200, 8
#: Longer than a try can take, name, connection and answer together.
LEASE = timedelta(minutes=2)
#: A webhook that only failed for so long, in at least as many tries as one message gets, is switched off.
FAILING = timedelta(days=5)
#: Deliveries are kept this long; events, which make things happen once, for ever.
KEPT = timedelta(days=90)

TRIED = Counter("palisade_deliveries_total", "Tries to tell somebody something", ["channel", "outcome"])


class Lane(NamedTuple):
    """What is on its way from one tenant to one recipient: a webhook's id, a channel's, or "" for all of its e-mail."""

    tenant: int = 0
    recipient: str = ""


#: Before every lane there is.
FIRST = Lane()

# A loose scan of the index `delivery_lane`: it hops from lane to lane and reads no more than what it returns.
_LOOK = """
WITH RECURSIVE lane AS (
    (SELECT tenant_id, COALESCE(endpoint_id, chat_id, '') AS recipient, 1 AS place FROM public.notifications_delivery
     WHERE state = 'waiting' AND (tenant_id, COALESCE(endpoint_id, chat_id, '')) > (%(tenant)s, %(recipient)s)
     ORDER BY 1, 2 LIMIT 1)
  UNION ALL
    SELECT following.tenant_id, following.recipient, lane.place + 1 FROM lane CROSS JOIN LATERAL
    (SELECT tenant_id, COALESCE(endpoint_id, chat_id, '') AS recipient FROM public.notifications_delivery
     WHERE state = 'waiting' AND (tenant_id, COALESCE(endpoint_id, chat_id, '')) > (lane.tenant_id, lane.recipient)
     ORDER BY 1, 2 LIMIT 1) AS following
    WHERE lane.place < %(lanes)s
)
SELECT due.id, lane.tenant_id, lane.recipient FROM lane LEFT JOIN LATERAL
    (SELECT id, next_try_at FROM public.notifications_delivery
     WHERE state = 'waiting' AND tenant_id = lane.tenant_id AND COALESCE(endpoint_id, chat_id, '') = lane.recipient
     AND next_try_at <= %(now)s ORDER BY next_try_at LIMIT %(each)s) AS due ON true
ORDER BY lane.place, due.next_try_at
"""


def look(after: Lane, now: datetime) -> tuple[list[Waiting], Lane]:
    """What is due in the lanes that follow, and the last lane looked at: `FIRST` when there are none behind it."""
    asked: dict[str, int | str | datetime] = {"lanes": LANES_A_LOOK, "each": OF_EACH, "now": now}
    with connection.cursor() as cursor:
        cursor.execute(_LOOK, asked | after._asdict())
        rows = cursor.fetchall()
    lanes = list(dict.fromkeys(Lane(tenant, recipient) for _, tenant, recipient in rows))
    waiting = [Waiting(*row) for row in rows if row[0] is not None]
    return waiting, lanes[-1] if len(lanes) == LANES_A_LOOK else FIRST


@transaction.atomic
def claim(ids: Sequence[str], now: datetime) -> list[Delivery]:
    """Those that are due still and from now on ours for `LEASE`, the try counted."""
    due = Delivery.objects.filter(pk__in=ids, state=Delivery.State.WAITING, next_try_at__lte=now)
    rows = due.select_related("event__tenant", "endpoint", "chat").order_by("pk")
    claimed = list(rows.select_for_update(of=("self",), skip_locked=True))
    # Whoever had the last try never told what came of it, ten times: it ends here, whatever it does to its process.
    spent = [one.pk for one in claimed if one.tries >= MOST_TRIES]
    Delivery.objects.filter(pk__in=spent).update(state=Delivery.State.DEAD, next_try_at=None)
    ours = [one for one in claimed if one.tries < MOST_TRIES]
    Delivery.objects.filter(pk__in=[delivery.pk for delivery in ours]).update(
        tries=F("tries") + 1, next_try_at=now + LEASE
    )
    for one in ours:
        one.tries += 1
    return ours


def attempt(delivery: Delivery, now: datetime) -> Outcome:
    """One try over its channel. The database is asked for an e-mail's attachment alone."""
    event = delivery.event
    facts = event.data | {"tenant": event.tenant.name, "occurred_at": event.occurred_at}
    if delivery.chat is not None:
        return hooks.post(delivery.chat.url, chat.body(*mail.render(event.kind, facts)), {}, private_networks())
    if delivery.endpoint is None:
        return mail.send(delivery.pk, delivery.recipient, event.kind, facts, attachment_of(event.kind, event.data))
    body = event.body()
    headers = hooks.sign(event.pk, body, delivery.endpoint.secrets(now), now)
    return hooks.post(delivery.endpoint.url, body, headers, private_networks())


@transaction.atomic
def record(delivery: Delivery, outcome: Outcome, now: datetime, luck: float | None = None) -> None:
    """What came of it. Nothing is written when the claim has lapsed and another worker has it."""
    # The receiver is locked first: switching it off gives up its other deliveries, which others may be recording.
    receiver = _locked(delivery)
    if not _settled(delivery, outcome, now, random.random() if luck is None else luck):  # noqa: S311 - jitter
        return
    Attempt.objects.create(
        delivery=delivery,
        number=delivery.tries,
        at=now,
        delivered=outcome.delivered,
        status=outcome.status,
        answer=outcome.answer,
        duration_ms=outcome.duration_ms,
    )
    TRIED.labels(delivery.channel, "delivered" if outcome.delivered else "failed").inc()
    if receiver is not None and receiver.disabled_at is None:
        _note_health(receiver, outcome, now)


def forget_old(now: datetime) -> int:
    """Delete deliveries that were settled long ago, with their attempts."""
    old = Delivery.objects.exclude(state=Delivery.State.WAITING).filter(created_at__lt=now - KEPT)
    return old.delete()[0]


def _settled(delivery: Delivery, outcome: Outcome, now: datetime, luck: float) -> bool:
    """Move the row on, if it is still as we claimed it."""
    again = None if outcome.final else next_try(delivery.tries, now, luck, outcome.retry_after)
    lost = Delivery.State.WAITING if again else Delivery.State.DEAD
    mine = Delivery.objects.filter(pk=delivery.pk, state=Delivery.State.WAITING, tries=delivery.tries)
    if outcome.delivered:
        return bool(mine.update(state=Delivery.State.DELIVERED, delivered_at=now, next_try_at=None))
    return bool(mine.update(state=lost, next_try_at=again))


def _locked(delivery: Delivery) -> Receiver | None:
    """The webhook or chat channel it goes to."""
    if delivery.chat_id is not None:
        return ChatChannel.objects.select_for_update().filter(pk=delivery.chat_id).first()
    return WebhookEndpoint.objects.select_for_update().filter(pk=delivery.endpoint_id).first()


def _note_health(receiver: Receiver, outcome: Outcome, now: datetime) -> None:
    if outcome.delivered:
        if receiver.failures:
            receiver.failing_since, receiver.failures = None, 0
            receiver.save(update_fields=["failing_since", "failures"])
        return
    receiver.failing_since, receiver.failures = receiver.failing_since or now, receiver.failures + 1
    receiver.save(update_fields=["failing_since", "failures"])
    if outcome.gone:
        _switch_off(receiver, "It answered 410 Gone.", now)
    elif now - receiver.failing_since >= FAILING and receiver.failures >= MOST_TRIES:
        _switch_off(receiver, f"It has failed since {receiver.failing_since:%Y-%m-%d %H:%M} UTC.", now)


def _switch_off(receiver: Receiver, why: str, now: datetime) -> None:
    disable(receiver, why, now)
    kind, named = ("webhook.disabled", "url") if isinstance(receiver, WebhookEndpoint) else ("chat.disabled", "channel")
    notify(
        tenant=receiver.tenant,
        kind=kind,
        data={named: receiver.shown, "reason": why},
        key=f"{kind}:{receiver.pk}:{now.isoformat()}",
        now=now,
        livemode=receiver.livemode,
    )
