"""Several machines over the suite's own stores: an API and a recorder each, killed whole as by a power cut."""

import http.client
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings

from bench.transactions import question
from config.local import embedded
from tests.live import environment_of, free_port
from tests.pace import within
from tests.survival.client import Client

#: What all machines of an installation have alike.
SECRETS = {
    "PALISADE_SECRET_KEY": settings.SECRET_KEY,
    "PALISADE_KEY_PEPPER": settings.KEY_PEPPER,
    "PALISADE_TOKEN_SECRET": settings.TOKEN_SECRET,
    "PALISADE_SEALING_KEYS": ",".join(settings.SEALING_KEYS),
    "PALISADE_BACKUP_KEY": settings.BACKUP_KEY,
}


class Machine:
    """An API and a recorder with a folder of their own."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.port = free_port()
        own = {
            "PALISADE_DATA": str(folder),
            "PALISADE_API_PORT": str(self.port),
            "PALISADE_API_WORKERS": "1",
            "PALISADE_BATCH_SCRATCH": str(folder / "scratch"),
        }
        self.environment = environment_of("config.settings.api", **SECRETS, **own, **environment)
        gunicorn = str(Path(sys.executable).parent / "gunicorn")
        self.api = self._begun([gunicorn, "--config", "python:config.serving.api"])
        self.recorder = self._begun([sys.executable, "manage.py", "record"])

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + within(40)
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=within(5))
            try:
                connection.request("GET", "/ready")
                if connection.getresponse().status == 200:
                    return
            except (OSError, http.client.HTTPException):
                assert self.api.poll() is None, "the API ended"
            finally:
                connection.close()
            assert time.monotonic() < deadline, "the API is not ready"
            time.sleep(0.05)

    def kill(self, process: "subprocess.Popen[bytes]") -> None:
        """A process and all below it, by SIGKILL."""
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(within(10))

    def _begun(self, command: Sequence[str]) -> "subprocess.Popen[bytes]":
        """In a group of its own, to be killed as one."""
        return subprocess.Popen(command, cwd=embedded.CHECKOUT, env=self.environment, start_new_session=True)


@contextmanager
def machines(number: int, **environment: str) -> Iterator[list[Machine]]:
    """So many, ready; killed at the end."""
    with ExitStack() as stack:
        made = []
        for _ in range(number):
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="palisade-machine-"))
            made.append(Machine(Path(folder), **environment))
            stack.callback(made[-1].kill, made[-1].api)
            stack.callback(made[-1].kill, made[-1].recorder)
        for machine in made:
            machine.wait_until_ready()
        yield made


class Balanced:
    """A client behind a balancer: a machine that does not answer is left for the next."""

    def __init__(self, machines: Sequence[Machine], key: str, first: int = 0) -> None:
        self.clients = [Client(machine.address, key) for machine in machines]
        self.turn = first
        self.refused = 0  # 429 and 503

    def ask(self, body: Any, stop: threading.Event) -> dict[str, Any]:
        """The answer, whoever dies meanwhile: the same transaction is sent until it is answered 200."""
        limit = time.monotonic() + within(40)
        while time.monotonic() < limit and not stop.is_set():
            try:
                status, _, answer = self.clients[self.turn % len(self.clients)].post("/v1/decisions", body)
            except (OSError, http.client.HTTPException):
                self.turn += 1
                continue
            if status == 200:
                return dict(json.loads(answer))
            assert status in (429, 503), f"{status}: {answer.decode()}"
            self.refused += 1
            stop.wait(0.05)
        raise AssertionError("never answered")


def transactions(client: int, number: int) -> Iterator[dict[str, Any]]:
    """So many that differ, each with an id: repeated, the same facts are the same decision."""
    chance = random.Random(client)
    for one in range(number):
        body = question(chance)
        yield {**body, "transaction": {**body["transaction"], "transaction_id": f"c{client}-{one}"}}


def until(holds: Callable[[], object], otherwise: str, seconds: float = 30) -> float:
    """Wait for it; the seconds it took."""
    begun = time.monotonic()
    while not holds():
        assert time.monotonic() - begun < within(seconds), otherwise
        time.sleep(0.02)
    return time.monotonic() - begun
