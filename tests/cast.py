"""The standing cast: three tenants with real keys, and how they call the API."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.test import Client
from django.utils import timezone

from apps.accounts.models import Tenant
from apps.api_keys.models import ApiKey
from apps.api_keys.services import create_key
from apps.billing.subscriptions.services import sign_up

SCOPES = ("read", "predict", "batch", "admin")


@dataclass(frozen=True)
class Player:
    """A tenant with a live and a test key, and the text of both."""

    tenant: Tenant
    live: ApiKey
    text: str
    test: ApiKey
    test_text: str


@dataclass(frozen=True)
class Cast:
    alice: Player
    bob: Player
    charlie: Player

    @property
    def players(self) -> tuple[Player, Player, Player]:
        return self.alice, self.bob, self.charlie


def stage() -> Cast:
    """alice may do much, bob has the smallest plan with batches, charlie the free one: 10 requests a minute."""
    return Cast(enter("alice", "professional"), enter("bob", "basic"), enter("charlie", "free"))


def enter(slug: str, plan: str, **limits: Any) -> Player:
    """A tenant on a plan, with its two keys."""
    tenant = sign_up(slug=slug, name=f"{slug.title()} & Co.", plan=plan, now=timezone.now(), **limits)
    return Player(tenant, *new_key(tenant), *new_key(tenant, livemode=False))


def new_key(tenant: Tenant, **options: Any) -> tuple[ApiKey, str]:
    """One more key: `scopes`, `livemode`, `networks`, `expires_at`, `rate_per_minute`."""
    return create_key(tenant=tenant, now=timezone.now(), **{"name": "a key", "scopes": SCOPES} | options)


@dataclass(frozen=True)
class Api:
    """A caller: Django's test client with a key, speaking JSON. `environ` is the WSGI environment of every call."""

    player: Player | None = None
    key: str = ""
    environ: Mapping[str, Any] = field(default_factory=dict)

    @property
    def tenant(self) -> Tenant:
        assert self.player is not None
        return self.player.tenant

    def in_test_mode(self) -> "Api":
        assert self.player is not None
        return self.with_key(self.player.test_text)

    def with_key(self, text: str) -> "Api":
        return Api(self.player, text, self.environ)

    def calling_from(self, address: str, **environ: Any) -> "Api":
        return Api(self.player, self.key, {**self.environ, "REMOTE_ADDR": address, **environ})

    def get(self, path: str, **headers: str) -> Any:
        return self.call("GET", path, **headers)

    def post(self, path: str, body: Any, content_type: str = "application/json", **headers: str) -> Any:
        """`body`: bytes as they are, anything else as JSON. Headers as words: idempotency_key="…"."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.call("POST", path, data, content_type, **headers)

    def call(
        self, method: str, path: str, data: bytes = b"", content_type: str = "application/json", **headers: str
    ) -> Any:
        said = {name.replace("_", "-"): value for name, value in headers.items()}
        said = self._authorization() | said
        environ = {"CONTENT_TYPE": content_type, **self.environ}  # Django's client forgets it of an empty body
        return Client(raise_request_exception=False).generic(method, path, data, headers=said, **environ)

    def _authorization(self) -> dict[str, str]:
        text = self.key or (self.player.text if self.player else "")
        return {"Authorization": f"Bearer {text}"} if text else {}
