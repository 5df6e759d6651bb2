"""Admission: the gate with what it needs from Postgres when it asks, and without Valkey when that is away.

gate ── knows the key ──────────────────────────────► Admission
  │  key not cached: row + plan from Postgres, publish, ask again
  │  month's counter missing: set it from the roll-ups, ask again
  └─ Valkey away: key and plan from Postgres, limits per process, nothing billed (`gate_away`)
"""

import time
from datetime import UTC, datetime
from functools import cache

from django.conf import settings
from django.utils import timezone

from apps import tracing
from apps.accounts.tenancy import POSTGRES_AWAY
from apps.api_keys.gate import (
    ANY_SCOPE,
    UNLIMITED,
    Admission,
    Ask,
    Gate,
    KeyDocument,
    KeyNotCached,
    Limits,
    QuotaUnknown,
    Rider,
    address_inside,
    refusal,
)
from apps.api_keys.keys import PresentedKey
from apps.api_keys.models import ApiKey
from apps.api_keys.services import get_gate
from apps.billing.subscriptions.services import allowance
from apps.errors import Problem
from apps.periods import Period
from apps.usage.admission import refused_keys
from apps.usage.admission.local_rates import LocalRates
from apps.usage.admission.refused_keys import REFUSED
from apps.usage.metering.quantities import units_between, units_of_month
from apps.valkey import Away

#: A counter outlives its month, so that late questions find it.
COUNTER_SECONDS = 62 * 24 * 3600
_TRIES = 4
#: How long a process takes a key for one that somebody has; and of how many.
RECOGNISED_SECONDS, MOST_RECOGNISED = 60.0, 10_000


class Admissions:
    """`recognise` refuses keys nobody has, `admit` answers every request, whichever store is away. Raise `Problem`."""

    def __init__(self, gate: Gate, processes: int) -> None:
        self.gate = gate
        self.local = LocalRates(processes)
        self._recognised: dict[str, float] = {}  # digest → when, in monotonic seconds

    def recognise(self, key: PresentedKey, digest: str, address: str) -> None:
        """Refuse a key nobody has, before anything it came with is read. One round trip a key, process and minute.

        What a key that somebody has may do is `admit`'s to say. While neither store can be asked, nobody is refused.
        """
        now = time.monotonic()
        seen = self._recognised.get(digest)
        if seen is not None and now - seen < RECOGNISED_SECONDS:
            return
        try:
            known = self._somebody_has(key, digest)
        except POSTGRES_AWAY:
            return
        if not known:
            raise refused_keys.counted(Problem("key_unknown"), address)
        if len(self._recognised) >= MOST_RECOGNISED:
            self._recognised.clear()
        self._recognised[digest] = now

    def forget_recognised(self) -> None:
        self._recognised.clear()

    def _somebody_has(self, key: PresentedKey, digest: str) -> bool:
        """By the gate's document; when it has none by Postgres, which the gate is told."""
        try:
            status = self.gate.status(digest, key.handle)
            if not status:
                nonce = self.gate.nonce(digest, key.handle)
                document = load_document(key, digest, timezone.now())
                self.gate.publish(digest, key.handle, document, nonce)
                status = document.status
        except Away:
            return ApiKey.objects.filter(digest=digest).exists()
        return status != "key_unknown"

    def admit(self, ask: Ask, rider: Rider | None = None) -> Admission:
        """Leave to go on; the rider does not ride while Valkey is away."""
        try:
            with tracing.step("gate"):
                return self._admitted(ask, rider)
        except Problem as refusal:
            REFUSED.labels(refusal.code).inc()
            raise

    def give_back(self, admission: Admission, ask: Ask) -> None:
        """Undo an admission whose request came to nothing; when Valkey is away reconciliation does it."""
        if admission.gate_away:
            return
        try:
            self.gate.give_back(admission, ask)
        except Away:
            return

    def _admitted(self, ask: Ask, rider: Rider | None) -> Admission:
        try:
            return self._through_gate(ask, rider)
        except Away:
            return self._without_gate(ask)
        except POSTGRES_AWAY as failure:
            raise Problem("stores_away", "The key is not cached and Postgres is away.", retry_after=2.0) from failure

    def _through_gate(self, ask: Ask, rider: Rider | None) -> Admission:
        for _ in range(_TRIES):
            try:
                return self.gate.admit(ask, rider)
            except KeyNotCached as unknown:
                document = load_document(ask.key, ask.digest, timezone.now())
                self.gate.publish(ask.digest, ask.key.handle, document, unknown.nonce)
            except QuotaUnknown as unknown:
                used = recorded_units(unknown.tenant_id, ask.period)
                self.gate.seed_quota(ask.key.handle, ask.period, used, seconds=COUNTER_SECONDS)
        raise Problem("stores_away", "The key is being changed right now.", retry_after=0.1)

    def _without_gate(self, ask: Ask) -> Admission:
        try:
            document = load_document(ask.key, ask.digest, timezone.now())
            used = recorded_units(document.tenant_id, ask.period) if document.status == "active" else 0
        except POSTGRES_AWAY as failure:
            raise Problem("stores_away", "Valkey and Postgres are both away.", retry_after=2.0) from failure
        _check(document, ask, used)
        rate = self.local.take(ask.key.handle, document.limits.rate_per_minute, time.monotonic())
        return Admission(
            key_id=document.key_id,
            tenant_id=document.tenant_id,
            tenant_schema=document.tenant_schema,
            policy_version=document.policy_version,
            rate=rate,
            used=used,
            quota=document.limits.quota,
            units=0,
            storage_away=False,
            rows=("",) * len(ask.transactions),
            gate_away=True,
            scopes=document.scopes if ask.scope == ANY_SCOPE else (),
            plan=document.limits.plan,
        )


def load_document(presented: PresentedKey, digest: str, now: datetime) -> KeyDocument:
    """What the gate has to know of a key: its row, its tenant and what that is allowed, until when. Four queries."""
    key = ApiKey.objects.select_related("tenant", "replaced_by").filter(digest=digest).first()
    if key is None:
        return KeyDocument("key_unknown", 0, 0, "", presented.livemode, (), (), None, None, 0, Limits(1, 0, ()))
    return _document_of(key, now)


def introduce_key(key: ApiKey) -> None:
    """Tell the gate of a new key and of its month's units, so that its first request need not ask Postgres.

    While Valkey is away the first request does it.
    """
    gate, now = get_gate(), timezone.now()
    handle, period = key.tenant.handle, period_of(now)
    try:
        nonce = gate.nonce(key.digest, handle)
        gate.publish(key.digest, handle, _document_of(key, now), nonce)
        gate.seed_quota(handle, period, recorded_units(key.tenant_id, period), seconds=COUNTER_SECONDS)
    except Away:
        return


def rehearse(now: datetime) -> None:
    """Read what is read for a key the gate doesn't know, of the newest one there is, and keep nothing of it.

    A process's first queries of a kind cost it tens of milliseconds, which would be the first customer's.
    """
    key = ApiKey.objects.select_related("tenant", "replaced_by").filter(revoked_at=None).order_by("pk").last()
    if key is not None:
        _document_of(key, now)
        recorded_units(key.tenant_id, period_of(now))


def _document_of(key: ApiKey, now: datetime) -> KeyDocument:
    allowed = allowance(key.tenant_id, now, units_between)
    status = {"revoked": "key_revoked", "expired": "key_expired", "active": "active"}[key.state(now)]
    if status == "active" and key.tenant.suspended_at is not None:
        status = "tenant_suspended"
    elif status == "active" and key.tenant.closed_at is not None:
        status = "tenant_closed"
    return KeyDocument(
        status=status,
        key_id=key.pk,
        tenant_id=key.tenant_id,
        tenant_schema=key.tenant.schema_name,
        livemode=key.livemode,
        scopes=tuple(key.scopes),
        networks=tuple(key.allowed_networks),
        expires_at=key.expires_at,
        key_rate=key.rate_per_minute,
        policy_version=key.tenant.policy_version,
        limits=Limits(
            rate_per_minute=allowed.rate_per_minute,
            quota=UNLIMITED if allowed.allowed_units is None else allowed.allowed_units,
            features=allowed.features,
            stops_at=allowed.stops_at,
            plan=allowed.plan.name,
        ),
        until=allowed.until,
        replacement=key.replacement,
    )


def recorded_units(tenant_id: int, period: str) -> int:
    """Live units of a month (YYYYMM, UTC) that are recorded."""
    return units_of_month([tenant_id], Period.parse(f"{period[:4]}-{period[4:]}")).get(tenant_id, 0)


def period_of(now: datetime) -> str:
    """The billing month a moment belongs to: YYYYMM, UTC."""
    now = now.astimezone(UTC)
    return f"{now.year:04d}{now.month:02d}"


def _check(document: KeyDocument, ask: Ask, used: int) -> None:
    """What the Lua script checks, in the same order, for when it can't be asked."""
    if document.status != "active":
        raise refusal(document.status, (document.replacement,), ask.scope)
    if document.networks and not address_inside(ask.address, document.networks):
        raise refusal("address_refused", (), ask.scope)
    if ask.scope_to_have not in (ANY_SCOPE, *document.scopes):
        raise refusal("scope_missing", (), ask.scope)
    if ask.scope == "batch" and "batch" not in document.limits.features:
        raise refusal("plan_lacks_feature", (), ask.scope)
    needed = len(ask.transactions)
    limits = document.limits
    if document.livemode and needed and used + needed > limits.quota:
        raise refusal("quota_exceeded", (used, limits.quota, needed, limits.stops_at), ask.scope)


@cache
def get_admissions() -> Admissions:
    """The process's admissions."""
    return Admissions(get_gate(), settings.API_WORKERS)
