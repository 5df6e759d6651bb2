"""A month's credit: once, whatever is repeated; corrected by name; and computed again from the statement alone."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import msgspec
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.billing.models import Credit
from apps.billing.subscriptions.services import change_plan, sign_up
from apps.periods import Period
from apps.sla import evaluation, failures, requests
from apps.sla.models import FailedMinute, Incident, MeasuredDay, ProbedSpan, SlaStatement
from apps.valkey import Valkey
from tests.cast import Player
from tests.sla.conftest import served

pytestmark = pytest.mark.django_db
OCTOBER = Period(2026, 10)
#: The hour after the month's end, and some days later.
OVER, LATER = datetime(2026, 11, 1, 1, 10, tzinfo=UTC), datetime(2026, 11, 9, 5, 15, tzinfo=UTC)


def at(day: int, hour: int = 0, minute: int = 0, month: int = 10) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=UTC)


@pytest.fixture
def october(dora: Player) -> Player:
    """dora's October: probed all the time, with an outage of an hour."""
    ProbedSpan.objects.create(started_at=at(1), ended_at=at(1, month=11))
    Incident.objects.create(id="inc_1", part="api", started_at=at(9, 3), opened_at=at(9, 3, 1), ended_at=at(9, 4))
    return dora


def credits_of(player: Player) -> list[tuple[str, Decimal]]:
    return list(Credit.objects.filter(tenant=player.tenant).order_by("pk").values_list("key", "amount"))


def test_a_breached_month_gives_one_credit_whatever_is_repeated(october: Player) -> None:
    assert evaluation.evaluate_due(OVER) == 1
    for _ in range(3):
        assert evaluation.evaluate_due(OVER) == evaluation.correct_due(LATER) == 0
    assert credits_of(october) == [("sla:2026-10", Decimal("99.900"))]
    credit = Credit.objects.get(tenant=october.tenant)
    assert credit.reason == "SLA October 2026: 99.86559 % available, 10 % of the fee"
    statement = evaluation.statement_in(SlaStatement.objects.get())
    assert statement.result.down_seconds == 3_600
    assert [(one.start, one.end) for one in statement.result.against] == [
        ("2026-10-09T03:00:00Z", "2026-10-09T04:00:00Z")
    ]


def test_a_month_that_kept_the_promise_is_stated_without_a_credit(dora: Player) -> None:
    ProbedSpan.objects.create(started_at=at(1), ended_at=at(1, month=11))
    assert evaluation.evaluate_due(OVER) == 1
    assert (SlaStatement.objects.get().credit_percent, credits_of(dora)) == (0, [])


def test_a_month_of_which_nothing_is_known_gives_nothing(dora: Player) -> None:
    evaluation.evaluate_due(OVER)
    assert evaluation.statement_in(SlaStatement.objects.get()).result.availability_percent is None
    assert credits_of(dora) == []


def test_nobody_is_credited_what_was_not_promised(october: Player, cast: Any) -> None:
    evaluation.evaluate_due(OVER)
    assert set(SlaStatement.objects.values_list("tenant_id", flat=True)) == {october.tenant.pk}


def test_late_data_corrects_by_an_adjustment_of_its_own_name(october: Player) -> None:
    evaluation.evaluate_due(OVER)
    for minute in range(8 * 60):
        FailedMinute.objects.create(
            tenant_id=october.tenant.pk, minute=at(20) + timedelta(minutes=minute), counted=1, direct=1
        )
    for _ in range(2):
        evaluation.correct_due(LATER)
    assert credits_of(october) == [("sla:2026-10", Decimal("99.900")), ("sla:2026-10:2", Decimal("149.850"))]
    adjustment = Credit.objects.get(key="sla:2026-10:2")
    assert adjustment.reason == "Adjustment, SLA October 2026: 98.79032 % available, 25 % of the fee"
    revision = SlaStatement.objects.get(revision=2)
    assert revision.because.startswith("Known later: failed. 99.86559 % → 98.79032 %")
    assert revision.credit_percent == 25


def test_what_was_granted_stays_when_less_would_have_been(october: Player) -> None:
    evaluation.evaluate_due(OVER)
    Incident.objects.update(ended_at=at(9, 3, 2))
    assert evaluation.correct_due(LATER) == 1
    assert credits_of(october) == [("sla:2026-10", Decimal("99.900"))]
    assert SlaStatement.objects.get(revision=2).because == "Known later: incidents. 99.86559 % → 99.99551 %"
    assert evaluation.granted(october.tenant.pk, "2026-10") == Decimal("99.9")


def test_stated_months_are_one_question_however_many_they_are(october: Player) -> None:
    """And no document is read: what a list shows are columns of their own."""
    evaluation.evaluate_due(OVER)
    Incident.objects.update(ended_at=at(9, 12))
    evaluation.correct_due(LATER)
    found = SlaStatement.objects.get(revision=2)
    for month in ("2026-07", "2026-08", "2026-09"):
        SlaStatement.objects.create(
            tenant=october.tenant, month=month, revision=1, issued_at=LATER, document=found.document,
            credit_percent=0, credit=0,
        )  # fmt: skip
    with CaptureQueriesContext(connection) as asked:
        told = evaluation.stated_months(october.tenant.pk)
    assert len(asked) == 1 and '"document"' not in asked[0]["sql"]
    assert [one.month for one in told] == ["2026-10", "2026-09", "2026-08", "2026-07"]
    assert (told[0].granted, told[0].currency) == (Decimal("249.75"), evaluation.statement_in(found).currency)
    assert (told[0].availability_percent, told[0].down_seconds) == ("98.79032", 9 * 3_600)


def test_only_the_days_of_the_promise_count_and_are_paid_for(october: Player) -> None:
    tenant = sign_up(slug="emil", name="Emil", plan="professional", now=at(1))
    change_plan(tenant_id=tenant.pk, plan="enterprise", now=at(17))
    Incident.objects.create(id="inc_2", part="api", started_at=at(20), opened_at=at(20), ended_at=at(20, 2))
    evaluation.evaluate_due(OVER)
    statement = evaluation.statement_in(SlaStatement.objects.get(tenant=tenant))
    assert (statement.result.down_seconds, statement.result.up_seconds) == (7_200, 15 * 86_400 - 7_200)
    assert (statement.fee, statement.result.credit) == ("483.39", "48.34")


def test_a_statement_is_computed_again_without_a_database(october: Player, tmp_path: Path) -> None:
    served(october.tenant, [at(3, 12, minute) for minute in range(30)])
    FailedMinute.objects.create(tenant_id=october.tenant.pk, minute=at(3, 12, 5), counted=9)
    evaluation.evaluate_due(OVER)
    file, told = tmp_path / "statement.json", StringIO()
    file.write_bytes(msgspec.json.encode(SlaStatement.objects.get().document))
    with CaptureQueriesContext(connection) as asked:
        call_command("sla_recompute", str(file), stdout=told)
    assert len(asked) == 0
    assert "99.86335 % available (2674740 s up, 3660 s down" in told.getvalue()
    assert "The statement says the same." in told.getvalue()
    file.write_bytes(file.read_bytes().replace(b"2026-10-09T04:00:00Z", b"2026-10-09T03:30:00Z", 1))
    with pytest.raises(CommandError, match="something else"):
        call_command("sla_recompute", str(file), stdout=told)
    file.write_bytes(b"{}")
    with pytest.raises(CommandError, match="no statement"):
        call_command("sla_recompute", str(file), stdout=told)


# --- requests ---


def test_requests_are_counted_by_minute_once_each_and_read_again_when_more_is_recorded(dora: Player) -> None:
    tenant, day = dora.tenant, date(2026, 10, 3)
    served(tenant, [at(3, 12), at(3, 12), at(3, 12, 1)])
    served(tenant, [at(3, 12, 2)], endpoint="batches")
    served(tenant, [at(3, 12, 3)], livemode=False)
    first = requests.asked_between(tenant.pk, at(3), at(4))
    assert first.answered[first.answered > 0].tolist() == [1, 1]
    assert requests.keep_days([day]) == 1
    assert requests.keep_days([day]) == 0
    kept = requests.asked_between(tenant.pk, at(3), at(4))
    assert (kept.first, kept.answered.tolist(), kept.latencies) == (
        first.first,
        first.answered.tolist(),
        first.latencies,
    )
    assert requests.asked_between(tenant.pk, at(1), at(5)).answered.sum() == 2
    served(tenant, [at(3, 12, 9)])
    assert requests.asked_between(tenant.pk, at(1), at(5)).answered.sum() == 3
    assert requests.keep_days([day]) == 1
    assert MeasuredDay.objects.count() == 1
    assert requests.asked_between(tenant.pk, at(3, 12, 1), at(3, 12, 9)).answered.sum() == 1


def test_failures_reach_postgres_once_and_are_forgotten_in_valkey(
    dora: Player, valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = at(3, 12)
    for _ in range(3):
        failures.note(dora.tenant.handle, now)
    for _ in range(2):
        assert failures.keep(now) == 1
    failures.note(dora.tenant.handle, now)
    failures.keep(now + timedelta(hours=1))
    assert failures.keep(now + timedelta(hours=1)) == 0
    assert FailedMinute.objects.get(tenant_id=dora.tenant.pk).counted == 4
    monkeypatch.setattr(failures, "get_valkey", lambda: Valkey("redis://127.0.0.1:1", 0.1))
    failures.note(dora.tenant.handle, now)
    assert requests.failed_minutes(dora.tenant.pk, at(3), at(4)) == {int(now.timestamp()) // 60: 5}


# --- doors ---


def test_the_promise_and_this_month_are_told_to_everybody(cast: Any, calls: Callable[..., Any]) -> None:
    told = calls(cast.alice, "/v1/sla").json()
    assert (told["promised"], told["target_percent"], told["months"]) == (False, "99.9", [])
    assert told["credits"][0] == {"below_percent": "95", "credit_percent": 100}
    assert calls(cast.alice, "/v1/sla/2026-10").json()["code"] == "plan_lacks_feature"


def test_a_months_statement_is_told_with_its_corrections_and_drawn(october: Player, calls: Callable[..., Any]) -> None:
    assert calls(october, "/v1/sla/2026-10").json()["status"] == "provisional"
    evaluation.evaluate_due(OVER)
    Incident.objects.update(ended_at=at(9, 12))
    evaluation.correct_due(LATER)
    told = calls(october, "/v1/sla/2026-10").json()
    assert (told["status"], told["revision"], told["corrections"][0]["credit"]) == ("final", 2, "149.85")
    assert calls(october, "/v1/sla").json()["months"][0]["credit"] == "249.75"
    assert calls(october, "/v1/sla/2026-10.pdf").content[:5] == b"%PDF-"
    for month in ("2026-07", "2031-01", "2026-13", "none"):
        assert calls(october, f"/v1/sla/{month}").status_code == 404


def test_incidents_and_the_status_are_told(october: Player, calls: Callable[..., Any]) -> None:
    told = calls(october, "/v1/incidents?part=api").json()
    assert [(one["id"], one["status"]) for one in told["data"]] == [("inc_1", "closed")]
    assert calls(october, "/v1/incidents?part=portal").json()["data"] == []
    assert calls(october, "/v1/incidents?part=x").status_code == 422
    assert calls(october, "/status").json()["status"] == "unknown"
    feed = calls(october, "/status.atom")
    assert feed["Content-Type"] == "application/atom+xml"
    assert b"http://www.w3.org/2005/Atom" in feed.content
