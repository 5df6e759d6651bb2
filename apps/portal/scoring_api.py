"""The scoring API, asked by the portal as a customer would ask it: dry runs with a test key that nobody holds."""

import json
import urllib.error
import urllib.request
from datetime import datetime
from typing import Any, NamedTuple

from django.conf import settings

from apps.accounts.models import Tenant
from apps.api_keys import tokens
from apps.api_keys.keys import PresentedKey
from apps.api_keys.models import ApiKey
from apps.api_keys.services import create_key

#: The name of the key that dry runs of the portal are made with; its text is thrown away, tokens stand for it.
KEY_NAME = "Portal: try it out"
TOKEN_SECONDS = 60
TIMEOUT = 5.0


class Answer(NamedTuple):
    """What the API said; `status` 0 when it could not be reached."""

    status: int
    body: dict[str, Any]


def dry_run(tenant: Tenant, schema: str, transaction: dict[str, Any], now: datetime, actor: str) -> Answer:
    """Score a transaction as the tenant's test key would have it scored, and store nothing."""
    body = json.dumps({"schema": schema, "transaction": transaction, "dry_run": True}).encode()
    headers = {"Authorization": f"Bearer {_token(tenant, now, actor)}", "Content-Type": "application/json"}
    if settings.PUBLIC_HOSTS:
        headers |= {"Host": settings.PUBLIC_HOSTS[0], "X-Forwarded-Proto": "https"}
    request = urllib.request.Request(f"{settings.API_INSIDE_URL}/v1/decisions", body, headers)  # noqa: S310 - our own
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310
            return Answer(answer.status, json.load(answer))
    except urllib.error.HTTPError as refusal:
        return Answer(refusal.code, json.load(refusal))
    except OSError:
        return Answer(0, {})


def _token(tenant: Tenant, now: datetime, actor: str) -> str:
    key = _key(tenant, now, actor)
    presented = PresentedKey(tenant.handle, livemode=False, scopes=("predict",))
    at = int(now.timestamp())
    return tokens.issue(
        presented, key.digest, ("predict",), issued_at=at, expires_at=at + TOKEN_SECONDS, secret=settings.TOKEN_SECRET
    )


def _key(tenant: Tenant, now: datetime, actor: str) -> ApiKey:
    """The tenant's key for dry runs, made when it is first needed or was revoked."""
    found = ApiKey.objects.filter(tenant=tenant, name=KEY_NAME, livemode=False, revoked_at=None).first()
    return (
        found or create_key(tenant=tenant, name=KEY_NAME, scopes=["predict"], livemode=False, now=now, actor=actor)[0]
    )
