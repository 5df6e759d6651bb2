"""Schemathesis drives a real server by the description alone: no 5xx, and every answer is one that was described."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cast import enter
from tests.pace import within

SCHEMATHESIS = Path(sys.executable).parent / "schemathesis"
HOW = Path(__file__).parent / "schemathesis.toml"


@pytest.mark.timeout(within(1_000))
def test_the_server_keeps_the_description(live: str, tmp_path: Path) -> None:
    player = enter("fuzz", "enterprise", rate_per_minute=50_000_000, included=10**9)
    key = f"Authorization: Bearer {player.text}"
    done = subprocess.run(
        [SCHEMATHESIS, "--config-file", HOW, "run", "--request-timeout", "10", "-H", key, f"{live}/openapi.json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=within(900),
    )
    assert done.returncode == 0, done.stdout + done.stderr
