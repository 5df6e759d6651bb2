"""Where the shipped files are, and Debian's tools (deploy/fetch-tools)."""

import subprocess
from pathlib import Path

import pytest

from config.local.embedded import CHECKOUT
from tests.pace import within

SHIPPED = CHECKOUT / "deploy" / "monitoring"
TOOLS = CHECKOUT / ".palisade" / "tools" / "usr" / "bin"
needs_prometheus = pytest.mark.skipif(
    not (TOOLS / "promtool").exists(), reason="deploy/fetch-tools has not been run, or there is no apt"
)


def run(tool: str, *arguments: str, folder: Path = SHIPPED) -> str:
    """What a tool answers; its failure is the test's."""
    command = [str(TOOLS / tool), *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=within(60), check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
