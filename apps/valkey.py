"""Valkey as the hot path needs it: one connection a thread, scripts by digest, and `Away` when it does not answer.

redis-py makes the connection (URL, TLS, password, hiredis' parser); its pool, retries and per-command bookkeeping are
left out because they cost 45 µs of a 60 µs call. A server that failed is not asked again for `RETRY_SECONDS`, so that
a request during an outage costs no timeout.
"""

import hashlib
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, cast

import redis
from hiredis import pack_command
from redis.connection import ConnectionPool
from redis.exceptions import BusyLoadingError, NoScriptError, ReadOnlyError, ResponseError

#: How long a server that failed is left alone.
RETRY_SECONDS = 0.25

Argument = bytes | str | int | float

_pack: Callable[[tuple[Argument, ...]], bytes] = cast(Any, pack_command)  # its stub knows one-tuples only


class Away(Exception):
    """The server can't be reached or does not answer. What was asked may or may not have happened."""


class Script:
    """A Lua script and its digest. All its keys share one hash tag, so it also runs on a cluster."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


class Valkey:
    """One server. Safe for threads (each has its own connection) and for forks made before first use."""

    def __init__(self, url: str, timeout: float) -> None:
        self.url = url
        self._pool = ConnectionPool.from_url(
            url, socket_timeout=timeout, socket_connect_timeout=timeout, protocol=2, decode_responses=False
        )
        self._local = threading.local()
        self._away_until = 0.0
        self.round_trips = 0

    def run(self, script: Script, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        """Run a script: one round trip, two when the server has just been started and does not know it yet."""
        try:
            return self.command("EVALSHA", script.digest, len(keys), *keys, *arguments)
        except NoScriptError:
            return self.command("EVAL", script.text, len(keys), *keys, *arguments)

    def command(self, *arguments: Argument) -> Any:
        """One command, one round trip. Raises `Away`, or `ResponseError` when the server answers with an error."""
        return self.pipeline([arguments])[0]

    def pipeline(self, commands: Sequence[Sequence[Argument]]) -> list[Any]:
        """Several commands in one round trip; the first error answered is raised after all answers were read."""
        packed = b"".join([_pack(tuple(command)) for command in commands])
        self.round_trips += 1
        try:
            connection = self._sent(packed)
            answers = [self._answer(connection) for _ in commands]
        except (redis.ConnectionError, redis.TimeoutError, OSError) as failure:
            raise self._failed(str(failure)) from failure
        for answer in answers:
            if isinstance(answer, (BusyLoadingError, ReadOnlyError)):
                raise self._failed(str(answer)) from answer
            if isinstance(answer, ResponseError):
                raise answer
        return answers

    def answers(self) -> bool:
        """Whether the server answers a ping now."""
        try:
            return self.command("PING") == b"PONG"
        except (Away, ResponseError):
            return False

    def _sent(self, packed: bytes) -> Any:
        """The connection the commands went out on. One that was cut before (a restarted server) is opened anew: what
        could not be sent was not done, so sending it again is safe."""
        known = getattr(self._local, "connection", None)
        connection = known or self._connection()
        try:
            connection.send_packed_command([packed], check_health=False)
        except (redis.ConnectionError, OSError):
            if known is None:
                raise
            self._local.connection = None
            connection = self._connection()
            connection.send_packed_command([packed], check_health=False)
        return connection

    @staticmethod
    def _answer(connection: Any) -> Any:
        try:
            return connection.read_response()
        except ResponseError as error:
            return error

    def _connection(self) -> Any:
        """A new connection, this thread's from now on."""
        if time.monotonic() < self._away_until:
            raise Away("asked a moment ago")
        try:
            connection = self._pool.make_connection()
            connection.connect()
        except (redis.RedisError, OSError) as failure:
            raise self._failed(str(failure)) from failure
        self._local.connection = connection
        return connection

    def _failed(self, why: str) -> Away:
        connection, self._local.connection = getattr(self._local, "connection", None), None
        if connection is not None:
            connection.disconnect()
        self._away_until = time.monotonic() + RETRY_SECONDS
        return Away(why)


_servers: dict[tuple[str, float], Valkey] = {}


def server(url: str, timeout: float = 1.0) -> Valkey:
    """The process's one `Valkey` for this address."""
    return _servers.setdefault((url, timeout), Valkey(url, timeout))
