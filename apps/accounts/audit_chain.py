"""What an audit trail that was tampered with can't have: right seals, whole chains.

seal    HMAC-SHA-256 of everything an entry says, with a nonce, under a key the database does not have: whoever changes
        an entry, or writes one past us, has no seal for it
digest  SHA-256 of the digest before it in the chain and the entry's seal; entries of a chain are numbered without gaps
head    each chain's length and last digest: entries that were cut off its end are missed

A chain is a tenant's entries (its id), or those of no tenant (0), in the order in which they were committed. Whoever
can write to the database past its triggers could shorten a chain and number it anew: `heads` are to be kept elsewhere
against that, and compared (`audit_verify --heads FILE`).
"""

import hashlib
import hmac
import json
import secrets
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC
from typing import Any, NamedTuple

from django.conf import settings

from apps import card_numbers
from apps.accounts.models import AuditChain, AuditEntry

NONCE_BYTES = 8
#: Rows read together.
TOGETHER = 2_000


class Fault(NamedTuple):
    """Something that is not as it was written: in which chain, at which place of it, what."""

    chain: int
    sequence: int
    what: str

    def __str__(self) -> str:
        whose = f"tenant {self.chain}" if self.chain else "no tenant"
        return f"chain of {whose}, entry {self.sequence}: {self.what}"


class Head(NamedTuple):
    """A chain's length and last digest."""

    length: int
    digest: str


def seal(entry: Any, nonce: str = "") -> str:
    """Nonce and HMAC of what an entry says, as the database keeps it: with card numbers masked. 80 hex digits."""
    nonce = nonce or secrets.token_hex(NONCE_BYTES)
    key = hmac.digest(settings.KEY_PEPPER.encode(), b"palisade audit trail", "sha256")
    return nonce + hmac.digest(key, _spelled(entry, nonce).encode(), "sha256").hex()


def linked(previous: str, sealed: str) -> str:
    """The digest of an entry, by the digest before it."""
    return hashlib.sha256((previous + sealed).encode()).hexdigest()


def faults(kept: Mapping[int, Head] | None = None) -> Iterator[Fault]:
    """Everything that is wrong, chain by chain, from the front; none where the trail is whole.

    `kept`: heads of before. Heads are read before the entries, so that those written meanwhile are only more.
    """
    walk = _Walk([heads(), kept or {}])
    for entry in AuditEntry.objects.exclude(sequence=None).order_by("chain", "sequence").iterator(TOGETHER):
        yield from walk.past(entry)
    yield from walk.ends()
    for stray in AuditEntry.objects.filter(sequence=None).order_by("pk"):
        yield Fault(stray.chain, 0, f"stands outside of its chain (row {stray.pk})")


def heads() -> dict[int, Head]:
    """Each chain's head now: to be kept where nobody who writes to the database can reach it."""
    return {head.chain: Head(head.length, head.digest) for head in AuditChain.objects.order_by("chain")}


class _Walk:
    """A walk along all chains, past entries that heads have named."""

    def __init__(self, named: Iterable[Mapping[int, Head]]) -> None:
        self._named = [(chain, head) for heads in named for chain, head in heads.items() if head.length]
        self._digests = {(chain, head.length): head.digest for chain, head in self._named}
        self._reached: dict[int, Head] = {}

    def past(self, entry: AuditEntry) -> Iterable[Fault]:
        """What is wrong with the entry that comes next."""
        before, place = self._reached.get(entry.chain, Head(0, "")), int(entry.sequence or 0)
        if place != before.length + 1:
            yield Fault(entry.chain, before.length + 1, f"is missing; {place} comes next")
        elif entry.digest != linked(before.digest, entry.seal):
            yield Fault(entry.chain, place, f"does not follow the one before it (row {entry.pk})")
        if not hmac.compare_digest(entry.seal, seal(entry, entry.seal[: 2 * NONCE_BYTES])):
            yield Fault(entry.chain, place, f"was changed, or not written by us (row {entry.pk})")
        if self._digests.get((entry.chain, place), entry.digest) != entry.digest:
            yield Fault(entry.chain, place, f"is another one than its chain's head named (row {entry.pk})")
        self._reached[entry.chain] = Head(place, entry.digest)

    def ends(self) -> Iterable[Fault]:
        """What was cut off: heads name it, and it is not there."""
        for chain, head in sorted(set(self._named)):
            reached = self._reached.get(chain, Head(0, "")).length
            if reached < head.length:
                yield Fault(chain, reached + 1, f"is missing, and all up to {head.length}")


def _spelled(entry: Any, nonce: str) -> str:
    """What is sealed, in one spelling: the same before it is stored and after it is read."""
    told = [
        nonce,
        entry.chain,
        entry.at.astimezone(UTC).isoformat(timespec="microseconds"),
        *(card_numbers.mask(value) for value in (entry.actor, entry.action, entry.target)),
        str(entry.address or ""),
        card_numbers.mask(entry.request_id),
        *(_plain(card_numbers.mask_json(json.loads(json.dumps(value)))) for value in (entry.before, entry.after)),
    ]
    return json.dumps(told, sort_keys=True, ensure_ascii=False)


def _plain(value: Any) -> Any:
    """A JSON value as Postgres gives it back: 1.0 and 1e3 are whole numbers to it or not, so they are to nobody."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
