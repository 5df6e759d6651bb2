"""systemd's units: what systemd finds wrong with them, and that they start the Procfile's processes."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from config.local.embedded import CHECKOUT
from config.local.procfile import commands
from tests.deploy.processes import DEPLOY, procfile
from tests.pace import within

UNITS = DEPLOY / "systemd"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed here")
def test_systemd_finds_nothing_wrong(tmp_path: Path) -> None:
    subprocess.run([str(UNITS / "install.sh"), str(tmp_path)], check=True, timeout=within(60))
    for unit in tmp_path.glob("*.service"):
        unit.write_text(unit.read_text().replace("/opt/palisade/.venv/bin", str(Path(sys.executable).parent)))
    names = [unit.name.replace("@.", "@recorder.") for unit in tmp_path.glob("palisade*.*") if unit.is_file()]
    done = subprocess.run(
        ["systemd-analyze", "verify", *(str(tmp_path / name) for name in names)],
        env={"SYSTEMD_UNIT_PATH": f"{tmp_path}:", "PATH": "/usr/bin:/bin"}, capture_output=True, text=True,
        timeout=within(60),
    )  # fmt: skip
    ours = [line for line in done.stderr.splitlines() if "palisade" in line]
    assert (done.returncode, ours) == (0, [])


def test_target_starts_every_process_of_the_procfile() -> None:
    wanted = re.search(r"^Wants=(.*)$", (UNITS / "palisade.target").read_text(), re.MULTILINE)
    assert wanted
    named = {re.sub(r"palisade[-@](\w+)\.service", r"\1", one) for one in wanted[1].split()}
    assert named == set(procfile())


@pytest.mark.parametrize("name", ["api", "portal"])
def test_served_processes_are_those_of_the_procfile(name: str) -> None:
    command = re.search(
        r"^ExecStart=/opt/palisade/.venv/bin/(.*)$", (UNITS / f"palisade-{name}.service").read_text(), re.MULTILINE
    )
    assert command
    assert command[1].split() == procfile()[name]


def test_process_is_become_by_its_name() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "config.local.procfile", "nothing"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=within(60),
    )
    assert done.returncode == 1
    assert "has no 'nothing', but api, portal, recorder" in done.stderr


def test_stream_is_a_process_where_brokers_are_named() -> None:
    assert "stream" not in commands({})
    assert commands({"PALISADE_STREAM_BROKERS": "kafka:9092"})["stream"][:3] == ["python", "manage.py", "stream"]
