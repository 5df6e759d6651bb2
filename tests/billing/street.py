"""Customers who ask day after day and count what they are told; and all that may happen to a service meanwhile."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from apps.accounts.models import Tenant
from apps.api_keys.keys import PresentedKey, parse
from apps.api_keys.services import digest_of
from apps.errors import Problem
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.serving import decision_formats, store
from apps.scoring.serving.requests import Item, ScoringRequest, ask_for, item_of
from apps.scoring.serving.service import Scoring
from apps.usage.metering.journal import decode
from bench.transactions import transaction

PAYSIM = SCHEMAS["paysim"]


@dataclass
class Customer:
    """A tenant's caller, and what it was told: by decision, the day and the units of the first answer."""

    tenant: Tenant
    live: str
    test: str
    told: dict[str, tuple[date, int]] = field(default_factory=dict)
    refused: int = 0

    def call(self, moment: datetime, *, text: str = "", many: bool = False, again: str = "") -> ScoringRequest:
        text = text or self.live
        key = parse(text)
        assert isinstance(key, PresentedKey)
        endpoint, scope = ("decisions_batch", "batch") if many else ("decisions", "predict")
        micros = int(moment.timestamp() * 1_000_000)
        return ScoringRequest(key, digest_of(text), "127.0.0.1", endpoint, scope, micros, again, again, many=many)

    def heard(self, moment: datetime, body: bytes) -> None:
        answer = decision_formats.decode(body)
        self.told.setdefault(answer.id, (moment.date(), answer.billed_units))

    def decisions(self) -> Counter[str]:
        return Counter(str(day) for day, _ in self.told.values())

    def units(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for day, units in self.told.values():
            found[str(day)] += units
        return found


@dataclass
class Street:
    """Customers who ask, one day after another, and a service to which things happen."""

    customers: Sequence[Customer]
    scoring: Scoring
    cut_off: Scoring  # its Valkey is away
    chance: random.Random = field(default_factory=lambda: random.Random(23))
    happened: Counter[str] = field(default_factory=Counter)

    def live(self, day: date) -> None:
        for customer in self.customers:
            moment = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(
                microseconds=self.chance.randrange(86_399_000_000)
            )
            what = self.chance.choices([name for name, _ in HAPPENS], [weight for _, weight in HAPPENS])[0]
            self.happened[what] += 1
            getattr(self, what)(customer, moment)

    # --- what happens ---

    def one(self, customer: Customer, moment: datetime) -> None:
        self._ask(customer, customer.call(moment))

    def many(self, customer: Customer, moment: datetime) -> None:
        call = customer.call(moment, many=True)
        said = [transaction(self.chance) for _ in range(3)]
        said[2] = said[1] = said[1] | {"transaction_id": f"{customer.tenant.slug}-{moment.timestamp()}"}
        questions = [_question(call, each, row) for row, each in enumerate(said)]
        try:
            for body in self.scoring.decide_many(call, questions, _no_time)[1]:
                customer.heard(moment, body)
        except Problem as refused:
            self._refused(customer, refused)

    def under_the_same_key(self, customer: Customer, moment: datetime) -> None:
        said = transaction(self.chance)
        for later in (0, 1, 2):
            call = customer.call(moment + timedelta(milliseconds=later), again=f"{moment.timestamp():032.6f}")
            self._ask(customer, call, said)

    def of_the_same_facts(self, customer: Customer, moment: datetime) -> None:
        said = transaction(self.chance) | {"transaction_id": f"{customer.tenant.slug}-{moment.timestamp()}"}
        for _ in range(2):
            self._ask(customer, customer.call(moment), said)

    def for_test(self, customer: Customer, moment: datetime) -> None:
        self._ask(customer, customer.call(moment, text=customer.test))

    def while_postgres_is_away(self, customer: Customer, moment: datetime) -> None:
        self.scoring.journal.say_storage(away=True, seconds=60)
        self._ask(customer, customer.call(moment))
        self.scoring.journal.say_storage(away=False)

    def while_valkey_is_away(self, customer: Customer, moment: datetime) -> None:
        self._ask(customer, customer.call(moment), scoring=self.cut_off)

    def died_before_the_journal(self, customer: Customer, moment: datetime) -> None:
        """The unit was reserved, and nobody was answered."""
        call = customer.call(moment)
        question = _question(call, transaction(self.chance))
        try:
            self.scoring.admissions.admit(ask_for(call, [question]))
        except Problem as refused:
            self._refused(customer, refused)
        self.one(customer, moment)

    def died_before_the_acknowledgement(self, customer: Customer, moment: datetime) -> None:
        """The recorder: what it has committed it reads again."""
        self.one(customer, moment)
        self.scoring.journal.prepare()
        store.record([decode(held.data) for held in self.scoring.journal.read(100)])

    def _ask(
        self,
        customer: Customer,
        call: ScoringRequest,
        said: dict[str, Any] | None = None,
        scoring: Scoring | None = None,
    ) -> None:
        question = _question(call, said or transaction(self.chance))
        try:
            answered = (scoring or self.scoring).decide(call, question, _no_time)
        except Problem as refused:
            self._refused(customer, refused)
            return
        customer.heard(datetime.fromtimestamp(call.received_us / 1_000_000, UTC), answered.body)

    @staticmethod
    def _refused(customer: Customer, refused: Problem) -> None:
        assert refused.code == "quota_exceeded"
        customer.refused += 1


#: What a customer does on a day, or what happens to it, and how often.
HAPPENS = (
    ("one", 50),
    ("many", 10),
    ("under_the_same_key", 8),
    ("of_the_same_facts", 8),
    ("for_test", 6),
    ("while_postgres_is_away", 4),
    ("while_valkey_is_away", 2),
    ("died_before_the_journal", 2),
    ("died_before_the_acknowledgement", 2),
)


def _question(call: ScoringRequest, said: dict[str, Any], row: int = 0) -> Item:
    return item_of(call, PAYSIM, PAYSIM.parse(said, call.received_us // 1000), row)


def _no_time() -> float:
    return 0.0
