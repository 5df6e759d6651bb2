"""The audit trail's one writer: who did what to which object, from where, in which request.

An entry is sealed here, under a key that the database does not have, and chained to the entries of its tenant by the
database as its transaction commits (`migrations/0007_audit_chained.py`): until then no lock is held. `audit_chain.py`
tells both, and what verifies them.
"""

from contextvars import ContextVar
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import Model
from django.utils import timezone

from apps.accounts.audit_chain import seal
from apps.accounts.models import AuditEntry, Tenant


class Origin(NamedTuple):
    """Where a change was asked for: the address of the request that is being answered, and its id."""

    address: str | None = None
    request_id: str = ""


#: Set by the faces, where a request comes in; commands and workers have none.
ORIGIN: ContextVar[Origin | None] = ContextVar("origin", default=None)


def record_audit(
    *,
    tenant: Tenant | None,
    actor: str,
    action: str,
    target: str | Model,
    now: datetime,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    """Write one line of the audit trail. Secrets never stand in `before` or `after`.

    A `target` that is a row is named as it names itself. For a tenant on a billing clock the line is dated by our time,
    and its own time stands beside it (`clock`).
    """
    origin, own = ORIGIN.get() or Origin(), _own_time(tenant)
    if own is not None:
        now, after = timezone.now(), {**(after or {}), "clock": own.isoformat()}
    entry = AuditEntry(
        tenant=tenant,
        chain=tenant.pk if tenant else 0,
        actor=actor,
        action=action,
        target=str(target)[:200],
        before=before,
        after=after,
        at=now,
        address=origin.address,
        request_id=origin.request_id,
    )
    entry.seal = seal(entry)
    entry.save(force_insert=True)


def _own_time(tenant: Tenant | None) -> datetime | None:
    """What time it is for a tenant on a billing clock."""
    if tenant is None:
        return None
    return Tenant.objects.filter(pk=tenant.pk).values_list("billing_clock__now", flat=True).first()
