"""PostgreSQL and Valkey for a measurement inside Django, on a folder that is removed afterwards."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def servers() -> Iterator[None]:
    """PostgreSQL and Valkey on a folder that is removed afterwards; Django set up over them, migrated."""
    os.environ["PALISADE_DATA"] = tempfile.mkdtemp(prefix="palisade-bench-")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.portal")
    os.environ["PALISADE_LOG_LEVEL"] = "WARNING"
    from config.local import embedded

    try:
        with embedded.running():
            import django

            django.setup()
            from django.core.management import call_command

            call_command("migrate_schemas", verbosity=0)
            yield
    finally:
        shutil.rmtree(os.environ["PALISADE_DATA"], ignore_errors=True)
