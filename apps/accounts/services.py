"""What changes several rows: making a tenant, suspending it, letting somebody own it, keeping what a check found."""

import itertools
from collections.abc import Callable, Sequence
from datetime import datetime

from django.core.validators import validate_email
from django.db import transaction
from django.utils.text import slugify

from apps.accounts import ready_schemas
from apps.accounts.audit import record_audit
from apps.accounts.models import Membership, RegularCheck, Tenant, User, new_handle
from apps.accounts.naming import RESERVED

#: Names of regular checks: served = journaled = recorded = rolled up = invoiced; the provider's payments = ours; the
#: decisions = what their receipts say.
USAGE_BOOKS, PROVIDER_BOOKS, RECEIPTS = "usage books", "provider's books", "receipts of decisions"
#: Noted like a check when it was made, for what watches its age; it has no differences.
BACKUP = "backup"
#: Differences that a regular check keeps in words.
MOST_DIFFERENCES = 100
#: Called inside the transaction with a tenant whose access changes: rooms above hand in who caches it.
OnChange = Callable[[Tenant], object]


@transaction.atomic
def create_tenant(*, slug: str, name: str, now: datetime, actor: str = "command") -> Tenant:
    """A tenant with its own schema, in one transaction. Raises `IntegrityError` when the slug is taken."""
    handle = new_handle()
    tenant = Tenant(slug=slug, name=name, handle=handle, schema_name=f"t_{handle}", created_at=now)
    tenant.full_clean(exclude=["domain_url"])
    tenant.save()
    ready_schemas.create_schema(tenant.schema_name)
    record_audit(tenant=tenant, actor=actor, action="tenant.created", target=slug, after={"handle": handle}, now=now)
    return tenant


def suspend_tenant(*, tenant: Tenant, now: datetime, on_change: OnChange, reason: str = "", actor: str) -> None:
    """Refuse every request of the tenant (403 tenant_suspended); nothing is deleted. Harmless when repeated.

    `on_change`: `api_keys.services.invalidating(gate)`, so that it holds from the next request on, on every process.
    """
    _set_suspended(tenant, now, "tenant.suspended", now, on_change, reason, actor)


def reinstate_tenant(*, tenant: Tenant, now: datetime, on_change: OnChange, reason: str = "", actor: str) -> None:
    """Let a suspended tenant's keys work again. Harmless when repeated."""
    _set_suspended(tenant, None, "tenant.reinstated", now, on_change, reason, actor)


@transaction.atomic
def _set_suspended(
    tenant: Tenant, at: datetime | None, action: str, now: datetime, on_change: OnChange, reason: str, actor: str
) -> None:
    row = Tenant.objects.select_for_update().get(pk=tenant.pk)
    if (row.suspended_at is None) == (at is None):
        return
    Tenant.objects.filter(pk=row.pk).update(suspended_at=at)
    on_change(row)
    after = {"reason": reason} if reason else None
    record_audit(tenant=row, actor=actor, action=action, target=row.slug, after=after, now=now)


@transaction.atomic
def add_owner(*, tenant: Tenant, email: str, now: datetime, actor: str = "command") -> Membership:
    """Who answers for a tenant and is told about it: a person by their e-mail, new ones without a password.

    Harmless when repeated. Raises `ValidationError`.
    """
    email = User.objects.normalize_email(email).lower()
    validate_email(email)
    user = User.objects.filter(email=email).first() or User.objects.create_user(email)
    return make_owner(tenant=tenant, user=user, now=now, actor=actor)


@transaction.atomic
def make_owner(*, tenant: Tenant, user: User, now: datetime, actor: str) -> Membership:
    """Let a user own a tenant. Harmless when repeated."""
    made, _ = Membership.objects.update_or_create(user=user, tenant=tenant, defaults={"role": Membership.Role.OWNER})
    after = {"user": user.email, "role": made.role}
    record_audit(tenant=tenant, actor=actor, action="membership.created", target=user.email, after=after, now=now)
    return made


def free_slug(name: str) -> str:
    """A slug made of a company's name that nobody has yet and that is not ours: `acme`, else `acme-2`, `acme-3` …"""
    plain = slugify(name)[:40].strip("-") or "company"
    there = Tenant.objects.filter(slug__istartswith=plain).values_list("slug", flat=True)
    taken = RESERVED | {slug.lower() for slug in there}
    tries = itertools.chain([plain], (f"{plain}-{n}" for n in itertools.count(2)))
    return next(slug for slug in tries if slug not in taken)


def record_check(name: str, differences: Sequence[str], now: datetime) -> None:
    """Keep what a regular check found, in place of what it found before."""
    found = {"checked_at": now, "differences": list(differences[:MOST_DIFFERENCES]), "count": len(differences)}
    RegularCheck.objects.update_or_create(name=name, defaults=found)
