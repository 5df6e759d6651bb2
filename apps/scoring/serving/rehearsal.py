"""Rehearse decisions, so that the first one asked for is as fast as the next: imports made on first use, caches,
connections, scripts. Nothing of them is kept, counted or billed."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from django.utils import timezone

from apps.accounts.tenancy import POSTGRES_AWAY
from apps.api_keys import keys
from apps.api_keys.gate import ADMIT, PUBLISH, RELEASE
from apps.api_keys.services import digest_of
from apps.errors import Problem
from apps.scoring.engine.decide import Policy
from apps.scoring.engine.engine import ENSEMBLE, Engine
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.serving.activity import ACTIVITY, ALONE, BLOCKED, FORGET, REFUSAL
from apps.scoring.serving.own_pasts import OBSERVE
from apps.scoring.serving.requests import ScoringRequest, item_of
from apps.scoring.serving.service import Scoring
from apps.usage.admission import admission
from apps.usage.admission.refused_calls import COUNT_REFUSED_CALL
from apps.usage.admission.refused_keys import COUNT_REFUSED
from apps.usage.admission.reservations import RESERVE, SETTLE
from apps.usage.metering.journal import APPEND
from apps.valkey import Away, Valkey

#: One transaction a schema.
EXAMPLES: Mapping[str, Mapping[str, Any]] = {
    "paysim": {
        "step": 1, "type": "TRANSFER", "amount": 5000.0, "nameOrig": "C1", "oldbalanceOrg": 10000.0,
        "newbalanceOrig": 5000.0, "nameDest": "C2", "oldbalanceDest": 0.0, "newbalanceDest": 5000.0,
    },
    "payments": {"amount": 12.5, "user_id": "U1", "merchant_id": "M1", "merchant_category": "grocery"},
    "ieee_cis": {"TransactionAmt": 68.5, "ProductCD": "W", "card1": 13926, "card4": "visa", "card6": "debit"},
    "card_activity": {
        "User_ID": 1, "Transaction_Amount": 40.0, "Transaction_Location": "USA", "Merchant_ID": 1, "Device_ID": 1,
        "Card_Type": "Credit", "Transaction_Currency": "USD", "Transaction_Status": "Completed",
        "Previous_Transaction_Count": 25, "Distance_Between_Transactions_km": 3.0,
        "Time_Since_Last_Transaction_min": 1440, "Authentication_Method": "OTP", "Transaction_Velocity": 1,
        "Transaction_Category": "Travel", "Transaction_Hour": 14, "Transaction_Day": 15, "Transaction_Month": 1,
        "Transaction_Weekday": 3,
    },
}  # fmt: skip
ROUNDS = 3
#: Every script a request may run. A server that was just started knows none: the first to ask would bring it.
SCRIPTS = (
    ADMIT,
    PUBLISH,
    RELEASE,
    COUNT_REFUSED,
    COUNT_REFUSED_CALL,
    ACTIVITY,
    ALONE,
    REFUSAL,
    FORGET,
    OBSERVE,
    APPEND,
    BLOCKED,
    RESERVE,
    SETTLE,
)
_RECEIVED_US = 1_767_225_600_000_000  # 2026-01-01


def decide_on_examples(engine: Engine) -> None:
    """The engine alone, every schema, by its champion and by all models. Needs no store."""
    for name, transaction in EXAMPLES.items():
        parsed = SCHEMAS[name].parse(dict(transaction), _RECEIVED_US // 1000)
        for _ in range(ROUNDS):
            for model in (None, ENSEMBLE):
                engine.decide(name, parsed, {}, Policy(), model if engine.models.get(name) else None)


def bring_scripts(valkey: Valkey) -> None:
    """Let the server know every script; while it is away the first request that needs one does."""
    with suppress(Away):
        valkey.pipeline([("SCRIPT", "LOAD", script.text) for script in SCRIPTS])


def go_the_whole_way(scoring: Scoring) -> None:
    """Bring the scripts, ask the gate with a key nobody has, which asks both stores; then decide and encode."""
    bring_scripts(scoring.journal.valkey)
    text = keys.generate("000000", livemode=True)
    key = keys.parse(text)
    assert key is not None  # noqa: S101 - it was made for that
    with suppress(*POSTGRES_AWAY):  # that is for requests to say
        admission.rehearse(timezone.now())
    for name, transaction in EXAMPLES.items():
        schema = SCHEMAS[name]
        request = ScoringRequest(key, digest_of(text), "127.0.0.1", "rehearsal", "predict", _RECEIVED_US)
        item = item_of(request, schema, schema.parse(dict(transaction), _RECEIVED_US // 1000))
        try:
            scoring.decide(request, item, lambda: 0.0)
        except Problem:  # the key is nobody's, or a store is away: that is for requests to say
            scoring.rehearse(request, item)
