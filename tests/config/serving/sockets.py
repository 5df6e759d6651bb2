"""Clients that speak HTTP by hand, as slow, broken and hostile ones do."""

import json
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Event, Thread
from urllib.parse import urlsplit

import httpx

from tests.pace import within

WAIT = within(30)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        return str(json.loads(self.body)["code"])


class Peer:
    """A connection as its client holds it."""

    def __init__(self, address: str) -> None:
        where = urlsplit(address)
        self.socket = socket.create_connection((where.hostname or "", where.port or 0), timeout=WAIT)
        self._read = b""

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, *failure: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def send_as_much_as_goes(self, data: bytes) -> None:
        """For who is refused in the middle of it: the answer is there to be read."""
        with suppress(OSError):
            self.socket.sendall(data)

    def read_until(self, mark: bytes) -> bytes:
        """Everything up to the mark. Raises `ConnectionError` when the connection ends before it."""
        while mark not in self._read:
            self._receive()
        found, _, self._read = self._read.partition(mark)
        return found

    def answer(self, *, head_only: bool = False) -> Answer:
        """One answer with a Content-Length."""
        first, *lines = self.read_until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        size = 0 if head_only else int(headers["content-length"])
        while len(self._read) < size:
            self._receive()
        body, self._read = self._read[:size], self._read[size:]
        return Answer(int(first.split()[1]), headers, body)

    def is_closed(self) -> bool:
        """Whether the other side ends the connection within `WAIT`."""
        try:
            while True:
                self._receive()
        except TimeoutError:
            return False
        except OSError:
            return True

    def _receive(self) -> None:
        found = self.socket.recv(65536)
        if not found:
            raise ConnectionError("closed before the answer was whole")
        self._read += found


def ask(address: str, *pieces: bytes) -> Answer:
    """Send pieces over a new connection and read one answer."""
    with Peer(address) as peer:
        for piece in pieces:
            peer.send(piece)
        return peer.answer()


@dataclass
class Honest:
    """Clients that ask properly, over and over, each on a connection of its own, until told to stop."""

    ask: Callable[[httpx.Client], int]
    address: str
    number: int = 8
    seconds: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def during(self, seconds: float) -> "Honest":
        stop = Event()
        threads = [Thread(target=self._go_on, args=(stop,), daemon=True) for _ in range(self.number)]
        for thread in threads:
            thread.start()
        stop.wait(seconds)
        stop.set()
        for thread in threads:
            thread.join(WAIT)
        return self

    def percentile(self, share: float) -> float:
        return sorted(self.seconds)[int(len(self.seconds) * share)]

    def _go_on(self, stop: Event) -> None:
        with httpx.Client(base_url=self.address, timeout=WAIT) as client:
            while not stop.is_set():
                begun = time.perf_counter()
                try:
                    status = self.ask(client)
                except httpx.HTTPError as failure:
                    self.failures.append(repr(failure))
                    continue
                self.seconds.append(time.perf_counter() - begun)
                if status != 200:
                    self.failures.append(str(status))


class Crowd:
    """So many connections that each begin something slow, again as soon as they are cut, until the block ends."""

    def __init__(self, address: str, number: int, beginnings: Sequence[bytes], *, reading: bool = True) -> None:
        self.address, self.number, self.beginnings, self.reading = address, number, beginnings, reading
        self.stop = Event()
        self.cut = 0

    def __enter__(self) -> "Crowd":
        self.open = [self._new(index) for index in range(self.number)]
        self.thread = Thread(target=self._keep_up, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self.stop.set()
        self.thread.join(WAIT)
        for one in self.open:
            one.close()

    def were_cut(self) -> bool:
        """Whether as many as there are get cut, sooner or later."""
        deadline = time.monotonic() + WAIT
        while self.cut < self.number and time.monotonic() < deadline:
            time.sleep(0.1)
        return self.cut >= self.number

    def _new(self, index: int) -> socket.socket:
        one = Peer(self.address).socket
        one.setblocking(False)
        with suppress(BlockingIOError):  # who doesn't read can't send for ever either
            one.send(self.beginnings[index % len(self.beginnings)])
        return one

    def _keep_up(self) -> None:
        """A byte a second each; whoever was cut comes back."""
        while not self.stop.wait(1.0):
            for index, one in enumerate(self.open):
                if self._was_cut(one) and not self.stop.is_set():
                    self.cut += 1
                    one.close()
                    self.open[index] = self._new(index)

    def _was_cut(self, one: socket.socket) -> bool:
        try:
            one.send(b"x")
            while self.reading:
                if one.recv(65536) == b"":
                    return True
            return False
        except BlockingIOError:
            return False
        except OSError:
            return True
