"""Receipts: every decision that is recorded, and every one that is removed, on its tenant's chain.

leaf     128 bits of keyed BLAKE2b of all that is stored of a decision, under a key the database does not have
receipt  the leaves of the decisions of one transaction; or the ids of those that were removed by erasure or retention:
         a tombstone, so that what may be gone is told from what was taken
digest   keyed BLAKE2b of the digest before it and all a receipt says; receipts are numbered without gaps

A receipt is the last thing its transaction writes: whoever comes second waits for the first one's commit, no longer.
What is wrong with a chain is found by `receipt_check.py`.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import cache
from hashlib import blake2b
from struct import Struct
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connection, transaction

LEAF_BYTES, DIGEST_BYTES = 16, 32
RECORDED, REMOVED = "recorded", "removed"
_place = Struct("<QQ").pack  # number, µs since 1970
_LAST = "SELECT number, digest FROM {}.scoring_receipt ORDER BY number DESC LIMIT 1"
_APPEND = """
INSERT INTO {0}.scoring_receipt (number, at, kind, ids, leaves, digest)
SELECT %s, %s, %s, string_to_array(convert_from(%s, 'UTF8'), E'\n'), %s, %s
WHERE %s = 1 OR EXISTS (SELECT FROM {0}.scoring_receipt WHERE number = %s - 1 AND digest = %s)
ON CONFLICT (number) DO NOTHING RETURNING number
"""


class Head(NamedTuple):
    """A chain's length and its last digest."""

    number: int = 0
    digest: bytes = b""


#: The heads this process knows; one that is no longer the last is read anew.
_heads: dict[str, Head] = {}


def leaves(contents: Iterable[bytes | memoryview]) -> list[bytes]:
    """What a receipt keeps of decisions' contents."""
    begun, found = _keyed("decision", LEAF_BYTES), []
    for content in contents:
        made = begun.copy()
        made.update(content)
        found.append(made.digest())
    return found


def leaf(content: bytes) -> bytes:
    """What a receipt keeps of one decision's content."""
    return leaves([content])[0]


def digest(before: bytes, number: int, at: datetime, kind: str, ids: Sequence[str], leaves: bytes) -> bytes:
    """A receipt's digest, by the one before it."""
    made = _keyed("receipt", DIGEST_BYTES).copy()
    moment = round(at.astimezone(UTC).timestamp() * 1_000_000)
    for part in (before, _place(number, moment), kind.encode(), "\n".join(ids).encode(), leaves):
        made.update(_place(len(part), 0) + part)
    return made.digest()


def append(tenant_schema: str, kind: str, ids: Sequence[str], leaves: Iterable[bytes], now: datetime) -> None:
    """Put a receipt behind the last one, as the last thing a transaction writes."""
    if not ids:
        return
    schema, joined, head = connection.ops.quote_name(tenant_schema), b"".join(leaves), _heads.get(tenant_schema)
    named = "\n".join(ids).encode()  # in one piece: of a list psycopg asks of each id what it is
    with connection.cursor() as cursor:
        while True:
            head = head or _last(cursor, schema)
            number = head.number + 1
            made = Head(number, digest(head.digest, number, now, kind, ids, joined))
            said: list[Any] = [number, now, kind, named, joined, made.digest, number, number, head.digest]
            cursor.execute(_APPEND.format(schema), said)
            if cursor.fetchone():
                break
            head = None  # somebody else's is behind it by now
    transaction.on_commit(lambda: _heads.__setitem__(tenant_schema, made))


def _last(cursor: Any, schema: str) -> Head:
    cursor.execute(_LAST.format(schema))
    row = cursor.fetchone()
    return Head(row[0], bytes(row[1])) if row else Head()


@cache
def _keyed(purpose: str, size: int) -> blake2b:
    key = blake2b(settings.KEY_PEPPER.encode(), digest_size=32, person=b"receipts").digest()
    return blake2b(digest_size=size, key=key, person=purpose.encode())
