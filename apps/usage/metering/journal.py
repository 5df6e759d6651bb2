"""The journal: what was answered and is not yet in Postgres. A Valkey stream a bucket, read by one consumer group.

Appending is the moment a decision is acknowledged. The stream is never trimmed before its entries are recorded; how
full it may get is the gate's business. An entry is opaque here except for its usage event.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from redis.exceptions import ResponseError

from apps.api_keys.gate import Names, Rider
from apps.api_keys.keys import BUCKETS
from apps.usage.metering.events import UsageEvent
from apps.valkey import Argument, Script, Valkey

_APPEND = (Path(__file__).parent / "append.lua").read_text()
APPEND = Script(_APPEND, acknowledges=True)

GROUP = "recorder"
CONSUMER = "recorder"
STREAMS = tuple(f"{{b{bucket:02d}}}:journal" for bucket in range(BUCKETS))

#: How long an Idempotency-Key's answer can be had again.
IDEMPOTENCY_SECONDS = 24 * 3600
#: Where in the journal a decision stands, to read it before it is recorded; the recorder removes the note.
PLACE_SECONDS = 7 * 24 * 3600
#: How long the same transaction id is recognised (docs/api.md says so).
DUPLICATE_SECONDS = 7 * 24 * 3600


class Entry(msgspec.Struct, array_like=True, frozen=True):
    """One decision on its way: what is billed, and what is stored (opaque to this room)."""

    handle: str
    event: UsageEvent
    body_hash: str
    transaction_hash: str
    record: msgspec.Raw
    trace: str = ""  # that it is a part of; entries from before it was carried have none


class Held(NamedTuple):
    """An entry as it stands in the journal: where, and its bytes."""

    stream: bytes
    entry_id: bytes
    data: bytes


class IdempotentAnswer(NamedTuple):
    """A decision answered past the journal."""

    decision_id: str
    schema: str
    transaction_hash: str
    body_hash: str
    idempotency_key: str
    fingerprint: str


class ClaimLost(Exception):
    """Another process has taken the Idempotency-Key's claim over: nothing was written."""


def with_rider(lua: str) -> Script:
    """The journal's script with another room's in it. `first_key` and `first_argument` are the indices of the rider's
    first key and argument."""
    return Script(_APPEND.replace("-- RIDER", lua), acknowledges=True)


encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Entry).decode


class Journal:
    """Both ends of the journal. Raises `apps.valkey.Away` when the server is away."""

    def __init__(self, valkey: Valkey) -> None:
        self.valkey = valkey

    def append(
        self,
        entries: Sequence[Entry],
        names: Names,
        *,
        period: str,
        day: int,
        claim: tuple[str, str],
        settle: bool,
        surplus: int,
        rider: Rider | None = None,
    ) -> list[str]:
        """Acknowledge decisions in one call; `claim` is (key name, value held) or ("", "").

        `surplus`: units the gate reserved for these entries and nobody pays; they are given back. `rider`: what is to
        be written with them, of a script made by `with_rider`.

        Returns per entry "" or the id of a decision on the same facts that was quicker. Raises `ClaimLost`.
        """
        keys = [names.journal(), claim[0] or names.journal(), names.journaled(period), names.quota(period)]
        arguments: list[Argument] = [
            claim[1], int(settle), IDEMPOTENCY_SECONDS, PLACE_SECONDS, DUPLICATE_SECONDS, day, surplus, len(entries)
        ]  # fmt: skip
        for entry in entries:
            keys += [names.decision(entry.event.id), names.transaction(entry.event.schema, entry.transaction_hash)]
            arguments += [encode(entry), entry.event.units, entry.body_hash, entry.event.id]
        if rider is not None:
            keys += rider.keys
            arguments += rider.arguments
        answer = self.valkey.run_together(rider.script if rider else APPEND, keys, arguments)
        if answer[0] == b"claim_lost":
            raise ClaimLost
        return [found.decode() for found in answer[1:]]

    def settle(self, names: Names, idempotency_key: str, fingerprint: str, decision: str) -> None:
        """Note what an Idempotency-Key was answered, when nothing had to be journaled for it."""
        self.valkey.command("SET", names.claim(idempotency_key), f"D{fingerprint}{decision}", "EX", IDEMPOTENCY_SECONDS)

    def remember(self, names: Names, answers: Iterable[IdempotentAnswer]) -> None:
        """Note what was answered while this server was away: claims of Idempotency-Keys and transactions' pointers."""
        commands: list[Sequence[Argument]] = []
        for answer in answers:
            if answer.idempotency_key:
                done = f"D{answer.fingerprint}{answer.decision_id}"
                commands.append(("SET", names.claim(answer.idempotency_key), done, "EX", IDEMPOTENCY_SECONDS))
            pointer = names.transaction(answer.schema, answer.transaction_hash)
            commands.append(
                (
                    "SET",
                    pointer,
                    answer.body_hash + answer.decision_id,
                    "NX",
                    "EX",
                    DUPLICATE_SECONDS,
                )
            )
        if commands:
            self.valkey.pipeline(commands)

    def keep_answer(self, names: Names, idempotency_key: str, fingerprint: str, batch_id: str, body: bytes) -> None:
        """Keep a batch's whole answer for its Idempotency-Key."""
        self.valkey.pipeline(
            [
                ("SET", names.decision(batch_id), body, "EX", IDEMPOTENCY_SECONDS),
                ("SET", names.claim(idempotency_key), f"D{fingerprint}{batch_id}", "EX", IDEMPOTENCY_SECONDS),
            ]
        )

    def kept_answer(self, names: Names, batch_id: str) -> bytes | None:
        return self.valkey.command("GET", names.decision(batch_id))

    def copy(self, names: Names, decision_id: str) -> Entry | None:
        """A decision journaled and not yet recorded, or None."""
        place = self.valkey.command("GET", names.decision(decision_id))
        found = self.valkey.command("XRANGE", names.journal(), place, place) if place else []
        return decode(found[0][1][1]) if found else None

    def prepare(self) -> None:
        """Make the consumer group of every stream."""
        for stream in STREAMS:
            try:
                self.valkey.command("XGROUP", "CREATE", stream, GROUP, "0", "MKSTREAM")
            except ResponseError as known:
                if "BUSYGROUP" not in str(known):
                    raise

    def read(self, count: int, *, block_ms: int = 0, pending: bool = False) -> list[Held]:
        """Up to `count` entries a stream: new ones (waiting up to `block_ms`), or those read and never recorded."""
        start = "0" if pending else ">"
        wait: list[Argument] = ["BLOCK", block_ms] if block_ms and not pending else []
        command: list[Argument] = ["XREADGROUP", "GROUP", GROUP, CONSUMER, "COUNT", count, *wait, "STREAMS"]
        answer = self.valkey.command(*command, *STREAMS, *([start] * len(STREAMS)))
        return list(_held(answer or []))

    def forget(self, recorded: Iterable[tuple[Held, Entry]]) -> None:
        """Acknowledge entries that are committed in Postgres, remove them and the notes of their places."""
        by_stream: dict[bytes, tuple[list[bytes], list[str]]] = {}
        names = cache(Names)  # of each tenant and mode once: of a batch most are of few
        for held, entry in recorded:
            ids, places = by_stream.setdefault(held.stream, ([], []))
            ids.append(held.entry_id)
            places.append(names(entry.handle, entry.event.livemode).decision(entry.event.id))
        commands: list[Sequence[Argument]] = []
        for stream, (ids, places) in by_stream.items():
            commands += [("XACK", stream, GROUP, *ids), ("XDEL", stream, *ids), ("UNLINK", *places)]
        if commands:
            self.valkey.pipeline(commands)

    def set_aside(self, held: Held) -> None:
        """Move an entry that can't be recorded out of the way, where a person finds it."""
        dead = held.stream + b":dead"
        self.valkey.pipeline(
            [
                ("XADD", dead, "*", "e", held.data),
                ("XACK", held.stream, GROUP, held.entry_id),
                ("XDEL", held.stream, held.entry_id),
            ]
        )

    def lengths(self) -> list[int]:
        """Entries not yet recorded, per bucket."""
        return self.valkey.pipeline([("XLEN", stream) for stream in STREAMS])

    def age_ms(self) -> int:
        """For how long the oldest entry waits to be recorded, in ms; 0 when none does."""
        clock, *firsts = self.valkey.pipeline(
            [("TIME",), *(("XRANGE", stream, "-", "+", "COUNT", 1) for stream in STREAMS)]
        )
        oldest = [int(found[0][0].partition(b"-")[0]) for found in firsts if found]
        return max(int(clock[0]) * 1_000 + int(clock[1]) // 1_000 - min(oldest), 0) if oldest else 0

    def say_storage(self, *, away: bool, seconds: int = 3) -> None:
        """Tell every gate that Postgres is away (for `seconds`, to be repeated) or back."""
        flags = [stream.replace(":journal", ":storage_away") for stream in STREAMS]
        self.valkey.pipeline([("SET", flag, "1", "EX", seconds) if away else ("DEL", flag) for flag in flags])


def _held(answer: list[Any]) -> Iterator[Held]:
    for stream, entries in answer:
        for entry_id, fields in entries:
            if fields:  # an entry deleted while it was pending has none
                yield Held(stream, entry_id, fields[1])
