"""Named contents in a sealed file: a tar stream in which a long content stands as numbered pieces. Pure.

Whoever has the key reads it without us: unsealed it is an ordinary tar; `cat NAME/*` is the content.
"""

import io
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter
from typing import IO, Any, cast

from apps.operations.backups.sealed_file import Damaged, SealedReader, SealedWriter

#: Bytes of a piece: what either end holds of a content.
PIECE_BYTES = 4 << 20


class ArchiveWriter:
    """Contents, written one after the other."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar

    def add(self, name: str, pieces: Iterable[bytes]) -> int:
        """Write a content, however long; its bytes."""
        size = 0
        for number, piece in enumerate(_of_size(pieces)):
            self._add_piece(f"{name}/{number:06d}", piece)
            size += len(piece)
        return size

    def _add_piece(self, name: str, piece: bytes) -> None:
        member = tarfile.TarInfo(name)
        member.size, member.mode = len(piece), 0o600
        self._tar.addfile(member, io.BytesIO(piece))


@contextmanager
def writing(raw: IO[bytes], secret: str) -> Iterator[ArchiveWriter]:
    """An archive into an open file. Where the block fails the last frame is missing: it can't be taken for whole."""
    sealed = SealedWriter(raw, secret)
    with tarfile.open(fileobj=cast(Any, sealed), mode="w|", bufsize=PIECE_BYTES, format=tarfile.PAX_FORMAT) as tar:
        yield ArchiveWriter(tar)
    sealed.close()


def pieces(raw: IO[bytes], secret: str) -> Iterator[tuple[str, bytes]]:
    """Each piece with the name of its content, in the order they were written. Raises `Damaged`."""
    raw.seek(0)
    sealed = SealedReader(raw, secret)
    try:
        with tarfile.open(fileobj=cast(Any, sealed), mode="r|", bufsize=PIECE_BYTES) as tar:
            for member in tar:
                content = tar.extractfile(member)
                yield member.name.rpartition("/")[0], content.read() if content else b""
    except tarfile.TarError as wrong:
        raise Damaged(f"What is sealed in it can't be read: {wrong}") from None
    sealed.read()  # to the last frame, whose mark says that nothing is missing


def contents(raw: IO[bytes], secret: str, prefix: str) -> Iterator[tuple[str, Iterator[bytes]]]:
    """(name, pieces) of each content whose name begins so; pieces are to be taken before the next content."""
    chosen = (one for one in pieces(raw, secret) if one[0].startswith(prefix))
    for name, of_it in groupby(chosen, key=itemgetter(0)):
        yield name, (piece for _, piece in of_it)


def _of_size(given: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces of `PIECE_BYTES`; one empty piece for nothing."""
    waiting, any_yet = bytearray(), False
    for one in given:
        waiting += one
        while len(waiting) >= PIECE_BYTES:
            yield bytes(waiting[:PIECE_BYTES])
            del waiting[:PIECE_BYTES]
            any_yet = True
    if waiting or not any_yet:
        yield bytes(waiting)
