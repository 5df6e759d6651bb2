"""A part of a file as a file of its own: what was sent in a form stands between its head and its end. Pure."""

import io
from typing import IO, BinaryIO, cast


class Section(io.RawIOBase):
    """`size` bytes of a file from `offset` on; seekable."""

    def __init__(self, file: IO[bytes], offset: int, size: int) -> None:
        self._file, self._offset, self._size, self._at = file, offset, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = min(max(base + offset, 0), self._size)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        self._file.seek(self._offset + self._at)
        found = self._file.read(min(len(buffer), self._size - self._at))
        buffer[: len(found)] = found
        self._at += len(found)
        return len(found)


def section(file: IO[bytes], offset: int, size: int) -> BinaryIO:
    """Such a part, buffered."""
    return cast(BinaryIO, io.BufferedReader(Section(file, offset, size), 1 << 20))
