"""Signed webhooks over HTTP, as Standard Webhooks 1.0.0 asks: https://www.standardwebhooks.com

    webhook-id          the event's id: the same at every try, so a receiver can tell a repetition
    webhook-timestamp   of this try, seconds since 1970
    webhook-signature   v1,<HMAC-SHA-256 of "id.timestamp.body">, one for each secret that holds, a space between

2xx is success, everything else a failure; a redirect is one too. 410 says the receiver wants nothing more.
"""

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache

from standardwebhooks import Webhook

from apps.notifications.outcome import KEPT, Outcome, printable
from apps.notifications.targets import Network, NotAllowed, Target, parse, resolve

CONNECT_SECONDS = 5.0
#: For all of it, from the connection to the end of the answer, however slowly it drips.
TRY_SECONDS = 15.0
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


def post(url: str, body: bytes, headers: dict[str, str], networks: Sequence[Network]) -> Outcome:
    """One try. `networks`: private ones that may be called. Never raises for what the other side does."""
    started = time.monotonic()
    try:
        status, answer, retry_after = _exchange(parse(url, networks), body, headers, networks)
    except NotAllowed as refused:
        return _failed(str(refused), started)
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


class _Connection(http.client.HTTPConnection):
    """A connection to an address that was looked at before; TLS is for the name."""

    def __init__(self, target: Target, addresses: Sequence[str]) -> None:
        super().__init__(target.host, target.port)
        self.target, self.addresses = target, addresses
        self.default_port = 443 if target.https else 80  # the Host header leaves it out
        self.reached: socket.socket | None = None  # `sock` is forgotten while an answer is read to the end
        self.cut = False

    def connect(self) -> None:
        self.reached = self._reached()
        if self.target.https:
            self.reached = _tls().wrap_socket(self.reached, server_hostname=self.host)
        self.reached.settimeout(TRY_SECONDS)
        self.sock = self.reached

    def cut_off(self) -> None:
        """From another thread: whoever reads or writes here meets the end."""
        self.cut = True
        if self.reached is not None:
            with suppress(OSError):
                self.reached.shutdown(socket.SHUT_RDWR)

    def _reached(self) -> socket.socket:
        for address in self.addresses[:-1]:
            try:
                return socket.create_connection((address, self.port), CONNECT_SECONDS)
            except OSError:
                continue
        return socket.create_connection((self.addresses[-1], self.port), CONNECT_SECONDS)


def _exchange(
    target: Target, body: bytes, headers: dict[str, str], networks: Sequence[Network]
) -> tuple[int, str, float | None]:
    """Status, beginning of the answer, Retry-After in seconds."""
    connection = _Connection(target, resolve(target, networks))
    watch = threading.Timer(TRY_SECONDS, connection.cut_off)
    watch.daemon = True
    watch.start()
    try:
        told = {"Content-Type": "application/json", "User-Agent": "Palisade-Webhooks/1", "Connection": "close"}
        connection.request("POST", target.path, body, told | headers)
        response = connection.getresponse()
        answer = response.read(4 * KEPT).decode("utf-8", "replace")
        if connection.cut:
            raise TimeoutError
        return response.status, answer, _seconds(response.getheader("Retry-After"))
    except _TRANSPORT as failure:
        raise (TimeoutError() if connection.cut else failure) from failure
    finally:
        watch.cancel()
        connection.close()


def _seconds(said: str | None) -> float | None:
    """Retry-After in its form of seconds; its form of a date is left alone."""
    return float(said) if said is not None and said.isascii() and said.isdigit() and len(said) < 10 else None


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def _failed(why: str, started: float) -> Outcome:
    return Outcome(delivered=False, answer=printable(why), duration_ms=_since(started))


def _since(started: float) -> int:
    return int((time.monotonic() - started) * 1000)
