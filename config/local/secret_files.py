"""Secrets in files, as Docker, Kubernetes and systemd hand them over: NAME_FILE says where the value of NAME stands.

Read once, where the environment is first looked at (`embedded.py`), so that every reader of the environment finds them.
"""

import os
from collections.abc import MutableMapping
from pathlib import Path

#: What may stand in a file.
NAMES = (
    "DATABASE_URL",
    "PALISADE_REPLICA_URL",
    "REDIS_URL",
    "PALISADE_BROKER_URL",
    "PALISADE_SECRET_KEY",
    "PALISADE_KEY_PEPPER",
    "PALISADE_TOKEN_SECRET",
    "PALISADE_SEALING_KEYS",
    "PALISADE_BACKUP_KEY",
    "PALISADE_OPERATOR_PASSWORD",
    "PALISADE_METRICS_TOKEN",
    "PALISADE_EMAIL_URL",
    "PALISADE_STREAM_KEY",
    "PALISADE_STREAM_OPTIONS",
    "STRIPE_API_KEY",
    "STRIPE_WEBHOOK_SECRET",
)


class UnreadableSecret(Exception):
    """A file that the environment names can't be read, is empty, or is named beside the value itself."""


def read_secret_files(environment: MutableMapping[str, str] = os.environ) -> None:
    """Set each NAME whose NAME_FILE is set. Raises `UnreadableSecret`. Harmless when repeated."""
    for name in NAMES:
        if file := environment.get(f"{name}_FILE"):
            value = _read(name, file)
            if environment.get(name, value) != value:
                raise UnreadableSecret(f"{name} and {name}_FILE are both set, and differ: set one of them.")
            environment[name] = value


def _read(name: str, file: str) -> str:
    try:
        value = Path(file).read_text().strip()
    except (OSError, UnicodeDecodeError) as trouble:
        raise UnreadableSecret(f"{name}_FILE names {file}, which can't be read: {trouble}") from None
    if not value:
        raise UnreadableSecret(f"{name}_FILE names {file}, which is empty.")
    return value
