"""Reads of analytics: from a streaming replica of Postgres where the settings name one that answers, else the primary.

A replica is behind by what it has not replayed yet, mostly milliseconds; nothing that decides or bills reads from it.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections
from django_tenants.utils import schema_context
from prometheus_client import Counter

from apps.accounts.tenancy import POSTGRES_AWAY

log = logging.getLogger(__name__)

REPLICA = "replica"
#: A replica that failed is not asked again for so many seconds.
RETRY_SECONDS = 5.0

READS = Counter("palisade_analytics_reads_total", "Reads of analytics, by the Postgres that answered", ["store"])

_alias: ContextVar[str] = ContextVar("where analytics read", default=DEFAULT_DB_ALIAS)
_away_until = 0.0


class AnalyticsRouter:
    """Inside `reading_in` rows are read where it says; anywhere else Django decides."""

    def db_for_read(self, model: type, **hints: Any) -> str | None:
        alias = _alias.get()
        return None if alias == DEFAULT_DB_ALIAS else alias

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        return False if db == REPLICA else None


@contextmanager
def reading_in(tenant_schema: str) -> Iterator[Any]:
    """Read in a tenant's schema, through Django's models or the connection given; nothing may be written."""
    alias = REPLICA if _answers() else DEFAULT_DB_ALIAS
    READS.labels(REPLICA if alias == REPLICA else "postgres").inc()
    before = _alias.set(alias)
    try:
        with schema_context(tenant_schema, database=alias):
            yield connections[alias]
    finally:
        _alias.reset(before)


def _answers() -> bool:
    """Whether there is a replica, and it answers now."""
    global _away_until
    if REPLICA not in connections.settings or time.monotonic() < _away_until:
        return False
    try:
        with connections[REPLICA].cursor() as cursor:
            cursor.execute("SELECT 1")
    except POSTGRES_AWAY as failure:
        connections[REPLICA].close()
        _away_until = time.monotonic() + RETRY_SECONDS
        log.warning("the replica is away, analytics read from the primary: %s", str(failure).splitlines()[0])
        return False
    return True
