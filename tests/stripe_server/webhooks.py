"""Webhooks as Stripe sends them: signed with the endpoint's secret, at least once, in no promised order."""

import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterable
from typing import Any

#: Takes a body and its `Stripe-Signature` to the endpoint; the status it answered.
Send = Callable[[bytes, str], int]


def body_of(event: dict[str, Any]) -> bytes:
    return json.dumps(event, indent=2).encode()


def signature(body: bytes, secret: str, at: float | None = None) -> str:
    """The `Stripe-Signature` header of a body."""
    moment = int(time.time() if at is None else at)
    return f"t={moment},v1={hmac.new(secret.encode(), b'%d.' % moment + body, hashlib.sha256).hexdigest()}"


def deliver(events: Iterable[dict[str, Any]], send: Send, secret: str, repeats: int = 1) -> list[int]:
    """Send every event, each `repeats` times in a row; the statuses."""
    bodies = [body_of(event) for event in events for _ in range(repeats)]
    return [send(body, signature(body, secret)) for body in bodies]
