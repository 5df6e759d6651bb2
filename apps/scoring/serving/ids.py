"""Names for what is new: decisions, transactions nobody named, hashes of facts. Pure but for randomness.

Under an Idempotency-Key a decision's id follows from the key and the UTC day, so that whatever path a repeated request
takes (another process, Postgres alone while Valkey is away) it meets the same row: recorded once, billed once.

Hashes of what was said stand in Valkey and in Postgres. They are keyed with the pepper: a name may be a card number,
and without a key all of those could be tried. Each purpose has a hash of its own, so that none tells of another.
"""

import os
from collections.abc import Iterable
from functools import cache, lru_cache
from hashlib import blake2b
from urllib.parse import parse_qsl

from django.conf import settings

from apps.scoring.serving import canonical_form
from apps.text import composed


def fresh(now_us: int) -> str:
    """28 characters that sort by time: 48 bits of milliseconds, 64 random bits."""
    return f"{now_us // 1000:012x}{os.urandom(8).hex()}"


def repeatable(handle: str, livemode: bool, idempotency_key: str, day: int, row: int) -> str:
    """28 characters, the same for the same key on the same UTC day (days since 1970), one per row of a batch."""
    message = f"{handle}\0{livemode}\0{idempotency_key}\0{day}\0{row}"
    return blake2b(message.encode(), digest_size=14).hexdigest()


def body_hash(schema: str, facts: dict) -> str:
    """The hash of a transaction's facts, 32 characters: the same facts give the same hash, however written."""
    return _hashed("facts", schema.encode() + canonical_form.of_facts(schema, facts))


def body_hashes(schema: str, canonical: Iterable[bytes]) -> list[str]:
    """The same of many transactions' facts in their canonical form."""
    begun = _keyed("facts", 16).copy()
    begun.update(schema.encode())
    return _each_hashed(begun, canonical)


def text_hash(text: str) -> str:
    """A name as it stands in Valkey's keys, 32 characters; the same for é in one character and in two."""
    return _hashed("text", composed(text).encode())


def text_hashes(texts: Iterable[str]) -> list[str]:
    """The same of many names."""
    return _each_hashed(_keyed("text", 16), (composed(text).encode() for text in texts))


@lru_cache(maxsize=4096)
def party_hash(name: str) -> str:
    """A party as it stands in Valkey's keys and in others' pasts, 24 characters; nobody ("") stays nobody."""
    return _hashed("party", name.encode(), 12) if name else ""


def fingerprint(path: str, query: str, body: bytes) -> str:
    """Which request an Idempotency-Key was used for, 32 characters: the same however address and body were written."""
    asked = sorted(parse_qsl(query, keep_blank_values=True))
    return _hashed("request", repr((path.rstrip("/"), asked)).encode() + canonical_form.of_request(body))


def _hashed(purpose: str, body: bytes, size: int = 16) -> str:
    hashing = _keyed(purpose, size).copy()  # takes the key in once a process
    hashing.update(body)
    return hashing.hexdigest()


def _each_hashed(begun: blake2b, contents: Iterable[bytes]) -> list[str]:
    found = []
    for content in contents:
        hashing = begun.copy()
        hashing.update(content)
        found.append(hashing.hexdigest())
    return found


@cache
def _keyed(purpose: str, size: int) -> blake2b:
    key = blake2b(settings.KEY_PEPPER.encode(), digest_size=32, person=b"what was said").digest()
    return blake2b(digest_size=size, key=key, person=purpose.encode())
