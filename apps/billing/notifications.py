"""Notifications about money, once each, through the outbox, and their recipients. Each wing says what is in its own."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from apps.accounts.models import Tenant
from apps.billing.models import Subscription
from apps.notifications.services import notify, people_of


def billing_recipients(tenant_ids: Iterable[int]) -> dict[int, list[str]]:
    """Who is mailed about each tenant's money: its billing e-mail, then its owners and admins, each address once."""
    ids = list(tenant_ids)
    people = people_of(ids)
    billing = dict(Subscription.objects.filter(tenant_id__in=ids).values_list("tenant_id", "billing_email"))
    return {one: _once([billing.get(one, ""), *people.get(one, ())]) for one in ids}


def notify_customer(
    tenant: Tenant, kind: str, data: dict[str, Any], *, key: str, now: datetime, mailed: bool = True
) -> bool:
    """Notify a tenant about money; False when `key` was notified before. Not `mailed`: by webhook alone."""
    to = billing_recipients([tenant.pk])[tenant.pk] if mailed else []
    return notify(tenant=tenant, kind=kind, data=data, key=key, now=now, to=to)


def _once(addresses: Iterable[str]) -> list[str]:
    """Upper and lower case are the same to whoever reads it."""
    return list({one.lower(): one for one in reversed([*addresses]) if one}.values())[::-1]
