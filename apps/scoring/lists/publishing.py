"""Lists as Valkey has them: a hash each, token → until when, with a header that says what stands in it.

    a change   committed in Postgres ─► told as a difference, in the order of versions
    missing    Valkey was restarted, or could not be told ─► `lists_pending` ─► the worker writes the whole list beside
               and puts it in place at once; until then it is unknown

Without its header a list is not there: what is asked of it is unknown.
"""

import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import lru_cache
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

from django.db import transaction
from django.db.models import F, QuerySet

from apps.accounts.models import Tenant
from apps.accounts.tenancy import in_tenant
from apps.api_keys.gate import Names, names_of
from apps.scoring.models import ListItem, ValueList
from apps.times import instant_us
from apps.valkey import Argument, Away, Script, Valkey

CHANGE = Script((Path(__file__).parent / "change.lua").read_text())
HEADER = b"h"
#: The item type in the header of a list that does not exist.
NO_LIST = "none"
#: Items that are written in one command; a list that is being written is given up after so long.
AT_ONCE = 2_000
WRITTEN_WITHIN_SECONDS = 600
#: A change waits so often, so long for one before it; then the list is written as a whole.
TRIES, PAUSE_SECONDS = 20, 0.005

Pair = tuple[bytes, bytes]


class Header(NamedTuple):
    """What a list holds: its type, and the prefixes of networks or BINs that may stand in it."""

    item_type: str
    prefixes: tuple[str, ...]


class Difference(NamedTuple):
    """A change of a list: to which version, tokens that went, and those that came, with their end or None."""

    version: int
    went: Sequence[bytes]
    came: Mapping[bytes, datetime | None]


@lru_cache(maxsize=4096)
def header_of(packed: bytes) -> Header:
    """Read a header: "7 ip 4/24 4/32" is the seventh version of a list of addresses."""
    _, item_type, *prefixes = packed.decode().split(" ")
    return Header(item_type, tuple(prefixes))


def until(expires_at: datetime | None) -> bytes:
    """An item's end as it stands in the hash."""
    return b"" if expires_at is None else str(instant_us(expires_at)).encode()


def tell(tenant: Tenant, row: ValueList, valkey: Valkey, change: Difference) -> bool:
    """Tell Valkey of a change that is committed. False: it could not be told, and the worker writes the whole list."""
    try:
        told = _told(valkey, names_of(tenant.handle, row.livemode).list(row.name), row, change)
    except Away:
        return False
    if told:
        note_published(tenant, row.pk, change.version)
    return told


def note_published(tenant: Tenant, list_id: str, version: int) -> None:
    """Note that Valkey knows a version of a list; the tenant waits for nothing once it knows all of them."""
    with in_tenant(tenant), transaction.atomic():
        ValueList.objects.filter(pk=list_id, published__lt=version).update(published=version)
        _settle(tenant)


def _settle(tenant: Tenant) -> None:
    """Note that nothing waits, if so: under the tenant's lock, so that a change on its way says so afterwards."""
    Tenant.objects.select_for_update().get(pk=tenant.pk)
    if not _unpublished().exists():
        Tenant.objects.filter(pk=tenant.pk).update(lists_pending=False)


def ask_for(tenant_schema: str, names: Names, name: str, valkey: Valkey) -> None:
    """Let the worker write a list that Valkey does not have; when there is none, let Valkey know that. Harmless when
    repeated. Raises `apps.valkey.Away`."""
    with in_tenant(tenant_schema), transaction.atomic():
        there = ValueList.objects.filter(livemode=names.livemode, name=name, deleted_at=None).update(published=-1)
        if there:
            Tenant.objects.filter(schema_name=tenant_schema).update(lists_pending=True)
    if not there:
        valkey.command("HSETNX", names.list(name), HEADER, f"0 {NO_LIST}")


def publish_pending(valkey: Valkey) -> int:
    """Write every list Valkey is still to hear of; how many. Raises `apps.valkey.Away`: it is gone on with later."""
    published = 0
    for tenant in Tenant.objects.filter(lists_pending=True):
        with in_tenant(tenant):
            waiting = list(_unpublished().values_list("pk", flat=True))
        for list_id in waiting:
            note_published(tenant, list_id, publish(tenant, list_id, valkey))
        published += len(waiting)
        with in_tenant(tenant), transaction.atomic():
            _settle(tenant)
    return published


def publish(tenant: Tenant, list_id: str, valkey: Valkey) -> int:
    """Write a whole list beside the one that is there, and put it in place; which version it is.

    Its row is locked meanwhile, so that no change is lost. Raises `apps.valkey.Away`.
    """
    with in_tenant(tenant), transaction.atomic():
        row = ValueList.objects.select_for_update().get(pk=list_id)
        key = names_of(tenant.handle, row.livemode).list(row.name)
        if row.deleted_at is None:
            _write(valkey, key, row)
        return row.version


def withdraw(tenant: Tenant, livemode: bool, name: str, valkey: Valkey) -> None:
    """Forget a list that was deleted; one that can't be told is found missing in Postgres."""
    with suppress(Away):
        valkey.command("UNLINK", names_of(tenant.handle, livemode).list(name))


def _unpublished() -> QuerySet[ValueList]:
    return ValueList.objects.filter(deleted_at=None, published__lt=F("version"))


def _write(valkey: Valkey, key: str, row: ValueList) -> None:
    beside = f"{key}:{secrets.token_hex(4)}"
    valkey.pipeline([("HSET", beside, HEADER, _packed(row, row.version)), ("EXPIRE", beside, WRITTEN_WITHIN_SECONDS)])
    for some in _by(AT_ONCE, _in_force(row)):
        valkey.command("HSET", beside, *chain.from_iterable(some))
    valkey.pipeline([("PERSIST", beside), ("RENAME", beside, key)])


def _in_force(row: ValueList) -> Iterator[tuple[bytes, bytes]]:
    """Tokens of what was not removed, with their ends: of what has expired, too, which changes nothing."""
    items = ListItem.objects.filter(list=row, removed_at=None).values_list("token", "expires_at")
    return ((bytes(token), until(end)) for token, end in items.iterator(10_000))


def _by(count: int, items: Iterator[Pair]) -> Iterator[list[Pair]]:
    while some := list(islice(items, count)):
        yield some


def _packed(row: ValueList, version: int) -> str:
    return " ".join([str(version), row.item_type, *row.prefixes.split()])


def _told(valkey: Valkey, key: str, row: ValueList, change: Difference) -> bool:
    arguments: list[Argument] = [
        change.version - 1,
        change.version,
        _packed(row, change.version),
        len(change.went),
        *change.went,
    ]
    for token, end in change.came.items():
        arguments += (token, until(end))
    for _ in range(TRIES):
        told = int(valkey.run(CHANGE, [key], arguments))
        if told >= 0:
            return told > 0
        time.sleep(PAUSE_SECONDS)
    return False
