"""What an own model is asked online is what training reads of the same decisions, to the bit: a log of 2018 goes on by
single calls, by calls of many and by files, while labels of its frauds arrive."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from django.utils import timezone

from apps.accounts.tenancy import in_tenant
from apps.batches import chunks, planning
from apps.own_models import tasks
from apps.own_models.reading import read
from apps.scoring.engine.own_features import features_of
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.models import Decision
from apps.scoring.serving import own_shelf
from apps.training.own.material import own_features
from tests.cast import Api
from tests.own_models.made_up import DAYS, KNOWN_AFTER, Payment, payments, store

BEGIN = datetime(2018, 4, 1, tzinfo=UTC)
CUT = BEGIN + timedelta(days=DAYS)
LIVE_DAYS = 10
WIDTH = len(features_of("payments"))
SCHEMA = SCHEMAS["payments"]


@pytest.mark.django_db(transaction=True)
def test_features_online_are_those_of_training(alice: Api, drain: Callable[[], int]) -> None:
    log = payments(BEGIN, DAYS + LIVE_DAYS)
    before = sum(one.at < CUT for one in log)
    store(alice.tenant, log[:before], until=CUT)
    base_rate = base_rate_of_champion(alice)
    ways = [singly, together, as_file]
    for place, (first, some, labels) in enumerate(groups(log, before)):
        if labels:
            assert alice.post("/v1/labels", {"labels": labels}).status_code == 200
        ways[place % 3](alice, first, some)
    drain()

    known = read(alice.tenant, "payments", True)
    assert (len(known.decisions.at_ms), known.left_out) == (len(log), 0)
    offline = own_features("payments", known.decisions, base_rate)[before:]
    with in_tenant(alice.tenant):
        rows = {row.transaction_id: row for row in Decision.objects.filter(model_name="own")}
    played = [rows[f"t{number}"] for number in range(before, len(log))]
    stored = np.array([np.frombuffer(row.features, "<f4") for row in played])
    online = stored[:, -WIDTH:]
    assert np.array_equal(online, offline, equal_nan=True)
    told = dict(zip((feature.name for feature in features_of("payments")), offline.T, strict=True))
    assert min(told[name].max() for name in ("merchant_frauds_1d", "merchant_fraud_share_7d", "user_count_30d")) > 0
    known_events = stored[:, SCHEMA.feature_names.index("known_events")]
    assert known_events.min() > 20  # the live history knows what was decided before there was a model


def base_rate_of_champion(api: Api) -> float:
    """Train on what is stored and promote; the rate of fraud the champion's shares are smoothed by."""
    name = api.post("/v1/models/train", {"schema": "payments", "families": ["logistic_regression"]}).json()["id"]
    assert tasks.go_on() == 1
    assert api.post(f"/v1/models/{name}/promote", {}).json()["state"] == "champion"
    own = own_shelf.load(api.tenant.schema_name, name).card.own
    assert own is not None
    return own.base_rate


def groups(log: list[Payment], before: int) -> Iterator[tuple[int, list[Payment], list[dict[str, Any]]]]:
    """What comes after the first payments, cut wherever a fraud becomes known, with what became known since."""
    known = sorted((one.at + KNOWN_AFTER, number) for number, one in enumerate(log) if one.is_fraud)
    known = [mark for mark in known if mark[0] > CUT]
    ends = sorted({mark[0] for mark in known if mark[0] <= log[-1].at})
    begin = before
    for end in [*ends, log[-1].at + timedelta(days=1)]:
        stop = next((number for number in range(begin, len(log)) if log[number].at >= end), len(log))
        since = log[begin].at if begin < len(log) else end
        labels = [label(number, at) for at, number in known if at <= since]
        known = [mark for mark in known if mark[0] > since]
        if stop > begin:
            yield begin, log[begin:stop], labels
        begin = stop


def label(number: int, known_at: datetime) -> dict[str, Any]:
    return {"transaction_id": f"t{number}", "label": "fraud", "source": "chargeback", "known_at": known_at.isoformat()}


def sent(number: int, one: Payment) -> dict[str, Any]:
    return {"transaction_id": f"t{number}", "timestamp": one.at.isoformat(), "amount": one.amount,
            "user_id": one.user, "merchant_id": one.merchant}  # fmt: skip


def singly(api: Api, first: int, some: list[Payment]) -> None:
    for number, one in enumerate(some, first):
        assert api.post("/v1/decisions", {"schema": "payments", "transaction": sent(number, one)}).status_code == 200


def together(api: Api, first: int, some: list[Payment]) -> None:
    rows = [sent(number, one) for number, one in enumerate(some, first)]
    assert api.post("/v1/decisions/batch", {"schema": "payments", "transactions": rows}).status_code == 200


def as_file(api: Api, first: int, some: list[Payment]) -> None:
    rows = [sent(number, one) for number, one in enumerate(some, first)]
    lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
    made = api.call("POST", "/v1/batches?schema=payments", "\n".join(lines).encode(), "text/csv").json()["id"]
    planning.plan(made)
    while chunks.score_next(made, timezone.now()):
        pass
