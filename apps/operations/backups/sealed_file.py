"""A file that is sealed while it is written: AES-256-GCM in frames, so that neither end holds more than one. Pure.

    magic, salt (16 bytes), then frames: length (4 bytes, big-endian), ciphertext with its tag (16 bytes)

The key is HKDF-SHA-256 of the secret under the salt. A frame's nonce is its number and whether it is the last (STREAM:
Hoang, Reyhanitabar, Rogaway, Vizár 2015), so one that was changed, moved, left out or cut off at the end is found.
"""

import os
import struct
from typing import IO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MAGIC = b"palisade backup 1\n"
FRAME_BYTES = 1 << 20
_SALT_BYTES, _TAG_BYTES = 16, 16
_LENGTH = struct.Struct(">I")


class Damaged(Exception):
    """The file is no backup of ours, was changed or cut off, or is sealed under another key."""


class SealedWriter:
    """A file to write to; `close` writes the last frame and leaves the raw file open."""

    def __init__(self, raw: IO[bytes], secret: str) -> None:
        salt = os.urandom(_SALT_BYTES)
        raw.write(MAGIC + salt)
        self._raw, self._cipher = raw, _cipher(secret, salt)
        self._waiting, self._number = bytearray(), 0

    def write(self, data: bytes) -> int:
        self._waiting += data
        while len(self._waiting) > FRAME_BYTES:
            self._seal(self._waiting[:FRAME_BYTES], last=False)
            del self._waiting[:FRAME_BYTES]
        return len(data)

    def close(self) -> None:
        self._seal(self._waiting, last=True)

    def _seal(self, data: bytes | bytearray, *, last: bool) -> None:
        sealed = self._cipher.encrypt(_nonce(self._number, last), bytes(data), None)
        self._raw.write(_LENGTH.pack(len(sealed)) + sealed)
        self._number += 1


class SealedReader:
    """A file to read from. Raises `Damaged`, at the beginning or wherever the fault is met."""

    def __init__(self, raw: IO[bytes], secret: str) -> None:
        if raw.read(len(MAGIC)) != MAGIC:
            raise Damaged("It is no backup of Palisade's, or of another version.")
        self._raw, self._cipher = raw, _cipher(secret, _exactly(raw, _SALT_BYTES))
        self._opened, self._number, self._ended = bytearray(), 0, False

    def read(self, size: int = -1) -> bytes:
        while not self._ended and (size < 0 or len(self._opened) < size):
            self._open_frame()
        taken = bytes(self._opened if size < 0 else self._opened[:size])
        del self._opened[: len(taken)]
        return taken

    def _open_frame(self) -> None:
        length = _LENGTH.unpack(_exactly(self._raw, _LENGTH.size))[0]
        if not _TAG_BYTES <= length <= FRAME_BYTES + _TAG_BYTES:
            raise Damaged("It was changed.")
        sealed = _exactly(self._raw, length)
        last = not self._raw.read(1)
        if not last:
            self._raw.seek(-1, os.SEEK_CUR)
        try:
            self._opened += self._cipher.decrypt(_nonce(self._number, last), sealed, None)
        except InvalidTag:
            raise Damaged("It was changed or cut off, or is sealed under another PALISADE_BACKUP_KEY.") from None
        self._number, self._ended = self._number + 1, last


def _cipher(secret: str, salt: bytes) -> AESGCM:
    return AESGCM(HKDF(SHA256(), 32, salt, b"palisade backup").derive(secret.encode()))


def _nonce(number: int, last: bool) -> bytes:
    """12 bytes: never the same twice under a file's own key."""
    return number.to_bytes(11, "big") + bytes([last])


def _exactly(raw: IO[bytes], size: int) -> bytes:
    data = raw.read(size)
    if len(data) != size:
        raise Damaged("It ends too early.")
    return data
