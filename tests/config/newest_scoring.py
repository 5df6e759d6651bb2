"""Which migration of scoring is the newest: those of tests follow it, whichever it is by then."""

from pathlib import Path

from apps.scoring import migrations

NEWEST = max(file.stem for file in Path(migrations.__path__[0]).glob("0*.py"))
