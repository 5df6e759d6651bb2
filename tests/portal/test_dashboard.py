"""The overview and the page of usage say what the roll-ups hold, beside the span before, in few queries."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.accounts.tenancy import in_tenant
from apps.portal.spans import SPANS, Points, change
from apps.scoring.models import OutcomeHour
from apps.usage.admission import refused_calls
from apps.usage.models import LatencyHour
from apps.usage.statements.activity import percentile_ms
from tests.cast import Cast
from tests.factories import MembershipFactory, UsageDayFactory, UsageHourFactory
from tests.portal.test_roles import PAGES, address

pytestmark = pytest.mark.django_db(transaction=True)
MOST_QUERIES = 15


@pytest.fixture
def owner(cast: Cast) -> Client:
    client = Client()
    membership = MembershipFactory(tenant=cast.alice.tenant)
    client.force_login(membership.user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def hour(back: timedelta) -> datetime:
    return (datetime.now(UTC) - back).replace(minute=0, second=0, microsecond=0)


def outcome(cast: Cast, back: timedelta, action: str, decisions: int, fraud: int = 0) -> None:
    with in_tenant(cast.alice.tenant):
        OutcomeHour.objects.create(
            hour=hour(back), livemode=False, schema="payments", recommended_action=action,
            decisions=decisions, fraud=fraud,
        )  # fmt: skip


def figures(answer: Any) -> dict[str, Any]:
    return {figure.label: figure for figure in answer.context["figures"]}


def test_the_chosen_span_stands_beside_the_one_before(owner: Client, cast: Cast) -> None:
    outcome(cast, timedelta(hours=2), "approve", 90)
    outcome(cast, timedelta(hours=2), "block", 10, fraud=5)
    outcome(cast, timedelta(hours=30), "approve", 50)
    LatencyHour.objects.create(
        tenant_id=cast.alice.tenant.pk, hour=hour(timedelta(hours=2)), livemode=False, step=40, decisions=100
    )
    for _ in range(3):
        refused_calls.note(cast.alice.tenant.handle, False, timezone.now())
    told = figures(owner.get("/dashboard/?span=24h"))
    assert (told["Decisions"].value, told["Decisions"].change) == ("100", "+100 %")
    assert (told["Fraud rate"].value, told["Fraud rate"].worse) == ("5.00 %", True)
    assert told["Not approved"].value == "10.00 %"
    assert told["Answer time"].value == "1.1 ms"
    assert told["Errors"].value == "3"
    charts = owner.get("/dashboard/?span=7d").context["charts"]
    assert sum(charts[0]["drawn"]["lines"][0]["values"]) == 150
    assert figures(owner.get("/dashboard/?span=nothing"))["Decisions"].change == ""


def test_without_decisions_it_says_what_to_do(owner: Client) -> None:
    page = owner.get("/dashboard/").content.decode()
    assert "Charts begin with the first call" in page


def test_what_is_open_is_told(owner: Client, cast: Cast) -> None:
    UsageDayFactory(tenant_id=cast.alice.tenant.pk, units=50_000, decisions=50_000)
    told = [point.text for point in owner.get("/dashboard/").context["open_points"]]
    assert "The included decisions are used up: calls are refused." in told


def test_usage_is_told_by_day_key_endpoint_and_kind(owner: Client, cast: Cast) -> None:
    tenant = cast.alice.tenant.pk
    UsageDayFactory(tenant_id=tenant, decisions=30)
    for kind, decisions in (("payments", 10), ("paysim", 20)):
        UsageHourFactory(tenant_id=tenant, key_id=cast.alice.live.pk, schema=kind, decisions=decisions)
    tables = dict(owner.get("/usage/?kind.sort=-units").context["tables"])
    assert [(row.name, row.usage.units) for row in tables["By kind of transaction"].rows] == [
        ("Transfer", 20),
        ("Card payment", 10),
    ]
    assert [row.usage.units for row in tables["By key"].rows] == [30]
    exported = b"".join(owner.get("/usage/?kind.export=csv").streaming_content)  # type: ignore[arg-type]
    assert exported.splitlines()[0] == b"kind,decisions,units,cost"


@pytest.mark.parametrize("name", sorted(name for name, page in PAGES.items() if hasattr(page, "template")))
def test_no_page_asks_the_database_often(owner: Client, name: str) -> None:
    owner.get(address(name))  # what a process asks once
    with CaptureQueriesContext(connection) as asked:
        owner.get(address(name))
    queries = [one["sql"] for one in asked if not one["sql"].startswith("SET search_path")]
    assert len(queries) <= MOST_QUERIES, "\n".join(queries)


@pytest.mark.parametrize("span", SPANS.values())
def test_points_cover_a_span_and_the_one_before(span: Any) -> None:
    now = datetime(2026, 11, 29, 13, 25, tzinfo=UTC)
    points = Points(span, now)
    assert points.end - points.start == points.start - points.before == span.points * span.step
    assert points.end - span.step <= now.replace(hour=12) < points.end or points.end > now
    after, before = points.of([(points.start, 1), (points.end - timedelta(seconds=1), 2), (points.before, 4)])
    assert (after[0], after[-1], before[0], sum(after + before)) == (1, 2, 4, 7)


def test_a_percentile_is_right_to_a_tenth() -> None:
    assert percentile_ms(Counter(), 0.5) is None
    assert percentile_ms(Counter({40: 99, 60: 1}), 0.95) == pytest.approx(1.024, rel=0.1)
    assert percentile_ms(Counter({40: 90, 60: 10}), 0.95) == pytest.approx(32.8, rel=0.1)
    assert change(5, 0) is None
