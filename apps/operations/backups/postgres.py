"""PostgreSQL's own programs: dumps of schemas as they were at one moment, and their return.

Schemas are dumped some hundred at a time, each by a `pg_dump` of the same snapshot: one for all would lock more tables
than a server has room for, and a tenant can be taken out of its group again.
"""

import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import IO

from django.db import connection, transaction

from apps.accounts.postgres_programs import login, program

#: Tenants' schemas of one dump: 400 × 25 tables are 10,000 locks.
GROUP = 400
#: Bytes read of a dump at a time.
BLOCK = 1 << 20


class ProgramFailed(Exception):
    """pg_dump or pg_restore ended with an error; its words are the message."""


@contextmanager
def snapshot() -> Iterator[str]:
    """The name of Postgres as it is now; what is read on Django's connection inside is of the same moment."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        cursor.execute("SELECT pg_export_snapshot()")
        yield str(cursor.fetchone()[0])


def groups(schemas: Sequence[str]) -> Iterator[Sequence[str]]:
    """Schemas as they are dumped together."""
    return (schemas[begin : begin + GROUP] for begin in range(0, len(schemas), GROUP))


def dump(schemas: Iterable[str], moment: str, *options: str) -> Iterator[bytes]:
    """A dump of these schemas in pg_dump's custom format. Raises `ProgramFailed`."""
    named = [part for schema in schemas for part in ("--schema", schema)]
    how = ["--format=custom", "--compress=3", "--no-owner", "--no-privileges", "--no-comments", f"--snapshot={moment}"]
    with tempfile.TemporaryFile() as said:
        with subprocess.Popen(
            [program("pg_dump"), *how, *named, *options], env=login(), stdout=subprocess.PIPE, stderr=said
        ) as dumping:
            assert dumping.stdout  # noqa: S101 - it was asked for
            yield from iter(lambda: dumping.stdout.read(BLOCK), b"")  # type: ignore[union-attr]
        _must_have_worked("pg_dump", dumping.returncode, said)


def restore(pieces: Iterable[bytes], *options: str) -> None:
    """Give a dump to pg_restore. Raises `ProgramFailed`."""
    how = ["--no-owner", "--no-privileges", "--exit-on-error", f"--dbname={connection.settings_dict['NAME']}"]
    with tempfile.TemporaryFile() as said:
        with subprocess.Popen(
            [program("pg_restore"), *how, *options], env=login(), stdin=subprocess.PIPE, stdout=said, stderr=said
        ) as restoring:
            assert restoring.stdin  # noqa: S101 - it was asked for
            _hand_over(pieces, restoring)
        _must_have_worked("pg_restore", restoring.returncode, said)


def _hand_over(pieces: Iterable[bytes], restoring: "subprocess.Popen[bytes]") -> None:
    try:
        for piece in pieces:
            restoring.stdin.write(piece)  # type: ignore[union-attr]
        restoring.stdin.close()  # type: ignore[union-attr]
    except BrokenPipeError:
        pass  # it has given up and says why


def _must_have_worked(name: str, status: int, said: IO[bytes]) -> None:
    if status:
        said.seek(0)
        raise ProgramFailed(f"{name}: {said.read().decode(errors='replace').strip()[-2_000:]}")
