"""A sealed file says whether it is whole, and an archive in it gives back what was put in."""

import io
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as some

from apps.operations.backups import archive
from apps.operations.backups.keeping import outlived
from apps.operations.backups.sealed_file import FRAME_BYTES, MAGIC, Damaged, SealedReader, SealedWriter

SECRET = "a secret"
NAMES = some.from_regex(r"[abc]{1,3}(/[abc]{1,3}){0,2}", fullmatch=True)


def day(number: int) -> datetime:
    return datetime(2026, 11, number, tzinfo=UTC)


def sealed(*parts: bytes) -> bytes:
    raw = io.BytesIO()
    writer = SealedWriter(raw, SECRET)
    for part in parts:
        writer.write(part)
    writer.close()
    return raw.getvalue()


def opened(data: bytes, secret: str = SECRET) -> bytes:
    return SealedReader(io.BytesIO(data), secret).read()


@pytest.mark.parametrize("size", [0, 1, FRAME_BYTES - 1, FRAME_BYTES, FRAME_BYTES + 1, 3 * FRAME_BYTES])
def test_what_was_sealed_is_opened(size: int) -> None:
    data = bytes(range(256)) * (size // 256) + bytes(size % 256)
    assert opened(sealed(data)) == data
    assert data[:100] not in sealed(data)[len(MAGIC) :] or size < 16


FRAME = FRAME_BYTES + 20
HEAD = len(MAGIC) + 16
CHANGES: dict[str, Callable[[bytes], bytes]] = {
    "a byte changed": lambda file: file[:-5] + bytes([file[-5] ^ 1]) + file[-4:],
    "the salt changed": lambda file: file[: HEAD - 1] + bytes([file[HEAD - 1] ^ 1]) + file[HEAD:],
    "the end cut off": lambda file: file[:-1],
    "the last frame cut off": lambda file: file[: HEAD + 2 * FRAME],
    "two frames exchanged": lambda file: (
        file[:HEAD] + file[HEAD + FRAME : HEAD + 2 * FRAME] + file[HEAD : HEAD + FRAME] + file[HEAD + 2 * FRAME :]
    ),
    "a frame left out": lambda file: file[:HEAD] + file[HEAD + FRAME :],
    "something added": lambda file: file + file[HEAD : HEAD + FRAME],
    "nothing of it": lambda file: b"",
    "another file": lambda file: b"PGDMP" + file,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_was_changed_is_found(change: Callable[[bytes], bytes]) -> None:
    with pytest.raises(Damaged):
        opened(change(sealed(b"x" * (2 * FRAME_BYTES + 10))))


def test_another_key_opens_nothing() -> None:
    with pytest.raises(Damaged, match="PALISADE_BACKUP_KEY"):
        opened(sealed(b"x"), "another secret")


@given(some.dictionaries(NAMES, some.lists(some.binary(max_size=50), max_size=4), max_size=5))
def test_archive_gives_back_what_was_put_in(given: dict[str, list[bytes]]) -> None:
    raw = io.BytesIO()
    with archive.writing(raw, SECRET) as out:
        for name, parts in given.items():
            out.add(name, parts)
    found = {name: b"".join(content) for name, content in archive.contents(raw, SECRET, "")}
    assert found == {name: b"".join(parts) for name, parts in given.items()}


def test_long_contents_are_pieces_and_those_not_taken_are_passed_over() -> None:
    raw = io.BytesIO()
    with archive.writing(raw, SECRET) as out:
        assert out.add("long/one", [b"a" * 3_000_000] * 4) == 12_000_000
        out.add("long/two", [b"b"])
        out.add("other", [b"c"])
    assert [name for name, _ in archive.contents(raw, SECRET, "long/")] == ["long/one", "long/two"]
    assert max(len(piece) for _, piece in archive.pieces(raw, SECRET)) == archive.PIECE_BYTES


def test_archive_that_was_not_finished_is_none() -> None:
    raw = io.BytesIO()
    with pytest.raises(ZeroDivisionError), archive.writing(raw, SECRET) as out:
        out.add("one", [b"a" * 5_000_000])
        raise ZeroDivisionError
    with pytest.raises(Damaged):
        list(archive.pieces(raw, SECRET))


def test_backups_go_when_their_days_are_over_and_the_newest_stays() -> None:
    made = [day(number) for number in (1, 5, 20, 29)]
    assert outlived(made, day(30), 14) == [day(5), day(1)]
    assert outlived(made[:2], day(30), 14) == [day(1)]
    assert outlived([], day(30), 14) == []
