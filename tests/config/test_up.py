"""`make up` as a user meets it: the real processes, killed one by one, stopped, started again."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from config.local.supervisor import read_procfile
from tests.copies import Copy, running, until
from tests.pace import within


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Copy]:
    with running(tmp_path_factory.mktemp("up") / "data") as copy:
        yield copy


def test_curl_line_of_the_banner_works_as_it_stands(up: Copy) -> None:
    decision = up.first_call()
    assert decision["object"] == "decision"
    assert decision["recommended_action"] == "block"


def test_second_copy_runs_beside_the_first_on_ports_and_data_of_its_own(up: Copy, tmp_path: Path) -> None:
    other = Copy(tmp_path / "data").start()
    try:
        assert other.ready().scores(), other.output
        assert up.scores(), up.output
    finally:
        other.stop()
    assert up.scores(), up.output


def test_port_in_use_is_one_sentence_that_names_port_and_variable(up: Copy, tmp_path: Path) -> None:
    late = Copy(tmp_path / "data", PALISADE_API_PORT=str(up.api_port)).start()
    assert late.process.wait(within(10)) == 1
    late.stop()
    assert late.output == (
        f"palisade: port {up.api_port} on 127.0.0.1 is already in use. Set PALISADE_API_PORT to a free one.\n"
    )


def test_second_copy_on_the_same_data_is_refused_with_a_sentence(up: Copy) -> None:
    late = Copy(up.data).start()
    assert late.process.wait(within(10)) == 1
    late.stop()
    assert "another `make up` already uses" in late.output
    assert "Traceback" not in late.output


@pytest.mark.parametrize(
    "part",
    [
        "bin/postgres -D",
        "valkey-server",
        "manage.py record",
        "manage.py deliver",
        "config.serving.api",
        "-A config worker",
    ],
)
def test_process_killed_by_force_is_replaced_and_scoring_goes_on(up: Copy, part: str) -> None:
    """Of gunicorn's processes the youngest is a worker."""
    victim = max(up.pids(part))
    before = len(up.pids(part))
    os.kill(victim, signal.SIGKILL)
    assert until(lambda: len(up.pids(part) - {victim}) == before, 30)
    assert until(up.scores, 10), up.output


def test_master_of_the_api_killed_by_force_takes_its_workers_along_and_a_new_one_comes(up: Copy) -> None:
    before = up.pids("config.serving.api")
    os.kill(min(before), signal.SIGKILL)
    assert until(lambda: not before & up.pids("config.serving.api"), 30)
    assert until(up.scores, 10), up.output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_signal_to_make_up_leaves_nothing_running_and_the_next_start_keeps_the_data(up: Copy, number: int) -> None:
    decision = up.first_call()
    status, sockets = up.stop(number), up.sockets
    assert until(lambda: not up.processes(), 30), up.processes()
    assert not sockets.exists()
    assert status == (-signal.SIGKILL if number == signal.SIGKILL else 0)
    up.output = ""
    up.start().ready()
    assert kept(up, decision["id"])["id"] == decision["id"]


def kept(up: Copy, decision: str) -> dict[str, Any]:
    address = f"http://127.0.0.1:{up.api_port}/v1/decisions/{decision}"
    return json.loads(
        subprocess.run(["curl", "-s", address], capture_output=True, check=True, timeout=within(30)).stdout
    )


def test_procfile_variables_are_taken_from_the_environment_or_their_default(tmp_path: Path) -> None:
    (tmp_path / "Procfile").write_text('# a comment\nweb: serve --on ${HOST:-::1}:$PORT "two words"\n')
    read = read_procfile(tmp_path / "Procfile", {"PORT": "80"})
    assert read == {"web": ["serve", "--on", "::1:80", "two words"]}
