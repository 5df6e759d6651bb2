"""What of Valkey a backup has: what was acknowledged and is not in Postgres yet, and what can't be made anew from it.

| what | in the backup | why |
|---|---|---|
| the journal, and what was set aside | as entries | acknowledged; read before Postgres, so that none is missed |
| Idempotency-Keys' answers, transactions' pointers | as Valkey dumps them | a repeat is known for 24 h, for 7 days |
| parties' recent activity, what own models know of them | as Valkey dumps it | features of the next decisions |
| keys' documents, plans, policies, lists | no | loaded from Postgres when asked for |
| quota, reservations | no | counted again from what is restored; a chunk reserves again |
| counts of what was journaled | no | counted again from what is restored |
| rates, flags, Celery's queues | no | begin anew; the clock asks again |
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TypeVar

import msgspec
from django.db.models import Count
from django.db.models.functions import TruncDate

from apps.accounts.models import Tenant
from apps.api_keys.gate import Names
from apps.api_keys.keys import tag
from apps.usage.admission.admission import COUNTER_SECONDS, period_of, recorded_units
from apps.usage.metering.events import BATCHES, UsageEvent, moment
from apps.usage.metering.journal import PLACE_SECONDS, STREAMS, Entry, decode
from apps.usage.models import UsageEvent as Recorded
from apps.valkey import Argument, Valkey

Item = TypeVar("Item")

#: Kinds of keys that are kept whole, by what follows the handle.
KEPT = re.compile(rb"^\{b\d\d\}:[0-9a-z]{6}:(live|test):(idem|txn|hist\d+|own\d+):")
#: Entries and keys asked for at a time.
BLOCK = 500
#: What was journaled is counted by day for so long.
COUNTED = timedelta(days=62)


class Journaled(msgspec.Struct, array_like=True, frozen=True):
    """An entry of the journal, or one that was set aside."""

    stream: str
    data: bytes

    @property
    def entry(self) -> Entry:
        return decode(self.data)


class Kept(msgspec.Struct, array_like=True, frozen=True):
    """A key as `DUMP` gives it; `life_ms` 0: it does not expire."""

    key: bytes
    life_ms: int
    value: bytes


def journal(valkey: Valkey, handle: str = "") -> Iterator[Journaled]:
    """What waits to be recorded, and what could not be: of one tenant, or of all."""
    for stream in (f"{name}{suffix}" for name in _streams(handle) for suffix in ("", ":dead")):
        for one in _entries(valkey, stream):
            if not handle or one.entry.handle == handle:
                yield one


def kept(valkey: Valkey, handle: str = "") -> Iterator[Kept]:
    """What can't be made anew, of one tenant or of all. What expires meanwhile is left out."""
    pattern = f"{tag(handle)}:{handle}:*" if handle else "{b??}:*"
    for keys in _scanned(valkey, pattern):
        wanted = [key for key in keys if KEPT.match(key)]
        commands: list[Sequence[Argument]] = [(word, key) for key in wanted for word in ("PTTL", "DUMP")]
        answers = valkey.pipeline(commands) if commands else []
        for key, life, value in zip(wanted, answers[::2], answers[1::2], strict=True):
            if value is not None:
                yield Kept(key, max(life, 0), value)


def restore_journal(valkey: Valkey, entries: Iterable[Journaled]) -> int:
    """Append the entries, and note where each stands; the recorder does the rest. Recording twice is harmless."""
    count = 0
    for one in entries:
        place = valkey.command("XADD", one.stream, "*", "e", one.data)
        if not one.stream.endswith(":dead"):
            event = one.entry.event
            note = Names(one.entry.handle, event.livemode).decision(event.id)
            valkey.command("SET", note, place, "EX", PLACE_SECONDS)
        count += 1
    return count


def restore_kept(valkey: Valkey, keys: Iterable[Kept]) -> int:
    """Put keys back; one that is there already is newer and stays."""
    count = 0
    for block in _blocks(keys):
        commands: list[Sequence[Argument]] = [("EXISTS", one.key) for one in block]
        there = valkey.pipeline(commands)
        missing = [one for one, known in zip(block, there, strict=True) if not known]
        if missing:
            valkey.pipeline([("RESTORE", one.key, one.life_ms, one.value) for one in missing])
        count += len(missing)
    return count


def count_anew(valkey: Valkey, tenants: Iterable[Tenant], now: datetime) -> None:
    """Set each tenant's counts of entries by day, and of the month's units, to what is recorded and what waits."""
    waiting_of, period = _waiting(valkey), period_of(now)
    for tenant in tenants:
        names, waiting = Names(tenant.handle, True), waiting_of.get(tenant.pk, [])
        this_month = (one for one in waiting if period_of(moment(one.occurred_us)) == period)
        used = recorded_units(tenant.pk, period) + sum(one.units for one in this_month)
        commands: list[Sequence[Argument]] = [("SET", names.quota(period), used, "EX", COUNTER_SECONDS)]
        for month, days in _entries_by_day(tenant, waiting, now).items():
            name = names.journaled(month)
            pairs = [part for day, count in days.items() for part in (day, count)]
            commands += [("DEL", name), ("HSET", name, *pairs), ("EXPIRE", name, COUNTER_SECONDS)]
        valkey.pipeline(commands)


def _waiting(valkey: Valkey) -> Mapping[int, list[UsageEvent]]:
    """Tenant → events in the journal that Postgres doesn't have."""
    found: dict[int, list[UsageEvent]] = {}
    held = (one.entry.event for one in journal(valkey) if not one.stream.endswith(":dead"))
    for block in _blocks(held):
        known = set(Recorded.objects.filter(pk__in=[event.id for event in block]).values_list("pk", flat=True))
        for event in (event for event in block if event.id not in known):
            found.setdefault(event.tenant_id, []).append(event)
    return found


def _entries_by_day(tenant: Tenant, waiting: Iterable[UsageEvent], now: datetime) -> Mapping[str, dict[int, int]]:
    """Month (YYYYMM) → day → entries that came through the journal."""
    counts: dict[str, dict[int, int]] = {}
    days = [*_recorded(tenant, now - COUNTED), *((event.day(), 1) for event in waiting)]
    for day, count in days:
        month = counts.setdefault(f"{day:%Y%m}", {})
        month[day.day] = month.get(day.day, 0) + count
    return counts


def _recorded(tenant: Tenant, since: datetime) -> Iterable[tuple[date, int]]:
    rows = Recorded.objects.filter(tenant_id=tenant.pk, occurred_at__gte=since, direct=False)
    days = rows.exclude(endpoint=BATCHES).annotate(day=TruncDate("occurred_at", tzinfo=UTC))
    return days.order_by().values_list("day").annotate(Count("pk"))


def _streams(handle: str) -> Sequence[str]:
    return [f"{tag(handle)}:journal"] if handle else STREAMS


def _entries(valkey: Valkey, stream: str) -> Iterator[Journaled]:
    after = "-"
    while found := valkey.command("XRANGE", stream, after, "+", "COUNT", BLOCK):
        for _, fields in found:
            yield Journaled(stream, fields[1])
        after = f"({found[-1][0].decode()}"


def _scanned(valkey: Valkey, pattern: str) -> Iterator[list[bytes]]:
    """Keys of a pattern, block by block; one may come twice."""
    cursor: bytes | str = "0"
    while True:
        cursor, keys = valkey.command("SCAN", cursor, "MATCH", pattern, "COUNT", BLOCK)
        yield keys
        if cursor in (b"0", "0"):
            return


def _blocks(of: Iterable[Item]) -> Iterator[list[Item]]:
    waiting: list[Item] = []
    for one in of:
        waiting.append(one)
        if len(waiting) == BLOCK:
            yield waiting
            waiting = []
    if waiting:
        yield waiting
