"""Removing one person's data everywhere, as a story:

asked      a row keeps who it is, sealed, and when it was asked
swept      place after place (`erased_places.PLACES`): what was written before it was asked is removed and counted
held       while something sent before is still on its way (the journal, a batch of theirs) it is swept each minute
completed  nothing is on its way any more: the name is dropped, the receipt stays

The money's books are left whole: usage is counted by events that name nobody, and decisions that were removed are noted
by day (`removed_days.py`). Repeating it is harmless: while one is held the same receipt is answered.
"""

import hashlib
from collections import Counter
from datetime import datetime

from django.db import IntegrityError, transaction

from apps.accounts.audit import record_audit
from apps.accounts.models import Tenant
from apps.notifications.models import new_id
from apps.offboarding import erased_places
from apps.offboarding.erased_places import Sweep
from apps.offboarding.models import Erasure
from apps.offboarding.persons import Person
from apps.valkey import Valkey

State = Erasure.State


def erase(*, tenant: Tenant, person: Person, valkey: Valkey, now: datetime, actor: str) -> Erasure:
    """Remove a person's data, live and test; the receipt. Raises `apps.valkey.Away`: it is gone on with later."""
    return sweep(_begun(tenant, person, now, actor), valkey, now)


def sweep(erasure: Erasure, valkey: Valkey, now: datetime) -> Erasure:
    """Remove what is there, and complete the erasure when nothing is on its way any more."""
    person = Person(erasure.kind, erasure.person)
    one = Sweep(erasure.tenant, person, erasure.asked_at, now, valkey)
    # asked before the sweep: what arrives in between is swept, or still waited for
    waits_for = erased_places.waits_for(one)
    removed: Counter[str] = Counter()
    lines: list[str] = []
    for name, remove in erased_places.PLACES.items():
        found = remove(one)
        removed[name] += len(found)
        lines += [f"{name} {line}" for line in found]
    waits_for = list(dict.fromkeys([*waits_for, *erased_places.waits_for(one)]))
    return _noted(erasure, removed, lines, waits_for, now)


def finish_held(valkey: Valkey, now: datetime) -> int:
    """Sweep again what is held; how many were completed. Harmless when repeated."""
    held = Erasure.objects.filter(state=State.HOLDING).select_related("tenant").order_by("asked_at")
    return sum(sweep(one, valkey, now).state == State.COMPLETED for one in held)


def _begun(tenant: Tenant, person: Person, now: datetime, actor: str) -> Erasure:
    """A new erasure, or the one that is held. The audit trail does not say who."""
    try:
        with transaction.atomic():
            made = Erasure.objects.create(
                id=new_id("era", now), tenant=tenant, kind=person.kind, person_hash=person.hash, person=person.name,
                asked_at=now, asked_by=actor,
            )  # fmt: skip
            after = {"kind": person.kind, "person_hash": person.hash}
            record_audit(tenant=tenant, actor=actor, action="person.erased", target=made, after=after, now=now)
            return made
    except IntegrityError:
        of = Erasure.objects.select_related("tenant")
        return of.get(tenant=tenant, kind=person.kind, person_hash=person.hash, state=State.HOLDING)


def _noted(erasure: Erasure, removed: Counter[str], lines: list[str], waits_for: list[str], now: datetime) -> Erasure:
    """The receipt with what was removed now. Two sweeps at once add up."""
    with transaction.atomic():
        row = Erasure.objects.select_for_update().select_related("tenant").get(pk=erasure.pk)
        row.removed = {name: row.removed.get(name, 0) + count for name, count in removed.items()}
        row.digest = _chained(row.digest, lines)
        row.waits_for = ", ".join(waits_for)[:200]
        if not waits_for and row.state == State.HOLDING:
            row.state, row.completed_at, row.person = State.COMPLETED, now, ""
        row.save(update_fields=["removed", "digest", "waits_for", "state", "completed_at", "person"])
    return row


def _chained(before: str, lines: list[str]) -> str:
    """SHA-256 of what was removed, one sweep's on the one's before; unchanged when there was nothing."""
    return hashlib.sha256("\n".join([before, *sorted(lines)]).encode()).hexdigest() if lines else before
