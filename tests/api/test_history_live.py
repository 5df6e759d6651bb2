"""Recent activity as the live store gives it is, event for event, what a replay of the same transactions gives."""

import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

import pytest
from django.conf import settings

from apps.api_keys import keys
from apps.api_keys.gate import names_of
from apps.api_keys.services import digest_of
from apps.scoring.engine import habits, history, past_events
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.serving import activity, ids
from apps.scoring.serving.requests import Item, ScoringRequest, ask_for, item_of
from apps.usage.admission.admission import get_admissions
from apps.valkey import server
from bench.transactions import transaction
from tests.cast import Cast, enter

PAYSIM, PAYMENTS = SCHEMAS["paysim"], SCHEMAS["payments"]
WRITTEN = ("Émile ", "e\u0301mile", "\u3000ÉMILE", "émile\u200b")  # one user
MANY = past_events.TRIMMED_AT + 90  # one party is trimmed on the way
HOUR_US = 3_600_000_000


@pytest.mark.django_db(transaction=True)
def test_online_and_replayed_activity_are_the_same_numbers(cast: Cast) -> None:
    player = enter("busy", "enterprise", rate_per_minute=1_000_000, included=1_000_000)
    chance, replay = random.Random(11), history.Replay(PAYSIM.roles)
    for number in range(MANY):
        question = _question(player.text, chance, number)
        live = _live(player.text, question)
        parsed = question.parsed.transaction
        replayed = replay.observe(
            PAYSIM.parties(parsed), question.parsed.at_ms, parsed.amount, question.seen.transaction_hash
        )
        assert live == replayed or repr(live) == repr(replayed)  # nan is not equal to itself
    assert 200 < max(one.count_7d for one in live.values()) <= past_events.LOOKED_AT  # repeated ids count once


@pytest.mark.django_db(transaction=True)
def test_online_and_replayed_habits_are_the_same_numbers(cast: Cast) -> None:
    player = enter("regular", "enterprise", rate_per_minute=1_000_000, included=1_000_000)
    replay = history.Replay(PAYMENTS.roles)
    for number in range(40):
        said = {
            "transaction_id": f"p-{number}", "timestamp": f"2026-01-{1 + number // 2:02d}T{number % 24:02d}:10:00Z",
            "amount": 10.5 * number, "user_id": WRITTEN[number % 4], "merchant_id": f"{'mM'[number % 2]}{number % 5}",
            "merchant_category": ("grocery", "travel", "electronics")[number % 3],
        }  # fmt: skip
        question = item_of(_call(player.text), PAYMENTS, PAYMENTS.parse(said))
        live, parsed = _live(player.text, question), question.parsed
        replayed = replay.observe(
            PAYMENTS.parties(parsed.transaction),
            parsed.at_ms,
            parsed.transaction.amount,
            question.seen.transaction_hash,
        )
        assert repr(live) == repr(replayed)
    assert isinstance(live["user_id"], habits.Habits)
    assert live["user_id"].known > 30 and live["user_id"].kind_known > 5 and live["user_id"].merchant_known > 2
    assert question.parsed.facts["user_id"] == WRITTEN[39 % 4]  # kept as it was sent


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("ahead", [False, True])
def test_what_is_refused_is_marked_online_as_in_a_replay(cast: Cast, ahead: bool) -> None:
    player = enter("refused", "enterprise", rate_per_minute=1_000_000, included=1_000_000)
    replay = history.Replay(PAYMENTS.roles)
    received_us = _call(player.text).received_us
    for number in range(12):
        at_us = received_us + (number - 20 + 30 * ahead) * 24 * HOUR_US
        said = {
            "transaction_id": f"p-{number}", "timestamp": datetime.fromtimestamp(at_us // 1_000_000, UTC).isoformat(),
            "amount": 10.0 * number, "user_id": "U1", "merchant_id": "M1", "device_id": f"D{number % 2}",
        }  # fmt: skip
        question = item_of(_call(player.text), PAYMENTS, PAYMENTS.parse(said, received_us // 1000))
        parsed = question.parsed
        one = (PAYMENTS.parties(parsed.transaction), parsed.at_ms, parsed.transaction.amount,
               question.seen.transaction_hash, parsed.received_ms)  # fmt: skip
        live, replayed = _live(player.text, question), replay.observe(*one)
        assert repr(live) == repr(replayed)
        if number % 2:
            names = names_of(_call(player.text).key.handle, True)
            activity.mark(server(settings.REDIS_URL, settings.REDIS_TIMEOUT), names, [(question.seen, 0)])
            replay.refuse(*one)
    user = live["user_id"]
    assert isinstance(user, habits.Habits)
    assert (user.known, user.device_age, user.count_7d) == (6, 0.0, 6)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("seed", range(4))
def test_whatever_the_order_of_arrival_online_and_replayed_pasts_are_the_same(cast: Cast, seed: int) -> None:
    """One user's payments, on time, late, old and ahead, some of them sent again with other facts."""
    player = enter("unordered", "enterprise", rate_per_minute=1_000_000, included=1_000_000)
    chance, replay = random.Random(seed), history.Replay(PAYMENTS.roles)
    received_us = _call(player.text).received_us
    for number in range(2 * past_events.TRIMMED_AT):
        received_us += chance.choice([0, 1_000_000, 30_000_000])
        one = number - chance.randint(1, 50) if number % 10 == 9 else number
        said = {
            "transaction_id": f"p-{one}", "amount": chance.randint(1, 900), "user_id": "U1", "merchant_id": "M1",
            "timestamp": datetime.fromtimestamp((received_us + _off(chance, seed)) // 1_000_000, UTC).isoformat(),
        }  # fmt: skip
        question = item_of(_call(player.text), PAYMENTS, PAYMENTS.parse(said, received_us // 1000))
        parsed = question.parsed
        live = _live(player.text, question)
        replayed = replay.observe(
            PAYMENTS.parties(parsed.transaction),
            parsed.at_ms,
            parsed.transaction.amount,
            question.seen.transaction_hash,
            parsed.received_ms,
        )
        assert repr(live) == repr(replayed)


def _off(chance: random.Random, seed: int) -> int:
    """How far a payment's own time is from its receipt, µs; each seed has its own habit."""
    usual = (0, -200 * HOUR_US, HOUR_US // 6, 6 * HOUR_US)[seed]
    return usual + chance.choice([0, 0, 0, -HOUR_US, -9 * HOUR_US, HOUR_US // 5, 40 * HOUR_US])


@pytest.mark.django_db(transaction=True)
def test_no_hash_of_a_name_in_valkey_can_be_guessed_at(cast: Cast) -> None:
    """A card number sent as a name: whoever reads Valkey and hashes them all finds none."""
    player = enter("careful", "enterprise", rate_per_minute=1_000_000, included=1_000_000)
    card, other = "4242424242424242", "5555555555554444"
    said = {"amount": 5.0, "user_id": card, "merchant_id": other, "merchant_category": card, "transaction_id": card}
    question = item_of(_call(player.text), PAYMENTS, PAYMENTS.parse(said))
    _live(player.text, question)
    names = names_of(_call(player.text).key.handle, True)
    kept = names.party("payments", "user_id", ids.party_hash(card))
    held = [kept.encode(), server(settings.REDIS_URL, settings.REDIS_TIMEOUT).command("GET", kept)]
    held += [getattr(question, hashed).encode() for hashed in ("transaction_hash", "body_hash")]
    for size in (4, 8, 12, 16):
        for name in (card, other):
            digest = blake2b(name.encode(), digest_size=size).digest()
            assert not any(guess in one for one in held for guess in (digest, digest[::-1], digest.hex().encode()))


@pytest.mark.parametrize(
    "hashed", [ids.text_hash, ids.party_hash, lambda said: ids.body_hash("paysim", {"said": said})]
)
def test_a_hash_of_what_was_said_is_keyed_with_the_pepper_and_for_its_purpose(
    hashed: Callable[[Any], str], settings: Any
) -> None:
    before = hashed("said")
    settings.KEY_PEPPER = "another"
    ids.party_hash.cache_clear()
    ids._keyed.cache_clear()
    try:
        assert hashed("said") != before
        assert ids.text_hash("said")[:24] != ids.party_hash("said")
    finally:
        ids.party_hash.cache_clear()
        ids._keyed.cache_clear()


def _question(key: str, chance: random.Random, number: int) -> Item:
    """Everybody pays one merchant; time goes on by steps, some transactions are repeated under their id."""
    said = transaction(chance) | {"step": 400 + number // 40, "nameDest": "C-merchant"}
    said |= {"nameOrig": f"C{chance.randint(1, 25)}", "transaction_id": f"t-{number - number % 7 // 6}"}
    return item_of(_call(key), PAYSIM, PAYSIM.parse(said))


def _live(key: str, question: Item) -> activity.Activities:
    """Through the gate's own call, riding along."""
    call = _call(key)
    rider = activity.rider(names_of(call.key.handle, True), [question.seen], add=True)
    admission = get_admissions().admit(ask_for(call, [question]), rider)
    return activity.summarised([question.seen], admission.ridden)[0]


def _call(key: str) -> ScoringRequest:
    presented = keys.parse(key)
    assert presented is not None
    return ScoringRequest(presented, digest_of(key), "127.0.0.1", "decisions", "predict", time.time_ns() // 1000)
