"""The Stripe account a tenant has connected, one for live and one for test keys; its secrets are sealed."""

from datetime import datetime
from typing import Any, NamedTuple

from apps.accounts.audit import record_audit
from apps.accounts.models import Tenant
from apps.accounts.tenancy import in_tenant
from apps.scoring.models import StripeAccount


class Account(NamedTuple):
    """A tenant's account at Stripe. `key_digest`: the API key its webhooks act with."""

    api_key: str
    webhook_secret: str
    key_digest: str


def account_of(tenant_schema: str, livemode: bool) -> Account | None:
    """The account a tenant gave for live or test payments."""
    with in_tenant(tenant_schema):
        row = StripeAccount.objects.filter(livemode=livemode).first()
    return Account(row.api_key, row.webhook_secret, row.key_digest) if row else None


def connect(*, tenant: Tenant, livemode: bool, account: Account, now: datetime, actor: str) -> None:
    """Keep an account, in place of the one before, and write the audit log."""
    _remember(tenant.schema_name, livemode, account, now)
    after = {"api_key_last4": account.api_key[-4:]}
    _audit(tenant, "connected", after, now, actor)


def disconnect(*, tenant: Tenant, livemode: bool, now: datetime, actor: str) -> None:
    """Forget the account with its secrets. Harmless when repeated."""
    if _forget(tenant.schema_name, livemode):
        _audit(tenant, "disconnected", None, now, actor)


def _audit(tenant: Tenant, verb: str, after: dict[str, Any] | None, now: datetime, actor: str) -> None:
    action, target = f"stripe_account.{verb}", tenant.handle
    record_audit(tenant=tenant, actor=actor, action=action, target=target, after=after, now=now)


def _remember(tenant_schema: str, livemode: bool, account: Account, now: datetime) -> None:
    """Both secrets are sealed in the database."""
    with in_tenant(tenant_schema):
        StripeAccount.objects.update_or_create(livemode=livemode, defaults={**account._asdict(), "updated_at": now})


def _forget(tenant_schema: str, livemode: bool) -> bool:
    """Whether there was one."""
    with in_tenant(tenant_schema):
        return bool(StripeAccount.objects.filter(livemode=livemode).delete()[0])
