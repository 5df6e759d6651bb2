#!/usr/bin/env python
"""Palisade's command line. Commands that need the servers find them running or start them for their own time."""

import os
import signal
import sys
from types import FrameType

#: Commands that touch neither PostgreSQL nor Valkey.
OFFLINE = {"help", "check", "makemigrations", "train_model", "write_openapi", "collectstatic", "version", "--help"}
#: And one that is to find out whether they are there.
OFFLINE |= {"doctor"}
#: With this no command does.
LOCAL = "--local"


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.portal")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    from config.local import embedded

    _mask_card_numbers()
    if len(sys.argv) < 2 or sys.argv[1] in OFFLINE or LOCAL in sys.argv:
        execute_from_command_line(sys.argv)
        return
    _unwind_when_told_to_end()
    try:
        with embedded.running():
            execute_from_command_line(sys.argv)
    except (embedded.Unavailable, ImproperlyConfigured) as trouble:
        sys.exit(f"palisade: {trouble}")
    except Exception as trouble:
        if type(trouble.__cause__).__name__ != "UndefinedTable":
            raise
        sys.exit("palisade: the database is not migrated yet; `make up` or `manage.py prepare` does it.")


def _unwind_when_told_to_end() -> None:
    """A command that ends where it stands leaves the servers running if it was the last to use them. Those that finish
    what they hold listen to these signals themselves, but not before they are loaded. Left ignored by who ignores."""
    for number in _TOLD_TO_END:
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, _unwind)


def _unwind(number: int, _frame: FrameType | None) -> None:
    """Once: being told again doesn't disturb the tidying."""
    for other in _TOLD_TO_END:
        signal.signal(other, lambda *_: None)
    sys.exit(128 + number)


_TOLD_TO_END = (signal.SIGTERM, signal.SIGHUP)


def _mask_card_numbers() -> None:
    """None of them gets from the command line into a row, a message or a traceback."""
    from apps import card_numbers

    masked = [card_numbers.mask(one) for one in sys.argv]
    if masked != sys.argv:
        sys.argv = masked
        print(*card_numbers.warning(["the arguments"]), file=sys.stderr)


if __name__ == "__main__":
    main()
