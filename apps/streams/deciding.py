"""Messages in, what becomes of each out: decided, refused for good, or to be tried again.

    read each ─► lots alike in key, schema and model ─► one admission and one journal append a lot ─► answers
       └ wrong: refused                                   └ refused: waits (rate, quota, a store away) or for good

A lot is one request of the rate limit and each of its transactions a unit, as in a batch call. Repeats are harmless: a
message decided before is answered with the decision made then, for nothing.
"""

import logging
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from django.db import close_old_connections

from apps.accounts.tenancy import POSTGRES_AWAY
from apps.api_keys import keys
from apps.api_keys.keys import PresentedKey
from apps.api_keys.services import digest_of
from apps.errors import Problem
from apps.scoring.engine.engine import UnknownModel
from apps.scoring.serving.requests import ScoringRequest, item_of
from apps.scoring.serving.service import Scoring
from apps.streams import messages as forms
from apps.streams.messages import Asked, Message
from apps.streams.waits import room_left, wait_of
from apps.valkey import Away

log = logging.getLogger(__name__)

ENDPOINT, SCOPE = "stream", "batch"
#: A message has no address of its own: a key that is bound to networks is refused unless this one is among them.
ADDRESS = "127.0.0.1"

Credentials = tuple[PresentedKey, str]  # and its digest


class Answered(NamedTuple):
    """A decision the journal has, as it is answered."""

    message: Message
    decision: bytes


class Refused(NamedTuple):
    """A message that can't be decided, now or later."""

    message: Message
    problem: Problem


class Waiting(NamedTuple):
    """A message to be tried again in `seconds`."""

    message: Message
    problem: Problem
    seconds: float


Outcome = Answered | Refused | Waiting


class Question(NamedTuple):
    """A message that was understood, and under whose key it asks."""

    message: Message
    key: PresentedKey
    digest: str
    asked: Asked


class Decider:
    """Decides on messages. `default`: the key of those that bring none; None: such a message is refused."""

    def __init__(self, scoring: Callable[[], Scoring], schema: str, default: Credentials | None) -> None:
        self._scoring = scoring
        self._schema = schema
        self._default = default

    def decide(self, messages: Sequence[Message], now_us: int) -> list[Outcome]:
        """What becomes of each message, in no order. Whatever was decided is in the journal by then."""
        outcomes: list[Outcome] = []
        questions: list[Question] = []
        for message in messages:
            try:
                questions.append(self._question(message, now_us))
            except Problem as problem:
                outcomes.append(Refused(message, problem))
        for lot in forms.lots([(question.digest, question.asked) for question in questions]):
            outcomes += self._decide_lot([questions[index] for index in lot], now_us)
        return outcomes

    def _question(self, message: Message, now_us: int) -> Question:
        """Raises `Problem`: no key or a malformed one, a value that can't be read, an unknown schema or model."""
        key, digest = self._credentials(message)
        asked = forms.read(message, self._schema, now_us // 1000)
        try:
            self._scoring().engine.require(asked.schema, asked.model)
        except UnknownModel as unknown:
            raise Problem("model_unknown", f"{unknown}.", "model") from unknown
        return Question(message, key, digest, asked)

    def _credentials(self, message: Message) -> Credentials:
        text = forms.key_text(message)
        if text is None:
            if self._default is None:
                raise Problem("key_missing", f"Send the key in the header {forms.KEY_HEADER}.")
            return self._default
        return credentials_of(text)

    def _decide_lot(self, lot: Sequence[Question], now_us: int) -> list[Outcome]:
        """A lot under one admission. One that fails as a whole is halved, until the message at fault stands alone."""
        try:
            return self._decided(lot, now_us)
        except Problem as problem:
            return self._refused(lot, problem, now_us)
        except (Away, *POSTGRES_AWAY) as failure:
            return self._refused(lot, Problem("stores_away", str(failure).partition("\n")[0]), now_us)
        except Exception:
            if len(lot) > 1:
                middle = len(lot) // 2
                return self._decide_lot(lot[:middle], now_us) + self._decide_lot(lot[middle:], now_us)
            log.exception("message %s-%d@%d can't be decided", *lot[0].message[:3])
            return [Refused(lot[0].message, Problem("internal"))]

    def _decided(self, lot: Sequence[Question], now_us: int) -> list[Outcome]:
        started, first = time.perf_counter(), lot[0]
        request = ScoringRequest(
            key=first.key, digest=first.digest, address=ADDRESS, endpoint=ENDPOINT, scope=SCOPE, received_us=now_us,
            model=first.asked.model, dry_run=first.asked.dry_run, many=True,
        )  # fmt: skip
        items = [item_of(request, one.asked.schema, one.asked.parsed, row) for row, one in enumerate(lot)]
        _, answers, _ = self._scoring().decide_many(request, items, lambda: (time.perf_counter() - started) * 1000)
        return [Answered(one.message, answer) for one, answer in zip(lot, answers, strict=True)]

    def _refused(self, lot: Sequence[Question], problem: Problem, now_us: int) -> list[Outcome]:
        """All of them wait, or are refused; where the quota has room for some, these are decided first."""
        room = room_left(problem)
        if 0 < room < len(lot):
            return self._decide_lot(lot[:room], now_us) + self._decide_lot(lot[room:], now_us)
        seconds = wait_of(problem)
        if seconds is None:
            return [Refused(one.message, problem) for one in lot]
        close_old_connections()  # one that broke is opened anew at the next try
        return [Waiting(one.message, problem, seconds) for one in lot]


def credentials_of(text: str) -> Credentials:
    """A key's text as it is presented to the gate. Raises `Problem` when it is none."""
    key = keys.parse(text)
    if key is None:
        raise Problem("key_malformed", keys.why_malformed(text))
    return key, digest_of(text)
