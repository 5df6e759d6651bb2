"""A file of items, put in force some at a time while it is read: memory does not grow with it.

What was put in force stays when the rest can't be read. Sending the file again is harmless. A file is as long as a call
may wait for; whoever has more sends it in parts, and each answer says how far it is.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import NamedTuple

from apps.accounts.models import Tenant
from apps.accounts.tenancy import in_tenant
from apps.scoring.lists import services
from apps.scoring.lists.given import Line, NewItem, csv_lines, text_lines
from apps.scoring.lists.services import Added
from apps.scoring.models import ValueList
from apps.valkey import Valkey

#: Lines of one transaction.
AT_ONCE = 5_000
#: Lines of a file that is sent: some ten seconds of a small, busy machine.
MOST_LINES = 100_000
#: Wrong lines that are told.
MOST_TOLD = 100


class TooLong(ValueError):
    """The file has more lines than are read at once; the message says what to do."""


class Imported(NamedTuple):
    """What became of a file's lines; the first wrong ones are told."""

    added: Added
    wrong: int
    problems: tuple[Line, ...]


def check_length(pieces: Iterable[bytes]) -> None:
    """Refuse a file, read in pieces, that is too long to be waited for, before any of it is in force. Raises
    `TooLong`."""
    lines, last = 0, b"\n"
    for piece in filter(None, pieces):
        lines, last = lines + piece.count(b"\n"), piece[-1:]
    lines += last != b"\n"
    if lines > MOST_LINES + 1:  # one for the columns' names
        raise TooLong(
            f"The file has {lines:,} lines; {MOST_LINES:,} are read at once. Send it in parts: each is in force "
            "when it is answered."
        )


def import_lines(
    *,
    tenant: Tenant,
    row: ValueList,
    rows: Iterable[str],
    is_csv: bool,
    valkey: Valkey,
    clock: Callable[[], datetime],
    actor: str,
) -> Imported:
    """Put a file's items in force. `clock` is asked for each part: an item is never said to be older than it is.

    Raises `UnreadableList`, `services.TooMany`, `services.Gone`: what came before stays.
    """
    added, wrong = Added(), 0
    problems: list[Line] = []
    read = (csv_lines if is_csv else text_lines)(row.item_type, rows, clock())
    try:
        for some in _by(AT_ONCE, read):
            items = [line.item for line in some if line.item is not None]
            refused = [line for line in some if line.item is None]
            wrong, problems = wrong + len(refused), [*problems, *refused][:MOST_TOLD]
            added = added.plus(_add(tenant, row, items, valkey, clock(), actor))
    finally:
        if added.added or added.changed:
            with in_tenant(tenant):
                services.audit_added(tenant, row, added, clock(), actor)
    return Imported(added, wrong, tuple(problems))


def _add(tenant: Tenant, row: ValueList, items: list[NewItem], valkey: Valkey, now: datetime, actor: str) -> Added:
    return services.add_items(tenant=tenant, row=row, items=items, valkey=valkey, now=now, actor=actor, audited=False)


def _by(count: int, read: Iterator[Line]) -> Iterator[list[Line]]:
    while some := list(islice(read, count)):
        yield some
