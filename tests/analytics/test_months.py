"""Folded months and the days around them say what the days say, whatever is counted late, corrected or removed."""

import random
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from django.db import connection, transaction
from hypothesis import given
from hypothesis import strategies as st

from apps.accounts.models import Tenant
from apps.accounts.tenancy import in_tenant
from apps.analytics.added_up import added_up
from apps.analytics.asked import Asked
from apps.analytics.drift import drift
from apps.periods import Period
from apps.review import label_months
from apps.review.models import Label
from apps.scoring import folds, months, tallies
from apps.scoring.counting import Columns
from apps.scoring.models import FoldedMonth
from tests.cast import Cast
from tests.together import together

BEGIN, NOW = datetime(2026, 1, 10, tzinfo=UTC), datetime(2026, 7, 20, tzinfo=UTC)
FOLDS = (
    folds.OUTCOME_DAYS, folds.SCORE_MONTHS, folds.PATTERN_MONTHS, folds.RULE_MONTHS, label_months.LABEL_MONTHS,
    label_months.DELAY_MONTHS,
)  # fmt: skip
SUBJECTS = (folds.DECISIONS, label_months.SUBJECT)
MODEL = "xgboost@2026.11.2"
DAYS = st.dates(date(2024, 1, 1), date(2027, 12, 31))


@given(DAYS, DAYS, st.sets(st.integers(2024 * 12, 2028 * 12 - 1)))
def test_a_span_is_cut_into_folded_months_and_all_other_days(start: date, end: date, marked: set[int]) -> None:
    folded = {date(number // 12, number % 12 + 1, 1) for number in marked}
    whole, rest = months.apart(start, end, folded)
    if start < end:
        pieces = sorted([*whole, *rest])
        assert (pieces[0][0], pieces[-1][1]) == (start, end)
        assert all(one[1] == other[0] for one, other in pairwise(pieces))
    in_whole = {first + timedelta(days=n) for first, after in whole for n in range((after - first).days)}
    assert {Period.of(day) for day in in_whole} == {
        Period.of(month) for month in folded if start <= month and Period.of(month).end.date() <= end
    }
    assert all(first.day == after.day == 1 for first, after in whole)


def test_the_last_month_there_is_can_be_asked_for() -> None:
    assert months.apart(date(9999, 11, 1), date.max, {date(9999, 11, 1), date(9999, 12, 1)}) == (
        [(date(9999, 11, 1), date(9999, 12, 1))], [(date(9999, 12, 1), date.max)],
    )  # fmt: skip


class Past:
    """Half a year of a tenant, into which anything may come at any time. Amounts are added up without rounding."""

    def __init__(self, tenant: Tenant, seed: int) -> None:
        self.schema, self.chance, self.labels = tenant.schema_name, random.Random(seed), 0

    def moment(self) -> datetime:
        return BEGIN + self.chance.random() * (NOW - BEGIN)

    def count(self, number: int = 12) -> None:
        """Decisions of any time: late ones, too."""
        with transaction.atomic(), connection.cursor() as cursor:
            tallies.add(cursor, self.schema, tallies.counted(self._columns(number)))

    def _columns(self, number: int) -> Columns:
        chance, rows = self.chance, range(number)
        scores = [chance.choice((None, 0.05, 0.5, 0.97)) for _ in rows]
        values: dict[str, list[Any]] = {
            "created_us": [int(self.moment().timestamp() * 1e6) for _ in rows],
            "livemode": [chance.random() < 0.8 for _ in rows],
            "schema": [chance.choice(("paysim", "payments")) for _ in rows],
            "fraud_probability": scores,
            "risk_level": ["critical" if (score or 0) > 0.9 else "low" for score in scores],
            "recommended_action": [chance.choice(("approve", "block")) for _ in rows],
            "decisive": [chance.choice(("model", "rule:a")) for _ in rows],
            "model": [MODEL for _ in rows],
            "amount": [chance.randrange(400) / 4 for _ in rows],
            "parties": [["p"] for _ in rows],
            "party_fields": [["nameOrig"] for _ in rows],
            "rules_hit": [chance.choice(([], ["a"], ["a", "b"])) for _ in rows],
            "category": [chance.choice(("", "TRANSFER")) for _ in rows],
            "country": ["" for _ in rows],
            "fraud_type": ["" for _ in rows],
            "features": [np.full(28, chance.random(), "<f4").tobytes() for _ in rows],
        }
        return Columns(**values)

    def label(self) -> None:
        """A label of a decision of any time."""
        self._write([self._label(self.moment())])

    def correct(self) -> None:
        """Another label of a decision that has one."""
        if (held := Label.objects.filter(holds=True).order_by("?").first()) is not None:
            Label.objects.filter(pk=held.pk).update(holds=False)
            self._write([self._label(held.decided_at, held.decision_id, held.livemode)])

    def forget(self) -> None:
        """A label goes: its person, or its time."""
        with transaction.atomic(), connection.cursor() as cursor:
            if (row := Label.objects.order_by("?").first()) is not None:
                row.delete()
                label_months.changed(cursor, self.schema, [row.decided_at])

    def _label(self, decided_at: datetime, decision: str = "", livemode: bool = True) -> Label:
        self.labels += 1
        return Label(
            id=f"lbl_{self.labels}", livemode=livemode, decision_id=decision or f"dec_{self.labels}",
            transaction_id="t", schema=self.chance.choice(("paysim", "payments")),
            label=self.chance.choice(("fraud", "legitimate")), source="issuer",
            known_at=decided_at + timedelta(days=self.chance.randrange(90)), recorded_at=NOW, recorded_by="",
            holds=True, decided_at=decided_at, fraud_probability=self.chance.choice((None, 0.25, 0.999)),
            recommended_action=self.chance.choice(("approve", "block")), model_name="xgboost", model_version="1",
            amount=self.chance.randrange(400) / 4,
        )  # fmt: skip

    def _write(self, rows: list[Label]) -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            Label.objects.bulk_create(rows)
            label_months.changed(cursor, self.schema, [row.decided_at for row in rows])

    def fold(self) -> None:
        for subject in SUBJECTS:
            months.fold_closed(self.schema, subject, NOW)

    def span(self) -> Asked:
        start, end = sorted(self.moment().date() for _ in range(2))
        kind = self.chance.choice(("", "paysim"))
        return Asked(self.schema, self.chance.random() < 0.8, start, end + timedelta(days=30), kind)


def told(asked: Asked) -> dict[str, Any]:
    """All that is added up over a span."""
    sums: dict[str, Any] = {
        fold.table: sorted(added_up(asked, fold, ("schema", *(("day",) if fold.kept == "day" else ()), *fold.keys)))
        for fold in FOLDS
    }
    models = drift(asked).data
    sums["drift"] = [
        (one.schema, one.decisions, sorted((row.name, row.psi, row.bins) for row in one.features)) for one in models
    ]
    return sums


def by_days(asked: Asked) -> dict[str, Any]:
    """The same of the days alone."""
    with transaction.atomic():
        FoldedMonth.objects.all().delete()
        found = told(asked)
        transaction.set_rollback(True)
    return found


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("seed", range(3))
def test_months_and_days_say_what_days_say(cast: Cast, seed: int) -> None:
    past = Past(cast.alice.tenant, seed)
    doings: list[Callable[[], None]] = [past.count, past.label, past.label, past.correct, past.forget, past.fold]
    whole = 0
    with in_tenant(past.schema):
        past.count(60)
        for _ in range(25):
            past.chance.choice(doings)()
            span = past.span()
            whole += FoldedMonth.objects.filter(month__gte=span.start, month__lt=span.end).count()
            assert told(span) == by_days(span)
        past.fold()
        marked = set(FoldedMonth.objects.values_list("subject", "month"))
        past.fold()
        assert set(FoldedMonth.objects.values_list("subject", "month")) == marked
        everything = Asked(past.schema, True, BEGIN.date(), NOW.date() + timedelta(days=1))
        assert told(everything) == by_days(everything)
    assert whole and {(subject.name, date(2026, 6, 1)) for subject in SUBJECTS} <= marked
    assert date(2026, 7, 1) not in {month for _, month in marked}


@pytest.mark.django_db(transaction=True)
def test_what_is_counted_while_a_month_is_folded_is_not_lost(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fold ends between the late decisions and their mark's end; or it waits for those who hold the month."""
    past, held = Past(cast.alice.tenant, 7), months.changed
    everything = Asked(past.schema, True, BEGIN.date(), NOW.date() + timedelta(days=1))
    past.count(40)

    def folded_meanwhile(*said: Any) -> None:
        together(1, lambda _: past.fold())
        held(*said)

    monkeypatch.setattr(months, "changed", folded_meanwhile)
    past.count(40)
    monkeypatch.undo()
    with in_tenant(past.schema):
        assert not FoldedMonth.objects.filter(subject="decisions").exists()
        assert told(everything) == by_days(everything)
    with transaction.atomic():
        past.count(40)
        with pytest.raises(AssertionError, match="not through"):
            together(1, lambda _: past.fold(), seconds=0.5)
    past.fold()  # waits for the one that waited
    with in_tenant(past.schema):
        assert FoldedMonth.objects.filter(subject="decisions", month=date(2026, 3, 1)).exists()
        assert told(everything) == by_days(everything)
