"""A Valkey Cluster behind the interface of one `Valkey`: each command goes to the server that has the slot of its keys.

All keys of a tenant share a hash tag, so what one request asks is asked of one server, as ever. What concerns several
tenants (pipelines, the journal's streams, a scan) is split by server and put together again.

| a server answers | then |
|---|---|
| MOVED | its word is taken, and the map of slots is read anew |
| ASK | that one command is asked where it says |
| TRYAGAIN | the slot is on its way: asked again a little later |
| CLUSTERDOWN | `Away` |
| nothing | `Away` for its keys alone; the map is read anew until a replica has taken over. Nothing is asked twice: what was asked may have happened |

Replication is asynchronous: a primary that dies takes with it what no replica has. What is promised to a customer (the
journal's entry) is promised when one has confirmed it, and counted when none did within `CONFIRM_MS`.
"""  # noqa: E501 - a table's row is one line

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from hiredis import pack_command
from prometheus_client import Counter
from redis.cluster import key_slot
from redis.exceptions import (
    AskError,
    ClusterDownError,
    MasterDownError,
    MovedError,
    NoScriptError,
    ResponseError,
    TryAgainError,
)

from apps import company
from apps.valkey import Argument, Away, Script, Valkey

#: What one server is called in a URL, by what the cluster is.
SCHEMES: Mapping[str, str] = {"valkey+cluster": "redis", "valkeys+cluster": "rediss"}
SLOTS = 16_384
#: The map is read anew at most this often because a server is away.
MAP_SECONDS = 0.25
#: Redirections followed for one command, and the pause before a slot on its way is asked again.
MOST_REDIRECTIONS, TRY_AGAIN_SECONDS = 16, 0.02
#: How often streams of several servers are looked at while nothing comes: no one command can wait for all of them.
POLL_SECONDS = 0.02
#: How long a replica may take to confirm what is promised; then it is promised all the same, and counted.
CONFIRM_MS = 100
#: How long replicas that did not confirm in time are not waited for: until one is there again, each call would pay.
ALONE_SECONDS = 2.0

UNCONFIRMED = Counter("palisade_valkey_unconfirmed_total", "Writes to a cluster promised without a replica's word")

#: Where a command names its first key; all others name it first.
FIRST_KEY: Mapping[str, int] = {"EVAL": 3, "EVALSHA": 3, "XGROUP": 2, "XINFO": 2}
#: Commands for every server, and how their answers become one.
EVERYWHERE: Mapping[str, Any] = {
    "DBSIZE": sum,
    "FLUSHDB": lambda answers: answers[0],
    "KEYS": lambda answers: list(chain.from_iterable(answers)),
    "PING": lambda answers: answers[0],
    "SCRIPT": lambda answers: answers[0],
}
#: Commands that any server may answer.
ANYWHERE = ("TIME",)
REDIRECTIONS = (MovedError, AskError, TryAgainError, ClusterDownError, MasterDownError)

Command = Sequence[Argument]


class Addresses(NamedTuple):
    """What a cluster's URL says: how to ask one of its servers, and where to begin."""

    scheme: str
    login: str
    query: str
    first: tuple[str, ...]

    def url(self, address: str) -> str:
        return f"{self.scheme}://{self.login}{address}{self.query}"


def addresses_of(url: str) -> Addresses:
    """Read `valkey+cluster://user:password@host:port,host:port?option=value`. Raises `ValueError`."""
    parts = urlsplit(url)
    login, at, hosts = parts.netloc.rpartition("@")
    first = tuple(host if ":" in host else f"{host}:6379" for host in hosts.split(",") if host)
    if parts.scheme not in SCHEMES or not first:
        raise ValueError(f"No cluster's URL ({', '.join(SCHEMES)}://host:port,host:port).")
    return Addresses(SCHEMES[parts.scheme], login + at, f"?{parts.query}" if parts.query else "", first)


class Cluster(Valkey):
    """A cluster's servers. Safe for threads and for forks made before first use, as each `Valkey` is."""

    def __init__(self, url: str, timeout: float) -> None:  # in place of its parent's, which opens one server's pool
        self.url = url
        self._timeout = timeout
        self._addresses = addresses_of(url)
        self._servers: dict[str, Valkey] = {}
        self._owners: list[Valkey | None] = [None] * SLOTS
        self._primaries: list[Valkey] = []
        self._whole = False
        self._alone_until: dict[Valkey, float] = {}
        self._reading = threading.Lock()
        self._read_again_at = 0.0

    @property
    def round_trips(self) -> int:  # type: ignore[override]
        return sum(server.round_trips for server in self._servers.values())

    # --- as one server is asked ---------------------------------------------------------------------------------------

    def run(self, script: Script, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        try:
            answer = self.command("EVALSHA", script.digest, len(keys), *keys, *arguments)
        except NoScriptError:
            answer = self.command("EVAL", script.text, len(keys), *keys, *arguments)
        if script.acknowledges and self._has_replicas(server := self._server_of(keys[0])):
            self._note(server, self._asked(server, [_WAIT])[0])
        return answer

    def run_together(self, script: Script, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        if company.alone() or not keys:
            return self.run(script, keys, arguments)
        server = self._server_of(keys[0])
        try:
            packed = _packed("EVALSHA", script.digest, len(keys), *keys, *arguments)
            answer = company.made(server.exchange, packed, elsewhere=True)
            if script.acknowledges and self._has_replicas(server):
                self._note(server, company.made(server.exchange, _WAIT, elsewhere=True))
        except (NoScriptError, *REDIRECTIONS):  # nothing was done
            return self.run(script, keys, arguments)
        except Away:
            self._read_map()
            raise
        return answer

    def _has_replicas(self, server: Valkey) -> bool:
        """Whether to wait for them: those that were silent a moment ago are left alone, and the promise counted."""
        if time.monotonic() >= self._alone_until.get(server, 0.0):
            return True
        UNCONFIRMED.inc()
        return False

    def _note(self, server: Valkey, replicas: Any) -> None:
        """How many of a server's replicas confirmed in time."""
        if not replicas:
            UNCONFIRMED.inc()
            self._alone_until[server] = time.monotonic() + ALONE_SECONDS

    def pipeline(self, commands: Sequence[Command]) -> list[Any]:
        """Several commands, in one round trip a server. Of two that share their tag the first is done first."""
        answers = self._answers_by_place(commands)
        for answer in answers:
            if isinstance(answer, ResponseError):
                raise answer
        return answers

    def exchange(self, commands: Sequence[bytes]) -> list[Any]:
        raise NotImplementedError("packed commands name no server: ask one of `primaries()`")

    def answers(self) -> bool:
        """Whether every slot has a server and every one of them answers now."""
        try:
            return all(server.answers() for server in self.primaries())
        except Away:
            return False

    def primaries(self) -> list[Valkey]:
        """The servers that have slots. Raises `Away` when some slot has none that is known."""
        if not self._whole:
            self._read_map()
        if not self._whole:
            raise Away("not every slot has a server")
        return self._primaries

    # --- splitting and putting together -------------------------------------------------------------------------------

    def _answers_by_place(self, commands: Sequence[Command]) -> list[Any]:
        """The answers in the order of the commands, errors among them."""
        plain = [command for command in commands if str(command[0]) not in _SPECIAL]
        answers = iter(self._by_server(plain))
        return [
            special(self, command) if (special := _SPECIAL.get(str(command[0]))) else next(answers)
            for command in commands
        ]

    def _by_server(self, commands: Sequence[Command]) -> list[Any]:
        """The same of commands that name keys of one slot each."""
        answers: list[Any] = [None] * len(commands)
        places: dict[Valkey, list[int]] = {}
        for place, command in enumerate(commands):
            places.setdefault(self._server_for(command), []).append(place)
        for server, mine in places.items():
            found = self._asked(server, [_packed(*commands[place]) for place in mine])
            for place, answer in zip(mine, found, strict=True):
                answers[place] = answer
        return answers

    def _everywhere(self, command: Command) -> Any:
        found = [self._asked(server, [_packed(*command)])[0] for server in self.primaries()]
        failed = [answer for answer in found if isinstance(answer, ResponseError)]
        return failed[0] if failed else EVERYWHERE[str(command[0])](found)

    def _anywhere(self, command: Command) -> Any:
        """Of the first server that answers."""
        for server in (primaries := self.primaries()):
            try:
                return self._asked(server, [_packed(*command)])[0]
            except Away:
                if server is primaries[-1]:
                    raise
        return None

    def _read_streams(self, command: Command) -> Any:
        """XREADGROUP of streams of many slots, a command each; with BLOCK it looks again and again."""
        head, waits_ms, streams, starts = _streams_of(command)
        each = [(*head, stream, start) for stream, start in zip(streams, starts, strict=True)]
        until = time.monotonic() + waits_ms / 1_000
        while True:
            answers = self._by_server(each)
            if failed := [answer for answer in answers if isinstance(answer, ResponseError)]:
                return failed[0]
            found = [one for answer in answers if answer for one in answer]
            if found or time.monotonic() >= until:
                return found or None
            time.sleep(POLL_SECONDS)

    def _scan(self, command: Command) -> Any:
        """SCAN of the server of the pattern's tag; without one, of each in turn: the cursor says of which."""
        _, cursor, *more = command
        said = cursor.decode() if isinstance(cursor, bytes) else str(cursor)
        if tagged := _tagged(more):
            return self._asked(self._server_of(tagged), [_packed("SCAN", said, *more)])[0]
        turn, _, at = said.rpartition(":")
        primaries, number = self.primaries(), int(turn or 0)
        answer = self._asked(primaries[number], [_packed("SCAN", at, *more)])[0]
        if isinstance(answer, ResponseError):
            return answer
        at, keys = answer[0].decode(), answer[1]
        if at == "0" and number + 1 == len(primaries):
            return [b"0", keys]
        return [f"{number + (at == '0')}:{at}".encode(), keys]

    # --- asking one server --------------------------------------------------------------------------------------------

    def _asked(self, server: Valkey, packed: Sequence[bytes]) -> list[Any]:
        """Commands of one server, redirections followed. Raises `Away`, and looks for who has taken over."""
        try:
            answers = server.exchange(packed)
            return [
                self._followed(server, answer, command) if isinstance(answer, REDIRECTIONS) else answer
                for answer, command in zip(answers, packed, strict=True)
            ]
        except Away:
            self._read_map()
            raise

    def _followed(self, server: Valkey, answer: Any, packed: bytes) -> Any:
        """The answer where the redirections lead: a redirected command was not done."""
        for _ in range(MOST_REDIRECTIONS):
            match answer:
                case MovedError():
                    server = self._server_at(f"{answer.host}:{answer.port}")
                    self._read_map(now=True)
                    answer = server.exchange([packed])[0]
                case AskError():
                    answer = self._server_at(f"{answer.host}:{answer.port}").exchange([_packed("ASKING"), packed])[1]
                case TryAgainError():
                    time.sleep(TRY_AGAIN_SECONDS)
                    answer = server.exchange([packed])[0]
                case ClusterDownError() | MasterDownError():
                    raise Away(str(answer))
                case _:
                    return answer
        raise Away(f"redirected {MOST_REDIRECTIONS} times")

    def _server_for(self, command: Command) -> Valkey:
        name = str(command[0])
        if name in FIRST_KEY and name.startswith("EVAL") and not command[2]:
            return self.primaries()[0]  # a script without keys
        return self._server_of(command[FIRST_KEY.get(name, 1)])

    def _server_of(self, key: Argument) -> Valkey:
        """Who has a key's slot. Raises `Away` when nobody is known to."""
        slot = key_slot(key if isinstance(key, bytes) else str(key).encode())
        if self._owners[slot] is None:
            self._read_map()
        if (server := self._owners[slot]) is None:
            raise Away(f"no server is known to have slot {slot}")
        return server

    def _server_at(self, address: str) -> Valkey:
        known = self._servers.get(address)
        return known or self._servers.setdefault(address, Valkey(self._addresses.url(address), self._timeout))

    # --- the map of slots ---------------------------------------------------------------------------------------------

    def _read_map(self, *, now: bool = False) -> None:
        """Ask who has which slots: whoever answers first. Others that want to know meanwhile go by the old map."""
        if not self._reading.acquire(blocking=not self._whole):
            return
        try:
            if now or time.monotonic() >= self._read_again_at:
                self._owners = next(self._maps(), self._owners)
                found = dict.fromkeys(self._owners)
                self._primaries = [server for server in found if server is not None]
                self._whole = None not in found
                self._read_again_at = time.monotonic() + MAP_SECONDS
        finally:
            self._reading.release()

    def _maps(self) -> Iterator[list[Valkey | None]]:
        """The map as each server that answers knows it; those that failed lately are asked last."""
        known = sorted(self._servers, key=lambda address: self._servers[address]._away_until)
        for address in dict.fromkeys((*known, *self._addresses.first)):
            try:
                yield self._owners_of(address, self._server_at(address).command("CLUSTER", "SLOTS"))
            except (Away, ResponseError):
                continue

    def _owners_of(self, asked: str, ranges: Sequence[Any]) -> list[Valkey | None]:
        """Slot → server. A server that does not know its own name is where it was asked."""
        owners: list[Valkey | None] = [None] * SLOTS
        for first, last, (host, port, *_), *_replicas in ranges:
            name = host.decode() if host else asked.rpartition(":")[0]
            server = self._server_at(f"[{name}]:{port}" if ":" in name and name[0] != "[" else f"{name}:{port}")
            owners[first : last + 1] = [server] * (last + 1 - first)
        return owners


_SPECIAL: Mapping[str, Any] = {
    **dict.fromkeys(EVERYWHERE, Cluster._everywhere),
    **dict.fromkeys(ANYWHERE, Cluster._anywhere),
    "XREADGROUP": Cluster._read_streams,
    "SCAN": Cluster._scan,
}


class Streams(NamedTuple):
    """XREADGROUP taken apart: what stands before the streams' names, ms to wait, the streams and where each begins."""

    head: tuple[Argument, ...]
    waits_ms: int
    streams: Command
    starts: Command


def _streams_of(command: Command) -> Streams:
    at = command.index("STREAMS")
    head, names = list(command[: at + 1]), command[at + 1 :]
    waits_ms = 0
    if "BLOCK" in head:
        block = head.index("BLOCK")
        waits_ms = int(head[block + 1])
        del head[block : block + 2]
    middle = len(names) // 2
    return Streams(tuple(head), waits_ms, names[:middle], names[middle:])


def _tagged(options: Command) -> str:
    """The tag of a scan's pattern, "" when it is of many tags or none."""
    pattern = str(options[options.index("MATCH") + 1]) if "MATCH" in options else ""
    tag, closed, _ = pattern.partition("}")
    return tag + closed if closed and tag.startswith("{") and not set(tag) & set("*?[\\") else ""


def _packed(*command: Argument) -> bytes:
    return bytes(pack_command(command))  # type: ignore[arg-type]


#: Let the connection's last write reach a replica before it is promised to somebody.
_WAIT = _packed("WAIT", 1, CONFIRM_MS)
