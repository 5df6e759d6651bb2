"""Guessing at keys: held up by address, whoever guesses; a key that somebody has is never held up, nor its body read
for one that nobody has."""

import pytest
from django.utils import timezone

from apps.api_keys import keys
from apps.api_keys.services import get_gate, revoke_key
from apps.usage.admission import refused_keys
from apps.usage.admission.refused_keys import PER_MINUTE, LocalGuesses, network_of
from apps.valkey import Valkey
from tests.cast import Api

BROKEN = b'{"schema": ' + b"[" * 1000


def guess(address: str = "198.51.100.7") -> Api:
    """A caller with a key of the right form that nobody has."""
    return Api(key=keys.generate("abc123", livemode=True)).calling_from(address)


def codes(callers: list[Api]) -> list[str]:
    return [caller.post("/v1/decisions", BROKEN).json()["code"] for caller in callers]


def test_unknown_keys_are_refused_so_often_and_then_held_up() -> None:
    assert codes([guess() for _ in range(PER_MINUTE)]) == ["key_unknown"] * PER_MINUTE
    answer = guess().post("/v1/decisions", BROKEN)
    assert (answer.status_code, answer.json()["code"]) == (429, "keys_refused")
    assert 1 <= int(answer.headers["Retry-After"]) <= 60


SPOILT = keys.generate("abc123", livemode=False)[:-1] + "!"


@pytest.mark.parametrize("text", ["nonsense", "pk_live_abc123", SPOILT], ids=["words", "cut off", "spoilt"])
def test_malformed_keys_are_held_up_too_and_without_asking_valkey(text: str, valkey: Valkey) -> None:
    before = valkey.round_trips
    said = codes([Api(key=text).calling_from("198.51.100.8")] * (PER_MINUTE + 1))
    assert said == ["key_malformed"] * PER_MINUTE + ["keys_refused"]
    assert valkey.round_trips == before


def test_the_same_unknown_key_counts_each_time() -> None:
    assert codes([guess()] * (PER_MINUTE + 1))[-1] == "keys_refused"


def test_a_valid_key_from_the_same_address_is_never_held_up(alice: Api) -> None:
    codes([guess() for _ in range(PER_MINUTE + 5)])
    neighbour = alice.calling_from("198.51.100.7")
    assert [neighbour.get("/v1/usage").status_code for _ in range(5)] == [200] * 5


def test_another_address_is_not_held_up() -> None:
    codes([guess() for _ in range(PER_MINUTE + 1)])
    assert codes([guess("198.51.100.9")]) == ["key_unknown"]


def test_an_ipv6_customer_guesses_from_one_network() -> None:
    assert network_of("2001:db8:1:2::1") == network_of("2001:db8:1:2:ffff::9") != network_of("2001:db8:1:3::1")
    assert network_of("fe80::1%eth0") == "fe80::/64"
    assert codes([guess(f"2001:db8:1:2::{n:x}") for n in range(PER_MINUTE + 1)])[-1] == "keys_refused"


def test_a_missing_key_is_no_guess() -> None:
    nobody = Api().calling_from("198.51.100.7")
    assert codes([nobody] * (PER_MINUTE + 1)) == ["key_missing"] * (PER_MINUTE + 1)


def test_an_unknown_key_with_a_broken_body_is_an_unknown_key_on_every_endpoint() -> None:
    for path in ("/v1/decisions", "/v1/decisions/batch", "/v1/webhooks", "/v1/credits", "/v1/auth/token"):
        assert guess().post(path, BROKEN).json()["code"] == "key_unknown", path


def test_a_revoked_key_is_no_guess(alice: Api) -> None:
    """Whoever holds it held a key once: its refusal says what to do."""
    assert alice.player
    revoke_key(key=alice.player.live, gate=get_gate(), now=timezone.now())
    assert codes([alice] * (PER_MINUTE + 1)) == ["key_revoked"] * (PER_MINUTE + 1)


def test_a_known_key_is_asked_for_once_a_minute(alice: Api, valkey: Valkey) -> None:
    alice.get("/v1/usage")
    before = valkey.round_trips
    alice.get("/v1/plans")
    assert valkey.round_trips - before == 1


def test_the_local_limit_refills_evenly() -> None:
    guesses, now = LocalGuesses(), 1000.0
    assert [guesses.take("a", now) for _ in range(PER_MINUTE)] == [0.0] * PER_MINUTE
    wait = guesses.take("a", now)
    assert wait == pytest.approx(60 / PER_MINUTE)
    assert guesses.take("a", now + wait) == 0.0
    assert guesses.take("a", now + wait) > 0


def test_the_limit_in_valkey_is_the_local_one(valkey: Valkey) -> None:
    problem = refused_keys.Problem("key_unknown")
    said = [refused_keys.counted(problem, "198.51.100.20").code for _ in range(PER_MINUTE + 3)]
    assert said == ["key_unknown"] * PER_MINUTE + ["keys_refused"] * 3
