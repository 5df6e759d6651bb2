"""The Stripe account a tenant has connected, one for live and one for test keys; its secrets are sealed."""

from datetime import datetime
from typing import NamedTuple

from django_tenants.utils import schema_context

from apps.scoring.models import StripeAccount


class Account(NamedTuple):
    """A tenant's account at Stripe. `key_digest`: the API key its webhooks act with."""

    api_key: str
    webhook_secret: str
    key_digest: str


def account_of(schema: str, livemode: bool) -> Account | None:
    """The account a tenant gave for live or test payments."""
    with schema_context(schema):
        row = StripeAccount.objects.filter(livemode=livemode).first()
    return Account(row.api_key, row.webhook_secret, row.key_digest) if row else None


def remember(schema: str, livemode: bool, account: Account, now: datetime) -> None:
    """Keep an account, in place of the one before; both secrets are sealed in the database."""
    with schema_context(schema):
        StripeAccount.objects.update_or_create(livemode=livemode, defaults={**account._asdict(), "updated_at": now})


def forget(schema: str, livemode: bool) -> bool:
    """Whether there was one."""
    with schema_context(schema):
        return bool(StripeAccount.objects.filter(livemode=livemode).delete()[0])
