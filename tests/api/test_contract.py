"""Schemathesis drives a real server by the description alone: no 5xx, and every answer is one that was described."""

import subprocess
import sys
from pathlib import Path

from tests.cast import enter

RUN = (
    "run --seed 1 --phases examples,coverage,fuzzing --max-examples 150 --request-timeout 10 --checks all"
    # What JSON Schema can't say (printable text, our own cursors, a span of days) is no lie of the description.
    " --exclude-checks positive_data_acceptance --continue-on-failure --suppress-health-check all --warnings off"
)


def test_the_server_keeps_the_description(live: str, tmp_path: Path) -> None:
    player = enter("fuzz", "enterprise", rate_per_minute=50_000_000, included=10**9)
    command = [str(Path(sys.executable).parent / "schemathesis"), *RUN.split(), f"{live}/openapi.json"]
    done = subprocess.run(
        [*command, "-H", f"Authorization: Bearer {player.text}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
