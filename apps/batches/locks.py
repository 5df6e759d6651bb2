"""One worker at a time at what is not a chunk: a lock of Postgres' that goes when its holder does, however it goes.

It belongs to a transaction of a connection of its own: behind a pooler a session's lock would be left to a stranger.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from zlib import crc32

from django.db import connections
from django.db.utils import DEFAULT_DB_ALIAS

#: Apart from others' advisory locks.
OURS = 0x62746368


@contextmanager
def alone_with(what: str) -> Iterator[bool]:
    """Whether nobody else holds the lock of that name; held until the block ends."""
    key = crc32(what.encode()) - 2**31
    holder = connections.create_connection(DEFAULT_DB_ALIAS)
    try:
        holder.set_autocommit(False)
        with holder.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", [OURS, key])
            mine = bool(cursor.fetchone()[0])
        yield mine
    finally:
        holder.close()
