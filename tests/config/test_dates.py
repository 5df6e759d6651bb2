"""Dates on pages: the day first, 24 hours, nothing American; as papers and mails write them."""

from datetime import UTC, date, datetime

import pytest
from django.template import Context, Template

from apps.formats import day_text, month_text

AFTERNOON = datetime(2026, 12, 5, 13, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("{{ moment }}", "5 December 2026, 13:05"),
        ("{{ moment|date }}", "5 December 2026"),
        ("{{ moment|time }}", "13:05"),
        ("{{ moment|date:'SHORT_DATETIME_FORMAT' }}", "5 Dec 2026, 13:05"),
        ("{{ day }}", "5 December 2026"),
    ],
)
def test_pages_write_dates_as_people_of_most_countries_do(written: str, shown: str) -> None:
    assert Template(written).render(Context({"moment": AFTERNOON, "day": date(2026, 12, 5)})) == shown


def test_pages_and_papers_write_a_day_alike() -> None:
    assert Template("{{ moment|date }}").render(Context({"moment": AFTERNOON})) == day_text(AFTERNOON)
    assert month_text("2026-12") == "December 2026"
