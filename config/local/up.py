"""`make up`: the embedded servers, the database brought up to date, every process of the Procfile, and what to do next.

    python -m config.local.up

Runs until Ctrl-C or SIGTERM, then stops all of it. Refuses with one sentence when a port or the data folder is taken.
"""

import errno
import fcntl
import json
import os
import shutil
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from config.local import embedded, preloading, procfile
from config.local.embedded import Unavailable
from config.local.servers import Server, Valkey
from config.local.supervisor import FIRST_PAUSE, Pause, Supervisor

CHECKOUT = embedded.CHECKOUT
#: A process that doesn't answer by then is named; it goes on being tried.
READY_SECONDS = 90.0
#: How a line of `manage.py prepare` begins that says what it does.
STEP = "... "
#: Gives the demo its past, aside: what is ready needn't wait for it.
SEED_DEMO = ("python", "manage.py", "seed_demo")
#: How often the journal's file is brought onto the disk.
SYNC_SECONDS = 1.0


@dataclass(frozen=True)
class Doors:
    """Where the two web processes listen."""

    host: str
    api_port: int
    portal_port: int

    @classmethod
    def from_environment(cls) -> "Doors":
        host = os.environ.get("PALISADE_HOST") or "127.0.0.1"
        return cls(host, _port("PALISADE_API_PORT", 8000), _port("PALISADE_PORTAL_PORT", 8501))

    @property
    def api(self) -> str:
        return f"http://{self._reachable}:{self.api_port}"

    @property
    def portal(self) -> str:
        return f"http://{self._reachable}:{self.portal_port}"

    @property
    def _reachable(self) -> str:
        """Listening on every address is no address to call."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - compared, not bound
        return f"[{host}]" if ":" in host else host

    def check(self) -> None:
        if self.api_port == self.portal_port:
            raise Unavailable(f"PALISADE_API_PORT and PALISADE_PORTAL_PORT are both {self.api_port}: they must differ.")
        _check_free(self.host, self.api_port, "PALISADE_API_PORT")
        _check_free(self.host, self.portal_port, "PALISADE_PORTAL_PORT")


class Steps:
    """Says what begins, and how many seconds after `make up` itself."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def say(self, what: str) -> None:
        print(f"palisade: {self.seconds:5.1f} s  {what}", flush=True)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started


def main() -> int:
    steps = Steps()
    try:
        with _stopped_by_signals():
            _up(steps)
    except Unavailable as trouble:
        print(f"palisade: {trouble}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        pass
    return 0


def _up(steps: Steps) -> None:
    doors = Doors.from_environment()
    doors.check()
    with _only_one_per_data_folder(), _servers_and_libraries(steps):
        environment = _environment_of_the_children()
        prepared = _prepare(environment, steps)
        _supervise(doors, prepared, environment, steps)
    print("palisade: stopped; the data is kept.", flush=True)


@contextmanager
def _servers_and_libraries(steps: Steps) -> Iterator[None]:
    """Both at once: the servers are programs of their own, and the libraries are one thread's work that ends here."""
    steps.say(f"loading libraries; starting {_named(embedded.servers()) or 'no server: both are named'}")
    with ThreadPoolExecutor(1) as aside:
        loaded = aside.submit(preloading.preload)
        with embedded.running():
            loaded.result()
            aside.shutdown()
            yield


def _named(servers: list[Server]) -> str:
    return " and ".join(f"{server.name} ({'its data' if server.data.exists() else 'new'})" for server in servers)


def _supervise(doors: Doors, prepared: dict[str, Any], environment: dict[str, str], steps: Steps) -> None:
    commands = procfile.commands(environment)
    steps.say(f"starting {', '.join(commands)}")
    supervisor = Supervisor(commands, environment, CHECKOUT)
    welcome, watch = Welcome(supervisor, doors, prepared, steps), Watch(supervisor)

    def look() -> None:
        watch.look()
        welcome.look()

    for number in _STOP_SIGNALS:
        signal.signal(number, lambda *_: supervisor.stop())
    supervisor.run(look)


class Watch:
    """The embedded servers are nobody's children here: looked at, and spawned again when they are gone."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._say = supervisor.say
        self._pauses: list[tuple[Server, Pause]] = [(server, Pause()) for server in embedded.servers()]
        self._journals = [server for server, _ in self._pauses if isinstance(server, Valkey)]
        self._sync_at = 0.0

    def look(self) -> None:
        if time.monotonic() >= self._sync_at:
            self._sync_at = time.monotonic() + SYNC_SECONDS
            for journal in self._journals:
                journal.sync()
        for server, pause in self._pauses:
            if time.monotonic() >= pause.until and not server.alive():
                self._say(f"{server.name} is gone; starting it again")
                pause.died(time.monotonic())
                pause.start(time.monotonic())
                embedded.revive(server)


class Welcome:
    """Waits for both doors to answer and then says, once, what can be done."""

    def __init__(self, supervisor: Supervisor, doors: Doors, prepared: dict[str, Any], steps: Steps) -> None:
        self._supervisor, self._doors, self._prepared, self._steps = supervisor, doors, prepared, steps
        self._awaited = {"the API": f"{doors.api}/health", "the portal": f"{doors.portal}/health"}
        self._late_at = time.monotonic() + READY_SECONDS
        self._pause, self._next = FIRST_PAUSE, 0.0

    def look(self) -> None:
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + self._pause
        self._pause = min(self._pause * 1.2, 2.0)  # one that fails writes a traceback each time it is asked
        self._ask()
        if not self._awaited:
            self._next = float("inf")
            print(banner(self._doors, self._prepared, self._steps.seconds), flush=True)
            if self._prepared:
                self._supervisor.run_once("demo", SEED_DEMO)
        elif time.monotonic() > self._late_at:
            self._late_at = float("inf")
            self._supervisor.say(f"not everything answers after {READY_SECONDS:.0f} s; the lines above may say why")

    def _ask(self) -> None:
        for name, address in list(self._awaited.items()):
            if answers(address):
                del self._awaited[name]
                self._steps.say(f"{name} answers")


def answers(address: str) -> bool:
    """Whether somebody is there who doesn't fail. 503 is an answer of a service that waits for its stores: not yet."""
    try:
        with urllib.request.urlopen(address, timeout=1):  # noqa: S310 - our own http address
            return True
    except urllib.error.HTTPError as answer:
        return answer.code < 500
    except OSError:
        return False


def banner(doors: Doors, prepared: dict[str, Any], seconds: float) -> str:
    demo = (
        demo_lines(doors, prepared)
        if prepared
        else "\nDemo mode is off: make a tenant and a key with manage.py tenant_create, key_create.\n"
    )
    return f"""
Palisade is up after {seconds:.1f} s.

  Scoring API     {doors.api}            its documentation: {doors.api}/docs
  Portal          {doors.portal}            operators' admin: {doors.portal}/admin/
{demo}
Ctrl-C stops everything; the data stays in {embedded.data_dir()}.
"""


def demo_lines(doors: Doors, prepared: dict[str, Any]) -> str:
    return f"""\
  Demo key        {prepared["demo_key"]}  (tenant {prepared["demo_tenant"]})
  Demo login      {prepared["demo_email"]}  password {prepared["demo_password"]}
  Operator        {prepared["operator_email"]}  password {prepared["operator_password"]}

A first decision:

{first_call(doors.api, prepared["demo_key"])}
"""


def first_call(api: str, key: str) -> str:
    """Somebody empties an account of 180,000 in one transfer. One line, to be pasted as it stands."""
    transaction = {
        "step": 1, "type": "TRANSFER", "amount": 180000.0,
        "nameOrig": "C1305486145", "oldbalanceOrg": 180000.0, "newbalanceOrig": 0.0,
        "nameDest": "C553264065", "oldbalanceDest": 0.0, "newbalanceDest": 180000.0,
    }  # fmt: skip
    body = json.dumps({"schema": "paysim", "transaction": transaction})
    headers = f"-H 'Authorization: Bearer {key}' -H 'Content-Type: application/json'"
    return f"curl -s {api}/v1/decisions {headers} -d '{body}'"


def _prepare(environment: dict[str, str], steps: Steps) -> dict[str, Any]:
    """Migrate, refresh the tenants' template, seed the demo. The last line it prints is a JSON object."""
    steps.say("looking at the database")
    process = preloading.start(["python", "manage.py", "prepare", "--json"], environment, CHECKOUT)
    try:
        value = _passed_on(process.output, steps)
    except BaseException:
        with suppress(ProcessLookupError):  # it may have had the same Ctrl-C
            os.killpg(process.pid, signal.SIGTERM)
        process.reap()
        raise
    if process.reap() != 0:
        raise Unavailable("the database could not be prepared.\n" + "".join(value).rstrip())
    return dict(json.loads(value[-1]))


def _passed_on(output: int, steps: Steps) -> list[str]:
    """All its lines; those that say what it does are steps of ours."""
    value = []
    with open(output, errors="replace", closefd=False) as lines:
        for line in lines:
            value.append(line)
            if line.startswith(STEP):
                steps.say(line.removeprefix(STEP).rstrip())
    return value


def _environment_of_the_children() -> dict[str, str]:
    metrics = embedded.data_dir() / "metrics"
    shutil.rmtree(metrics, ignore_errors=True)  # the counters of processes that are no more
    embedded.make_folder(metrics)
    own_programs = str(Path(sys.executable).parent)
    return {"PALISADE_DEMO": "1"} | os.environ | {
        "PATH": os.pathsep.join([own_programs, os.environ.get("PATH", os.defpath)]),
        "PALISADE_DATA": str(embedded.data_dir()),
        "PROMETHEUS_MULTIPROC_DIR": str(metrics),
        "PYTHONUNBUFFERED": "1",
    }  # fmt: skip


@contextmanager
def _only_one_per_data_folder() -> Iterator[None]:
    embedded.make_folder(embedded.data_dir())
    with open(embedded.data_dir() / "up.lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Unavailable(
                f"another `make up` already uses {embedded.data_dir()}. Stop it, or set PALISADE_DATA to another one."
            ) from None
        yield


_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """Until the supervisor takes over: the first signal ends what is going on, more don't disturb the tidying."""

    def stop(number: int, frame: FrameType | None) -> None:
        _ignore_further_signals()
        raise KeyboardInterrupt

    for number in _STOP_SIGNALS:
        signal.signal(number, stop)
    yield


def _ignore_further_signals() -> None:
    """By a handler that does nothing: SIG_IGN would be inherited by children."""
    for number in _STOP_SIGNALS:
        signal.signal(number, lambda *_: None)


def _port(variable: str, default: int) -> int:
    text = os.environ.get(variable) or str(default)
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise Unavailable(f"{variable} is {text!r}: a port is a number from 1 to 65535.")
    return int(text)


def _check_free(host: str, port: int, variable: str) -> None:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except socket.gaierror:
        raise Unavailable(f"PALISADE_HOST is {host!r}, which is no address of this machine.") from None
    with socket.socket(family, kind, protocol) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port just closed counts as free
        try:
            trial.bind(address)
        except OSError as trouble:
            raise Unavailable(_why_not(trouble, host, port, variable)) from None


def _why_not(trouble: OSError, host: str, port: int, variable: str) -> str:
    if trouble.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is already in use. Set {variable} to a free one."
    return f"nothing can listen on {host} port {port}: {trouble.strerror}. See PALISADE_HOST and {variable}."


if __name__ == "__main__":
    sys.exit(main())
