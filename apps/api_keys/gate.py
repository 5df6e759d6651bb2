"""The gate: may this key do this now? One Lua call judges key, address, scope, rate, quota, idempotency, duplicates.

All or nothing: a refused request changes no counter. The limits stand in the key's document, which `publish` writes;
the gate itself knows no plan. Rate: GCRA on the server's clock with a bucket of one minute's allowance, so that a
tenant of R/min is given R at once and R/60 a second after that, exactly, over all processes together.
"""

import ipaddress
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from django.conf import settings

from apps.api_keys.keys import PresentedKey, tag
from apps.errors import Problem
from apps.valkey import Argument, Script, Valkey

_HERE = Path(__file__).parent
_ADMIT = (_HERE / "admit.lua").read_text()
ADMIT = Script(_ADMIT)
PUBLISH = Script((_HERE / "publish.lua").read_text())
RELEASE = Script((_HERE / "release.lua").read_text())

#: An unfinished claim of an Idempotency-Key is given up after this long: its process died.
CLAIM_MILLISECONDS = 15_000
#: An unknown key is remembered this long, so that guessing does not reach Postgres each time.
UNKNOWN_MILLISECONDS = 60_000
#: A quota nobody reaches; what is used is counted all the same. The largest whole number Lua keeps exactly.
UNLIMITED = 2**53 - 1
_CAPPED = "units within the spend cap"
_ADD_CARD = "Add a payment method (POST /v1/payment-method)"
_BY_TRANSFER = "Choose a larger plan (POST /v1/subscription), or write to support to agree on more by bank transfer."
_RAISE_CAP = "Raise the spend cap (POST /v1/budgets) or choose a larger plan to go on."
_PAY = "Pay the open invoice to go on."


class Stop(NamedTuple):
    """What may bound the units of a month, in words, and how to go on: where cards are taken, and where none are."""

    bound: str
    by_card: str
    by_transfer: str


STOPS: Mapping[str, Stop] = {
    "included": Stop("included units", f"{_ADD_CARD} or choose a larger plan to go on.", _BY_TRANSFER),
    "trial": Stop("units of the trial", f"{_ADD_CARD} and choose a plan to go on.", _BY_TRANSFER),
    "spend_cap": Stop(_CAPPED, _RAISE_CAP, _RAISE_CAP),
    "limited": Stop("units left to an account with unpaid invoices", _PAY, _PAY),
}
#: Asked for by what needs no scope but a key.
ANY_SCOPE = ""
#: Asked for when a token was not given the scope: no key has it.
NO_SCOPE = "-"


class KeyNotCached(Exception):
    """The gate has no document for the key: load it and publish it under this nonce."""

    def __init__(self, nonce: bytes) -> None:
        self.nonce = nonce


class QuotaUnknown(Exception):
    """The month's counter is missing: set it from what is recorded."""

    def __init__(self, tenant_id: int) -> None:
        self.tenant_id = tenant_id


class Limits(NamedTuple):
    """What the plan allows; handed in by whoever knows plans. `quota`: units this month may reach."""

    rate_per_minute: int
    quota: int
    features: tuple[str, ...]
    stops_at: str = "included"  # what bounds the quota: a row of STOPS
    plan: str = ""  # its name; "" in documents from before it was kept


class KeyDocument(NamedTuple):
    """What the gate knows of one key. At `until` it is loaded anew: its limits may be others then."""

    status: str  # active, or the code of the refusal
    key_id: int
    tenant_id: int
    tenant_schema: str
    livemode: bool
    scopes: tuple[str, ...]
    networks: tuple[str, ...]
    expires_at: datetime | None
    key_rate: int | None
    policy_version: int
    limits: Limits
    until: datetime | None = None
    replacement: str = ""  # what it was rotated for, and when


class Rate(NamedTuple):
    """The tightest rate limit after this request: for the RateLimit headers."""

    limit: int
    remaining: int
    reset_ms: int


class Ask(NamedTuple):
    """What a request wants of the gate. `scope` ANY_SCOPE: whatever the key may do, the admission tells it."""

    key: PresentedKey
    digest: str
    scope: str
    address: str
    period: str  # YYYYMM, UTC: the month the units belong to
    transactions: Sequence[tuple[str, str]] = ()  # (duplicate key or "", body hash or ""), one per unit asked
    idempotency_key: str = ""  # its hash
    fingerprint: str = ""

    @property
    def scope_to_have(self) -> str:
        """The scope the key must have; one that none has when a token was not given it."""
        given = self.key.scopes
        return self.scope if given is None or self.scope in (ANY_SCOPE, *given) else NO_SCOPE


class Admission(NamedTuple):
    """Leave to go on. `rows` says per transaction: "" new, "D<id>" a duplicate, "S<id>" new facts for a known id."""

    key_id: int
    tenant_id: int
    tenant_schema: str
    policy_version: int
    rate: Rate
    used: int
    quota: int
    units: int
    storage_away: bool
    rows: tuple[str, ...]
    replay_of: str = ""
    claim: str = ""
    gate_away: bool = False
    scopes: tuple[str, ...] = ()  # the key's, when any would do
    plan: str = ""  # the tenant's, by its name
    ridden: Sequence[bytes] = ()  # the rider's answer

    @property
    def actor(self) -> str:
        """Who acts, as the audit log names them."""
        return f"key:{self.key_id}"


class Rider(NamedTuple):
    """What another room wants done in the gate's call once the request is admitted: a script of `with_rider`."""

    script: Script
    keys: Sequence[str]
    arguments: Sequence[Argument]


def with_rider(lua: str) -> Script:
    """The gate's script with another room's behind it. `first` is the index of the rider's first key and argument."""
    return Script(_ADMIT.replace("-- RIDER", lua))


@lru_cache(maxsize=4096)
def names_of(handle: str, livemode: bool) -> "Names":
    """The names of a tenant and mode; made once a process."""
    return Names(handle, livemode)


class Names:
    """The Valkey keys of one tenant and mode; all carry the tenant's hash tag."""

    def __init__(self, handle: str, livemode: bool) -> None:
        self.livemode = livemode
        self.tag = tag(handle)
        self.tenant = f"{self.tag}:{handle}"
        self.mode = f"{self.tenant}:{'live' if livemode else 'test'}"

    def key(self, digest: str) -> str:
        return f"{self.tag}:key:{digest}"

    def rate(self) -> str:
        return f"{self.tenant}:rate"

    def key_rate(self, digest: str) -> str:
        return f"{self.tenant}:rate:{digest[:16]}"

    def quota(self, period: str) -> str:
        return f"{self.tenant}:quota:{period}"

    def reserved(self, period: str) -> str:
        return f"{self.tenant}:reserved:{period}"

    def journaled(self, period: str) -> str:
        return f"{self.tenant}:journaled:{period}"

    def claim(self, idempotency_key: str) -> str:
        return f"{self.mode}:idem:{idempotency_key}"

    def transaction(self, schema: str, transaction_hash: str) -> str:
        return f"{self.mode}:txn:{schema}:{transaction_hash}"

    def decision(self, decision_id: str) -> str:
        return f"{self.mode}:dec:{decision_id}"

    def party(self, schema: str, role: str, name_hash: str) -> str:
        # The number tells the form of events and names; pasts in an older form are not read and expire.
        return f"{self.mode}:hist4:{schema}:{role}:{name_hash}"

    def aggregate(self, schema: str, source: str, name_hash: str) -> str:
        return f"{self.mode}:agg1:{schema}:{source}:{name_hash}"

    def list(self, name: str) -> str:
        return f"{self.mode}:list:{name}"

    def own_past(self, schema: str, field: str, name_hash: str) -> str:
        return f"{self.mode}:own1:{schema}:{field}:{name_hash}"

    def own_pasts_filled(self, schema: str) -> str:
        return f"{self.mode}:own1:{schema}"

    def journal(self) -> str:
        return f"{self.tag}:journal"

    def storage_away(self) -> str:
        return f"{self.tag}:storage_away"


class Gate:
    """The gate over one Valkey server. Raises `apps.valkey.Away` when it is away."""

    def __init__(self, valkey: Valkey, journal_limit: int) -> None:
        self.valkey = valkey
        self.journal_limit = journal_limit

    def admit(self, ask: Ask, rider: Rider | None = None) -> Admission:
        """Leave to go on, or a `Problem`; `KeyNotCached` and `QuotaUnknown` ask the caller to load and try again."""
        names = names_of(ask.key.handle, ask.key.livemode)
        token = secrets.token_hex(8) if ask.fingerprint else ""
        journal = names.journal()
        keys = [
            names.key(ask.digest),
            names.rate(),
            names.key_rate(ask.digest),
            names.quota(ask.period),
            names.claim(ask.idempotency_key),
            journal,
            names.storage_away(),
            *(key or journal for key, _ in ask.transactions),
        ]
        arguments: list[Argument] = [
            len(ask.transactions),
            ask.scope_to_have,
            _address_digits(ask.address),
            ask.fingerprint,
            token,
        ]
        arguments += [CLAIM_MILLISECONDS, self.journal_limit, *(body for _, body in ask.transactions)]
        if rider is not None:
            keys += rider.keys
            arguments += rider.arguments
        answer, *ridden = self.valkey.run_together(rider.script if rider else ADMIT, keys, arguments)
        verdict = answer[0].decode()
        if verdict not in ("admitted", "replay"):
            _refuse(verdict, answer, ask)
        return _admission(answer, token, ridden[0] if ridden else ())

    def publish(self, digest: str, handle: str, document: KeyDocument, nonce: bytes) -> None:
        """Cache a key's document, unless the key changed since `nonce` was read."""
        life = 0 if document.status == "active" else UNKNOWN_MILLISECONDS
        until = int(document.until.timestamp() * 1000) if document.until and not life else 0
        key = Names(handle, document.livemode).key(digest)
        self.valkey.run(PUBLISH, [key], [nonce, life, until, *_flat(_fields(document))])

    def status(self, digest: str, handle: str) -> str:
        """A key's status as its document says, "" when there is none or it has to be loaded anew."""
        status = self.valkey.command("HGET", Names(handle, True).key(digest), "status")
        return "" if status in (None, b"reload") else status.decode()

    def nonce(self, digest: str, handle: str) -> bytes:
        """What `publish` has to be given: it changes whenever the key does."""
        return self.valkey.command("HGET", Names(handle, True).key(digest), "nonce") or b""

    def invalidate(self, digest: str, handle: str) -> None:
        """Forget a key's document at once, on every process: the next request loads the row again."""
        key = Names(handle, True).key(digest)
        self.valkey.pipeline([("HSET", key, "status", "reload", "nonce", secrets.token_hex(8)), ("PERSIST", key)])

    def seed_quota(self, handle: str, period: str, used: int, *, seconds: int) -> None:
        """Set the month's counter if nobody has yet: after a new month began, or the server lost its memory."""
        self.valkey.command("SET", Names(handle, True).quota(period), used, "NX", "EX", seconds)

    def give_back(self, admission: Admission, ask: Ask) -> None:
        """Undo what `admit` reserved, for a request that came to nothing."""
        if not admission.units and not admission.claim:
            return
        names = names_of(ask.key.handle, ask.key.livemode)
        held = f"P{ask.fingerprint}{admission.claim}" if admission.claim else ""
        keys = [names.quota(ask.period), names.claim(ask.idempotency_key)]
        self.valkey.run(RELEASE, keys, [admission.units, held])


def address_inside(address: str, networks: Sequence[str]) -> bool:
    """Whether an address is in one of the CIDRs (what the script does, for when it can't be asked)."""
    number = int(_address_digits(address), 16)
    parts = [digits.split("/") for digits in networks_as_digits(networks).split()]
    return any(number >> (128 - int(bits)) == int(network, 16) >> (128 - int(bits)) for network, bits in parts)


def networks_as_digits(networks: Sequence[str]) -> str:
    """CIDRs as the Lua script compares them: "<32 hex digits>/<bits>", IPv4 mapped into IPv6."""
    return " ".join(_network_digits(ipaddress.ip_network(network)) for network in networks)


def _network_digits(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> str:
    bits = network.prefixlen + (96 if network.version == 4 else 0)
    return f"{_address_digits(str(network.network_address))}/{bits}"


@lru_cache(maxsize=4096)
def _address_digits(address: str) -> str:
    found = ipaddress.ip_address(address)
    number = int(found) + (0xFFFF << 32) if found.version == 4 else int(found)
    return f"{number:032x}"


def _fields(document: KeyDocument) -> Mapping[str, str | int]:
    limits = document.limits
    return {
        "status": document.status,
        "key_id": document.key_id,
        "tenant_id": document.tenant_id,
        "schema": document.tenant_schema,
        "scopes": f",{','.join(document.scopes)},",
        "networks": networks_as_digits(document.networks),
        "expires_us": int(document.expires_at.timestamp() * 1_000_000) if document.expires_at else "",
        "rate": limits.rate_per_minute,
        "key_rate": document.key_rate or "",
        "quota": limits.quota if document.livemode else "",
        "stops_at": limits.stops_at,
        "policy": document.policy_version,
        "features": f",{','.join(limits.features)},",
        "plan": limits.plan,
        "replacement": document.replacement,
    }


def _flat(fields: Mapping[str, str | int]) -> list[str | int]:
    return [part for pair in fields.items() for part in pair]


def _admission(answer: list, token: str, ridden: Sequence[bytes]) -> Admission:
    _, key_id, tenant_id, tenant_schema, policy, limit, remaining, reset, used, quota, units, degraded, *rest = answer
    replay_of, scopes, plan, *rows = rest
    return Admission(
        key_id=int(key_id),
        tenant_id=int(tenant_id),
        tenant_schema=tenant_schema.decode(),
        policy_version=int(policy),
        rate=Rate(limit, remaining, reset),
        used=used,
        quota=quota,
        units=units,
        storage_away=bool(degraded),
        rows=tuple(row.decode() for row in rows),
        replay_of=replay_of.decode(),
        claim=token,
        scopes=tuple(scopes.decode().strip(",").split(",")) if scopes else (),
        plan=plan.decode(),
        ridden=ridden,
    )


def _refuse(verdict: str, answer: list, ask: Ask) -> None:
    if verdict == "miss":
        raise KeyNotCached(answer[1])
    if verdict == "quota_unknown":
        raise QuotaUnknown(int(answer[1]))
    raise refusal(verdict, answer[1:], ask.scope)


def refusal(verdict: str, facts: Sequence, scope: str) -> Problem:
    """The gate's verdict as the problem the caller reads."""
    if verdict == "rate_limited":
        limit, wait_ms, reset_ms = facts
        rate = Rate(limit, 0, reset_ms)
        detail = f"The limit is {limit} requests a minute; the next one is free in {wait_ms / 1000:.3f} s."
        return Problem(verdict, detail, retry_after=wait_ms / 1000, headers=rate_headers(rate))
    if verdict == "quota_exceeded":
        used, quota, units, stops_at = facts
        stop = STOPS[stops_at.decode() if isinstance(stops_at, bytes) else stops_at]
        detail = f"{used} of {quota} {stop.bound} are used this month and this request needs {units}. {_way_on(stop)}"
        return Problem(verdict, detail, extra={"used": used, "allowed" if stop.bound == _CAPPED else "included": quota})
    if verdict == "key_expired" and facts and facts[0]:
        by = facts[0].decode() if isinstance(facts[0], bytes) else facts[0]
        return Problem(verdict, f"It was replaced by {by}.")
    if verdict == "scope_missing":
        return Problem(verdict, f"This needs the scope '{scope}'.", extra={"required_scope": scope})
    if verdict == "idempotency_in_progress":
        return Problem(verdict, retry_after=1.0)
    if verdict == "journal_full":
        return Problem(verdict, retry_after=5.0)
    return Problem(verdict)


def stopped_by(stops_at: str, quota: int) -> str:
    """Why a batch goes no further, and how to go on."""
    stop = STOPS[stops_at]
    return f"All of the {quota:,} {stop.bound} are used this month. {_way_on(stop)}"


def _way_on(stop: Stop) -> str:
    return stop.by_card if settings.STRIPE_API_KEY else stop.by_transfer


def rate_headers(rate: Rate) -> dict[str, str]:
    """RateLimit and RateLimit-Policy (IETF draft) and the X-RateLimit-* everybody knows."""
    seconds = -(-rate.reset_ms // 1000)
    return {
        "RateLimit-Policy": f'"minute";q={rate.limit};w=60',
        "RateLimit": f'"minute";r={rate.remaining};t={seconds}',
        "X-RateLimit-Limit": str(rate.limit),
        "X-RateLimit-Remaining": str(rate.remaining),
        "X-RateLimit-Reset": str(seconds),
    }
