"""One person's rows in the files of batches: the file, its parts and its results.

A batch that still runs is waited for, and so are its decisions: it was sent before. One that has ended and names the
person goes as a whole, with its results; its other decisions stay and can be exported.
"""

import csv
from collections.abc import Iterator
from datetime import datetime

from django.db.models import Q

from apps.accounts.models import Tenant
from apps.batches import services, storage
from apps.batches.identity import ROW_DIGITS, row_names
from apps.batches.models import Batch
from apps.offboarding.persons import Person
from apps.scoring.engine.parties import party_name

#: Who deletes, as the audit trail says it.
ACTOR = "erasure"


def under_way(tenant: Tenant, person: Person, until: datetime) -> list[str]:
    """Batches that may still write of the person: running, paused, or deleted and not yet removed."""
    return [batch.pk for batch in _sent(tenant, person, until) if not _is_over(batch)]


def rows_sent(tenant: Tenant, person: Person, until: datetime) -> Q:
    """Decisions of batches that were sent by then and decided later."""
    late = Q(pk__in=[])
    for batch in _sent(tenant, person, until):
        if batch.finished_at is None or batch.finished_at > until:
            late |= Q(pk__range=ids_of(batch))
    return late


def ids_of(batch: Batch) -> tuple[str, str]:
    """The first and the last id a decision of the batch can have."""
    (name,) = row_names(batch.pk, 0, 1)
    return f"dec_{name}", f"dec_{name[:-ROW_DIGITS]}{'f' * ROW_DIGITS}"


def delete_naming(tenant: Tenant, person: Person, until: datetime, now: datetime) -> list[str]:
    """Delete the batches that are over and name the person, files and all; their ids."""
    found = [batch for batch in _sent(tenant, person, until) if _is_over(batch) and _names(batch, person)]
    for batch in found:
        services.delete_batch(batch=batch, now=now, actor=ACTOR)
    if found:
        services.remove_deleted()
    return [batch.pk for batch in found]


def _sent(tenant: Tenant, person: Person, until: datetime) -> Iterator[Batch]:
    rows = Batch.objects.filter(tenant=tenant, schema__in=list(person.fields), created_at__lte=until)
    return rows.select_related("tenant").order_by("pk").iterator()


def _is_over(batch: Batch) -> bool:
    """Whether nobody writes of it any more, its results included; a draft is not read before it is started."""
    if batch.state == Batch.State.DRAFT:
        return batch.deleted_at is None
    never_read = batch.rows_total is None
    return batch.ended and batch.deleted_at is None and (batch.assembled_at is not None or never_read)


def _names(batch: Batch, person: Person) -> bool:
    """Whether its results name the person; one without results is taken for it, for there is nothing to lose."""
    if "csv" not in batch.results:
        return True
    fields, wanted = person.fields[batch.schema], set(person.spellings)
    places = [place for place, one in enumerate(batch.headings["columns"]) if one["field"] in fields]
    return any(not wanted.isdisjoint(names) for names in _cells(batch, places))


def _cells(batch: Batch, places: list[int]) -> Iterator[list[str]]:
    """The names in these columns, row by row, as they are recognised."""
    with storage.opened(batch.results["csv"]["name"]) as file:
        lines = (line.decode(errors="replace") for line in file)
        for row in csv.reader(lines):
            yield [party_name(_whole(row[place])) for place in places if place < len(row)]


def _whole(cell: str) -> str | float:
    """A cell as a name, or as a number where it is written with a fraction."""
    try:
        return float(cell) if "." in cell else cell
    except ValueError:
        return cell
