"""The public status and the tenant's page of availability."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest
from django.db import OperationalError
from django.test import Client
from django.utils import timezone

from apps.billing.subscriptions.services import sign_up
from apps.sla import evaluation, status
from apps.sla.models import Incident, IncidentNote, PartState, ProbedSpan
from apps.sla.statement import Statement, recomputed
from tests.cast import Cast
from tests.factories import MembershipFactory

pytestmark = pytest.mark.django_db
BACKEND = "allauth.account.auth_backends.AuthenticationBackend"


@pytest.fixture
def outage() -> Incident:
    """The API is down since ten minutes; everything was probed for two days."""
    now = timezone.now()
    ProbedSpan.objects.create(started_at=now - timedelta(days=2), ended_at=now)
    for part in ("api", "portal"):
        PartState.objects.create(part=part, up=part != "api", since=now, checked_at=now)
    incident = Incident.objects.create(
        id="inc_1", part="api", started_at=now - timedelta(minutes=10), opened_at=now - timedelta(minutes=9)
    )
    IncidentNote.objects.create(incident=incident, at=now, text="We look into it.", author="olga@example.com")
    return incident


def words(answer: Any) -> str:
    return re.sub(r"\s+", " ", answer.content.decode())


def test_everybody_sees_the_status(outage: Incident) -> None:
    page = words(Client().get("/status"))
    for said in ("A part is not well", "Scoring API", "We look into it.", "Portal"):
        assert said in page
    assert page.count("<rect") == 2 * status.DAYS
    assert "olga" not in page
    assert Client().get("/status.json").json()["incidents"][0]["id"] == "inc_1"
    feed = ElementTree.fromstring(Client().get("/status.atom").content)  # noqa: S314 - our own
    entries = feed.findall("atom:entry", {"atom": "http://www.w3.org/2005/Atom"})
    assert [entry.findtext("{*}id") for entry in entries] == ["urn:palisade:incident:inc_1"]


def test_the_status_is_there_while_postgres_is_away(outage: Incident, monkeypatch: pytest.MonkeyPatch) -> None:
    now = timezone.now()
    status.publish(status.read(now))
    monkeypatch.setattr(status, "read", gone)
    assert "A part is not well" in words(Client().get("/status"))


@pytest.mark.parametrize("form", ["", ".json", ".atom"])
def test_what_nobody_can_tell_is_said_with_503(monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    monkeypatch.setattr(status, "read", gone)
    assert Client().get(f"/status{form}").status_code == 503


def gone(now: datetime) -> None:
    raise OperationalError("away")


def test_a_tenant_sees_its_months_and_takes_statements_along(cast: Cast) -> None:
    tenant = sign_up(slug="dora", name="Dora", plan="enterprise", now=datetime(2026, 10, 1, tzinfo=UTC))
    ProbedSpan.objects.create(started_at=tenant.created_at, ended_at=datetime(2026, 11, 1, tzinfo=UTC))
    began = datetime(2026, 10, 9, tzinfo=UTC)
    Incident.objects.create(
        id="inc_1", part="api", started_at=began, opened_at=began, ended_at=began + timedelta(hours=1)
    )
    evaluation.evaluate_due(datetime(2026, 11, 1, 2, tzinfo=UTC))
    browser = Client()
    browser.force_login(MembershipFactory(tenant=tenant).user, backend=BACKEND)
    page = words(browser.get("/sla/"))
    for said in ("October 2026", "99.86559 %", "3,600 s", "99.90 USD", "/sla/2026-10.pdf"):
        assert said in page
    assert "2026-10-09T00:00:00Z" in words(browser.get("/sla/2026-10/"))
    taken = browser.get("/sla/2026-10.json").content
    statement = msgspec.json.decode(taken, type=Statement)
    assert recomputed(statement) == statement.result
    assert json.loads(taken)["status"] == "final"
    assert browser.get("/sla/2026-10.pdf").content[:5] == b"%PDF-"
    assert browser.get("/sla/2026-07.json").status_code == 404


def test_who_was_promised_nothing_sees_what_was_measured(cast: Cast) -> None:
    browser = Client()
    browser.force_login(MembershipFactory(tenant=cast.alice.tenant).user, backend=BACKEND)
    page = words(browser.get("/sla/"))
    assert "Enterprise promises 99.9 %" in page
    assert browser.get("/sla/2026-10/").status_code == 404
