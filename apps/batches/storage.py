"""Where batches' files are: one Django storage, `STORAGES["batches"]`, a disk of ours or anything S3-compatible.

<tenant's schema>/<batch>/upload             as it was sent
                          parts/00000        rows as they were read, with their parties' pasts
                          rows/0000.csv …    a chunk's results, and its problems
                          results.csv …      all of them, once the batch stands still
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO, Any

from django.conf import settings
from django.core.files.base import File
from django.core.files.storage import FileSystemStorage, Storage, storages

from apps.batches.models import Batch


class StoreAway(OSError):
    """The store of files can't be asked, or refuses us."""


#: Bytes of a file that are read at once.
PIECE = 256 * 1024


@cache
def files() -> Storage:
    """The storage, made once a process."""
    return storages["batches"]


def place(batch: Batch, name: str) -> str:
    """The name of one of a batch's files."""
    return f"{batch.tenant.schema_name}/{batch.pk}/{name}"


def write(name: str, content: bytes) -> None:
    """Write a file whole, in place of one of that name. Raises `OSError`."""
    with being_written(name) as file:
        file.write(content)


@contextmanager
def being_written(name: str) -> Iterator[IO[bytes]]:
    """A file that takes its name once the block has ended well: nobody finds half of it. Raises `OSError`."""
    with tempfile.NamedTemporaryFile(dir=scratch(), prefix="writing-", delete=False) as file:
        try:
            yield file
            file.flush()
            keep(name, Path(file.name))
        finally:
            Path(file.name).unlink(missing_ok=True)


def keep(name: str, path: Path) -> None:
    """Keep a file of this machine under a name, in place of one that is there: moved on a disk, else sent.

    Raises `OSError`.
    """
    storage = files()
    if isinstance(storage, FileSystemStorage):
        target = Path(storage.path(name))
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.replace(target)
        return
    with path.open("rb") as file:
        storage.save(name, File(file))
    path.unlink()


def scratch() -> Path:
    """Where files are written before they have a name: on the disk they stay on, where they stay on one."""
    folder = Path(settings.BATCH_SCRATCH)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def read(name: str) -> bytes:
    with files().open(name) as file:
        return file.read()


def exists(name: str) -> bool:
    return files().exists(name)


def opened(name: str) -> IO[bytes]:
    """A file for reading, by whoever closes it."""
    return files().open(name, "rb")


def pieces(name: str, start: int, end: int) -> Iterator[bytes]:
    """The bytes [start, end) of a file."""
    storage: Any = files()
    if start < end and hasattr(storage, "pieces"):
        yield from storage.pieces(name, start, end, PIECE)
        return
    with opened(name) as file:
        file.seek(start)
        while start < end and (piece := file.read(min(PIECE, end - start))):
            start += len(piece)
            yield piece


@contextmanager
def at_hand(name: str) -> Iterator[IO[bytes]]:
    """A file of this machine to read and seek in: the stored one itself, or a copy of it that goes away."""
    storage = files()
    if isinstance(storage, FileSystemStorage):
        with open(storage.path(name), "rb") as file:
            yield file
        return
    with storage.open(name) as stored, tempfile.TemporaryFile(dir=scratch()) as file:
        for block in iter(lambda: stored.read(1 << 20), b""):
            file.write(block)
        file.seek(0)
        yield file


def drop(name: str) -> None:
    """Delete a file with the folder it was alone in. Harmless when repeated."""
    _forget(name.rpartition("/")[0])


def forget(batch: Batch, folder: str = "") -> None:
    """Delete a batch's files, or those of one of its folders. Harmless when repeated."""
    _forget(place(batch, folder).rstrip("/"))


def _forget(folder: str) -> None:
    storage = files()
    try:
        folders, names = storage.listdir(folder)
    except FileNotFoundError:
        return
    for name in names:
        storage.delete(f"{folder}/{name}")
    for name in folders:
        _forget(f"{folder}/{name}")
    if isinstance(storage, FileSystemStorage):
        storage.delete(folder)
