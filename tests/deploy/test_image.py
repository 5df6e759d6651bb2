"""The image: what hadolint finds, what goes into it, who it runs as."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from config.local.embedded import CHECKOUT
from tests.deploy.processes import DEPLOY
from tests.pace import within

DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
LAST_STAGE = DOCKERFILE[DOCKERFILE.rindex("\nFROM ") :]
#: Of glibc, GCC and zlib, which Python itself needs.
IN_THE_BASE_IMAGE = {
    *(f"lib{name}.so.{version}" for name, version in (("c", 6), ("dl", 2), ("m", 6), ("pthread", 0), ("resolv", 2))),
    *("librt.so.1", "libgcc_s.so.1", "libstdc++.so.6", "libz.so.1", "libutil.so.1"),
}
#: Debian's other libraries and their packages.
INSTALLED = {"libgomp.so.1": "libgomp1", "libgomp.so.1.0.0": "libgomp1"}
HADOLINT = shutil.which("hadolint", path=str(Path(sys.executable).parent))


@pytest.mark.skipif(HADOLINT is None, reason="hadolint is not installed: `make dev` brings it")
def test_hadolint_finds_nothing() -> None:
    done = subprocess.run(
        [str(HADOLINT), "--failure-threshold", "style", str(DEPLOY / "Dockerfile")],
        capture_output=True,
        text=True,
        timeout=within(60),
    )
    assert done.returncode == 0, done.stdout


def test_it_is_built_in_stages_and_runs_as_nobody_s_user() -> None:
    assert DOCKERFILE.count("\nFROM ") == 2
    assert re.search(r"^USER 10001:10001$", LAST_STAGE, re.MULTILINE)
    assert "HEALTHCHECK" in LAST_STAGE
    assert "pip" not in LAST_STAGE


def test_what_is_mounted_is_its_user_s() -> None:
    """A named volume takes its owner from the image; root's could not be written."""
    assert re.search(r"install -d -o palisade .* /data /backups$", LAST_STAGE, re.MULTILINE)


def test_what_is_copied_is_there_and_not_ignored() -> None:
    kept = {line[1:] for line in (CHECKOUT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = re.findall(r"^COPY (?!--)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    for name in (one for line in copied for one in line.split()):
        assert (CHECKOUT / name).exists(), name
        assert name in kept, f"{name} is kept out by .dockerignore"


def test_what_serving_uses_is_in_it() -> None:
    """`tests`, `bench` and `requirements/dev.txt` are not."""
    copied = set(re.findall(r"^COPY (\w+) \w+$", DOCKERFILE, re.MULTILINE))
    sources = [file.read_text() for room in ("apps", "config") for file in (CHECKOUT / room).rglob("*.py")]
    named = {name for text in sources for name in re.findall(r'BASE_DIR / "(\w+)"', text)}
    assert copied == {"apps", "config"} | {name for name in named if (CHECKOUT / name).is_dir()}


def test_debian_s_libraries_that_ours_are_linked_to_are_in_it() -> None:
    """What a wheel does not bring itself: missing, it is found out by whoever imports it first."""
    wheels = Path(np.__file__).parents[1]
    said = subprocess.run(
        ["ldd", *map(str, wheels.rglob("*.so"))], capture_output=True, text=True, timeout=within(120)
    ).stdout
    linked = set(re.findall(r"=> /(?:usr/)?lib/\S+/(\S+) ", said))
    assert linked - IN_THE_BASE_IMAGE <= INSTALLED.keys()
    for library in linked & INSTALLED.keys():
        assert re.search(rf"install .*\b{INSTALLED[library]}\b", LAST_STAGE), library


def test_container_script_makes_room_for_metrics_and_becomes_the_process(tmp_path: Path) -> None:
    old = tmp_path / "metrics" / "counter_1.db"
    old.parent.mkdir()
    old.write_text("of a process that is no more")
    script = CHECKOUT / "config" / "container.sh"
    said = subprocess.run(
        [str(script), "echo", "here I am"], env={"PROMETHEUS_MULTIPROC_DIR": str(old.parent), "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, check=True, timeout=within(60),
    )  # fmt: skip
    assert said.stdout == "here I am\n"
    assert list(old.parent.iterdir()) == []
