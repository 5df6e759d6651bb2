"""Batches' files in a bucket that speaks S3. Its client is imported where a bucket is named alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from boto3.exceptions import Boto3Error
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from storages.backends.s3 import S3Storage

from apps.batches.storage import StoreAway

#: Seconds until the store counts as away, and how often it is asked.
PATIENCE = Config(connect_timeout=5, read_timeout=30, retries={"total_max_attempts": 3, "mode": "standard"})


class S3Files(S3Storage):
    """django-storages' S3, whose failures are an operating system's. Raises `StoreAway`, `FileNotFoundError`."""

    client_config: Any

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.client_config = self.client_config.merge(PATIENCE)

    def pieces(self, name: str, start: int, end: int, size: int) -> Iterator[bytes]:
        """The bytes [start, end) of a file as they come, in pieces of that size."""
        with _asked():
            found = self.bucket.Object(self._normalize_name(name)).get(Range=f"bytes={start}-{end - 1}")
            yield from found["Body"].iter_chunks(size)

    def _open(self, name: str, mode: str = "rb") -> Any:
        with _asked():
            file = super()._open(name, mode)
            file.file  # noqa: B018 - it is fetched now, and not when somebody reads it
            return file

    def _save(self, name: str, content: Any) -> str:
        with _asked():
            return str(super()._save(name, content))

    def delete(self, name: str) -> None:
        with _asked():
            super().delete(name)

    def exists(self, name: str) -> bool:
        with _asked():
            return bool(super().exists(name))

    def listdir(self, name: str) -> tuple[list[str], list[str]]:
        with _asked():
            folders, names = super().listdir(name)
            return list(folders), list(names)


@contextmanager
def _asked() -> Iterator[None]:
    """Raises `StoreAway` for what the client tells in words of its own."""
    try:
        yield
    except (Boto3Error, BotoCoreError, ClientError) as failure:
        raise StoreAway(str(failure)) from failure
