"""A card number of its own in every text of every endpoint; then all that was kept, logged and told is searched.

The server is the real one. Searched are each answer with its headers, the server's log, every table of every schema,
Postgres' WAL and log, and Valkey's append-only files, which forget nothing while a test runs. A word that is no card
number, sent the same way, is found there: else the search itself would be broken.
"""

import http.client
import itertools
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db import connection
from django.utils import timezone

from apps.billing.collecting import provider_events
from apps.billing.collecting.stripe_gateway import StripeGateway
from config.local import embedded
from tests.campaign import campaign
from tests.cards.asked import Place, everywhere
from tests.cards.pans import forms, pan, readable
from tests.cast import Api, enter
from tests.live import serving
from tests.pace import within
from tests.stripe_server import Stand
from tests.stripe_server.webhooks import body_of, signature

WORD = "no-card-but-a-word"
SECRET = "whsec_of_the_tenant"


class Cards:
    """Card numbers, each sent once, in one form after the other; and where each was sent."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self.last = 0
        self.sent: dict[int, str] = {}

    def number_of_next(self) -> int:
        self.last = next(self._numbers)
        return self.last

    def text(self) -> str:
        variants = list(forms(pan(self.number_of_next())))
        return variants[self.last % len(variants)]

    def number(self) -> int:
        return int(pan(self.number_of_next()))

    def where(self, haystack: bytes) -> list[str]:
        """Where the card numbers that can be read in it were sent."""
        return sorted(self.sent.get(number, f"card {number}") for number in readable(haystack))


class Caller:
    """A client of the live server that looks at whatever is told back."""

    def __init__(self, address: str, key: str, cards: Cards) -> None:
        self.connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=within(60))
        self.key, self.cards = key, cards
        self.told: list[str] = []
        self.statuses: set[int] = set()

    def send(self, place: Place, data: bytes | None = None) -> bytes:
        self.cards.sent[self.cards.last] = place.name
        body = data if data is not None else None if place.body is None else json.dumps(place.body).encode()
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"} | place.headers
        self.connection.request(place.method, place.path, body, headers)
        answer = self.connection.getresponse()
        said = answer.read()
        self.statuses.add(answer.status)
        assert answer.status < 500 or answer.status == 503, (place, said)
        for haystack in (said, _unescaped(said), str(answer.getheaders()).encode()):
            self.told += [f"{where}: {said[:300]!r}" for where in self.cards.where(haystack)]
        return said


def _unescaped(said: bytes) -> bytes:
    """JSON may hide a character as \\uXXXX."""
    try:
        return json.dumps(json.loads(said), ensure_ascii=False).encode("utf-8", "surrogatepass")
    except ValueError:
        return b""


@pytest.fixture
def stand() -> Iterator[Stand]:
    with Stand() as stand:
        yield stand


@campaign
def test_no_card_number_stays_anywhere(
    stand: Stand, drain: Callable[[], int], capfd: pytest.CaptureFixture[str], flush: None
) -> None:
    cards, stranger = Cards(), enter("stranger", "enterprise", rate_per_minute=50_000_000, included=10**9)
    stripe = {"STRIPE_API_KEY": stand.api_key, "STRIPE_WEBHOOK_SECRET": stand.webhook_secret}
    with serving(PALISADE_LOG_LEVEL="DEBUG", STRIPE_API_BASE=stand.url, **stripe) as address:
        caller = Caller(address, stranger.text, cards)
        for place in everywhere(cards.text, cards.number):
            caller.send(place)
        _send_signed(caller, stand, Api(stranger))
        _send_a_word(caller)
    drain()
    gateway = StripeGateway(
        api_key=stand.api_key, webhook_secret=stand.webhook_secret, base=stand.url, timeout=within(2)
    )
    provider_events.work_through(gateway, timezone.now())
    assert caller.told == []
    assert len(cards.sent) > 1_500
    assert {200, 400, 401, 404, 415, 422} <= caller.statuses
    logged = "".join(capfd.readouterr()).encode()
    assert b"/v1/payment_intents/pi_" in logged  # it is the server's, with all it has to say
    assert cards.where(logged) == []
    for name, content in _kept():
        assert cards.where(content) == [], name
    assert _named(WORD, _kept()) >= ({"postgres", "wal", "aof"} if _ours() else {"postgres"})


def _send_signed(caller: Caller, stand: Stand, api: Api) -> None:
    """What Stripe signs: events of the provider, and PaymentIntents of the tenant's own account."""
    for event in _events(caller.cards):
        body = body_of(event)
        signed = {"Stripe-Signature": signature(body, stand.webhook_secret)}
        caller.send(Place("provider's event", "POST", "/stripe/webhook", signed), body)
    connected = {"api_key": stand.api_key, "webhook_secret": SECRET}
    told = caller.send(Place("connect", "POST", "/v1/stripe/account", {}, connected))
    assert b"webhook" in told, told
    for _ in range(3):  # asked for at Stripe, under this id: a line of the log
        asked = f"/v1/stripe/payment-intents/pi_{pan(caller.cards.number_of_next())}/screen"
        caller.send(Place("intent of Stripe's", "POST", asked, {}, {}))
    for name in ("user_id", "merchant_id", "merchant_category", "device_id", "country", "email", "ip_address", "x"):
        said = {"amount": "1250", "currency": "usd", f"metadata[{name}]": caller.cards.text()}
        intent = stand.ledger.create_intent(said)
        caller.send(Place(f"intent {name}", "POST", f"/v1/stripe/payment-intents/{intent['id']}/screen", {}, {}))
        body = body_of(stand.ledger.events[-1])
        signed = {"Stripe-Signature": signature(body, SECRET)}
        caller.send(Place(f"intent event {name}", "POST", json.loads(told)["webhook"], signed), body)


def _events(cards: Cards) -> Iterator[dict[str, Any]]:
    """A card number in each text of an event, and in its names."""
    intent = {"id": "pi_1", "status": "succeeded", "amount": 100, "metadata": {}}
    event = {"id": "evt_1", "type": "payment_intent.succeeded", "created": 1_764_325_800, "data": {"object": intent}}
    yield event | {"id": f"evt_{cards.text()}"}
    for number, name in enumerate(("id", "description", "receipt_email", "latest_charge", "customer")):
        yield event | {"id": f"evt_a{number}", "data": {"object": intent | {name: f"x_{cards.text()}"}}}
    for number, name in enumerate(("palisade", "user_id", "palisade_payment", cards.text())):
        yield event | {"id": f"evt_b{number}", "data": {"object": intent | {"metadata": {name: cards.text()}}}}
    yield event | {"id": "evt_kind", "type": cards.text()}
    yield event | {"id": "evt_name", cards.text(): {cards.text(): [cards.number(), cards.text()]}}


def _send_a_word(caller: Caller) -> None:
    """The same way: into a decision, and into a webhook's description."""
    payment = {"amount": 1.0, "user_id": WORD, "merchant_id": "m"}
    decided = Place("word", "POST", "/v1/decisions", {}, {"schema": "payments", "transaction": payment})
    assert WORD.encode() not in caller.send(decided)
    made = Place("word", "POST", "/v1/webhooks", {}, {"url": "https://example.com/", "description": WORD})
    caller.send(made)


def _ours() -> bool:
    """Whether the servers are the embedded ones, whose files are within reach."""
    return not {"DATABASE_URL", "REDIS_URL"} & set(os.environ)


def _kept() -> Iterator[tuple[str, bytes]]:
    """All that is kept, piece by piece, with where it is from."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT schemaname, tablename FROM pg_tables"
            " WHERE schemaname NOT IN ('information_schema') AND tablename NOT LIKE 'pg\\_%%'"
        )
        for schema, table in cursor.fetchall():
            name = ".".join(map(connection.ops.quote_name, (schema, table)))
            cursor.execute(f"SELECT string_agg(t::text, chr(10)) FROM {name} t")
            yield f"postgres {name}", str(cursor.fetchone()[0]).encode()
    if not _ours():
        return
    folder = embedded.data_dir()
    for name, files in (("wal", "postgres/pg_wal/*"), ("aof", "valkey/appendonlydir/*"), ("logs", "logs/*")):
        for file in folder.glob(files):
            if file.is_file():
                yield f"{name} {file.name}", Path(file).read_bytes()


def _named(word: str, kept: Iterator[tuple[str, bytes]]) -> set[str]:
    """Where a word is found."""
    return {name.partition(" ")[0] for name, content in kept if word.encode() in content}
