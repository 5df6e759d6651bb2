"""What a tenant's decisions can't have when nobody changed, removed or inserted one past us.

Chain ─► numbers without gaps, digests that follow ─► of each receipt the decisions, each with the content its leaf is
of; gone is only what a tombstone names ─► no decision stands there without a receipt.

Decisions made by a version before receipts (their row was not kept) have none and are not covered. Whoever can write to
the database could cut receipts off the chain's end together with their decisions: heads kept elsewhere tell.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec
from django.db import connection

from apps.accounts.tenancy import in_tenant
from apps.scoring import receipts
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.models import Decision, Receipt
from apps.scoring.receipts import LEAF_BYTES, REMOVED, Head
from apps.scoring.serving import ids, store
from apps.scoring.sought import sought_of

#: Receipts read together.
TOGETHER = 20
#: A decision's time is a server's clock's, a receipt's the recorder's: they may be so far apart.
CLOCKS_DIFFER = timedelta(minutes=15)
#: Decisions read together.
READ = 2_000
_STRAYS = """
SELECT id FROM scoring_decision AS decision
WHERE made_on IS NOT NULL AND (%(since)s::timestamptz IS NULL OR created_at >= %(since)s) AND NOT EXISTS (
    SELECT FROM (SELECT unnest(ids) AS id FROM scoring_receipt WHERE kind = 'recorded' AND number > %(after)s) AS known
    WHERE known.id = decision.id
)
ORDER BY id
"""
#: The contents that leaves are of, by decision.
Contents = Mapping[str, bytes]
#: Tells the contents of rows that were written in another way than one by one; none of those it does not know.
Others = Callable[[Sequence[Decision]], Contents]


class Fault(NamedTuple):
    """Something that is not as it was written: at which place of the chain (0: beside it), and what."""

    number: int
    what: str

    def __str__(self) -> str:
        return f"receipt {self.number}: {self.what}" if self.number else self.what


def faults(
    tenant_schema: str, ways: Sequence[Others], kept: Head | None = None, since: datetime | None = None
) -> Iterator[Fault]:
    """Everything that is wrong, from the front; nothing where all is as it was written. `ways`: how
    contents of rows of files are told, the newest first. `kept`: a head of before.

    `since`: only what was recorded after that, and the chain from the receipt before it on.
    """
    with in_tenant(tenant_schema):
        head = first = _head_before(since) if since else Head()
        chain = Receipt.objects.filter(number__gt=first.number)
        removed = {one for ids in chain.filter(kind=REMOVED).values_list("ids", flat=True) for one in ids}
        for row in chain.order_by("number").iterator(TOGETHER):
            head, wrong = _followed(head, row)
            yield from wrong
            if row.kind != REMOVED:
                yield from _decisions(row, removed, ways)
            if kept and row.number == kept.number and bytes(row.digest) != kept.digest:
                yield Fault(row.number, "is not the one whose digest was kept")
        if kept and kept.number > head.number:
            yield Fault(head.number, f"is the last one, and {kept.number} were kept: those behind it are gone")
        yield from _strays(first, since)


def head_of(tenant_schema: str) -> Head:
    """A chain's head now: to be kept where nobody who writes to the database can reach it."""
    with in_tenant(tenant_schema):
        row = Receipt.objects.order_by("-number").first()
        return Head(row.number, bytes(row.digest)) if row else Head()


def _head_before(since: datetime) -> Head:
    """The last receipt that was certainly written before a moment."""
    row = Receipt.objects.filter(at__lt=since - CLOCKS_DIFFER).order_by("-number").first()
    return Head(row.number, bytes(row.digest)) if row else Head()


def _followed(head: Head, row: Receipt) -> tuple[Head, list[Fault]]:
    """The head behind a receipt, and whether it follows the one before."""
    wrong = []
    if row.number != head.number + 1:
        wrong.append(Fault(row.number, f"follows {head.number}: what stood between them is gone"))
    made = receipts.digest(head.digest, row.number, row.at, row.kind, row.ids, bytes(row.leaves))
    if made != bytes(row.digest):
        wrong.append(Fault(row.number, "does not say what it said, or does not follow the one before it"))
    return Head(row.number, bytes(row.digest)), wrong


def _decisions(row: Receipt, removed: set[str], ways: Sequence[Others]) -> Iterator[Fault]:
    """Whether a receipt's decisions are what they were."""
    leaves = bytes(row.leaves)
    for start in range(0, len(row.ids), READ):
        named = row.ids[start : start + READ]
        expected = {
            name: leaves[place * LEAF_BYTES : (place + 1) * LEAF_BYTES] for place, name in enumerate(named, start)
        }
        there = {one.pk: one for one in Decision.objects.filter(pk__in=named)}
        changed = _changed({name: one for name, one in there.items() if name not in removed}, expected, ways)
        for name in named:
            if name not in there:
                if name not in removed:
                    yield Fault(row.number, f"decision {name} is gone")
            elif name in removed:
                yield Fault(row.number, f"decision {name} was removed and stands there again")
            elif name in changed:
                yield Fault(row.number, f"decision {name} was changed")


def _changed(
    rows: Mapping[str, Decision], leaves: Mapping[str, bytes], ways: Sequence[Others]
) -> Mapping[str, Decision]:
    """Those of the rows whose leaf is of no content that any way tells."""
    for way in ways:
        found = contents_of(list(rows.values()), way) if rows else {}
        rows = {name: row for name, row in rows.items() if receipts.leaf(found[name]) != leaves[name]}
    return rows


def _strays(first: Head, since: datetime | None) -> Iterator[Fault]:
    """Decisions of that time that no receipt behind the first names."""
    with connection.cursor() as cursor:
        cursor.execute(_STRAYS, {"since": since, "after": first.number})
        for (name,) in cursor.fetchall():
            yield Fault(0, f"decision {name} has no receipt: it was not recorded by us")


def contents_of(rows: Sequence[Decision], others: Others) -> Contents:
    """What the leaves of these rows are of, made from what is stored now."""
    found = dict(others(rows))
    return found | {row.pk: _content_or_nothing(row) for row in rows if row.pk not in found}


def _content_or_nothing(row: Decision) -> bytes:
    """b"" for a row that nothing of ours can have written: it can't even be read."""
    try:
        return _content(row)
    except (KeyError, TypeError, ValueError, AttributeError):  # msgspec's own are ValueErrors
        return b""


def _content(row: Decision) -> bytes:
    """Of a row that was recorded from the journal; b"" when what is found beside it does not follow from it."""
    schema = SCHEMAS[row.schema]
    facts = schema.retyped(row.facts)
    sought = sought_of(row.schema, msgspec.json.encode(facts), row.answer.encode())
    if not row.hidden and ids.body_hash(row.schema, facts) != row.body_hash:
        return b""
    if (sought.amount, sought.parties) != (row.amount, row.parties):
        return b""
    return store.content_of(row)
