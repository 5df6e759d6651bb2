"""Making, revoking, rotating keys. The row is the truth; the gate is told at once, or later when it was away."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache, partial
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction

from apps.accounts.audit import record_audit
from apps.accounts.models import Tenant
from apps.accounts.naming import check_one_line
from apps.addresses import network_of
from apps.api_keys import keys, signals
from apps.api_keys.gate import Gate
from apps.api_keys.models import ApiKey
from apps.valkey import Away, server

#: A rotated key may live on this long beside its successor.
MAX_OVERLAP = timedelta(days=7)


class InvalidKeyRequest(ValueError):
    """What was asked of a key can't be: the message names the argument."""


def get_gate() -> Gate:
    """The gate of this installation."""
    return Gate(server(settings.REDIS_URL, settings.REDIS_TIMEOUT), settings.JOURNAL_MAX)


def find_key(id_or_text: str) -> ApiKey:
    """A key by its id or its text. Raises `ApiKey.DoesNotExist`."""
    rows = ApiKey.objects.select_related("tenant")
    return rows.get(pk=int(id_or_text)) if id_or_text.isdigit() else rows.get(digest=digest_of(id_or_text))


@lru_cache(maxsize=4096)
def digest_of(text: str) -> str:
    """What is stored of a key. Remembered, because HMAC through OpenSSL costs 10 µs a request."""
    return keys.digest(text, settings.KEY_PEPPER)


def create_key(
    *,
    tenant: Tenant,
    name: str,
    scopes: Sequence[str],
    now: datetime,
    livemode: bool = True,
    networks: Sequence[str] = (),
    expires_at: datetime | None = None,
    rate_per_minute: int | None = None,
    actor: str = "command",
    text: str | None = None,
) -> tuple[ApiKey, str]:
    """A key and its text, which is shown once. Raises `InvalidKeyRequest`."""
    _check(name, scopes, networks, expires_at, rate_per_minute, now)
    text = text or keys.generate(tenant.handle, livemode=livemode)
    with transaction.atomic():
        key = ApiKey.objects.create(
            tenant=tenant,
            name=name,
            digest=digest_of(text),
            prefix=keys.shown_prefix(text),
            last_four=text[-4:],
            livemode=livemode,
            scopes=list(scopes),
            allowed_networks=[str(network_of(network)) for network in networks],
            expires_at=expires_at,
            rate_per_minute=rate_per_minute,
            created_at=now,
        )
        after = {"scopes": list(scopes), "networks": list(networks)}
        record_audit(tenant=tenant, actor=actor, action="key.created", target=_named(key), after=after, now=now)
        transaction.on_commit(partial(signals.key_created.notify, key))
    return key, text


def revoke_key(*, key: ApiKey, gate: Gate, now: datetime, reason: str = "", actor: str = "command") -> bool:
    """Revoke at once, everywhere. True when the gate has been told; False when it is away and will be told later."""
    with transaction.atomic():
        ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=now, gate_pending=True)
        after = {"reason": reason} if reason else None
        record_audit(tenant=key.tenant, actor=actor, action="key.revoked", target=_named(key), after=after, now=now)
    return invalidate_keys(gate, [key])


@transaction.atomic
def narrow_key(*, key: ApiKey, scopes: Sequence[str], now: datetime, actor: str = "command") -> None:
    """Take from a key all scopes but these. The gate is to be told (`invalidate_pending`)."""
    kept = [scope for scope in key.scopes if scope in scopes]
    ApiKey.objects.filter(pk=key.pk).update(scopes=kept, gate_pending=True)
    record_audit(
        tenant=key.tenant,
        actor=actor,
        action="key.narrowed",
        target=_named(key),
        before={"scopes": key.scopes},
        after={"scopes": kept},
        now=now,
    )


def restrict_key(*, key: ApiKey, networks: Sequence[str], gate: Gate, now: datetime, actor: str = "command") -> bool:
    """Let a key come from these networks alone, from anywhere when there are none; it holds at once.

    True when the gate has been told. Raises `InvalidKeyRequest`.
    """
    _check_networks(networks)
    allowed = [str(network_of(network)) for network in networks]
    with transaction.atomic():
        ApiKey.objects.filter(pk=key.pk).update(allowed_networks=allowed, gate_pending=True)
        record_audit(
            tenant=key.tenant,
            actor=actor,
            action="key.restricted",
            target=_named(key),
            before={"networks": key.allowed_networks},
            after={"networks": allowed},
            now=now,
        )
    return invalidate_keys(gate, [key])


def rotate_key(
    *, key: ApiKey, gate: Gate, now: datetime, overlap: timedelta = timedelta(0), actor: str = "command"
) -> tuple[ApiKey, str]:
    """A successor with the same rights; the old key lives on for `overlap` (0–7 days)."""
    if not timedelta(0) <= overlap <= MAX_OVERLAP:
        raise InvalidKeyRequest("overlap: 0 to 7 days")
    if key.state(now) != "active":
        raise InvalidKeyRequest(f"key: it is {key.state(now)}; create a new one")
    with transaction.atomic():
        successor, text = create_key(
            tenant=key.tenant,
            name=key.name,
            scopes=key.scopes,
            now=now,
            livemode=key.livemode,
            networks=key.allowed_networks,
            rate_per_minute=key.rate_per_minute,
            actor=actor,
        )
        ends = now + overlap if key.expires_at is None else min(key.expires_at, now + overlap)
        ApiKey.objects.filter(pk=key.pk).update(expires_at=ends, replaced_by=successor, gate_pending=True)
        after = {"successor": successor.pk, "ends": ends.isoformat()}
        record_audit(tenant=key.tenant, actor=actor, action="key.rotated", target=_named(key), after=after, now=now)
    invalidate_keys(gate, [key])
    return successor, text


def mark_changed(tenant: Tenant | int) -> None:
    """The tenant's limits or state changed: every key of it must be told to the gate (`invalidate_pending`)."""
    ApiKey.objects.filter(tenant=tenant).update(gate_pending=True)


def invalidating(gate: Gate) -> Callable[[Tenant], None]:
    """What to call inside the transaction that changes a tenant: the gate hears of it once that is committed."""

    def changed(tenant: Tenant) -> None:
        mark_changed(tenant)
        transaction.on_commit(partial(invalidate_pending, gate))

    return changed


def invalidate_pending(gate: Gate) -> int:
    """Tell the gate of every change it missed; how many. Called after a change, and by the recorder each second."""
    pending = list(ApiKey.objects.filter(gate_pending=True).select_related("tenant"))
    return len(pending) if pending and invalidate_keys(gate, pending) else 0


def invalidate_keys(gate: Gate, changed: Sequence[ApiKey]) -> bool:
    try:
        for key in changed:
            gate.invalidate(key.digest, key.tenant.handle)
    except Away:
        return False
    ApiKey.objects.filter(pk__in=[key.pk for key in changed]).update(gate_pending=False)
    return True


def touch(cursor: Any, used: Mapping[int, tuple[datetime, str]]) -> None:
    """Note when and from where keys were last used (time, address per key id); inside the recorder's transaction."""
    rows: Iterable[tuple] = [(key_id, at, address) for key_id, (at, address) in sorted(used.items())]
    cursor.executemany(
        "UPDATE public.api_keys_apikey SET last_used_at = %(at)s, last_used_ip = %(ip)s"
        " WHERE id = %(id)s AND (last_used_at IS NULL OR last_used_at < %(at)s)",
        [{"id": key_id, "at": at, "ip": address} for key_id, at, address in rows],
    )


def _check_networks(networks: Iterable[str]) -> None:
    for network in networks:
        try:
            network_of(network)
        except ValueError as wrong:
            raise InvalidKeyRequest(f"allow: {wrong}") from wrong


def _check(
    name: str,
    scopes: Sequence[str],
    networks: Sequence[str],
    expires_at: datetime | None,
    rate_per_minute: int | None,
    now: datetime,
) -> None:
    unknown = sorted(set(scopes) - set(keys.SCOPES))
    if unknown or not scopes:
        raise InvalidKeyRequest(f"scopes: {', '.join(unknown) or 'none given'}; choose from {', '.join(keys.SCOPES)}")
    try:
        check_one_line(name)
    except ValidationError as wrong:
        raise InvalidKeyRequest(f"name: {' '.join(wrong.messages)}") from wrong
    _check_networks(networks)
    if expires_at is not None and expires_at <= now:
        raise InvalidKeyRequest("expires: must be in the future")
    if rate_per_minute is not None and rate_per_minute < 1:
        raise InvalidKeyRequest("rate per minute: at least 1")


def _named(key: ApiKey) -> str:
    """A key as the audit trail names it."""
    return f"{key} ({key.name})"
