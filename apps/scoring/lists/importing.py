"""A file of items, put in force at one moment: all its lines that can be read, or none when the file can't be.

It is read as it stands on the disk, some lines at a time: memory does not grow with it. Wrong lines are left out and
told. Sending a file again is harmless.
"""

import io
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from itertools import chain, islice
from typing import IO, NamedTuple

from apps.accounts.models import Tenant
from apps.scoring.lists import bulk, services
from apps.scoring.lists.given import Line, NewItem, UnreadableList, csv_lines, text_lines
from apps.scoring.lists.services import Added
from apps.scoring.models import ValueList
from apps.valkey import Valkey

#: Lines that are read at a time. A file of no more changes its list as a call with items does: others of a list of a
#: million are not written again.
AT_ONCE = 5_000
#: Lines of a file: a whole list; and bytes.
MOST_LINES = services.MOST_ITEMS
MOST_BYTES = 100 * 1024 * 1024
#: Lines of one that is waited for: some seconds of a small, busy machine. Longer ones become items in the background.
AWAITED_LINES = 100_000
#: Wrong lines that are told.
MOST_TOLD = 100
#: Bytes of a file's lines that are counted at a time.
_PIECE = 1 << 20
_MARK = b"\xef\xbb\xbf"  # that a file is UTF-8


class TooLong(ValueError):
    """The file has more lines than a list may have items; the message says so."""


class Imported(NamedTuple):
    """What became of a file's lines; the first wrong ones are told."""

    added: Added
    wrong: int
    problems: tuple[Line, ...]


class FileOfItems(NamedTuple):
    """A file, where in it the items stand, how many bytes they are, and whether they are CSV or a value a line."""

    file: IO[bytes]
    offset: int
    size: int
    is_csv: bool


def count_lines(of: FileOfItems) -> int:
    """How many lines a file has. Raises `TooLong`."""
    lines, last = 0, b"\n"
    part = _part(of)
    while piece := part.read(_PIECE):
        lines, last = lines + piece.count(b"\n"), piece[-1:]
    lines += last != b"\n"
    if lines > MOST_LINES + 1:  # one for the columns' names
        raise TooLong(f"The file has {lines:,} lines; a list may hold {MOST_LINES:,} items.")
    return lines


def import_file(
    *, tenant: Tenant, row: ValueList, of: FileOfItems, valkey: Valkey, clock: Callable[[], datetime], actor: str
) -> Imported:
    """Put a file's items in force, all at once.

    Raises `UnreadableList`, `services.TooMany`, `services.Gone`: nothing of it is in force then.
    """
    return import_lines(
        tenant=tenant, row=row, rows=_lines(of), is_csv=of.is_csv, valkey=valkey, clock=clock, actor=actor
    )


def import_lines(
    *, tenant: Tenant, row: ValueList, rows: Iterable[str], is_csv: bool, valkey: Valkey,
    clock: Callable[[], datetime], actor: str,
) -> Imported:  # fmt: skip
    """Put the items of lines in force, as `import_file` does those of a file."""
    wrong = _Wrong()
    pieces = wrong.taken_from(_read(row, rows, is_csv, clock()))
    first, second = next(pieces, []), next(pieces, None)
    if second is None:
        added = services.add_items(tenant=tenant, row=row, items=first, valkey=valkey, now=clock(), actor=actor)
    else:
        every = chain((first, second), pieces)
        added = bulk.add_many(tenant=tenant, row=row, pieces=every, valkey=valkey, clock=clock, actor=actor)
    return Imported(added, wrong.count, tuple(wrong.first))


def import_whole(
    *, tenant: Tenant, row: ValueList, of: FileOfItems, valkey: Valkey, clock: Callable[[], datetime], actor: str,
    came_to: Callable[[int], object],
) -> Imported:  # fmt: skip
    """Put a long file's items in force as `import_file` does, as a part of the caller's transaction: Valkey hears of
    them when that is over. `came_to` is told how many lines were read, every now and then."""
    wrong = _Wrong(came_to)
    pieces = wrong.taken_from(_read(row, _lines(of), of.is_csv, clock()))
    added = bulk.add_many(tenant=tenant, row=row, pieces=pieces, valkey=valkey, clock=clock, actor=actor)
    return Imported(added, wrong.count, tuple(wrong.first))


def _read(row: ValueList, rows: Iterable[str], is_csv: bool, now: datetime) -> Iterator[Line]:
    return (csv_lines if is_csv else text_lines)(row.item_type, rows, now)


class _Wrong:
    """The wrong lines of a file, as it is read: how many, and the first."""

    def __init__(self, came_to: Callable[[int], object] = int) -> None:
        self.count, self.first = 0, list[Line]()
        self._came_to = came_to

    def taken_from(self, read: Iterator[Line]) -> Iterator[list[NewItem]]:
        """The items of a file's lines, some at a time; wrong ones are noted."""
        for some in _by(AT_ONCE, read):
            self._note([line for line in some if line.item is None])
            self._came_to(some[-1].number)
            yield [line.item for line in some if line.item is not None]

    def _note(self, wrong: list[Line]) -> None:
        self.count += len(wrong)
        self.first = [*self.first, *wrong][:MOST_TOLD]


def _lines(of: FileOfItems) -> Iterator[str]:
    """A file's lines. Raises `UnreadableList` for one that is no text."""
    for number, line in enumerate(_part(of), start=1):
        try:
            yield (line.removeprefix(_MARK) if number == 1 else line).decode()
        except UnicodeDecodeError as wrong:
            raise UnreadableList(f"Line {number:,} is not UTF-8.") from wrong


def _part(of: FileOfItems) -> io.BufferedReader:
    of.file.seek(of.offset)
    return io.BufferedReader(_Part(of.file, of.size), _PIECE)


class _Part(io.RawIOBase):
    """The first bytes of what is left of a file."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file, self._left = file, size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # as `BufferedReader` asks
        piece = self._file.read(min(len(buffer), self._left))
        buffer[: len(piece)] = piece
        self._left -= len(piece)
        return len(piece)


def _by(count: int, read: Iterator[Line]) -> Iterator[list[Line]]:
    while some := list(islice(read, count)):
        yield some
