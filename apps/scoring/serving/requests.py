"""What is asked: the request as scoring needs it, each transaction in it with the names it goes by, and both together
with what the gate said: an attempt. Pure."""

from collections.abc import Callable, Sequence
from itertools import islice
from types import MappingProxyType
from typing import Any, NamedTuple

from apps.api_keys.gate import Admission, Ask, Names, names_of
from apps.api_keys.keys import PresentedKey
from apps.errors import MOST_TOLD, FieldError
from apps.scoring.engine.transaction import InvalidTransaction, Parsed, TransactionSchema
from apps.scoring.lists.membership import Questions
from apps.scoring.serving import activity, ids, own_pasts
from apps.scoring.serving.aggregate_pasts import Asked
from apps.scoring.serving.own_pasts import Doing
from apps.usage.admission.admission import period_of
from apps.usage.metering.events import moment

DAY_US = 86_400_000_000

#: Milliseconds since the request came: handed in, so that nothing here reads a clock of its own.
Clock = Callable[[], float]


class ScoringRequest(NamedTuple):
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

    @property
    def names(self) -> Names:
        """The Valkey keys of this request's tenant and mode."""
        return names_of(self.key.handle, self.key.livemode)


class Item(NamedTuple):
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


class Ridden(NamedTuple):
    """Answers to what rode along with the gate's call: of the parties' activity, of what aggregates are counted from,
    of lists, of the parties' pasts as own models know them."""

    activity: Sequence[Any]
    counted: Sequence[Any]
    lists: Sequence[Any]
    own: Sequence[Any]


class Attempt(NamedTuple):
    """A request on its way from the gate to the journal: what is asked, what the gate said, its clock, and what was
    looked up on the way in lists, counted by aggregates and, of each item, for own models."""

    request: ScoringRequest
    items: Sequence[Item]
    ask: Ask
    admission: Admission
    names: Names
    elapsed_ms: Clock
    lists: Questions = MappingProxyType({})
    own: Sequence[Doing] = ()
    counted: Asked | None = None
    pasts_counted: int = 0  # of the gate's answer, those that are of `counted`

    @property
    def rows(self) -> Sequence[str]:
        """What the gate knows of each item: "" new, "D<id>" a duplicate, "S<id>" new facts for a known id."""
        return self.admission.rows or ("",) * len(self.items)

    @property
    def ridden(self) -> Ridden:
        """What rode along with the gate's call, apart."""
        answers, own = self.admission.ridden, own_pasts.answers_to(self.own)
        end = len(answers) - own
        lists = end - sum(len(one.parts) for one in self.lists.values())
        counted = lists - self.pasts_counted
        return Ridden(answers[:counted], answers[counted:lists], answers[lists:end], answers[end:])

    @property
    def claim(self) -> tuple[str, str]:
        """The Idempotency-Key's claim (key name, value held); ("", "") without one."""
        if not self.admission.claim:
            return "", ""
        return self.names.claim(self.ask.idempotency_key), f"P{self.ask.fingerprint}{self.admission.claim}"


def errors_of(schema: TransactionSchema, transaction: Any, wrong: InvalidTransaction, at: str = "") -> list[FieldError]:
    """Every wrong field of a refused transaction, which stands `at` this place of a request, as many as we name."""
    found = list(islice(schema.problems(transaction), MOST_TOLD)) or [wrong]
    return [FieldError(".".join(filter(None, (at, one.param))), one.detail) for one in found]


def ask_for(request: ScoringRequest, items: Sequence[Item]) -> Ask:
    """What the gate is asked for these items; a dry run asks for no unit."""
    names = request.names
    transactions = [
        (names.transaction(q.schema.name, q.transaction_hash) if q.named else "", q.body_hash if q.named else "")
        for q in items
    ]
    return Ask(
        key=request.key,
        digest=request.digest,
        scope=request.scope,
        address=request.address,
        period=period_of(moment(request.received_us)),
        transactions=() if request.dry_run else transactions,
        idempotency_key=request.idempotency_key,
        fingerprint="" if request.dry_run else request.fingerprint,
    )


def item_of(request: ScoringRequest, schema: TransactionSchema, parsed: Parsed, row: int = 0) -> Item:
    """Name what is asked. Under an Idempotency-Key the names repeat, else they are new."""
    repeated = _repeated(request, row)
    name = repeated[0] if repeated else ids.fresh(request.received_us)
    given = schema.transaction_id(parsed.transaction)
    transaction_id = given or f"txn_{name}"
    transaction_hash = ids.text_hash(transaction_id)
    return Item(
        schema=schema,
        parsed=parsed,
        decision_id=f"dec_{name}",
        transaction_id=(schema.transaction_id(parsed.shown) if given else None) or transaction_id,
        transaction_hash=transaction_hash,
        body_hash=ids.body_hash(schema.name, parsed.sent),
        seen=activity.seen(schema, parsed, int(transaction_hash[:16], 16)),
        named=given is not None,
        possible_ids=tuple(f"dec_{one}" for one in repeated),
        row=row,
    )


def _repeated(request: ScoringRequest, row: int) -> tuple[str, ...]:
    """The name an Idempotency-Key gives a row today, and the one it gave yesterday."""
    if not request.idempotency_key:
        return ()
    who = (request.key.handle, request.key.livemode, request.idempotency_key)
    return tuple(ids.repeatable(*who, day, row) for day in (day_of(request), day_of(request) - 1))


def day_of(request: ScoringRequest) -> int:
    """Days since 1970, UTC."""
    return request.received_us // DAY_US
