"""Requests for decisions that failed with a 5xx, counted by tenant and minute: what no usage event tells.

Only a request that failed pays for it. Counted in Valkey, in the bucket of its tenant, and brought into Postgres with
each round of probes; while Valkey is away counted in Postgres itself. With both away nothing is counted, and the probes
say so.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection
from prometheus_client import Counter

from apps.accounts.tenancy import POSTGRES_AWAY
from apps.api_keys.keys import BUCKETS, tag
from apps.sla.intervals import moment_of, second_of
from apps.sla.measure import MINUTE
from apps.valkey import Away, Valkey, server

UNCOUNTED = Counter("palisade_failures_uncounted_total", "Failed requests that no store could count")
#: A minute that is so long over grows no more: it is forgotten in Valkey once it stands in Postgres.
SETTLED = timedelta(minutes=10)
_BUCKETS = tuple(f"{{b{bucket:02d}}}:failures" for bucket in range(BUCKETS))
#: A running count only ever grows: told twice, it is the same.
_COUNTED = """
INSERT INTO public.sla_failedminute AS known (tenant_id, minute, counted, direct)
SELECT tenant.id, told.minute, told.counted, 0
FROM unnest(%s::varchar[], %s::timestamptz[], %s::bigint[]) AS told (handle, minute, counted)
JOIN public.accounts_tenant AS tenant ON tenant.handle = told.handle ORDER BY 1, 2
ON CONFLICT (tenant_id, minute) DO UPDATE SET counted = greatest(known.counted, EXCLUDED.counted)
"""
_DIRECT = """
INSERT INTO public.sla_failedminute AS known (tenant_id, minute, counted, direct)
SELECT id, %s, 0, 1 FROM public.accounts_tenant WHERE handle = %s
ON CONFLICT (tenant_id, minute) DO UPDATE SET direct = known.direct + 1
"""


def note(handle: str, now: datetime) -> None:
    """Count one more, of a live key."""
    minute = second_of(now) // MINUTE
    try:
        get_valkey().command("HINCRBY", f"{tag(handle)}:failures", f"{handle}:{minute}", 1)
    except Away:
        _note_directly(handle, moment_of(minute * MINUTE))


def keep(now: datetime) -> int:
    """Bring what Valkey has counted into Postgres; how many minutes. Harmless when repeated. Raises `Away`."""
    valkey = get_valkey()
    found = list(_told(valkey))
    if found:
        handles, minutes, counts = zip(*((handle, moment, count) for _, _, handle, moment, count in found), strict=True)
        with connection.cursor() as cursor:
            cursor.execute(_COUNTED, [list(handles), list(minutes), list(counts)])
        settled = [("HDEL", bucket, field) for bucket, field, _, moment, _ in found if moment < now - SETTLED]
        valkey.pipeline(settled) if settled else None
    return len(found)


def get_valkey() -> Valkey:
    return server(settings.REDIS_URL, settings.REDIS_TIMEOUT)


def _told(valkey: Valkey) -> Iterator[tuple[str, str, str, datetime, int]]:
    """(bucket, field, handle, minute, count) of all that Valkey knows."""
    answers: Sequence[list[bytes]] = valkey.pipeline([("HGETALL", bucket) for bucket in _BUCKETS])
    for bucket, pairs in zip(_BUCKETS, answers, strict=True):
        for field, count in zip(pairs[::2], pairs[1::2], strict=True):
            handle, _, minute = field.decode().partition(":")
            yield bucket, field.decode(), handle, moment_of(int(minute) * MINUTE), int(count)


def _note_directly(handle: str, minute: datetime) -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute(_DIRECT, [minute, handle])
    except POSTGRES_AWAY:
        UNCOUNTED.inc()
