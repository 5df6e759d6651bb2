"""Last use of keys for what no journal holds: reads and changes. Decisions are noted by the recorder.

Each process notes a key at most once a minute, so that a read costs a write now and then. While Postgres is away it is
tried again at the next use.
"""

import logging
from datetime import datetime, timedelta

from django.db import connection

from apps.accounts.tenancy import POSTGRES_AWAY
from apps.api_keys import networks
from apps.api_keys.networks import Use
from apps.api_keys.services import touch

log = logging.getLogger(__name__)

#: A key is noted no more often than this.
APART = timedelta(minutes=1)
#: Keys a process remembers; beyond them it begins anew.
MOST_KEYS = 10_000

_noted: dict[int, datetime] = {}


def note(key_id: int, now: datetime, address: str) -> None:
    """Note that a key was used, unless this process did so within the last minute."""
    before = _noted.get(key_id)
    if before is not None and now - before < APART:
        return
    uses = [Use(key_id, address, now)]
    try:
        with connection.cursor() as cursor:
            touch(cursor, {key_id: (now, address)})
            networks.note_networks(cursor, uses)
    except POSTGRES_AWAY as failure:
        log.warning("the use of key %d is not noted: %s", key_id, failure)
        return
    if len(_noted) >= MOST_KEYS:
        _noted.clear()
    networks.remember(uses)
    _noted[key_id] = now


def forget() -> None:
    """Remember no use: tests begin anew."""
    _noted.clear()
    networks.forget()
