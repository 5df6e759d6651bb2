"""Were yesterday's features what the past says they were?

One stored feature vector in a hundred is made again from stored facts alone: the decisions of the parties concerned are
replayed in their order of arrival, by the engine's own code, and the vector is held against the one that was scored.
What differs was scored on another past than the one that is stored: a lost or doubled event, a store that was away, a
change of code between the two.

Not compared are tenants whose own models have the live past know what files decided (`serving/filling.py`): what a file
tells comes in some time after its decisions are dated, so that the order of arrival is not that of the store.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
from django.db.models import QuerySet

from apps.accounts.tenancy import in_tenant
from apps.scoring.engine.field_types import is_kind
from apps.scoring.engine.history import Replay, told_home, unknown
from apps.scoring.engine.parties import Party
from apps.scoring.engine.transaction import InvalidTransaction, Parsed, TransactionSchema
from apps.scoring.engine.windows import Activity
from apps.scoring.models import Decision, PublishedPolicy
from apps.scoring.serving import activity
from apps.scoring.serving.ids import text_hash
from apps.scoring.serving.journal_entries import TRANSACTION_HASH

SAMPLED = 100  # one vector in so many
COLUMNS = ("id", "livemode", "created_at", "transaction_id", "facts", "hidden", "recommended_action")
BATCH = "btc_"  # begins the fingerprint of a batch's rows
NAME_DIGITS = 12  # hexadecimal: no field that may hold a card number is too short for them
MILLISECOND = timedelta(milliseconds=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Comparison(NamedTuple):
    """How many vectors were made again, how many came out otherwise, and how often each feature did."""

    compared: int
    differing: int
    features: Counter[str]


class HistoryMark(NamedTuple):
    """When the history was told that a decision's transaction makes no habit, and since when
    (`past_events.mark_of`)."""

    at: datetime
    decision_id: str
    known_ms: int | None


#: Of decisions made in [start, end): what the history was told of them later, in that order; read in a tenant's schema.
Marks = Callable[[datetime, datetime], Sequence[HistoryMark]]


_marks: list[Marks] = []


def ask_for_marks(marks: Marks) -> None:
    """Ask this of what the history was told later: a room above this one tells it (config/apps.py connects them)."""
    _marks[:] = [marks]


class Stored(NamedTuple):
    """A decision as far as it is needed here."""

    id: str
    livemode: bool
    transaction_hash: int
    parsed: Parsed
    created_at: datetime
    blocked: bool


def compare(tenant_schema: str, schema: TransactionSchema, start: datetime, end: datetime) -> Comparison:
    """Compare a sample of a tenant's decisions of one kind made in [start, end). Reads only.

    Costs one reading of the schema's decisions as far back as a past is kept, when anything was sampled.
    """
    with in_tenant(tenant_schema):
        sample = {} if _is_told_of_files(schema, end) else _sample(schema, start, end)
        remade = dict(_remade(schema, sample, start, end)) if sample else {}
    differing = [_differing(schema, sample[name], row) for name, row in remade.items()]
    features = Counter(name for names in differing for name in names)
    return Comparison(len(remade), sum(1 for names in differing if names), features)


def _sample(schema: TransactionSchema, start: datetime, end: datetime) -> dict[str, bytes]:
    """id → vector of the sampled decisions that were scored with their history. Ids end at random."""
    rows = _made_one_by_one(schema).filter(created_at__gte=start, created_at__lt=end)
    sampled = [name for name in rows.values_list("id", flat=True).iterator() if int(name[-8:], 16) % SAMPLED == 0]
    vectors = Decision.objects.filter(id__in=sampled, answer__contains='"degraded":[]').values_list("id", "features")
    width = 4 * len(schema.features)  # own models' vectors begin with the schema's
    return {name: bytes(vector)[:width] for name, vector in vectors if len(vector) >= width}


def _is_told_of_files(schema: TransactionSchema, end: datetime) -> bool:
    """Whether there are decisions of files the live past may know of."""
    keeping = PublishedPolicy.objects.filter(
        published_at__lt=end, document__own_models__contains=[{"schema": schema.name}]
    )
    files = Decision.objects.filter(schema=schema.name, fingerprint__startswith=BATCH, created_at__lt=end)
    return keeping.exists() and files.exists()


def _made_one_by_one(schema: TransactionSchema) -> QuerySet[Decision]:
    """Decisions whose past is the live one: a batch's rows have their file's, and leave none as a rule."""
    return Decision.objects.filter(schema=schema.name).exclude(fingerprint__startswith=BATCH)


def _remade(
    schema: TransactionSchema, sample: dict[str, bytes], start: datetime, end: datetime
) -> Iterator[tuple[str, tuple[float, ...]]]:
    """id → the features the replayed past gives, for every sampled decision."""
    wanted = {
        party for one in _stored(Decision.objects.filter(id__in=list(sample)), schema) for party in _named(schema, one)
    }
    life = timedelta(seconds=max(activity.life_seconds(role) for role in schema.roles))
    past = _made_one_by_one(schema).filter(created_at__gte=start - life, created_at__lt=end)
    replays = {True: Replay(schema.roles), False: Replay(schema.roles)}
    marking = _Marking(replays, schema, [mark for told in _marks for mark in told(start - life, end)])
    homes = list(PublishedPolicy.objects.order_by("published_at").values_list("published_at", "document"))
    for one in _stored(past.order_by("created_at", "row", "id"), schema):
        if _named(schema, one) & wanted:
            marking.catch_up(one)
            seen = _observed(replays[one.livemode], schema, one)
            if one.id in sample:
                home = _home_at(homes, one.created_at)
                pasts = [
                    told_home(seen.get(role.name, unknown(role)), schema.place(one.parsed.transaction), home)
                    for role in schema.roles
                ]
                yield one.id, schema.row(one.parsed.transaction, one.parsed.at_ms, pasts)


def _stored(rows: Any, schema: TransactionSchema) -> Iterator[Stored]:
    """Decisions whose facts the schema still takes; under an older form of it they can't be made again."""
    for name, livemode, created_at, transaction_id, facts, hidden, action in rows.values_list(*COLUMNS).iterator():
        try:
            parsed = schema.parse(_told_apart(schema, facts, hidden or {}), (created_at - EPOCH) // MILLISECOND)
        except InvalidTransaction:
            continue
        known_by = (hidden or {}).get(TRANSACTION_HASH) or text_hash(transaction_id)
        yield Stored(name, livemode, int(known_by[:16], 16), parsed, created_at, action == "block")


def _home_at(policies: Sequence[tuple[datetime, Mapping[str, Any]]], moment: datetime) -> str:
    """The home country of the tenant's policy in force by then; policies in the order of publication."""
    homes = [document.get("home_country", "") for published_at, document in policies if published_at <= moment]
    return homes[-1] if homes else ""


def _told_apart(schema: TransactionSchema, facts: dict[str, Any], hidden: Mapping[str, str]) -> dict[str, Any]:
    """The facts with a name of its own in place of every masked number: parties are who they were, not whose mask."""
    names = {
        field: int(known_by[:NAME_DIGITS], 16) if is_kind(int, schema.types[field]) else known_by[:NAME_DIGITS]
        for field, known_by in hidden.items()
        if field in facts
    }
    return facts | names


class _Marking:
    """What the history was told later, told to the replayed one at the same place in the order of arrival."""

    def __init__(self, replays: Mapping[bool, Replay], schema: TransactionSchema, marks: Sequence[HistoryMark]) -> None:
        self._replays, self._schema = replays, schema
        self._waiting = deque(marks)
        self._wanted = {mark.decision_id for mark in marks}
        self._seen: dict[str, Stored] = {}

    def catch_up(self, arriving: Stored) -> None:
        """Tell what was told before this decision was made, and remember it when something is told of it later."""
        while self._waiting and self._waiting[0].at <= arriving.created_at:
            mark = self._waiting.popleft()
            if (one := self._seen.get(mark.decision_id)) is not None:
                self._replays[one.livemode].refuse(*_event(self._schema, one), known_ms=mark.known_ms)
        if arriving.id in self._wanted:
            self._seen[arriving.id] = arriving


def _observed(replay: Replay, schema: TransactionSchema, one: Stored) -> Mapping[str, Activity]:
    event = _event(schema, one)
    seen = replay.observe(*event)
    if one.blocked:
        replay.refuse(*event)
    return seen


def _event(schema: TransactionSchema, one: Stored) -> tuple[Sequence[Party], int, float, int, int]:
    """A decision's transaction as the replayed history takes it."""
    transaction, parsed = one.parsed.transaction, one.parsed
    parties, amount = schema.parties(transaction), schema.amount(transaction)
    return parties, parsed.at_ms, amount, one.transaction_hash, parsed.received_ms


def _named(schema: TransactionSchema, one: Stored) -> set[tuple[bool, str, str]]:
    return {(one.livemode, party.role, party.name) for party in schema.parties(one.parsed.transaction)}


def _differing(schema: TransactionSchema, vector: bytes, row: tuple[float, ...]) -> list[str]:
    used, remade = np.frombuffer(vector, "<f4"), np.array(row, dtype="<f4")
    same = (used == remade) | (np.isnan(used) & np.isnan(remade))
    return [name for name, equal in zip(schema.feature_names, same.tolist(), strict=True) if not equal]
