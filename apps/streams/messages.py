"""The form of messages: what one asks, under whose key, and how its answer or its refusal looks. Pure.

in           {"schema", "transaction", "model"?, "dry_run"?} as of POST /v1/decisions, or a transaction by itself
             key: the transaction id, where the transaction has none     header x-api-key: whose it is
out          the decision as POST /v1/decisions answers it               key: the transaction id
dead letter  the message as it came, its reason in headers; the header with the API key is left out
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from apps.decoding import decode
from apps.errors import Problem
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.engine.transaction import Parsed, TransactionSchema
from apps.scoring.serving import decision_requests
from apps.scoring.serving.decision_requests import DecisionRequest

#: Bytes of a message's value, as of a request's body.
LONGEST = 1024 * 1024
#: How long ago a message may say it was produced: longer than that, and a time ahead, are a clock gone wrong.
OLDEST_MS = 7 * 86_400_000

KEY_HEADER = "x-api-key"
#: All headers of ours begin so.
OURS = "palisade-"

Headers = tuple[tuple[str, bytes | None], ...]


class Message(NamedTuple):
    """A message as it was read. `produced_ms`: ms since 1970 by its producer or broker, 0 when neither says."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    produced_ms: int = 0

    @property
    def place(self) -> tuple[str, int]:
        """Its topic and partition."""
        return self.topic, self.partition


class Asked(NamedTuple):
    """What a message asks. Messages alike in all but `parsed` can be decided together."""

    schema: TransactionSchema
    model: str | None
    dry_run: bool
    parsed: Parsed


class Letter(NamedTuple):
    """A message to be sent."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


def read(message: Message, default_schema: str, now_ms: int) -> Asked:
    """What a message asks; a transaction by itself is one of the default schema. Raises `Problem`."""
    value = _checked(message.value)
    content: dict[str, Any] = decode(value, dict[str, Any])
    came_ms = happened_ms(message, now_ms)
    if "transaction" not in content:
        schema = decision_requests.schema_named(default_schema)
        return Asked(schema, None, False, _parsed(message, schema, content, came_ms, "", ()))
    request, noticed = decision_requests.understood(value, DecisionRequest)
    schema = decision_requests.schema_named(request.schema)
    parsed = _parsed(message, schema, request.transaction, came_ms, "transaction", noticed)
    return Asked(schema, request.model, request.dry_run, parsed)


def _checked(value: bytes | None) -> bytes:
    if value is None or not value.strip():
        raise Problem("body_malformed", "The message has no value.")
    if len(value) > LONGEST:
        raise Problem("body_too_large", f"The message has {len(value):,} bytes.")
    return value


def _parsed(
    message: Message, schema: TransactionSchema, transaction: Any, came_ms: int, at: str, noticed: tuple[str, ...]
) -> Parsed:
    """The transaction under its own id, else under the message's key, else under the message's place.

    So it has one in any case: a message that is read twice is known by it.
    """
    parsed = decision_requests.parse(schema, transaction, came_ms, at, noticed)
    if schema.transaction_id(parsed.transaction) is not None:
        return parsed
    named = {**transaction, "transaction_id": _id_of(message)}
    return decision_requests.parse(schema, named, came_ms, at, noticed)


def _id_of(message: Message) -> str:
    """The message's key; without one the place where it stands, which is the same whenever it is read."""
    if not message.key:
        return f"{message.topic}-{message.partition}-{message.offset}"
    try:
        return message.key.decode()
    except UnicodeDecodeError as wrong:
        raise Problem("field_invalid", "The message's key stands for its transaction_id: send UTF-8.", "key") from wrong


def happened_ms(message: Message, now_ms: int) -> int:
    """When the transaction came to us: when the message was produced, which is the same whenever it is read."""
    return message.produced_ms if now_ms - OLDEST_MS <= message.produced_ms <= now_ms else now_ms


def key_text(message: Message) -> str | None:
    """The API key in the message's headers, None when it brings none."""
    for name, value in message.headers:
        if name.lower() == KEY_HEADER:
            return (value or b"").decode("ascii", "replace").strip()
    return None


class _Named(msgspec.Struct):
    """What a result's key is read from."""

    transaction_id: str


_named = msgspec.json.Decoder(_Named).decode


def answer(topic: str, decision: bytes) -> Letter:
    """A decision, keyed by its transaction id."""
    return Letter(topic, _named(decision).transaction_id.encode(), decision)


def dead_letter(topic: str, message: Message, problem: Problem) -> Letter:
    """A message that can't be decided, as it came, with the reason and its place in headers."""
    kept = tuple(pair for pair in message.headers if not _left_out(pair[0]))
    reason = (
        ("reason", problem.code),
        ("detail", problem.detail or problem.kind.title),
        ("param", problem.param),
        ("topic", message.topic),
        ("partition", str(message.partition)),
        ("offset", str(message.offset)),
    )
    return Letter(
        topic, message.key, message.value, kept + tuple((OURS + name, text.encode()) for name, text in reason)
    )


def _left_out(header: str) -> bool:
    """Keys are secrets; and what we said of a message before it was sent again is no longer so."""
    name = header.lower()
    return name == KEY_HEADER or name == "authorization" or name.startswith(OURS)


def lots(asked: Sequence[tuple[str, Asked]]) -> list[list[int]]:
    """Which of these can be decided together, as their places, in order: alike in key (its digest), schema, model."""
    found: dict[tuple[str, str, str | None, bool], list[int]] = {}
    for index, (digest, one) in enumerate(asked):
        found.setdefault((digest, one.schema.name, one.model, one.dry_run), []).append(index)
    return list(found.values())


def check_schema(name: str) -> None:
    """Raises `Problem` when there is no such default schema."""
    if name not in SCHEMAS:
        decision_requests.schema_named(name)
