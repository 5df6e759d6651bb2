"""The pure parts of review cases: which queue takes one, what comes first, what verdicts amount to, what a file is."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.review.cases import file_types, priority, verdicts
from apps.review.cases.criteria import Criteria, takes
from apps.review.cases.verdicts import Outcome

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@dataclass
class Waiting:
    schema: str = "payments"
    amount: float = 100.0
    fraud_probability: float | None = 0.5
    rules_hit: Sequence[str] = field(default_factory=list)
    created_at: datetime = NOW - timedelta(hours=1)

    @property
    def expected_loss(self) -> float:
        return priority.expected_loss(self.fraud_probability, self.amount)


@pytest.mark.parametrize(
    ("criteria", "case", "taken"),
    [
        ({}, {}, True),
        ({"rules": ["mule", "far"]}, {"rules_hit": ["far"]}, True),
        ({"rules": ["mule"]}, {"rules_hit": ["far"]}, False),
        ({"schemas": ["paysim"]}, {}, False),
        ({"amount_from": 100}, {}, True),
        ({"amount_from": 100.01}, {}, False),
        ({"amount_to": 99}, {}, False),
        ({"probability_from": 0.5, "probability_to": 0.5}, {}, True),
        ({"probability_from": 0.1}, {"fraud_probability": None}, False),
        ({"older_than_minutes": 60}, {}, True),
        ({"older_than_minutes": 61}, {}, False),
        ({"amount_from": 1, "schemas": ["paysim"]}, {}, False),
    ],
)
def test_a_queue_takes_what_meets_all_of_its_criteria(criteria: Any, case: Any, taken: bool) -> None:
    assert takes(Criteria(**criteria), Waiting(**case), NOW) is taken


def test_twice_the_money_weighs_as_much_as_one_sla_of_waiting() -> None:
    old = Waiting(amount=2 * (512 - 1), created_at=NOW - DAY)
    new = Waiting(amount=2 * (1024 - 1), created_at=NOW)
    assert priority.urgency(old, DAY, NOW) == pytest.approx(priority.urgency(new, DAY, NOW))


cases = st.builds(
    Waiting,
    amount=st.floats(0, 1e9),
    fraud_probability=st.none() | st.floats(0, 1),
    created_at=st.timedeltas(timedelta(0), 300 * DAY).map(lambda age: NOW - age),
)


@given(cases, cases, st.sampled_from([timedelta(minutes=1), DAY, 30 * DAY]))
def test_the_stored_rank_orders_a_queue_as_urgency_does_at_any_moment(one: Any, other: Any, sla: timedelta) -> None:
    by_rank = priority.rank("money", one, sla) - priority.rank("money", other, sla)
    by_urgency = priority.urgency(one, sla, NOW) - priority.urgency(other, sla, NOW)
    assert by_rank == pytest.approx(by_urgency, abs=1e-3, rel=1e-6)


@dataclass
class Said:
    reviewer: str
    resolution: str


@pytest.mark.parametrize(
    ("said", "needed", "outcome"),
    [
        ("", 1, Outcome("open")),
        ("f", 1, Outcome("resolved", "fraud")),
        ("f", 2, Outcome("second_review")),
        ("ff", 2, Outcome("resolved", "fraud")),
        ("fl", 2, Outcome("disputed")),
        ("fll", 2, Outcome("resolved", "legitimate")),
        ("flu", 2, Outcome("resolved", "unsure")),
        ("fl", 1, Outcome("resolved", "legitimate")),
    ],
)
def test_what_verdicts_amount_to(said: str, needed: int, outcome: Outcome) -> None:
    words = {"f": "fraud", "l": "legitimate", "u": "unsure"}
    given = [Said(str(place), words[one]) for place, one in enumerate(said)]
    assert verdicts.outcome(given, needed) == outcome


def test_nobody_is_their_own_second_pair_of_eyes_and_only_admins_settle() -> None:
    two = [Said("ann", "fraud"), Said("ben", "legitimate")]
    assert verdicts.refusal("second_review", two[:1], "ann", may_settle=True)
    assert not verdicts.refusal("second_review", two[:1], "ben", may_settle=False)
    assert verdicts.refusal("disputed", two, "cai", may_settle=False)
    assert not verdicts.refusal("disputed", two, "cai", may_settle=True)


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (b"%PDF-1.7\n", "application/pdf"),
        (b"\x89PNG\r\n\x1a\n\0", "image/png"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        ("Grüße".encode(), file_types.TEXT),
        (b"<script>alert(1)</script>", file_types.TEXT),  # told as text and never shown
        (b"", None),
        (b"MZ\x90\0", None),
        (b"PK\x03\x04", None),
        (b"a\0b", None),
    ],
)
def test_a_files_own_bytes_say_what_it_is(content: bytes, media_type: str | None) -> None:
    assert file_types.media_type_of(content) == media_type


@pytest.mark.parametrize(
    ("said", "name"),
    [("../../etc/passwd", "passwd"), ("C:\\a\\b.pdf", "b.pdf"), ('a"\r\nb.txt', "ab.txt"), ("...", "evidence")],
)
def test_a_files_name_leads_nowhere(said: str, name: str) -> None:
    assert file_types.file_name(said) == name
