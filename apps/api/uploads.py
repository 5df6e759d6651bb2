"""Files that come with a request: as its body, or as the part `file` of a form. On a disk, never held whole."""

import hashlib
import mmap
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from django.conf import settings
from django.http import HttpRequest
from django.utils.http import parse_header_parameters

from apps import text
from apps.errors import Problem

FORM = "multipart/form-data"
#: Content types of a body that is the file itself → its format; "" where the file itself says.
RAW: Mapping[str, str] = {
    "text/csv": "csv",
    "application/csv": "csv",
    "application/x-ndjson": "jsonl",
    "application/jsonl": "jsonl",
    "application/x-jsonlines": "jsonl",
    "application/vnd.apache.parquet": "parquet",
    "application/gzip": "",
    "application/x-gzip": "",
    "application/zstd": "",
    "application/octet-stream": "",
}
#: Bytes of a form's part that is no file, and of a part's head.
MOST_OF_A_FIELD = 8 * 1024
#: Bytes searched at a time, so that others have their turn in between.
AT_ONCE = 4 << 20
_BOUNDARY = re.compile(rb"[ -~]{1,70}")
_LONGEST_NAME = 200


class Sent(NamedTuple):
    """A file on this machine: where in it the table stands, what it is called, and a form's other fields."""

    path: Path
    offset: int
    size: int
    filename: str
    format: str
    fields: Mapping[str, str]


def media_type(request: HttpRequest) -> str:
    return request.META.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()


def sent_file(request: HttpRequest, raw: Mapping[str, str] = RAW) -> Sent:
    """The file that came with a request, as a form or as one of `raw`. Raises `Problem`: 400, 415, 507."""
    kind = media_type(request)
    if kind != FORM and kind not in raw:
        raise Problem("media_type_unsupported", f"Send the file as {FORM}, or as one of: {', '.join(raw)}.")
    path = _path_of(request)
    if kind != FORM:
        return Sent(path, 0, path.stat().st_size, "", raw[kind], {})
    if not path.stat().st_size:
        raise Problem("file_missing")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as body:
        return _of_form(path, body, _boundary(request))


def digest_of(sent: Sent) -> str:
    """Of the table that was sent, as hexadecimal digits."""
    hashing = hashlib.blake2b(digest_size=32)
    with sent.path.open("rb") as file:
        file.seek(sent.offset)
        left = sent.size
        while left and (piece := file.read(min(AT_ONCE, left))):
            hashing.update(piece)
            left -= len(piece)
    return hashing.hexdigest()


def discard(request: HttpRequest) -> None:
    """Forget a body that was written here; one that came as an upload is forgotten by whoever received it."""
    path = getattr(request, "written_here", None)
    if path is not None:
        path.unlink(missing_ok=True)


def _path_of(request: HttpRequest) -> Path:
    """The body as a file: it became one while it arrived, or came in one piece."""
    upload = getattr(request, "upload", None)
    if upload is not None:
        return upload.path
    folder = Path(settings.BATCH_SCRATCH)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix="upload-", delete=False) as file:
            request.written_here = Path(file.name)  # type: ignore[attr-defined]
            file.write(request.body)
    except OSError as full:
        raise Problem("storage_full") from full
    return Path(file.name)


def _boundary(request: HttpRequest) -> bytes:
    try:
        _, parameters = parse_header_parameters(request.META.get("CONTENT_TYPE", ""))
        boundary = str(parameters["boundary"]).encode("ascii")
    except (ValueError, KeyError, LookupError) as wrong:
        raise Problem("form_malformed", "The Content-Type has no boundary.") from wrong
    if not _BOUNDARY.fullmatch(boundary):
        raise Problem("form_malformed", "The boundary is not one.")
    return boundary


class _Part(NamedTuple):
    """A part of a form: its name, a file's name or None, and where its content stands."""

    name: str
    filename: str | None
    start: int
    end: int


def _of_form(path: Path, body: mmap.mmap, boundary: bytes) -> Sent:
    file: _Part | None = None
    fields: dict[str, str] = {}
    for part in _parts(body, boundary):
        if part.name == "file":
            if file is not None:
                raise Problem("form_malformed", "Send one file: the form has two.")
            file = part
        elif part.end - part.start > MOST_OF_A_FIELD:
            raise Problem("form_malformed", f"A field of the form has more than {MOST_OF_A_FIELD:,} bytes.")
        elif part.name in fields:
            raise Problem("field_invalid", f"'{_shown(part.name)}' is there more than once.", _shown(part.name))
        else:
            fields[part.name] = _text(body[part.start : part.end], part.name)
    if file is None:
        raise Problem("file_missing")
    return Sent(path, file.start, file.end - file.start, file.filename or "", "", fields)


def _parts(body: mmap.mmap, boundary: bytes) -> Iterator[_Part]:
    delimiter = b"--" + boundary
    at = _find(body, delimiter, 0)
    if at < 0:
        raise Problem("form_malformed", "The form does not begin with its boundary.")
    at += len(delimiter)
    while body[at : at + 2] != b"--":
        head_end = body.find(b"\r\n\r\n", at, at + MOST_OF_A_FIELD)
        end = _find(body, b"\r\n" + delimiter, head_end + 2) if head_end >= 0 else -1
        if end < 0:
            raise Problem("form_malformed", "The form ends too early, or is not one.")
        name, filename = _named(body[at:head_end])
        yield _Part(name, filename, min(head_end + 4, end), end)
        at = end + 2 + len(delimiter)


def _find(body: mmap.mmap, wanted: bytes, start: int) -> int:
    """Where bytes stand next, -1 when nowhere."""
    while start < len(body):
        found = body.find(wanted, start, start + AT_ONCE + len(wanted))
        if found >= 0:
            return found
        start += AT_ONCE
    return -1


def _named(head: bytes) -> tuple[str, str | None]:
    """A part's name and its file's, as its head tells them."""
    for line in head.split(b"\r\n"):
        title, _, value = line.partition(b":")
        if title.strip().lower() == b"content-disposition":
            try:
                _, parameters = parse_header_parameters(value.decode())
            except (ValueError, LookupError) as wrong:
                raise Problem("form_malformed", "A part's Content-Disposition can't be read.") from wrong
            filename = parameters.get("filename")
            return str(parameters.get("name", "")), None if filename is None else _safe(str(filename))
    raise Problem("form_malformed", "A part has no Content-Disposition.")


def _safe(filename: str) -> str:
    """A file's name without folders, and without what no text may hold."""
    name = text.storable(filename.replace("\\", "/").rpartition("/")[2])
    return "".join(character for character in name if character.isprintable())[-_LONGEST_NAME:]


def _text(raw: bytes, name: str) -> str:
    try:
        value = raw.decode()
    except UnicodeDecodeError as wrong:
        raise Problem("field_invalid", f"'{_shown(name)}' is not UTF-8.", _shown(name)) from wrong
    if never := text.forbidden(value):
        raise Problem("field_invalid", f"'{_shown(name)}' {never}.", _shown(name))
    return value


def _shown(name: str) -> str:
    return name.encode("ascii", "backslashreplace").decode()[:80]
