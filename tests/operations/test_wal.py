"""The embedded PostgreSQL goes back to a moment: a base, the segments since, sealed, and a new data folder."""

import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from apps.operations.backups.sealed_file import SealedReader
from config.local import wal
from config.local.embedded import CHECKOUT
from tests.pace import within
from tests.survival.copy import wait_until

KEY = "a key that seals the log of changes"
SQL = """
import sys, psycopg
from config.local import embedded
with embedded.running():
    server = embedded.postgres()
    with psycopg.connect(host=str(server.sockets), user="palisade", dbname="palisade", autocommit=True) as connection:
        for line in sys.stdin.read().split(";"):
            found = connection.execute(line)
            if found.description:
                print(found.fetchall()[0][0])
"""


def run(data: Path, folder: Path, *command: str, say: str = "") -> str:
    clean = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
    own = {"PALISADE_DATA": str(data), "PALISADE_WAL_DIR": str(folder), "PALISADE_BACKUP_KEY": KEY}
    done = subprocess.run(
        [sys.executable, *command], input=say, env=clean | own | {"DJANGO_SETTINGS_MODULE": "config.settings.portal"},
        cwd=CHECKOUT, capture_output=True, text=True, timeout=within(120),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def asked(data: Path, folder: Path, statements: str) -> str:
    return run(data, folder, "-c", SQL, say=statements)


def test_going_back_to_a_moment(tmp_path: Path) -> None:
    data, folder, new = tmp_path / "data", tmp_path / "wal", tmp_path / "new"
    asked(data, folder, "CREATE TABLE kept (what text); INSERT INTO kept VALUES ('before the base')")
    assert "base-" in run(data, folder, "manage.py", "backup", "--base")
    asked(data, folder, "INSERT INTO kept VALUES ('after it')")
    moment = datetime.now(UTC)
    time.sleep(0.01)
    asked(data, folder, "INSERT INTO kept VALUES ('too late'); SELECT pg_switch_wal()")
    wait_until(lambda: len(list(folder.glob("0*.sealed"))) >= 2, 60, "no segment was kept")
    said = run(data, folder, "-m", "config.local.wal", "restore", "--at", moment.isoformat(), "--into", str(new))
    assert said.startswith("From base-")
    assert asked(new, folder, "SELECT string_agg(what, ', ') FROM kept") == "before the base, after it"
    asked(new, folder, "INSERT INTO kept VALUES ('and it goes on')")
    assert all(b"too late" not in file.read_bytes() for file in folder.iterdir())


def test_a_segment_is_kept_once_and_another_of_its_name_never(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALISADE_BACKUP_KEY", KEY)
    segment, folder = tmp_path / "000000010000000000000001", tmp_path / "wal"
    segment.write_bytes(b"changes")
    wal.keep(segment, folder)
    wal.keep(segment, folder)
    with (folder / f"{segment.name}.sealed").open("rb") as raw:
        assert SealedReader(raw, KEY).read() == b"changes"
    segment.write_bytes(b"others")
    with pytest.raises(wal.Refused, match="another segment"):
        wal.keep(segment, folder)


def test_what_can_not_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(wal.Refused, match="no base from before"):
        wal.restore(tmp_path, datetime.now(UTC), tmp_path / "new")
    (tmp_path / "base-20260101T000000Z.tar.sealed").touch()
    (tmp_path / "new" / "postgres").mkdir(parents=True)
    with pytest.raises(wal.Refused, match="there already"):
        wal.restore(tmp_path, datetime.now(UTC), tmp_path / "new")
