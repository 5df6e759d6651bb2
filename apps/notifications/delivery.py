"""Emptying the outbox: claim, try, record. Run by any number of workers at once, and as often as one likes.

    claim    under SELECT … FOR UPDATE SKIP LOCKED a delivery's next try moves on by LEASE: nobody else takes it now,
             and if this worker dies it is due again afterwards
    try      what is attached is made first; then in threads, outside any transaction
    record   only if the claim is still ours; delivered, or due again by the schedule, or dead

So everything is told at least once; `webhook-id` and Message-ID tell a receiver what it has had before.
"""

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Window
from django.db.models.functions import RowNumber
from prometheus_client import Counter

from apps.notifications import hooks, mail
from apps.notifications.attachments import Attachment, attachment_of
from apps.notifications.models import Attempt, Delivery, WebhookEndpoint
from apps.notifications.outcome import Outcome
from apps.notifications.schedule import MOST_TRIES, next_try
from apps.notifications.services import disable, notify, private_networks

#: Tried at the same time.
AT_ONCE = 16
#: Rounds of one run: the worker has other things to do, too.
MOST_ROUNDS = 100
#: Of these to one recipient: a slow one holds up nobody else.
AT_ONCE_EACH = 4
#: Longer than a try can take, name, connection and answer together.
LEASE = timedelta(minutes=2)
#: A webhook that only failed for so long, in at least as many tries as one message gets, is switched off.
FAILING = timedelta(days=5)
#: Deliveries are kept this long; events, which make things happen once, for ever.
KEPT = timedelta(days=90)

TRIED = Counter("palisade_deliveries_total", "Tries to tell somebody something", ["channel", "outcome"])


def deliver_due(now: Callable[[], datetime]) -> int:
    """Try what is due, `MOST_ROUNDS` times `AT_ONCE`; how many tries were made."""
    tried = 0
    with ThreadPoolExecutor(AT_ONCE) as threads:
        for _ in range(MOST_ROUNDS):
            claimed = claim(now())
            if not claimed:
                break
            attached = [_attached(one) for one in claimed]
            outcomes = threads.map(lambda one, file: attempt(one, now(), file), claimed, attached)
            for delivery, outcome in zip(claimed, outcomes, strict=True):
                record(delivery, outcome, now())
            tried += len(claimed)
    return tried


@transaction.atomic
def claim(now: datetime) -> list[Delivery]:
    """Up to `AT_ONCE` deliveries that are due and are ours for `LEASE`, the try counted."""
    due = Delivery.objects.filter(state=Delivery.State.WAITING, next_try_at__lte=now)
    place = Window(RowNumber(), partition_by=[F("endpoint"), F("recipient")], order_by="next_try_at")
    fair = due.annotate(place=place).filter(place__lte=AT_ONCE_EACH).values("pk")
    rows = due.filter(pk__in=fair).select_related("event__tenant", "endpoint").order_by("next_try_at")
    claimed = list(rows.select_for_update(of=("self",), skip_locked=True)[:AT_ONCE])
    Delivery.objects.filter(pk__in=[one.pk for one in claimed]).update(tries=F("tries") + 1, next_try_at=now + LEASE)
    for one in claimed:
        one.tries += 1
    return claimed


def _attached(delivery: Delivery) -> Attachment | None:
    """Of an e-mail. It is made here, where the database may be asked."""
    event = delivery.event
    return attachment_of(event.kind, event.data) if delivery.endpoint is None else None


def attempt(delivery: Delivery, now: datetime, attached: Attachment | None = None) -> Outcome:
    """One try over its channel. No database: this runs in a thread."""
    event = delivery.event
    if delivery.endpoint is None:
        facts = event.data | {"tenant": event.tenant.name, "occurred_at": event.occurred_at}
        return mail.send(delivery.pk, delivery.recipient, event.kind, facts, attached)
    body = event.body()
    headers = hooks.sign(event.pk, body, delivery.endpoint.secrets(now), now)
    return hooks.post(delivery.endpoint.url, body, headers, private_networks())


@transaction.atomic
def record(delivery: Delivery, outcome: Outcome, now: datetime, luck: float | None = None) -> None:
    """What came of it. Nothing is written when the claim has lapsed and another worker has it."""
    # The webhook is locked first: switching it off gives up its other deliveries, which others may be recording.
    webhook = WebhookEndpoint.objects.select_for_update().filter(pk=delivery.endpoint_id).first()
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
    if webhook is not None and webhook.disabled_at is None:
        _note_health(webhook, outcome, now)


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


def _note_health(webhook: WebhookEndpoint, outcome: Outcome, now: datetime) -> None:
    if outcome.delivered:
        WebhookEndpoint.objects.filter(pk=webhook.pk).exclude(failures=0).update(failing_since=None, failures=0)
        return
    webhook.failing_since, webhook.failures = webhook.failing_since or now, webhook.failures + 1
    webhook.save(update_fields=["failing_since", "failures"])
    if outcome.gone:
        _switch_off(webhook, "It answered 410 Gone.", now)
    elif now - webhook.failing_since >= FAILING and webhook.failures >= MOST_TRIES:
        _switch_off(webhook, f"It has failed since {webhook.failing_since:%Y-%m-%d %H:%M} UTC.", now)


def _switch_off(webhook: WebhookEndpoint, why: str, now: datetime) -> None:
    disable(webhook, why, now)
    notify(
        tenant=webhook.tenant,
        kind="webhook.disabled",
        data={"url": webhook.url, "reason": why},
        key=f"webhook.disabled:{webhook.pk}:{now.isoformat()}",
        now=now,
        livemode=webhook.livemode,
    )
