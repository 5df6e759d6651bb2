"""200 clients that are slow to send heads and bodies, or to read answers, beside 8 honest ones: the API and the portal.

python -m bench.slow [--clients 200] [--seconds 8]
"""

import argparse
import contextlib
import json
import selectors
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import IO, NamedTuple, cast
from urllib.parse import urlsplit

from apps.api_keys import keys
from bench import copy as copies
from bench.copy import PYTHON, ROOT, Copy
from bench.measures import Load, load

HONEST = 8
SLOW = 200
#: A head, and the first byte of its body; "{}" is what it says of the body.
_HEAD = "POST {} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{}\r\n\r\n{{"


class Crowd(NamedTuple):
    """What the slow ones begin with, in turn, and whether they read what they are told."""

    name: str
    beginnings: Sequence[bytes]
    reads: bool


def crowds(key: str) -> tuple[Crowd, ...]:
    made_up = keys.generate("abc123", livemode=True)
    begun = [
        _HEAD.format("/v1/decisions", f"X-API-Key: {key}\r\nContent-Length: 500"),
        _HEAD.format("/v1/decisions", f"X-API-Key: {made_up}\r\nContent-Length: 500"),
        _HEAD.format("/stripe/webhook", "Content-Length: 500"),
        _HEAD.format("/admin/login/", "Content-Length: 500"),
        _HEAD.format("/predict", f"X-API-Key: {key}\r\nTransfer-Encoding: chunked").replace("{", "5\r\n{"),
        "POST /v1/decisions HTTP/1.1\r\nHost: localhost\r\nX-",
    ]
    unread = b"GET /static/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 5
    return (
        Crowd("slow to send", [text.encode() for text in begun], True),
        Crowd("slow to read", [unread], False),
    )


@contextmanager
def beside(url: str, crowd: Crowd, number: int) -> Iterator[None]:
    """The crowd, in a process of its own, while the block runs."""
    said = json.dumps([url, number, crowd.reads, [beginning.decode() for beginning in crowd.beginnings]])
    process = subprocess.Popen([PYTHON, "-m", "bench.slow", "--crowd", said], cwd=ROOT, stdout=subprocess.PIPE)
    cast(IO[bytes], process.stdout).readline()  # all of them are connected
    try:
        yield
    finally:
        process.kill()
        process.wait()


def be_slow(url: str, number: int, reads: bool, beginnings: Sequence[bytes], seconds: float = 120) -> None:
    """Hold so many connections, send a byte a second over each, and come back when cut."""
    where, chooser = urlsplit(url), selectors.DefaultSelector()
    ends, sent_at = time.monotonic() + seconds, 0.0

    def connect(index: int) -> None:
        one = socket.create_connection((where.hostname or "", where.port or 0))
        one.setblocking(False)
        with contextlib.suppress(OSError):
            one.send(beginnings[index % len(beginnings)])
        chooser.register(one, selectors.EVENT_READ if reads else selectors.EVENT_WRITE, index)

    for index in range(number):
        connect(index)
    print("connected", flush=True)
    while time.monotonic() < ends:
        if reads:
            for known, _ in chooser.select(0.2):
                _read(chooser, known, connect)
        else:
            time.sleep(0.2)
        if time.monotonic() - sent_at >= 1.0:
            sent_at = time.monotonic()
            for known in list(chooser.get_map().values()):
                _send_a_byte(chooser, known, connect)


def _read(chooser: selectors.BaseSelector, known: selectors.SelectorKey, connect: Callable[[int], None]) -> None:
    one = cast(socket.socket, known.fileobj)
    try:
        gone = one.recv(65536) == b""
    except BlockingIOError:
        return
    except OSError:
        gone = True
    if gone:
        _again(chooser, known, connect)


def _send_a_byte(chooser: selectors.BaseSelector, known: selectors.SelectorKey, connect: Callable[[int], None]) -> None:
    one = cast(socket.socket, known.fileobj)
    try:
        one.send(b"x")
    except BlockingIOError:
        return
    except OSError:
        _again(chooser, known, connect)


def _again(chooser: selectors.BaseSelector, known: selectors.SelectorKey, connect: Callable[[int], None]) -> None:
    chooser.unregister(known.fileobj)
    known.fileobj.close()  # type: ignore[union-attr]
    connect(known.data)


def measured(copy: Copy, key: str, number: int = SLOW, seconds: float = 8, rounds: int = 3) -> list[str]:
    """The table, as lines of Markdown: honest clients alone and beside each crowd, in turn."""
    lines = [
        f"{HONEST} honest clients beside {number} slow ones (a byte a second, back when cut), median of {rounds}:",
        "",
        "| honest clients of | alone, p99 | beside | p99 | ÷ alone (≤ 1.5) | failed |",
        "|---|---|---|---|---|---|",
    ]
    for name, url, path, secret in (
        ("the API, decisions", copy.api, "/v1/decisions", key),
        ("the portal, its first page", copy.portal, "/", ""),
    ):
        for crowd in crowds(key):
            alone, held = [], []
            for _ in range(rounds):
                alone.append(_honest(url, path, secret, seconds))
                with beside(url, crowd, number):
                    held.append(_honest(url, path, secret, seconds))
            ratio = statistics.median(b.p99_ms / a.p99_ms for a, b in zip(alone, held, strict=True))
            failed = sum(one.errors for one in held)
            figures = f"{_p99(alone):.1f} ms | {number} {crowd.name} | {_p99(held):.1f} ms | **{ratio:.2f}**"
            lines.append(f"| {name} | {figures} | {failed} |")
    return lines


def _honest(url: str, path: str, key: str, seconds: float) -> Load:
    return load(url, path, key, HONEST, seconds, get=path == "/")


def _p99(loads: Sequence[Load]) -> float:
    return statistics.median(one.p99_ms for one in loads)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=SLOW)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--crowd", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.crowd:
        url, number, reads, beginnings = json.loads(options.crowd)
        be_slow(url, number, reads, [beginning.encode() for beginning in beginnings])
        return
    with copies.running() as copy:
        key = copy.tenant_with_key("bench")
        print("\n".join(measured(copy, key, options.clients, options.seconds, options.rounds)))


if __name__ == "__main__":
    sys.exit(main())
