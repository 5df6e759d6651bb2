"""Files that are uploaded: on the disk on which batches are kept, so that one of a gigabyte is moved and not copied."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.core.exceptions import BadRequest
from django.core.files.uploadedfile import TemporaryUploadedFile, UploadedFile
from django.core.files.uploadhandler import FileUploadHandler, TemporaryFileUploadHandler

from apps.batches import storage


class FileInScratch(TemporaryUploadedFile):
    """A temporary file beside the files it becomes one of. Raises `OSError`."""

    def __init__(self, name: str, content_type: str | None, size: int, charset: str | None, extra: Any = None) -> None:
        file = tempfile.NamedTemporaryFile(dir=storage.scratch(), prefix="upload-")  # noqa: SIM115 - Django closes it
        UploadedFile.__init__(self, file, name, content_type, size, charset, extra)


class FileOnDisk(TemporaryFileUploadHandler):
    """Django's handler of what is not small, for such files; a full disk is told in words."""

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        FileUploadHandler.new_file(self, *args, **kwargs)
        with _room():
            self.file = FileInScratch(
                self.file_name or "", self.content_type, 0, self.charset, self.content_type_extra
            )  # fmt: skip

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes | None:
        with _room():
            return super().receive_data_chunk(raw_data, start)

    def file_complete(self, file_size: int) -> Any:
        with _room():
            return super().file_complete(file_size)


def on_disk(file: Any) -> Path:
    """An uploaded file on the disk on which batches are kept. Raises `OSError`."""
    if hasattr(file, "temporary_file_path"):
        return Path(file.temporary_file_path())
    with tempfile.NamedTemporaryFile(dir=storage.scratch(), prefix="upload-", delete=False) as kept:
        try:
            kept.writelines(file.chunks())
        except OSError:
            Path(kept.name).unlink()
            raise
    return Path(kept.name)


@contextmanager
def _room() -> Iterator[None]:
    """Raises `BadRequest` where the disk has none."""
    try:
        yield
    except OSError as full:
        raise BadRequest("There is no room for the file at the moment: nothing was kept. Try again later.") from full
