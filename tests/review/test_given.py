"""What a label may say, and what of a CSV file is one."""

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest

from apps.errors import Problem
from apps.review import label_csv
from apps.review.given import latest, meant

NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
GOOD = {"decision_id": "dec_1", "label": "fraud", "source": "chargeback"}


@pytest.mark.parametrize(
    ("changed", "param"),
    [
        ({"label": "maybe"}, "label"),
        ({"source": "neighbour"}, "source"),
        ({"transaction_id": "t1"}, "decision_id"),
        ({"decision_id": None}, "decision_id"),
        ({"decision_id": "a\x00"}, "decision_id"),
        ({"known_at": "yesterday"}, "known_at"),
        ({"known_at": "2026-11-29T12:16:00Z"}, "known_at"),
        ({"occurred_at": "2031-01-01T00:00:00Z"}, "occurred_at"),
        ({"amount_lost": -1}, "amount_lost"),
        ({"amount_lost": "12"}, "amount_lost"),
        ({"note": "x"}, "note"),
    ],
)
def test_a_wrong_member_is_named(changed: dict[str, Any], param: str) -> None:
    with pytest.raises(Problem) as refusal:
        meant(GOOD | changed, NOW, "labels[3]")
    assert [error.param for error in refusal.value.errors] == [f"labels[3].{param}"]


def test_a_label_that_is_no_object_is_refused() -> None:
    with pytest.raises(Problem):
        meant(["fraud"], NOW)


def test_times_are_read_in_utc_and_card_numbers_in_ids_masked() -> None:
    label = meant(
        {
            "transaction_id": "4111111111111111",
            "label": "fraud",
            "source": "issuer",
            "known_at": "2026-11-29T13:00:00+02",
        },
        NOW,
    )
    assert label.known_at == datetime(2026, 11, 29, 11, tzinfo=UTC)
    assert label.transaction_id == "411111******1111"


class Row(NamedTuple):
    name: str
    known_at: datetime
    recorded_at: datetime


def test_the_label_learned_last_holds_and_of_those_the_one_recorded_last() -> None:
    def row(name: str, known: int, recorded: int) -> Row:
        return Row(name, NOW + timedelta(hours=known), NOW + timedelta(hours=recorded))

    assert latest([row("first", 1, 1), row("late news of long ago", 0, 5)]).name == "first"
    assert latest([row("first", 1, 1), row("correction", 1, 2)]).name == "correction"
    assert latest([]) is None


def test_a_csv_file_is_read_by_its_header() -> None:
    lines = ["\ufeffTransaction ID,Is Fraud,Source,Loss\n", 't1,1,chargeback,"1,200.50"\n', "\n", "t2,no,analyst,\n"]
    assert list(label_csv.read(lines)) == [
        {"transaction_id": "t1", "label": "fraud", "source": "chargeback", "amount_lost": 1200.5},
        {"transaction_id": "t2", "label": "legitimate", "source": "analyst"},
    ]


@pytest.mark.parametrize("text", ["", "decision_id\nx\n", "label,source,label\n", 'label,source\n"fraud,issuer\n'])
def test_a_file_that_is_none_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(label_csv.UnreadableCsv) as refusal:
        list(label_csv.read(text.splitlines(keepends=True)))
    assert str(refusal.value).endswith(".")


def test_a_line_with_too_many_cells_is_no_label() -> None:
    (row,) = label_csv.read(["label,source,decision_id\n", "fraud,issuer,dec_1,more\n"])
    with pytest.raises(Problem):
        meant(row, NOW)
