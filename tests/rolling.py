"""Servers that are restarted under load: the API by gunicorn, clients that never ask twice, and who balances them."""

import http.client
import json
import select
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

from config.local.embedded import CHECKOUT
from tests.api.bodies import HONEST
from tests.live import end, environment_of
from tests.pace import within

CLIENTS = 4
BODY = json.dumps(HONEST)


class Server:
    """The API by gunicorn: on a port of its own, or on a socket that is handed to it as systemd does."""

    def __init__(self, port: int, handed: socket.socket | None = None, drain: int = 0) -> None:
        self.port, self.handed = port, handed
        own = {"PALISADE_API_PORT": str(port), "PALISADE_API_WORKERS": "1", "PALISADE_DRAIN_SECONDS": str(drain)}
        self.environment = environment_of("config.settings.api", **own)

    def start(self) -> None:
        command = [str(Path(sys.executable).parent / "gunicorn"), "--config", "python:config.serving.api"]
        if self.handed is not None:
            command = ["bash", "-c", 'LISTEN_FDS=1 LISTEN_PID=$$ exec "$0" "$@" 3<&"$HANDED"', *command]
            self.environment["HANDED"] = str(self.handed.fileno())
        handed = [self.handed.fileno()] if self.handed is not None else []
        self.process = subprocess.Popen(command, env=self.environment, cwd=CHECKOUT, pass_fds=handed)

    def restart(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(within(30))
        self.start()

    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/ready", timeout=within(5)):
                return True
        except OSError:
            return False


@contextmanager
def running(*servers: Server) -> Iterator[None]:
    for server in servers:
        server.start()
    try:
        for server in servers:
            until(server.ready)
        yield
    finally:
        for server in servers:
            server.process.terminate()
        for server in servers:
            end(server.process)


class Client(Thread):
    """Asks on without ever asking again: what goes wrong is kept. Its connections are held as a balancer holds them."""

    def __init__(self, key: str, where: Callable[[], Sequence[int]]) -> None:
        super().__init__()
        self.key, self.where = key, where
        self.stop, self.answered, self.troubles = Event(), 0, list[str]()
        self.connections: dict[int, http.client.HTTPConnection] = {}

    def run(self) -> None:
        while not self.stop.is_set():
            ports = self.where()
            try:
                self._ask(ports[self.answered % len(ports)])
            except (OSError, http.client.HTTPException, IndexError, AssertionError) as trouble:
                self.troubles.append(repr(trouble))
        for connection in self.connections.values():
            connection.close()

    def _ask(self, port: int) -> None:
        connection = self.connections.setdefault(
            port, http.client.HTTPConnection("127.0.0.1", port, timeout=within(60))
        )
        if connection.sock and select.select([connection.sock], [], [], 0)[0]:
            connection.close()  # the other side has closed it meanwhile
        said = {"Content-Type": "application/json", "Authorization": f"Bearer {self.key}"}
        connection.request("POST", "/v1/decisions", BODY, said)
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 200, body
        self.answered += 1
        time.sleep(0.01)  # a load, and processor left for those that start


@contextmanager
def calling(key: str, where: Callable[[], Sequence[int]]) -> Iterator[list[Client]]:
    clients = [Client(key, where) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        yield clients
    finally:
        for client in clients:
            client.stop.set()
        for client in clients:
            client.join(within(60))


@contextmanager
def balancing(servers: Sequence[Server]) -> Iterator[Callable[[], Sequence[int]]]:
    """Ports of those that said to be ready when last asked, which is ten times a second."""
    ready, over = [server.port for server in servers], Event()

    def look() -> None:
        while not over.wait(0.1):
            ready[:] = [server.port for server in servers if server.ready()]

    watch = Thread(target=look, daemon=True)
    watch.start()
    try:
        yield lambda: list(ready)
    finally:
        over.set()
        watch.join(within(20))


def until(holds: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + within(seconds)
    while not holds():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.05)


def some_more(clients: Sequence[Client]) -> None:
    """Each client is answered five times more."""
    wanted = [client.answered + 5 for client in clients]
    until(lambda: all(client.answered >= least for client, least in zip(clients, wanted, strict=True)))


def troubles(clients: Sequence[Client]) -> list[str]:
    """All that went wrong for any of them."""
    return [trouble for client in clients for trouble in client.troubles]
