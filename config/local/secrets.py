"""Secrets: from the environment, or made once on the first start and kept in the data folder (0600)."""

import fcntl
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from config.local.embedded import data_dir, make_folder


def secret(name: str) -> str:
    """The secret called `name` (`PALISADE_SECRET_KEY`, …). Every process of one data folder gets the same one."""
    return os.environ.get(name) or _kept(data_dir() / "secrets.json", name)


def adopt(others: Mapping[str, str]) -> None:
    """Take secrets of another installation over, in place of those that were made here."""
    file = data_dir() / "secrets.json"
    make_folder(file.parent)
    with open(file.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _write(file, _read(file) | dict(others))


def _kept(file: Path, name: str) -> str:
    return _read(file).get(name) or _make(file, name)


def _make(file: Path, name: str) -> str:
    """Under a lock, because all processes of a first start ask at once, and a second key would log everybody out."""
    make_folder(file.parent)
    with open(file.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        known = _read(file)
        if name not in known:
            known[name] = secrets.token_urlsafe(48)
            _write(file, known)
        return known[name]


def _read(file: Path) -> dict[str, str]:
    try:
        return dict(json.loads(file.read_text()))
    except FileNotFoundError:
        return {}


def _write(file: Path, known: dict[str, str]) -> None:
    """Whole or not at all: a reader sees the old file or the new one, also after a power cut."""
    new = file.with_suffix(".new")
    new.unlink(missing_ok=True)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        json.dump(known, out, indent=1)
        out.flush()
        os.fsync(out.fileno())
    os.replace(new, file)
