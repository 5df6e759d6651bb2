"""What is asked: the request as scoring needs it, and each transaction in it with the names it goes by. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

from apps.api_keys.gate import Ask, names_of
from apps.api_keys.keys import PresentedKey
from apps.scoring.engine.transaction import Parsed, TransactionSchema
from apps.scoring.serving import activity, ids
from apps.usage.admission.admission import period_of
from apps.usage.metering.events import moment

DAY_US = 86_400_000_000


class Call(NamedTuple):
    """One HTTP request, as scoring needs it. `received_us`: µs since 1970, the only clock there is."""

    key: PresentedKey
    digest: str
    address: str
    endpoint: str
    scope: str
    received_us: int
    idempotency_key: str = ""
    fingerprint: str = ""
    model: str | None = None
    dry_run: bool = False
    many: bool = False  # a batch: its answer is kept whole
    model_required: bool = False  # refuse, rather than answer by rules alone, when no model can score


class Question(NamedTuple):
    """One transaction to decide on, with the names it goes by.

    `seen`: as history sees it. `transaction_id` is told and stored, the hashes are of what was sent. `named`: the
    client gave the transaction id. `possible_ids`: under which a repeated Idempotency-Key may have been recorded, today
    or yesterday; none without a key.
    """

    schema: TransactionSchema
    parsed: Parsed
    decision_id: str
    transaction_id: str
    transaction_hash: str
    body_hash: str
    seen: activity.Seen
    named: bool
    possible_ids: tuple[str, ...]
    row: int = 0


def ask_for(call: Call, questions: Sequence[Question]) -> Ask:
    """What the gate is asked for these questions; a dry run asks for no unit."""
    names = names_of(call.key.handle, call.key.livemode)
    transactions = [
        (names.transaction(q.schema.name, q.transaction_hash) if q.named else "", q.body_hash if q.named else "")
        for q in questions
    ]
    return Ask(
        key=call.key,
        digest=call.digest,
        scope=call.scope,
        address=call.address,
        period=period_of(moment(call.received_us)),
        transactions=() if call.dry_run else transactions,
        idempotency_key=call.idempotency_key,
        fingerprint="" if call.dry_run else call.fingerprint,
    )


def question_of(call: Call, schema: TransactionSchema, parsed: Parsed, row: int = 0) -> Question:
    """Name what is asked. Under an Idempotency-Key the names repeat, else they are new."""
    repeated = _repeated(call, row)
    name = repeated[0] if repeated else ids.fresh(call.received_us)
    given = schema.transaction_id(parsed.transaction)
    transaction_id = given or f"txn_{name}"
    transaction_hash = ids.text_hash(transaction_id)
    return Question(
        schema=schema,
        parsed=parsed,
        decision_id=f"dec_{name}",
        transaction_id=(schema.transaction_id(parsed.shown) if given else None) or transaction_id,
        transaction_hash=transaction_hash,
        body_hash=ids.body_hash(schema.name, parsed.said),
        seen=activity.seen(schema, parsed, int(transaction_hash[:16], 16)),
        named=given is not None,
        possible_ids=tuple(f"dec_{one}" for one in repeated),
        row=row,
    )


def _repeated(call: Call, row: int) -> tuple[str, ...]:
    """The name an Idempotency-Key gives a row today, and the one it gave yesterday."""
    if not call.idempotency_key:
        return ()
    who = (call.key.handle, call.key.livemode, call.idempotency_key)
    return tuple(ids.repeatable(*who, day, row) for day in (day_of(call), day_of(call) - 1))


def day_of(call: Call) -> int:
    """Days since 1970, UTC."""
    return call.received_us // DAY_US
