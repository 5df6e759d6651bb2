"""The embedded PostgreSQL's log of changes (WAL), kept sealed, so that it can be restored to any moment since a base.

    PALISADE_WAL_DIR set ─► the server hands over each finished segment, at least one a minute (`keep`)
    manage.py backup --base ─► a copy of its files to begin from
    python -m config.local.wal restore --at TIME --into FOLDER ─► a new data folder; its first start goes on to TIME

Segments are sealed as backups are (`PALISADE_BACKUP_KEY`). Imports no Django.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, cast

from apps.operations.backups.sealed_file import Damaged, SealedReader, SealedWriter
from config.local import embedded, servers
from config.local.secrets import secret

SEALED, BASE = ".sealed", "base-%Y%m%dT%H%M%SZ.tar.sealed"


class Refused(Exception):
    """It can't be done; the text says why."""


def keep(segment: Path, folder: Path) -> None:
    """Keep a segment. Harmless when repeated; raises `Refused` when another one of that name is kept."""
    target = folder / f"{segment.name}{SEALED}"
    if target.exists():
        with target.open("rb") as raw:
            if SealedReader(raw, _key()).read() == segment.read_bytes():
                return
        raise Refused(f"{target} is another segment of that name.")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with segment.open("rb") as file:
        _seal(file, target)


def fetch(name: str, target: Path, folder: Path) -> None:
    """Give a segment back; raises `FileNotFoundError` when it was never kept, which ends a recovery."""
    with (folder / f"{name}{SEALED}").open("rb") as raw:
        target.write_bytes(SealedReader(raw, _key()).read())


def make_base(folder: Path, now: datetime) -> Path:
    """Copy the running server's files, to begin from; raises `Refused`."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    server = embedded.postgres()
    command = [str(servers.postgres_program("pg_basebackup")), "-h", str(server.sockets), "-U", "palisade"]
    how = ["-D", "-", "-F", "tar", "-X", "none", "--checkpoint=fast", "--no-manifest"]
    target = folder / now.strftime(BASE)
    with subprocess.Popen([*command, *how], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as copying:
        _seal(cast(IO[bytes], copying.stdout), target)
        said = cast(IO[bytes], copying.stderr).read().decode(errors="replace")
    if copying.returncode:
        target.unlink()
        raise Refused(said.strip())
    return target


def restore(folder: Path, at: datetime, into: Path) -> Path:
    """Make a data folder whose server, at its first start, goes on to a moment; the base it begins from."""
    bases = sorted(one for one in folder.glob(f"base-*{SEALED}") if _time_of(one) <= at)
    if not bases:
        raise Refused(f"There is no base from before {at:%Y-%m-%d %H:%M:%S} UTC in {folder}.")
    data = into / "postgres"
    if data.exists():
        raise Refused(f"{data} is there already: name a new folder.")
    data.mkdir(mode=0o700, parents=True)
    with bases[-1].open("rb") as raw, tarfile.open(fileobj=cast(Any, SealedReader(raw, _key())), mode="r|") as tar:
        tar.extractall(data, filter="tar")
    (data / "recovery.signal").touch()
    fetching = servers.run_ourselves("config.local.wal", "fetch", "%f", "%p")
    with (data / "postgresql.auto.conf").open("a") as settings_file:
        settings_file.write(
            f"restore_command = 'PALISADE_WAL_DIR=\"{folder}\"; export PALISADE_WAL_DIR; {fetching}'\n"
            f"recovery_target_time = '{at:%Y-%m-%d %H:%M:%S.%f+00}'\nrecovery_target_action = 'promote'\n"
            "hot_standby = off\n"  # nobody reads what it was on its way there
        )
    if os.geteuid() == 0:
        for path in (data, *data.rglob("*")):
            os.chown(path, servers.NOBODY, servers.NOBODY)
    secrets = embedded.data_dir() / "secrets.json"
    if secrets.exists():
        shutil.copy2(secrets, into / "secrets.json")
    return bases[-1]


def _time_of(base: Path) -> datetime:
    return datetime.strptime(base.name, BASE).replace(tzinfo=UTC)


def _seal(source: IO[bytes], target: Path) -> None:
    """Under another name until it is whole and on the disk."""
    partial = target.with_suffix(".partial")
    with open(os.open(partial, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600), "w+b") as raw:
        sealed = SealedWriter(raw, _key())
        shutil.copyfileobj(source, cast(IO[bytes], sealed), 1 << 20)
        sealed.close()
        raw.flush()
        os.fsync(raw.fileno())
    partial.rename(target)


def _key() -> str:
    return secret("PALISADE_BACKUP_KEY")


def main(arguments: Sequence[str]) -> None:
    asked = argparse.ArgumentParser(prog="python -m config.local.wal")
    steps = asked.add_subparsers(dest="step", required=True)
    steps.add_parser("keep").add_argument("segment", type=Path)
    fetching = steps.add_parser("fetch")
    fetching.add_argument("name")
    fetching.add_argument("target", type=Path)
    restoring = steps.add_parser("restore", help="make a data folder as of a moment")
    restoring.add_argument("--at", type=datetime.fromisoformat, required=True, help="2026-11-29T12:00:00Z")
    restoring.add_argument("--into", type=Path, required=True, help="the new PALISADE_DATA")
    given = asked.parse_args(arguments)
    folder = Path(os.environ.get("PALISADE_WAL_DIR") or sys.exit("palisade: PALISADE_WAL_DIR is not set."))
    try:
        if given.step == "keep":
            keep(given.segment, folder)
        elif given.step == "fetch":
            fetch(given.name, given.target, folder)
        else:
            base = restore(folder, given.at.astimezone(UTC), given.into.resolve())
            print(f"From {base.name}. Start it: PALISADE_DATA={given.into.resolve()} make up")
    except (Refused, Damaged, OSError) as trouble:
        sys.exit(f"palisade: {trouble}")


if __name__ == "__main__":
    main(sys.argv[1:])
