"""Valkey as the hot path needs it: one connection a thread, scripts by digest, and `Away` when it does not answer.

redis-py makes the connection (URL, TLS, password); bytes go straight to its socket and to hiredis' parser. Its pool,
retries and per-command bookkeeping are left out because they cost 45 µs of a 60 µs call, and the kernel keeps the
time-out because Python's own asks `poll` before each `send` and `recv`. A server that failed is not asked again for
`RETRY_SECONDS`, so that a request during an outage costs no time-out.
"""

import hashlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, cast

import redis
from hiredis import Reader, pack_command
from redis.connection import ConnectionPool
from redis.exceptions import BusyLoadingError, NoScriptError, ReadOnlyError, ResponseError

from apps import company

#: How long a server that failed is left alone.
RETRY_SECONDS = 0.25
READ_BYTES = 65_536

Argument = bytes | str | int | float

_pack: Callable[[tuple[Argument, ...]], bytes] = cast(Any, pack_command)  # its stub knows one-tuples only


class Away(Exception):
    """The server can't be reached or does not answer. What was asked may or may not have happened."""


class ProtocolError(Exception):
    """What the server answered can't be read."""


class Script:
    """A Lua script and its digest. All its keys share one hash tag, so it also runs on a cluster.

    `acknowledges`: what it writes is promised to somebody, so that a cluster has a replica confirm it.
    """

    def __init__(self, text: str, *, acknowledges: bool = False) -> None:
        self.text = text
        self.acknowledges = acknowledges
        self.digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


class Valkey:
    """One server. Safe for threads (each has its own connection) and for forks made before first use."""

    def __init__(self, url: str, timeout: float) -> None:
        self.url = url
        self._pool = ConnectionPool.from_url(
            url, socket_timeout=timeout, socket_connect_timeout=timeout, protocol=2, decode_responses=False
        )
        self._timeout = timeout
        self._local = threading.local()
        self._away_until = 0.0
        self.round_trips = 0

    def primaries(self) -> Sequence["Valkey"]:
        """The servers that have the keys: this one; of a cluster several."""
        return [self]

    def run(self, script: Script, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        """Run a script: one round trip, two when the server has just been started and does not know it yet."""
        try:
            return self.command("EVALSHA", script.digest, len(keys), *keys, *arguments)
        except NoScriptError:
            return self.command("EVAL", script.text, len(keys), *keys, *arguments)

    def run_together(self, script: Script, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        """The same; in company in one round trip with what others ask."""
        try:
            return company.made(
                self.exchange, _pack(("EVALSHA", script.digest, len(keys), *keys, *arguments)), elsewhere=True
            )
        except NoScriptError:
            return self.command("EVAL", script.text, len(keys), *keys, *arguments)

    def command(self, *arguments: Argument) -> Any:
        """One command, one round trip. Raises `Away`, or `ResponseError` when the server answers with an error."""
        return self.pipeline([arguments])[0]

    def pipeline(self, commands: Sequence[Sequence[Argument]]) -> list[Any]:
        """Several commands in one round trip; the first error answered is raised after all answers were read."""
        answers = self.exchange([_pack(tuple(command)) for command in commands])
        for answer in answers:
            if isinstance(answer, ResponseError):
                raise answer
        return answers

    def exchange(self, commands: Sequence[bytes]) -> list[Any]:
        """Packed commands in one round trip; an error answered stands in its place. Raises `Away`."""
        self.round_trips += 1
        try:
            channel = self._sent(b"".join(commands))
            answers = [channel.answer() for _ in commands]
        except (OSError, ProtocolError) as failure:
            raise self._failed(str(failure)) from failure
        for answer in answers:
            if isinstance(answer, (BusyLoadingError, ReadOnlyError)):
                raise self._failed(str(answer)) from answer
        return answers

    def answers(self) -> bool:
        """Whether the server answers a ping now."""
        try:
            return self.command("PING") == b"PONG"
        except (Away, ResponseError):
            return False

    def _sent(self, packed: bytes) -> "Channel":
        """The channel the commands went out on. One that was cut before (a restarted server) is opened anew: what
        could not be sent was not done, so sending it again is safe."""
        known: Channel | None = getattr(self._local, "channel", None)
        channel = known or self._channel()
        try:
            channel.socket.sendall(packed)
        except OSError:
            if known is None:
                raise
            known.close()
            channel = self._channel()
            channel.socket.sendall(packed)
        return channel

    def _channel(self) -> "Channel":
        """A new channel, this thread's from now on."""
        if time.monotonic() < self._away_until:
            raise Away("asked a moment ago")
        try:
            connection = self._pool.make_connection()
            connection.connect()
        except (redis.RedisError, OSError) as failure:
            raise self._failed(str(failure)) from failure
        self._local.channel = Channel(connection, self._timeout)
        return self._local.channel

    def _failed(self, why: str) -> Away:
        channel, self._local.channel = getattr(self._local, "channel", None), None
        if channel is not None:
            channel.close()
        self._away_until = time.monotonic() + RETRY_SECONDS
        return Away(why)


class Channel:
    """A connection as bytes: what is sent goes to the socket, what is answered through hiredis' parser."""

    def __init__(self, connection: Any, timeout: float) -> None:
        self._connection = connection  # closes its socket when it is forgotten
        self.socket: Any = connection._sock
        if isinstance(self.socket, socket.socket) and not isinstance(self.socket, ssl.SSLSocket):
            span = struct.pack("ll", int(timeout), int(timeout % 1 * 1_000_000))
            self.socket.settimeout(None)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, span)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, span)
        self._reader = Reader(protocolError=ProtocolError, replyError=connection._parser.parse_error)

    def answer(self) -> Any:
        """The next answer, an error among them as an exception not raised. Raises `OSError`."""
        answer = self._reader.gets()
        while answer is False:
            data = self.socket.recv(READ_BYTES)
            if not data:
                raise ConnectionResetError("the server closed the connection")
            self._reader.feed(data)
            answer = self._reader.gets()
        return answer

    def close(self) -> None:
        self._connection.disconnect()


_servers: dict[tuple[str, float], Valkey] = {}


def server(url: str, timeout: float = 1.0) -> Valkey:
    """The process's one `Valkey` for this address: one server, or a cluster when the URL's scheme says so."""
    known = _servers.get((url, timeout))
    return known or _servers.setdefault((url, timeout), _connected_to(url, timeout))


def _connected_to(url: str, timeout: float) -> Valkey:
    if "+cluster://" not in url:
        return Valkey(url, timeout)
    from apps.valkey_cluster import Cluster  # here, because it is made of this module's servers

    return Cluster(url, timeout)
