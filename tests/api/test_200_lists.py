"""200: decisions in pages, newest first, filtered; stable while new ones arrive."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.api.bodies import DRAINED, HONEST, TRANSFER, VANISHED, asking
from tests.cast import Api

Drain = Callable[[], int]


def rows(api: Api, query: str = "") -> list[dict[str, Any]]:
    answer = api.get(f"/v1/decisions{query}")
    assert answer.status_code == 200, answer.content
    return list(answer.json()["data"])


def test_nothing_yet(alice: Api) -> None:
    assert alice.get("/v1/decisions").json() == {"object": "list", "data": [], "has_more": False, "next_cursor": None}


def test_rows_are_the_answers_that_were_given_newest_first(alice: Api, drain: Drain) -> None:
    given = [alice.post("/v1/decisions", HONEST).json() for _ in range(5)]
    drain()
    assert rows(alice) == given[::-1]


def test_pages_join_without_gap_or_overlap_while_decisions_arrive(alice: Api, drain: Drain) -> None:
    made = [alice.post("/v1/decisions", HONEST).json()["id"] for _ in range(7)]
    drain()
    seen, query = [], "?limit=3"
    while query:
        page = alice.get(f"/v1/decisions{query}").json()
        seen += [row["id"] for row in page["data"]]
        query = f"?limit=3&cursor={page['next_cursor']}" if page["has_more"] else ""
        alice.post("/v1/decisions", HONEST)
        drain()
    assert seen == made[::-1]


def test_rows_of_one_moment_keep_an_order(alice: Api, drain: Drain) -> None:
    alice.post("/v1/decisions/batch", {"schema": "paysim", "transactions": [TRANSFER] * 9})
    drain()
    first = alice.get("/v1/decisions?limit=5").json()
    second = alice.get(f"/v1/decisions?limit=5&cursor={first['next_cursor']}").json()
    ids = [row["id"] for row in first["data"] + second["data"]]
    assert ids == sorted(ids, reverse=True)
    assert len(set(ids)) == 9


@pytest.fixture
def three(alice: Api, drain: Drain) -> list[dict[str, Any]]:
    """An honest transfer, a drained account, and newer facts for the first."""
    bodies = [asking(TRANSFER | {"transaction_id": "a"}), asking(DRAINED), asking(VANISHED | {"transaction_id": "a"})]
    made = [alice.post("/v1/decisions", body).json() for body in bodies]
    drain()
    return made


@pytest.mark.parametrize(
    ("query", "places"),
    [
        ("schema=paysim", [2, 1, 0]), ("status=superseding", [2]), ("status=new", [1, 0]), ("risk_level=low", [0]),
        ("risk_level=critical", [2, 1]), ("recommended_action=block", [2, 1]), ("recommended_action=review", []),
        ("transaction_id=a", [2, 0]), ("transaction_id=b", []), ("transaction_id=a&status=new", [0]),
        ("created_after=2999-01-01T00:00:00Z", []), ("created_before=2999-01-01", [2, 1, 0]),
        ("created_after=2020-01-01T00:00:00%2B02:00&limit=1", [2]), ("created_before=2020-01-01T00:00:00", []),
        ("created_after=2999-01-01T00:00Z", []), ("created_before=2999-01-01T00:00:00,5%2B00", [2, 1, 0]),
        ("created_after=2020-01-01 00:00&limit=1", [2]), ("created_before=2020-01-01t00:00:00.123456789z", []),
        ("created_after=2020-01-01T00:00:00+0200&limit=1", [2]), ("created_before=2020-01-01 00:00:00 02:00", []),
    ],
)  # fmt: skip
def test_filters(alice: Api, three: list[dict[str, Any]], query: str, places: list[int]) -> None:
    assert rows(alice, f"?{query}") == [three[place] for place in places]


def test_a_moment_divides_before_from_after(alice: Api, three: list[dict[str, Any]]) -> None:
    moment = three[2]["created_at"]
    after = [row["id"] for row in rows(alice, f"?created_after={moment}")]
    before = [row["id"] for row in rows(alice, f"?created_before={moment}")]
    assert sorted(after + before) == sorted(row["id"] for row in three)
    assert three[2]["id"] in after
