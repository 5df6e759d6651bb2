"""The Stripe account a tenant has connected, one for live and one for test keys; its secrets are sealed."""

from datetime import datetime
from typing import NamedTuple

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


def remember(tenant_schema: str, livemode: bool, account: Account, now: datetime) -> None:
    """Keep an account, in place of the one before; both secrets are sealed in the database."""
    with in_tenant(tenant_schema):
        StripeAccount.objects.update_or_create(livemode=livemode, defaults={**account._asdict(), "updated_at": now})


def forget(tenant_schema: str, livemode: bool) -> bool:
    """Whether there was one."""
    with in_tenant(tenant_schema):
        return bool(StripeAccount.objects.filter(livemode=livemode).delete()[0])
