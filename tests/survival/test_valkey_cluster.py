"""A Valkey Cluster in place of one server: what is split is put together, redirections are followed, a primary dies."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from redis.cluster import key_slot
from redis.exceptions import ResponseError

from apps.api_keys.gate import Names
from apps.api_keys.keys import BUCKETS, bucket_of
from apps.company import together
from apps.operations.backups import memory
from apps.operations.backups.memory import _scanned
from apps.usage.metering.journal import STREAMS, Journal
from apps.valkey import Away, Script, Valkey, server
from apps.valkey_cluster import Cluster, addresses_of
from tests.survival.cluster import Nodes, cluster
from tests.survival.machines import until

TAGS = [f"{{b{bucket:02d}}}" for bucket in range(BUCKETS)]
SET = Script("return redis.call('SET', KEYS[1], ARGV[1])")
GET = Script("return redis.call('GET', KEYS[1])")


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    with cluster() as made:
        yield made


@pytest.fixture
def valkey(nodes: Nodes) -> Valkey:
    one = server(nodes.url, 2.0)
    one.command("FLUSHDB")
    return one


def test_a_url_says_how_each_server_is_asked() -> None:
    said = addresses_of("valkeys+cluster://user:secret@a:7000,b?ssl_cert_reqs=none")
    assert said.first == ("a:7000", "b:6379")
    assert said.url("c:1") == "rediss://user:secret@c:1?ssl_cert_reqs=none"
    with pytest.raises(ValueError):
        addresses_of("valkey+cluster://")


def test_the_scheme_chooses(valkey: Valkey) -> None:
    assert isinstance(valkey, Cluster)
    assert len(valkey.primaries()) == 3
    assert valkey.answers()


def test_a_pipeline_over_all_tags_is_answered_in_its_order(valkey: Valkey) -> None:
    keys = [f"{tag}:{number}" for number in range(5) for tag in TAGS]
    before = valkey.round_trips
    answers = valkey.pipeline([command for key in keys for command in (("SET", key, key), ("GET", key))])
    assert answers == [one for key in keys for one in (b"OK", key.encode())]
    assert valkey.round_trips - before == 3


def test_an_error_is_raised_after_the_others_were_done(valkey: Valkey) -> None:
    valkey.command("SET", "a", "text")
    with pytest.raises(ResponseError):
        valkey.pipeline([("INCR", "a"), *(("SET", tag, 1) for tag in TAGS)])
    assert valkey.pipeline([("GET", tag) for tag in TAGS]) == [b"1"] * BUCKETS


def test_scripts_go_where_their_keys_are_alone_and_in_company(valkey: Valkey) -> None:
    heard: list[Any] = []
    assert [valkey.run(SET, [tag], [tag]) for tag in TAGS] == [b"OK"] * BUCKETS
    together([lambda tag=tag: heard.append(valkey.run_together(GET, [tag], [])) for tag in TAGS])  # type: ignore[misc]
    assert sorted(heard) == [tag.encode() for tag in TAGS]


def test_what_is_of_all_servers_is_asked_of_all(valkey: Valkey) -> None:
    valkey.pipeline([("SET", tag, 1) for tag in TAGS])
    assert valkey.command("DBSIZE") == BUCKETS
    assert sorted(valkey.command("KEYS", "*")) == [tag.encode() for tag in TAGS]
    assert len(valkey.command("TIME")) == 2


@pytest.mark.parametrize(("pattern", "expected"), [("{b??}:*", 3_200), ("{b07}:*", 200), ("{b07}:*9", 20)])
def test_a_scan_finds_every_key_once_at_least(valkey: Valkey, pattern: str, expected: int) -> None:
    valkey.pipeline([("SET", f"{tag}:{number}", 1) for tag in TAGS for number in range(200)])
    assert len({key for keys in _scanned(valkey, pattern) for key in keys}) == expected


def test_the_journal_is_read_whole_and_forgotten(valkey: Valkey) -> None:
    journal = Journal(valkey)
    journal.prepare()
    journal.prepare()
    assert journal.read(10, block_ms=40) == []
    valkey.pipeline([("XADD", stream, "*", "e", number) for stream in STREAMS for number in range(3)])
    assert (journal.lengths(), journal.age_ms() < 60_000) == ([3] * BUCKETS, True)
    held = journal.read(2, block_ms=1_000)
    assert len(held) == len({one.stream for one in held}) * 2 == 2 * BUCKETS
    assert len(journal.read(10, pending=True)) == 2 * BUCKETS
    journal.set_aside(held[0])
    assert sum(journal.lengths()) == 3 * BUCKETS - 1


def test_what_a_backup_has_of_it_comes_back_to_where_it_was(valkey: Valkey) -> None:
    handles = [f"abc{number:03d}" for number in range(60)]
    assert len({bucket_of(handle) for handle in handles}) == BUCKETS
    for handle in handles:
        names = Names(handle, True)
        valkey.command("SET", names.transaction("paysim", "t"), handle, "EX", 1_000)
        valkey.command("HSET", names.own_past("paysim", "user", "n"), "a", handle)
        valkey.command("SET", names.rate(), "begins anew")
        event = ["dec_" + handle, 1, 1, 1, "decisions", "paysim", True, False, 1, 1, ""]
        valkey.command("XADD", names.journal(), "*", "e", msgspec.msgpack.encode([handle, event, "", "h", {}]))
    kept, waiting = list(memory.kept(valkey)), list(memory.journal(valkey))
    assert (len({one.key for one in kept}), len(waiting)) == (2 * len(handles), len(handles))
    alone = list(memory.kept(valkey, handles[0]))
    assert {one.key for one in alone} == {one.key for one in kept if handles[0].encode() in one.key}
    valkey.command("FLUSHDB")
    assert memory.restore_kept(valkey, kept) == len({one.key for one in kept})
    assert memory.restore_journal(valkey, waiting) == len(handles)
    again = {one.key: one.value for one in memory.kept(valkey)}
    assert again == {one.key: one.value for one in kept}
    assert {one.data for one in memory.journal(valkey)} == {one.data for one in waiting}


def test_a_slot_that_moves_is_followed(valkey: Valkey, nodes: Nodes) -> None:
    key, other = "{b03}:moving", "{b03}:stays"
    slot, source = key_slot(key.encode()), nodes.primaries[nodes.primary_of(key)]
    target = nodes.primaries[(nodes.primary_of(key) + 1) % 3]
    valkey.pipeline([("SET", key, "1"), ("SET", other, "1")])
    target.command("CLUSTER", "SETSLOT", slot, "IMPORTING", source.command("CLUSTER", "MYID"))
    source.command("CLUSTER", "SETSLOT", slot, "MIGRATING", target.command("CLUSTER", "MYID"))
    source.command("MIGRATE", "127.0.0.1", target.port, key, 0, 2_000)
    assert valkey.pipeline([("INCR", key), ("INCR", other)]) == [2, 2]  # ASK, and where it was
    assert valkey.run(GET, [key], []) == b"2"
    source.command("MIGRATE", "127.0.0.1", target.port, other, 0, 2_000)
    for node in (target, source):
        node.command("CLUSTER", "SETSLOT", slot, "NODE", target.command("CLUSTER", "MYID"))
    assert valkey.pipeline([("INCR", key), ("INCR", other)]) == [3, 3]  # MOVED
    before = valkey.round_trips
    assert valkey.command("GET", key) == b"3"
    assert valkey.round_trips - before == 1  # the way is known now


def test_a_dead_primary_is_away_for_its_keys_alone_until_its_replica_takes_over(valkey: Valkey, nodes: Nodes) -> None:
    place = nodes.primary_of("{b07}")
    mine = [tag for tag in TAGS if nodes.primary_of(tag) == place and tag != "{b03}"]
    others = [tag for tag in TAGS if nodes.primary_of(tag) != place and tag != "{b03}"]
    valkey.pipeline([("SET", tag, 1) for tag in TAGS])
    until(lambda: nodes.replicas[place].facts("keyspace"), "the replica got nothing")
    nodes.primaries[place].kill()
    with pytest.raises(Away):
        valkey.command("INCR", mine[0])
    assert not valkey.answers()

    def taken_over() -> bool:
        assert [valkey.command("GET", tag) for tag in others] == [b"1"] * len(others)
        try:
            return bool(valkey.command("INCR", mine[0]))
        except Away:
            return False

    seconds = until(taken_over, "no replica took over")
    print(f"taken over after {seconds:.1f} s")
    assert [valkey.command("GET", tag) for tag in mine] == [b"2", *[b"1"] * (len(mine) - 1)]
    assert valkey.answers()
