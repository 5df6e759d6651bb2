"""One worker at a time at what is not a chunk: a lock of Postgres' that goes when its holder does, however it goes."""

from collections.abc import Iterator
from contextlib import contextmanager
from zlib import crc32

from django.db import connection

#: Apart from others' advisory locks.
OURS = 0x62746368


@contextmanager
def alone_with(what: str) -> Iterator[bool]:
    """Whether nobody else holds the lock of that name; held until the block ends."""
    key = crc32(what.encode()) - 2**31
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [OURS, key])
        mine = bool(cursor.fetchone()[0])
    try:
        yield mine
    finally:
        if mine:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [OURS, key])
