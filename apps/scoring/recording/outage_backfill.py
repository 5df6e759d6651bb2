"""Telling Valkey what was answered past it: once it is back, a repeated request meets its first answer there.

While Valkey was away decisions were written to Postgres directly. Their Idempotency-Keys and transaction ids are told
to it by the recorder, within a second. What a process claimed and never finished gives
way: the answer that was given counts.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta

from apps.accounts.models import Tenant
from apps.accounts.tenancy import in_tenant
from apps.api_keys.gate import names_of
from apps.scoring.models import Decision
from apps.scoring.serving import ids
from apps.scoring.serving.journal_entries import TRANSACTION_HASH
from apps.usage.metering.journal import IdempotentAnswer, Journal
from apps.usage.models import UsageEvent

#: As long as an Idempotency-Key lives.
LOOK_BACK = timedelta(hours=24)


def backfill_missed(journal: Journal, since: datetime) -> int:
    """Tell Valkey of every decision since then that went past it; how many. Harmless when repeated."""
    missed: dict[int, list[str]] = defaultdict(list)
    events = UsageEvent.objects.filter(direct=True, occurred_at__gte=since)
    for tenant_id, decision_id in events.values_list("tenant_id", "id"):
        missed[tenant_id].append(decision_id)
    for tenant in Tenant.objects.filter(pk__in=missed):
        _backfill(journal, tenant, missed[tenant.pk])
    return sum(map(len, missed.values()))


def _backfill(journal: Journal, tenant: Tenant, decision_ids: Iterable[str]) -> None:
    with in_tenant(tenant):
        rows = list(Decision.objects.filter(pk__in=decision_ids))
    for livemode in (True, False):
        journal.remember(
            names_of(tenant.handle, livemode), [_idempotent_answer(row) for row in rows if row.livemode == livemode]
        )


def _idempotent_answer(row: Decision) -> IdempotentAnswer:
    return IdempotentAnswer(
        decision_id=row.pk,
        schema=row.schema,
        transaction_hash=(row.hidden or {}).get(TRANSACTION_HASH) or ids.text_hash(row.transaction_id),
        body_hash=row.body_hash,
        idempotency_key=row.idempotency_hash,
        fingerprint=row.fingerprint,
    )
