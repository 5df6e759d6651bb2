"""A customer's server: real HTTP on a port of its own; keeps what it was sent, answers as it is told."""

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from threading import Event, Thread

from tests.http_server import EndingServer
from tests.pace import within


@dataclass(frozen=True)
class Received:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """`answers` are given in turn, the last one for ever: (status, headers, body); `drip` seconds between bytes.

    While `answering_now` is cleared it takes what comes and answers nothing.
    """

    port: int = 0
    received: list[Received] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str], bytes]] = field(default_factory=lambda: [(200, {}, b"ok")])
    drip: float = 0.0
    answering_now: Event = field(default_factory=Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?from=palisade"

    def answering(self, *statuses: int, **headers: str) -> None:
        said = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answers = [(status, said, b"said") for status in statuses]

    def next_answer(self) -> tuple[int, dict[str, str], bytes]:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


#: Nothing outlives its test for longer.
LONGEST_HELD = 60.0


class Server(EndingServer):
    request_queue_size = 256


@contextmanager
def receiving(certificate: tuple[Path, Path] | None = None) -> Iterator[Receiver]:
    """A receiver; with (certificate, key) it speaks TLS."""
    receiver = Receiver()
    receiver.answering_now.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.received.append(Received(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            receiver.answering_now.wait(LONGEST_HELD)
            status, headers, answer = receiver.next_answer()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            for byte in answer if receiver.drip else ():
                self.wfile.write(bytes([byte]))
                time.sleep(receiver.drip)
            self.wfile.write(b"" if receiver.drip else answer)

        def log_message(self, *_: object) -> None: ...

    server = Server(("127.0.0.1", 0), Handler)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    receiver.port = server.server_address[1]
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield receiver
    finally:
        receiver.answering_now.set()
        server.shutdown()
        server.server_close()


@contextmanager
def dripping(first: bytes, again: bytes, every: float) -> Iterator[int]:
    """The port of a server that says `first`, and then `again` for ever; to whoever comes, whatever they say."""
    ended = Event()

    def serve(caller: socket.socket) -> None:
        with caller, suppress(OSError):
            caller.sendall(first)
            while not ended.wait(every):
                caller.sendall(again)

    def accept(server: socket.socket) -> None:
        with suppress(OSError):
            while True:
                caller = server.accept()[0]
                caller.settimeout(1)
                threads.append(Thread(target=serve, args=(caller,), daemon=True))
                threads[-1].start()

    threads: list[Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        accepting = Thread(target=accept, args=(server,), daemon=True)
        accepting.start()
        try:
            yield server.getsockname()[1]
        finally:
            ended.set()
            server.shutdown(socket.SHUT_RDWR)
            accepting.join(within(10))
    for thread in threads:
        thread.join(within(10))
