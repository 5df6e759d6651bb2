"""Aggregates of a draft that were not counted when decisions were made, counted now from the stored decisions.

    log      the span's decisions, and those a window before it, in the order they arrived
    count    each as of its own moment: what had arrived by then, in its place by event time (`AggregateHistory`)
    values   of the decisions that are simulated, by their ids

Nothing that arrived later is in them. What is no longer kept (erased since, or beyond retention) is missing; what is
masked in the facts goes by the hash that was kept of it. On disk, but for 16 bytes a decision.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from hashlib import blake2b
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import msgspec
import numpy as np

from apps.accounts.tenancy import in_tenant
from apps.analytics.replica import reading_in
from apps.batches.aggregate_history import AggregateHistory
from apps.batches.seeds import naming
from apps.batches.storage import scratch
from apps.scoring.engine.aggregate_plan import plan_of
from apps.scoring.engine.aggregates import Aggregate, counted_by
from apps.scoring.engine.block import Block
from apps.scoring.engine.decide import Policy
from apps.scoring.engine.held import stored_facts
from apps.scoring.engine.operations import BLOCK
from apps.scoring.engine.past_events import TOLERATED_AHEAD_MS
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.models import PublishedPolicy
from apps.scoring.policies import policy_of
from apps.scoring.serving.ids import text_hash
from apps.scoring.serving.journal_entries import TRANSACTION_HASH
from apps.simulation.reading import Span
from apps.times import instant_us

AT_ONCE = 8_000
_ROWS = """
SELECT id, created_at, row, facts::text, hidden::text, transaction_id FROM scoring_decision
WHERE livemode = %s AND schema = %s AND created_at >= %s AND created_at < %s
  AND (created_at, row, id) > (%s, %s, %s)
ORDER BY created_at, row, id LIMIT %s
"""
_facts = msgspec.json.Decoder(dict[str, Any]).decode
_hidden = msgspec.json.Decoder(dict[str, str]).decode

#: Says that it goes on: what stands still is begun again.
CameFurther = Callable[[], None]


class _Row(NamedTuple):
    """A stored decision, as far as it is counted."""

    id: str
    created_at: datetime
    row: int
    facts: str
    hidden: str | None
    transaction_id: str


class Counted(NamedTuple):
    """Of one kind of transaction: ids' hashes (uint64, sorted), where each one's values stand, and the values."""

    ids: np.ndarray
    places: np.ndarray
    values: np.ndarray
    names: tuple[str, ...]

    def of(self, ids: Sequence[str]) -> dict[str, np.ndarray]:
        """float64[n] of decisions by the names rules ask for; nan of one that was not counted."""
        wanted = np.array([_hashed(one) for one in ids], np.uint64)
        found = np.minimum(np.searchsorted(self.ids, wanted), len(self.ids) - 1)
        values = np.where((self.ids[found] == wanted)[:, None], self.values[self.places[found]], np.nan)
        return {name: values[:, place] for place, name in enumerate(self.names)}


@contextmanager
def recounted(span: Span, policy: Policy, came_further: CameFurther) -> Iterator[Mapping[str, Counted]]:
    """What was not always counted in a span, by kind of transaction; while within."""
    with TemporaryDirectory(dir=scratch(), prefix="recount-") as folder:
        found: dict[str, Counted] = {}
        for schema, asked in _not_always_counted(span, policy).items():
            place = Path(folder) / schema
            place.mkdir()
            if counted := _counted(span, schema, asked, place, came_further):
                found[schema] = counted
        yield found


def same_as(one: Aggregate, told: Sequence[Aggregate]) -> Aggregate | None:
    """The one of some aggregates that counts the same, whatever its name."""
    for other in told:
        if other.counts == one.counts:
            return other
    return None


def _not_always_counted(span: Span, policy: Policy) -> dict[str, list[Aggregate]]:
    """By kind of transaction, the aggregates of a policy that some policy of the span did not have."""
    with in_tenant(span.tenant_schema):
        rows = list(PublishedPolicy.objects.filter(published_at__lt=span.end).order_by("version"))
    before = [row for row in rows if row.published_at < span.begin]
    then = [policy_of(row) for row in (*before[-1:], *rows[len(before) :])] + ([] if before else [Policy()])
    found: dict[str, list[Aggregate]] = {}
    for schema in (span.schema,) if span.schema else SCHEMAS:
        known = [counted_by(one.aggregates, schema) for one in then]
        missing = [
            one for one in counted_by(policy.aggregates, schema) if not all(same_as(one, told) for told in known)
        ]
        if missing:
            found[schema] = missing
    return found


def _counted(
    span: Span, schema: str, asked: Sequence[Aggregate], folder: Path, came_further: CameFurther
) -> Counted | None:
    plan = plan_of(Policy(aggregates=tuple(asked)), schema)
    history, ids = AggregateHistory(plan, folder, naming(), by_arrival=True), list[np.ndarray]()
    for rows in _read(span, schema, timedelta(milliseconds=max(one.window_ms for one in asked))):
        block = _block(schema, rows)
        history.add(block, np.array([_transaction(row) for row in rows], np.uint64), ~_ahead(block, rows))
        ids.append(np.array([_hashed(row.id) for row in rows], np.uint64))
        came_further()
    if not ids:
        return None
    history.count(None, came_further)
    whole = np.concatenate(ids)
    order = np.argsort(whole)
    return Counted(whole[order], order, history.whole(), tuple(one.asked_as for one in plan.aggregates))


def _read(span: Span, schema: str, window: timedelta) -> Iterator[list[_Row]]:
    """Decisions of the span and of a window before it, in the order they arrived."""
    behind: tuple[datetime, int, str] = (span.begin - window, -1, "")
    while True:
        with reading_in(span.tenant_schema) as connection, connection.cursor() as cursor:
            cursor.execute(_ROWS, [span.livemode, schema, behind[0], span.end, *behind, AT_ONCE])
            rows = list(map(_Row._make, cursor.fetchall()))
        if rows:
            behind = (rows[-1].created_at, rows[-1].row, rows[-1].id)
            yield rows
        if len(rows) < AT_ONCE:
            return


def _block(schema_name: str, rows: Sequence[_Row]) -> Block:
    """Decisions as they are counted: what is masked by its hash, conditions on the facts as they are kept."""
    schema = SCHEMAS[schema_name]
    facts, came_ms = [_facts(row.facts) for row in rows], [instant_us(row.created_at) // 1000 for row in rows]
    masked = [place for place, row in enumerate(rows) if row.hidden is not None]
    kept = stored_facts(schema, facts, came_ms, masked)
    named = list(facts)
    for place in masked:
        hidden = _hidden(rows[place].hidden or "{}").items()
        texts = {name: told for name, told in hidden if isinstance(facts[place].get(name), str)}
        named[place] = facts[place] | texts
    columns = stored_facts(schema, named, came_ms, ()).columns
    at_ms = np.array(schema.event_time_ms(columns, np.array(came_ms, np.float64), BLOCK), np.float64)
    return Block(schema, columns, at_ms, kept.parse, masked)


def _ahead(block: Block, rows: Sequence[_Row]) -> np.ndarray:
    """bool[n]: which are dated later than clocks differ; they never counted as recent."""
    if block.schema.moment is None:
        return np.zeros(len(rows), dtype=bool)
    came_ms = np.array([instant_us(row.created_at) // 1000 for row in rows])
    return block.at_ms > came_ms + TOLERATED_AHEAD_MS


def _transaction(row: _Row) -> int:
    """A transaction's hash, as the live store has it."""
    kept = _hidden(row.hidden).get(TRANSACTION_HASH) if row.hidden else None
    return int((kept or text_hash(row.transaction_id))[:16], 16)


def _hashed(name: str) -> int:
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "little")
