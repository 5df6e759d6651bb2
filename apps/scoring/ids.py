"""Names for what is new: decisions, transactions nobody named, hashes of what was said. Pure but for randomness.

Under an Idempotency-Key a decision's id follows from the key and the UTC day, so that whatever path a repeated request
takes (another process, Postgres alone while Valkey is away) it meets the same row: recorded once, billed once.
"""

import os
from hashlib import blake2b

import msgspec

_canonical = msgspec.json.Encoder(order="sorted")


def fresh(now_us: int) -> str:
    """28 characters that sort by time: 48 bits of milliseconds, 64 random bits."""
    return f"{now_us // 1000:012x}{os.urandom(8).hex()}"


def repeatable(handle: str, livemode: bool, idempotency_key: str, day: int, row: int) -> str:
    """28 characters, the same for the same key on the same UTC day (days since 1970), one per row of a batch."""
    said = f"{handle}\0{livemode}\0{idempotency_key}\0{day}\0{row}"
    return blake2b(said.encode(), digest_size=14).hexdigest()


def body_hash(schema: str, facts: dict) -> str:
    """What was said of a transaction, 32 characters: the same facts give the same hash, whatever their order."""
    return blake2b(schema.encode() + _canonical.encode(facts), digest_size=16).hexdigest()


def text_hash(text: str) -> str:
    """A name as it stands in Valkey's keys, 32 characters."""
    return blake2b(text.encode(), digest_size=16).hexdigest()


def fingerprint(path: str, body: bytes) -> str:
    """Which request an Idempotency-Key was used for, 32 characters."""
    return blake2b(path.encode() + b"\0" + body, digest_size=16).hexdigest()
