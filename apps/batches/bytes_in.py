"""Bytes of a file as UTF-8 text, as they come: unpacked, bounded, whatever the encoding. Never held whole. Pure."""

import codecs
import gzip
import io
import zlib
from collections.abc import Callable
from typing import BinaryIO, Literal, NamedTuple

import pyarrow as pa

Packing = Literal["none", "gzip", "zstd"]

BLOCK = 1 << 20  # bytes read at a time
#: Stands where bytes were that are no UTF-8: a character no text holds (a noncharacter of Unicode).
NOT_TEXT = "\ufdd0"


class UnreadableFile(ValueError):
    """A file that can't be scored at all; the message is a sentence for its sender."""


class Bounds(NamedTuple):
    """How large a file may become. What is small may be packed as tightly as it likes."""

    most_bytes: int = 10 << 30  # unpacked
    most_times: int = 100  # its packed size
    from_bytes: int = 64 << 20  # unpacked, from which on that counts


BOUNDS = Bounds()
MAGIC: tuple[tuple[bytes, Packing], ...] = ((b"\x1f\x8b", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd"))
#: What is sent instead of a table, by how it begins.
FOREIGN: tuple[tuple[bytes, str], ...] = (
    (b"PK\x03\x04", "a ZIP archive or an Excel workbook"),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook"),
    (b"%PDF", "a PDF"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"BZh", "packed with bzip2"),
    (b"\xfd7zXZ", "packed with xz"),
    (b"SQLite format 3", "a database"),
)
UTF_16: tuple[tuple[bytes, str], ...] = ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


def packing_of(beginning: bytes) -> Packing:
    """How a file is packed, by its first bytes. Raises `UnreadableFile` for what is no table at all."""
    for magic, what in FOREIGN:
        if beginning.startswith(magic):
            raise UnreadableFile(f"The file is {what}: send CSV, JSON Lines or Parquet, plain or in gzip or zstd.")
    return next((packing for magic, packing in MAGIC if beginning.startswith(magic)), "none")


class CountingReader(io.RawIOBase):
    """A file that counts what was read of it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        found = self._file.read(len(buffer))
        buffer[: len(found)] = found
        self.count += len(found)
        return len(found)


def unpacked(file: BinaryIO, bounds: Bounds = BOUNDS) -> Callable[[int], bytes]:
    """A file's bytes unpacked, by a function that reads about so many and b"" at the end.

    The function raises `UnreadableFile` when they are more than `bounds` allow, or are torn.
    """
    beginning = file.read(max(len(magic) for magic, _ in FOREIGN))
    counting = CountingReader(_Rejoined(beginning, file))  # type: ignore[arg-type]
    return bounded(_opened(packing_of(beginning), counting), counting, bounds)


def bounded(inner: BinaryIO, packed: CountingReader, bounds: Bounds) -> Callable[[int], bytes]:
    """A reading function that refuses what grows beyond bounds."""
    total = 0

    def read(size: int) -> bytes:
        nonlocal total
        try:
            found = inner.read(min(size, BLOCK))
        except (EOFError, OSError, zlib.error) as torn:
            raise UnreadableFile("The packed file is damaged or ends too early: pack and send it again.") from torn
        total += len(found)
        if total > bounds.most_bytes:
            raise UnreadableFile(f"Unpacked the file is larger than {bounds.most_bytes >> 30} GB: send it in parts.")
        if total > bounds.from_bytes and total > bounds.most_times * packed.count:
            raise UnreadableFile(
                f"The file unpacks to more than {bounds.most_times} times its size, which no table of payments does."
            )
        return found

    return read


class _Rejoined(io.RawIOBase):
    """A file whose beginning was read already."""

    def __init__(self, beginning: bytes, file: BinaryIO) -> None:
        self._beginning, self._file = beginning, file

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if not self._beginning:
            return self._file.read(size)
        found, self._beginning = self._beginning[:size], self._beginning[size:]
        return found


def _opened(packing: Packing, file: CountingReader) -> BinaryIO:
    if packing == "gzip":
        return gzip.GzipFile(fileobj=io.BufferedReader(file, BLOCK))  # type: ignore[return-value]
    if packing == "zstd":
        return pa.CompressedInputStream(pa.PythonFile(file, mode="r"), "zstd")
    return file  # type: ignore[return-value]


class TextBytes(io.RawIOBase):
    """A file's text as UTF-8 bytes, without its byte order mark; what is none is `NOT_TEXT`.

    UTF-16 is known by its mark. `begin(size)` reads ahead without taking; reading goes on from `skip`.
    """

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self._held = b""
        self._over = False
        self._encoding = "utf-8"
        self._decoder: codecs.IncrementalDecoder | None = None

    def readable(self) -> bool:
        return True

    def begin(self, size: int) -> bytes:
        """The first bytes that were not skipped, so many or all there are."""
        while len(self._held) < size and not self._over:
            self._held += self._next()
        return self._held[:size]

    def skip(self, size: int) -> None:
        """Leave out so many bytes, which `begin` has shown."""
        self._held = self._held[size:]

    def read(self, size: int = -1) -> bytes:
        if not self._held and not self._over:
            self._held = self._next()
        if size < 0:
            raise io.UnsupportedOperation("never held whole")
        found, self._held = self._held[:size], self._held[size:]
        return found

    def _next(self) -> bytes:
        """More text; b"" only at the end."""
        while True:
            block = self._read(BLOCK)
            if self._decoder is None:
                block = self._begun(block)
            self._over = not block
            if block.isascii() and self._plain:
                text = block
            else:
                assert self._decoder is not None  # noqa: S101 - `_begun` made it
                text = self._decoder.decode(block, final=self._over).encode()
            if text or self._over:
                return text

    def _begun(self, block: bytes) -> bytes:
        """The first block without its mark, from which the encoding is known."""
        while len(block) < len(codecs.BOM_UTF8) and (more := self._read(BLOCK)):
            block += more
        self._encoding = next((name for mark, name in UTF_16 if block.startswith(mark)), "utf-8")
        self._decoder = codecs.getincrementaldecoder(self._encoding)("not_text")
        if self._encoding != "utf-8":
            return block[len(codecs.BOM_UTF16_LE) :]
        return block.removeprefix(codecs.BOM_UTF8)

    @property
    def _plain(self) -> bool:
        """Whether ASCII stands for itself now: in UTF-8, with no half of a character waiting."""
        return self._encoding == "utf-8" and self._decoder is not None and self._decoder.getstate()[0] == b""


def _mark(error: UnicodeError) -> tuple[str, int]:
    if isinstance(error, UnicodeDecodeError):
        return NOT_TEXT, error.end
    raise error


codecs.register_error("not_text", _mark)
