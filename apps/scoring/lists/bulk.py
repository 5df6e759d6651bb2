"""Many items in one transaction, in force at one moment: a file of a million is, or none of it.

They are copied into a table of the transaction, as they are read, and become rows by two statements; then Valkey has
the whole list written. Neither this process nor Postgres holds them in memory. The list's row is locked only from the
statements on: a file is read for longer.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from apps import binary_copy
from apps.accounts.models import Tenant
from apps.accounts.tenancy import in_tenant
from apps.scoring.lists import services
from apps.scoring.lists.given import NewItem
from apps.scoring.lists.services import ADD, CLOSE, Added
from apps.scoring.lists.tokens import token_of
from apps.scoring.models import ValueList
from apps.times import instant_us
from apps.valkey import Valkey

_COLUMNS = {
    "place": "integer", "token": "bytea", "value": "text", "note": "text", "expires_at": "timestamp with time zone",
}  # fmt: skip
_BEGIN = f"""
DROP TABLE IF EXISTS pg_temp.arriving, pg_temp.arrived;
CREATE TEMP TABLE arriving ({", ".join(f"{name} {kind}" for name, kind in _COLUMNS.items())}) ON COMMIT DROP
"""
#: Of an item that comes twice the last line counts.
_LAST = """
SET LOCAL work_mem = '64MB';
CREATE TEMP TABLE arrived ON COMMIT DROP AS
SELECT DISTINCT ON (token) place, token, value, note, expires_at FROM arriving ORDER BY token, place DESC;
DROP TABLE arriving;
ANALYZE arrived
"""
_CLOSE = CLOSE.format(new="(SELECT token, value, note, expires_at FROM arrived)")
#: In the order of the file, which is that of the rows' numbers, which is that in which they are shown.
_ADD = ADD.format(new="(SELECT token, value, note, expires_at FROM arrived ORDER BY place)")


def add_many(
    *, tenant: Tenant, row: ValueList, pieces: Iterable[Sequence[NewItem]], valkey: Valkey,
    clock: Callable[[], datetime], actor: str,
) -> Added:  # fmt: skip
    """Put items in force, all or none; what became of them. `clock` is asked once they are read: no item is said to be
    older than that.

    Raises `services.TooMany`, `services.Gone`, and what `pieces` raises.
    """
    with in_tenant(tenant), transaction.atomic():
        prefixes = _staged(pieces)
        known, now = services.locked(row), clock()
        told = _merged(known, now, actor)
        services.changed(tenant, known, told.added, prefixes)
        if told.added or told.changed:
            services.audit_added(tenant, known, told, now, actor)
        transaction.on_commit(lambda: services.publish(tenant, known, valkey))  # it may be a part of a larger one
    return told


def _staged(pieces: Iterable[Sequence[NewItem]]) -> set[str]:
    """Copy items into the transaction's table; the prefixes of networks and BINs among them."""
    prefixes: set[str] = set()
    place = 0
    with connection.cursor() as cursor:
        cursor.execute(_BEGIN)
        for items in filter(None, pieces):
            data = binary_copy.rows_of(list(_COLUMNS.values()), _columns_of(items, place))
            binary_copy.copy_into(cursor, "arriving", data)
            prefixes.update(one.item.prefix for one in items if one.item.prefix)
            place += len(items)
        cursor.execute(_LAST)
    return prefixes


def _columns_of(items: Sequence[NewItem], place: int) -> list[Sequence[Any]]:
    return [
        range(place, place + len(items)),
        [token_of(one.item.name) for one in items],
        [one.item.shown for one in items],
        [one.note for one in items],
        [None if one.expires_at is None else instant_us(one.expires_at) for one in items],
    ]


def _merged(row: ValueList, now: datetime, actor: str) -> Added:
    """Make rows of what arrived. What is in the list with another expiry or note ends first, and comes anew."""
    said: dict[str, Any] = {"list": row.pk, "livemode": row.livemode, "now": now, "actor": actor}
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM arrived")
        (all_of_them,) = cursor.fetchone()
        cursor.execute(_CLOSE, said)
        ended = int(cursor.rowcount)
        cursor.execute(_ADD, said)
        came = int(cursor.rowcount)
    return Added(came - ended, ended, int(all_of_them) - came)
