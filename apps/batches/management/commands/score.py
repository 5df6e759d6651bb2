"""`manage.py score FILE --schema NAME --out FILE`: score a file of transactions from a terminal, by a server's
`/v1/batches` as the tenant of an API key, or with `--local` on this machine.

Ends with 0 when every row was scored, with 3 when some had problems, with 1 when the file could not be scored at all.
"""

import os
import time
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from apps.batches import remote
from apps.batches.bytes_in import UnreadableFile
from apps.batches.lean_arrow import keep_arrow_lean
from apps.batches.local import Asked, Progress, Summary, score_file
from apps.batches.progress import Bar, in_words
from apps.scoring.engine.block import Explain
from apps.scoring.engine.models import ModelRefused
from apps.scoring.engine.schemas import SCHEMAS

SOME_PROBLEMS = 3
#: The variable that holds the API key: an argument would stand in the list of processes.
KEY = "PALISADE_API_KEY"


class Command(BaseCommand):
    help = "Score a file of transactions (CSV, JSON Lines, Parquet; plain, gzip or zstd) into another."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE")
        parser.add_argument("--schema", required=True, choices=sorted(SCHEMAS))
        parser.add_argument("--out", required=True, type=Path, help="results: .csv, .jsonl or .parquet")
        parser.add_argument("--model", default=None, help="a model, model@version or ensemble; the champion without")
        parser.add_argument("--explain", default="flagged", choices=get_args(Explain), help="which rows get reasons")
        parser.add_argument(
            "--problems", type=Path, default=None, metavar="FILE", help="what is wrong with which row, as CSV"
        )
        parser.add_argument(
            "--workers", type=int, default=os.cpu_count() or 1, metavar="N", help="processes that score"
        )
        parser.add_argument("--local", action="store_true", help="on this machine: no tenant, nothing stored or billed")
        parser.add_argument(
            "--server", default=settings.API_URL, metavar="URL", help="whose API scores it without --local"
        )

    def run_from_argv(self, argv: list[str]) -> None:
        """From a command line the process is ours alone."""
        keep_arrow_lean()
        super().run_from_argv(argv)

    def handle(self, *args: Any, **options: Any) -> None:
        bar, began = Bar(), time.monotonic()
        try:
            summary = _scored(options, lambda progress: bar.draw(*progress))
        except (UnreadableFile, ModelRefused, remote.Refused) as refusal:
            raise CommandError(str(refusal)) from refusal
        except OSError as failure:
            raise CommandError(f"{failure.filename or options['out']}: {failure.strerror}") from failure
        finally:
            bar.end()
        self.stdout.write(told(summary, time.monotonic() - began))
        if summary.problems:
            raise SystemExit(SOME_PROBLEMS)


def _scored(options: dict[str, Any], say: Callable[[Progress], None]) -> Summary:
    """Here, or by a server."""
    if options["local"]:
        return score_file(_asked(options), say)
    names = ("file", "out", "schema", "model", "explain", "problems")
    wanted = remote.Wanted(*(options[name] for name in names))
    return remote.score_file(remote.Server(options["server"], os.environ.get(KEY, "")), wanted, say)


def told(summary: Summary, seconds: float) -> str:
    """The run's last line."""
    rate = summary.rows / seconds if seconds else 0.0
    return (
        f"{summary.rows:,} rows in {in_words(seconds)} ({rate:,.0f} rows/s): {summary.flagged:,} flagged, "
        f"{summary.problems:,} problems."
    )


def _asked(options: dict[str, Any]) -> Asked:
    return Asked(
        file=options["file"],
        out=options["out"],
        schema=options["schema"],
        models=settings.ARTIFACTS_DIR,
        received_ms=time.time_ns() // 1_000_000,
        model=options["model"],
        explain=options["explain"],
        problems=options["problems"],
        workers=max(1, options["workers"]),
    )
