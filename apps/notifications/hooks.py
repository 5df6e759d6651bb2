"""Signed webhooks over HTTP, as Standard Webhooks 1.0.0 asks: https://www.standardwebhooks.com

    webhook-id          the event's id: the same at every try, so a receiver can tell a repetition
    webhook-timestamp   of this try, seconds since 1970
    webhook-signature   v1,<HMAC-SHA-256 of "id.timestamp.body">, one for each secret that holds, a space between

2xx is success, everything else a failure; a redirect is one too. 410 says the receiver wants nothing more.
"""

import http.client
import io
import logging
import socket
import ssl
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime
from functools import cache
from typing import Any, cast

from standardwebhooks import Webhook

from apps.notifications.outcome import KEPT, Outcome, printable
from apps.notifications.targets import LookUp, Network, NotAllowed, Target, Unreachable, look_up, parse, resolve

log = logging.getLogger(__name__)

CONNECT_SECONDS = 5.0
#: For all of it, from the name to the end of the answer, however slowly it drips. Only the system's resolver has an
#: end of its own (apps/notifications/management/commands/deliver.py).
TRY_SECONDS = 15.0
#: Of an answer, its head included; much more than what is kept of one.
MOST_BYTES = 256 * 1024
#: The same words for a name that does not resolve and one that resolves to what may not be called.
UNREACHABLE = "The name leads to no address that may be called."
_TRANSPORT = (OSError, http.client.HTTPException, UnicodeError)


def sign(event_id: str, body: bytes, secrets: Sequence[str], now: datetime) -> dict[str, str]:
    """The three headers of one try."""
    now = now.astimezone(UTC)
    signatures = [Webhook(secret).sign(event_id, now, body.decode()) for secret in secrets]
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


def post(
    url: str, body: bytes, headers: dict[str, str], networks: Sequence[Network], look_up: LookUp = look_up
) -> Outcome:
    """One try. `networks`: private ones that may be called. Never raises for what the other side does."""
    started, deadline = time.monotonic(), _Deadline(TRY_SECONDS)
    try:
        target = parse(url, networks)
        addresses = resolve(target, networks, look_up)
        status, answer, retry_after = _exchange(target, body, headers, addresses, deadline)
    except NotAllowed as refused:
        return _failed(str(refused), started)
    except Unreachable as unreachable:
        log.warning("a webhook can't be sent: %s", unreachable)
        return _failed(UNREACHABLE, started)
    except TimeoutError:
        return _failed(f"No answer within {TRY_SECONDS:.0f} s.", started)
    except _TRANSPORT as failure:
        return _failed(f"{type(failure).__name__}: {failure}", started)
    return Outcome(
        delivered=200 <= status < 300,
        status=status,
        answer=printable(answer),
        final=status == 410,
        gone=status == 410,
        retry_after=retry_after,
        duration_ms=_since(started),
    )


class _Deadline:
    """One end for everything a try does."""

    def __init__(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds. Raises `TimeoutError` when there are none."""
        left = self._at - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


class _Answer(io.RawIOBase):
    """What comes over a socket: until the deadline, however slowly it drips, and up to `MOST_BYTES`."""

    def __init__(self, reached: socket.socket, deadline: _Deadline) -> None:
        self._reached, self._deadline, self._room = reached, deadline, MOST_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._reached.settimeout(self._deadline.left())
        count = self._reached.recv_into(buffer)
        self._room -= count
        if self._room < 0:
            raise http.client.HTTPException(f"the answer has more than {MOST_BYTES:,} bytes")
        return count


class _Wire:
    """A socket as http.client uses one, with the try's deadline over every step. Whoever opened it closes it."""

    def __init__(self, reached: socket.socket, deadline: _Deadline) -> None:
        self._reached, self._deadline = reached, deadline

    def sendall(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            self._reached.settimeout(self._deadline.left())
            rest = rest[self._reached.send(rest) :]

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Answer(self._reached, self._deadline))

    def close(self) -> None:
        """http.client is done with it before the answer is read."""


def _exchange(
    target: Target, body: bytes, headers: dict[str, str], addresses: Sequence[str], deadline: _Deadline
) -> tuple[int, str, float | None]:
    """Status, beginning of the answer, Retry-After in seconds."""
    with closing(_reached(target, addresses, deadline)) as reached:
        connection = http.client.HTTPConnection(target.host, target.port)
        connection.default_port = 443 if target.https else 80  # the Host header leaves it out
        connection.sock = cast(socket.socket, _Wire(reached, deadline))
        own_headers = {"Content-Type": "application/json", "User-Agent": "Palisade-Webhooks/1", "Connection": "close"}
        connection.request("POST", target.path, body, own_headers | headers)
        response = connection.getresponse()
        answer = response.read(4 * KEPT).decode("utf-8", "replace")
        return response.status, answer, _seconds(response.getheader("Retry-After"))


def _reached(target: Target, addresses: Sequence[str], deadline: _Deadline) -> socket.socket:
    """A connection to one of the addresses that were looked at; TLS is for the name."""
    reached = _connected(target, addresses, deadline)
    if not target.https:
        return reached
    try:
        reached.settimeout(deadline.left())
        return _tls().wrap_socket(reached, server_hostname=target.host)
    except BaseException:
        reached.close()
        raise


def _connected(target: Target, addresses: Sequence[str], deadline: _Deadline) -> socket.socket:
    """To the first address that takes it; the last one's failure is the failure."""
    for address in addresses[:-1]:
        with suppress(OSError):
            return socket.create_connection((address, target.port), min(CONNECT_SECONDS, deadline.left()))
    return socket.create_connection((addresses[-1], target.port), min(CONNECT_SECONDS, deadline.left()))


def _seconds(value: str | None) -> float | None:
    """Retry-After in its form of seconds; its form of a date is left alone."""
    return float(value) if value is not None and value.isascii() and value.isdigit() and len(value) < 10 else None


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def _failed(why: str, started: float) -> Outcome:
    return Outcome(delivered=False, answer=printable(why), duration_ms=_since(started))


def _since(started: float) -> int:
    return int((time.monotonic() - started) * 1000)
