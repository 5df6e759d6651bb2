"""A running copy of Palisade whose servers a test may kill, and a look into its stores from outside."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import redis
from environ import Env

from bench.copy import Copy, running
from config.local.embedded import CHECKOUT
from tests.pace import within


class Inside:
    """The stores and processes of a running copy."""

    def __init__(self, copy: Copy) -> None:
        self.copy = copy
        said = subprocess.run(
            [sys.executable, "-c", "from config.local import embedded as e; print(e.database_url(), e.redis_url())"],
            cwd=CHECKOUT,
            env=copy.environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=within(60),
        )
        database_url, self.redis_url = said.stdout.split()
        parts = Env.db_url_config(database_url)
        names = {"host": "HOST", "port": "PORT", "user": "USER", "password": "PASSWORD", "dbname": "NAME"}
        self.database = {said: parts[name] for said, name in names.items() if parts.get(name)}

    def rows(self, sql: str, *arguments: Any) -> list[tuple]:
        with psycopg.connect(**self.database) as connection:
            return connection.execute(sql, arguments).fetchall()

    def valkey(self) -> redis.Redis:
        return redis.Redis.from_url(self.redis_url)

    def pids(self, mark: str) -> list[int]:
        """The copy's processes whose command line has the mark, oldest first."""
        ours = (self.copy.environment["PALISADE_DATA"], self.redis_url.removeprefix("unix://").partition("?")[0])
        folders = [folder for folder in Path("/proc").iterdir() if folder.name.isdigit() and mark in _command(folder)]
        said = {folder: _command(folder) + _environment(folder) for folder in folders}
        return sorted(int(folder.name) for folder in folders if any(mine in said[folder] for mine in ours))

    def drained(self, seconds: float = 60) -> None:
        """Wait until the journal is empty."""
        wait_until(lambda: self._waiting() == 0, seconds, "the journal was not drained")

    def _waiting(self) -> int | None:
        try:
            valkey = self.valkey()
            return sum(valkey.xlen(f"{{b{bucket:02d}}}:journal") for bucket in range(16))
        except redis.RedisError:
            return None


@contextmanager
def palisade(**settings: str) -> Iterator[Inside]:
    with running(**settings) as copy:
        yield Inside(copy)


def wait_until(is_so: Callable[[], bool], seconds: float, otherwise: str) -> None:
    limit = time.monotonic() + within(seconds)
    while time.monotonic() < limit:
        if is_so():
            return
        time.sleep(0.05)
    raise AssertionError(otherwise)


def tenants(copy: Copy, **wanted: dict[str, int]) -> dict[str, dict[str, Any]]:
    """Tenants on Enterprise by slug, with limits of their own: {"id", "handle", "schema", "key", "key_id"} of each."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.survival.tenants", json.dumps(wanted)],
        cwd=CHECKOUT,
        env=copy.environment | {"DJANGO_SETTINGS_MODULE": "config.settings.portal"},
        capture_output=True,
        text=True,
        timeout=within(60),
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def _command(folder: Path) -> str:
    try:
        return (folder / "cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
    except OSError:
        return ""


def _environment(folder: Path) -> str:
    try:
        return (folder / "environ").read_bytes().decode(errors="replace")
    except OSError:
        return ""
