"""429: too many requests, or the included volume is used up. Exact, and a refusal costs nothing."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.api.bodies import HONEST, asking
from tests.cast import Api, Cast, enter, new_key

Count = Callable[[Api], int]
Use = Callable[[Api], None]


def test_the_free_plan_allows_ten_a_minute_at_once_and_the_eleventh_waits(charlie: Api, counted: Count) -> None:
    answers = [charlie.post("/v1/decisions", HONEST) for _ in range(12)]
    assert [answer.status_code for answer in answers] == [200] * 10 + [429] * 2
    refused = answers[-1]
    assert refused.json()["code"] == "rate_limited"
    assert refused["Retry-After"] == "6"
    assert (refused["X-RateLimit-Limit"], refused["X-RateLimit-Remaining"]) == ("10", "0")
    assert counted(charlie) == 10


def test_reads_use_up_the_same_minute(charlie: Api) -> None:
    statuses = [charlie.get("/v1/usage").status_code for _ in range(11)]
    assert statuses == [200] * 10 + [429]


def test_remaining_counts_down(charlie: Api) -> None:
    left = [int(charlie.get("/v1/usage")["X-RateLimit-Remaining"]) for _ in range(10)]
    assert left == list(range(9, -1, -1))


def test_the_next_request_is_free_when_retry_after_says_so() -> None:
    quick = Api(enter("quick", "free", rate_per_minute=120))
    statuses = [quick.get("/v1/webhooks").status_code for _ in range(130)]  # a cheap one: two are free every second
    assert 429 in statuses
    wait = int(quick.get("/v1/webhooks")["Retry-After"])
    time.sleep(wait)
    assert quick.get("/v1/webhooks").status_code == 200


def test_a_key_may_have_a_lower_limit_of_its_own(cast: Cast, alice: Api) -> None:
    slow = Api(cast.alice, new_key(cast.alice.tenant, rate_per_minute=3)[1])
    assert [slow.get("/v1/usage").status_code for _ in range(4)] == [200, 200, 200, 429]
    assert alice.get("/v1/usage").status_code == 200


def test_all_keys_of_a_tenant_share_its_minute(cast: Cast, charlie: Api) -> None:
    other = Api(cast.charlie, new_key(cast.charlie.tenant)[1])
    statuses = [caller.get("/v1/usage").status_code for _ in range(6) for caller in (charlie, other)]
    assert statuses == [200] * 10 + [429] * 2


def test_one_tenant_does_not_use_up_anothers(charlie: Api, bob: Api) -> None:
    for _ in range(11):
        charlie.get("/v1/usage")
    assert bob.get("/v1/usage").status_code == 200


@pytest.mark.parametrize("included", [0, 3])
def test_the_included_volume_is_exact(included: int, counted: Count, stored: Count) -> None:
    dora = Api(enter("dora", "basic", included=included))
    answers = [dora.post("/v1/decisions", HONEST) for _ in range(included + 2)]
    assert [answer.status_code for answer in answers] == [200] * included + [429] * 2
    refused = answers[-1].json()
    assert (refused["code"], refused["used"], refused["included"]) == ("quota_exceeded", included, included)
    assert (counted(dora), stored(dora)) == (included, included)


def test_what_a_429_says_to_do_works_where_invoices_are_paid_by_transfer(charlie: Api, use_up: Use) -> None:
    use_up(charlie)
    told = charlie.post("/v1/decisions", HONEST).json()["detail"]
    assert "POST /v1/subscription" in told and "bank transfer" in told and "payment method" not in told
    assert charlie.post("/v1/subscription", {"plan": "professional"}).status_code == 200
    assert charlie.post("/v1/decisions", HONEST).status_code == 200


def test_a_429_speaks_of_cards_where_they_are_taken(charlie: Api, use_up: Use, settings: Any) -> None:
    settings.STRIPE_API_KEY = "sk_test_any"
    use_up(charlie)
    told = charlie.post("/v1/decisions", HONEST).json()["detail"]
    assert "Add a payment method (POST /v1/payment-method)" in told


def test_what_costs_nothing_goes_on_when_the_volume_is_used_up(alice: Api, use_up: Callable[[Api], None]) -> None:
    named = asking(HONEST["transaction"] | {"transaction_id": "a"})
    alice.post("/v1/decisions", named, idempotency_key="k1")
    use_up(alice)
    assert alice.post("/v1/decisions", named).json()["status"] == "duplicate"
    assert alice.post("/v1/decisions", named, idempotency_key="k1").status_code == 200
    assert alice.post("/v1/decisions", asking(dry_run=True)).status_code == 200
    assert alice.get("/v1/decisions").status_code == 200


def test_a_forgotten_counter_is_set_from_what_is_recorded(
    drain: Callable[[], int], flush_again: Callable[[], None]
) -> None:
    dora = Api(enter("dora", "basic", included=2))
    dora.post("/v1/decisions", HONEST)
    drain()
    flush_again()
    assert [dora.post("/v1/decisions", HONEST).status_code for _ in range(2)] == [200, 429]
