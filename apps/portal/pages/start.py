"""First steps: a key, a call, and the page that turns green when it came."""

import json
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from apps.api_keys import services
from apps.api_keys.models import ApiKey
from apps.portal.page import Page
from apps.portal.pages.decisions import first
from apps.portal.roles import Permission

#: Somebody pays at a shop far from home, on a device nobody has seen.
FIRST = {
    "schema": "payments",
    "transaction": {
        "transaction_id": "first-call",
        "user_id": "customer-1",
        "merchant_id": "shop-1",
        "amount": 249.9,
        "currency": "EUR",
        "merchant_category": "electronics",
    },
}


class StartPage(Page):
    """A key of one's own, the call to paste, and waiting for it."""

    title, template = "First steps", "portal/pages/start.html"
    changes, sensitive = Permission.KEYS, True

    def context(self, **kwargs: Any) -> dict[str, Any]:
        return {
            "has_key": ApiKey.objects.filter(tenant=self.tenant, revoked_at=None).exists(),
            "decision": first(self.tenant, livemode=False),
            "body": json.dumps(FIRST, indent=2),
            "one_line": json.dumps(FIRST),
            "api": api_address(self.request),
            "key": None,
        }

    def post(self, request: HttpRequest) -> HttpResponse:
        """Make a test key and show the calls with it; it can't be shown again."""
        _, text = services.create_key(
            tenant=self.tenant,
            name="First steps",
            scopes=["predict", "read"],
            livemode=False,
            now=self.now,
            actor=self.actor,
        )
        return self.page(**self.context() | {"key": text, "has_key": True})


class FirstCall(Page):
    """The part of the page that asks, every two seconds, whether a call has come."""

    template = "portal/parts/first_call.html"

    def context(self, **kwargs: Any) -> dict[str, Any]:
        return {"decision": first(self.tenant, livemode=False)}


def api_address(request: HttpRequest) -> str:
    """Where the scoring API is, for whoever reads this page."""
    if settings.PUBLIC_HOSTS:
        return settings.API_URL
    port = settings.API_URL.rpartition(":")[2]
    return f"{request.scheme}://{request.get_host().partition(':')[0]}:{port}"
