"""What is told of batches beside their rows: what their units cost, and which rows have a problem."""

import base64
import re
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import NamedTuple

from django.db.models import QuerySet

from apps.batches import outcomes
from apps.batches.models import Batch, Chunk
from apps.batches.outcomes import ToldProblem
from apps.batches.results import numbered_header, numbered_lines
from apps.billing.rating.money import rounded
from apps.errors import Problem
from apps.periods import Period
from apps.usage.statements.reads import currency_of, statement_of

_CURSOR = re.compile("row:([0-9]{1,12})")


class Cost(NamedTuple):
    """An amount, and its currency."""

    amount: Decimal
    currency: str


def costs_of(batches: Iterable[Batch]) -> dict[str, Cost]:
    """What each batch's units add to the cost of the month it began in, when all others came first."""
    return {batch.pk: _cost_of(batch) for batch in batches}


def _cost_of(batch: Batch) -> Cost:
    month = statement_of(batch.tenant_id, Period.of(batch.started_at or batch.created_at))
    if month is None:
        currency = currency_of(batch.tenant_id)
        return Cost(rounded(0, currency), currency)
    units = min(batch.units, month.used)
    return Cost(month.cost() - month.cost_after(month.used - units), month.currency)


def problems_of(batch: Batch, cursor: str | None, limit: int) -> tuple[Sequence[ToldProblem], str | None]:
    """Rows with a problem behind a cursor, in their order, and where the next ones begin; None at the end.

    Raises `Problem` (cursor_invalid) for a cursor that is not ours.
    """
    after, found = _row_in(cursor), list[ToldProblem]()
    for chunk in _with_problems(batch):
        if chunk.first_row + chunk.rows <= after:
            continue
        found += [one for one in outcomes.read_problems(batch, chunk) if one.row > after]
        if len(found) > limit:
            last = found[limit - 1].row  # a row's problems stay together
            return [one for one in found if one.row <= last], _cursor_of(last)
    return found, None


def problem_rows(batch: Batch) -> Iterator[bytes]:
    """The rows with a problem as a CSV file: each row's number, then its line of the results."""
    names = [one["column"] for one in batch.headings.get("columns", [])]
    yield numbered_header(names)
    for chunk in _with_problems(batch):
        rows = sorted({one.row for one in outcomes.read_problems(batch, chunk)})
        table = outcomes.read(batch, chunk).take([row - 1 - chunk.first_row for row in rows])
        yield numbered_lines(table, names, rows)


def _with_problems(batch: Batch) -> QuerySet[Chunk]:
    return Chunk.objects.filter(batch=batch, done=True, problems__gt=0).order_by("first_row")


def _row_in(cursor: str | None) -> int:
    """The last row that was told; 0 at the beginning."""
    if cursor is None:
        return 0
    try:
        said = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except ValueError as wrong:
        raise Problem("cursor_invalid", param="cursor") from wrong
    found = _CURSOR.fullmatch(said)
    if found is None:
        raise Problem("cursor_invalid", param="cursor")
    return int(found[1])


def _cursor_of(row: int) -> str:
    return base64.urlsafe_b64encode(f"row:{row}".encode()).decode().rstrip("=")
