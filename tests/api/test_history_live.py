"""Recent activity as the live store gives it is, event for event, what a replay of the same transactions gives."""

import random
import time

import pytest

from apps.api_keys import keys
from apps.api_keys.gate import names_of
from apps.api_keys.services import digest_of
from apps.scoring import activity
from apps.scoring.calls import Call, Question, ask_for, question_of
from apps.scoring.engine import history
from apps.scoring.engine.schemas import SCHEMAS
from apps.usage.admission import this_admissions
from bench.transactions import transaction
from tests.cast import Cast, enter

PAYSIM = SCHEMAS["paysim"]
MANY = 2 * history.KEPT + 90  # one party is trimmed on the way


@pytest.mark.django_db(transaction=True)
def test_online_and_replayed_activity_are_the_same_numbers(cast: Cast) -> None:
    player = enter("busy", "enterprise", rate_per_minute=1_000_000, included=1_000_000)
    chance, replay = random.Random(11), history.Replay(PAYSIM.roles)
    for number in range(MANY):
        question = _question(player.text, chance, number)
        live = _live(player.text, question)
        parsed = question.parsed.transaction
        replayed = replay.observe(
            PAYSIM.parties(parsed), question.parsed.at_ms, parsed.amount, _seen(question).transaction_hash
        )
        assert live == replayed or repr(live) == repr(replayed)  # nan is not equal to itself
    assert 200 < max(one.count_7d for one in live.values()) <= history.KEPT  # repeated ids count once


def _question(key: str, chance: random.Random, number: int) -> Question:
    """Everybody pays one merchant; time goes on by steps, some transactions are repeated under their id."""
    said = transaction(chance) | {"step": 400 + number // 40, "nameDest": "C-merchant"}
    said |= {"nameOrig": f"C{chance.randint(1, 25)}", "transaction_id": f"t-{number - number % 7 // 6}"}
    return question_of(_call(key), PAYSIM, PAYSIM.parse(said))


def _live(key: str, question: Question) -> activity.Activities:
    """Through the gate's own call, riding along."""
    call = _call(key)
    rider = activity.rider(names_of(call.key.handle, True), [_seen(question)], add=True)
    admission = this_admissions().admit(ask_for(call, [question]), rider)
    return activity.summarised([_seen(question)], admission.ridden)[0]


def _call(key: str) -> Call:
    presented = keys.parse(key)
    assert presented is not None
    return Call(presented, digest_of(key), "127.0.0.1", "decisions", "predict", time.time_ns() // 1000)


def _seen(question: Question) -> activity.Seen:
    return activity.Seen(question.schema, question.parsed, int(question.transaction_hash[:16], 16))
