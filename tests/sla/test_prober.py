"""Rounds of probes become incidents, pages, spans and the public status, whatever is away meanwhile."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core import mail
from django.db import OperationalError

from apps.accounts.models import AuditEntry
from apps.sla import incidents, prober, status
from apps.sla.intervals import second_of
from apps.sla.models import BurnAlert, Incident, IncidentNote, Maintenance, PartState, ProbedSpan
from apps.sla.parts import PARTS
from apps.sla.prober import Prober
from apps.sla.watching import Look

pytestmark = pytest.mark.django_db
BEGIN = datetime(2026, 11, 3, 12, tzinfo=UTC)


class Here:
    """Works with Postgres in the test's own transaction."""

    def do(self, work: Callable[[], Any]) -> Any:
        return work()


class Service:
    """A service whose parts are down when told, and a clock that a round moves on."""

    def __init__(self) -> None:
        self.now = BEGIN
        self.down: set[str] = set()
        self.prober = self.fresh()

    def fresh(self) -> Prober:
        """A prober that has just begun."""
        return Prober(self.probe, lambda: self.now, Here())

    def probe(self, part: str, second: int) -> Look:
        return Look(part, second, part not in self.down, 1.0, "it is told so")

    def rounds(self, count: int, *down: str, every: int = 30) -> None:
        self.down = set(down)
        for _ in range(count):
            self.now += timedelta(seconds=every)
            self.prober.round()


@pytest.fixture
def service() -> Iterator[Service]:
    yield Service()


def test_three_failed_probes_open_an_incident_that_closes_by_itself(service: Service) -> None:
    service.rounds(2)
    service.rounds(2, "api")
    assert not Incident.objects.exists()
    service.rounds(2, "api")
    incident = Incident.objects.get()
    assert (incident.part, incident.started_at) == ("api", BEGIN + timedelta(seconds=90))
    service.rounds(3)
    incident.refresh_from_db()
    assert incident.ended_at == BEGIN + timedelta(seconds=210)
    assert [note.text for note in incident.notes.all()] == [
        "Scoring API: three probes in a row failed.", "Scoring API: well again.",
    ]  # fmt: skip
    assert [message.subject for message in mail.outbox if "Scoring" in message.subject] == [
        "[page] Scoring API is down", "[over] Scoring API is well again",
    ]  # fmt: skip
    span = ProbedSpan.objects.get()
    assert (span.started_at, span.ended_at) == (BEGIN + timedelta(seconds=30), BEGIN + timedelta(seconds=270))


def test_a_full_outage_pages_within_two_minutes(service: Service) -> None:
    service.rounds(4)
    service.rounds(4, *PARTS)
    assert {message.subject for message in mail.outbox} >= {"[page] Scoring API is down"}
    assert BurnAlert.objects.filter(rule="fast", ended_at=None).exists()
    service.rounds(12)
    assert not BurnAlert.objects.filter(rule="fast", ended_at=None).exists()


def test_a_pause_of_the_prober_is_no_data(service: Service) -> None:
    service.rounds(2)
    service.rounds(2, every=600)
    assert ProbedSpan.objects.count() == 3


def test_a_round_told_again_changes_nothing(service: Service) -> None:
    service.rounds(1)
    service.rounds(4, "postgres")
    kept = service.prober._look(second_of(service.now))
    before = list(Incident.objects.values()), list(ProbedSpan.objects.values()), IncidentNote.objects.count()
    for _ in range(2):
        incidents.keep([kept])
    assert before == (
        list(Incident.objects.values()), list(ProbedSpan.objects.values()), IncidentNote.objects.count()
    )  # fmt: skip


@pytest.mark.django_db(transaction=True)
def test_what_postgres_could_not_take_is_written_when_it_is_back(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.rounds(2)
    with monkeypatch.context() as away:
        for module, name in ((incidents, "keep"), (status, "read")):
            away.setattr(module, name, gone)
        service.rounds(5, "postgres")
        assert [message.subject for message in mail.outbox] == ["[page] Storage is down"]
        told = status.current(service.now)
        assert {part.name: part.status for part in told.parts}["postgres"] == "down"
        assert told.status == "down"
    assert not Incident.objects.exists()
    service.rounds(3)
    incident = Incident.objects.get()
    assert (incident.started_at, incident.ended_at) == (
        BEGIN + timedelta(seconds=90), BEGIN + timedelta(seconds=240)
    )  # fmt: skip
    assert ProbedSpan.objects.count() == 1


def gone(*_: object) -> None:
    raise OperationalError("the server closed the connection")


def test_an_incident_of_before_is_closed_by_a_new_prober(service: Service) -> None:
    service.rounds(1)
    service.rounds(3, "portal")
    service.prober = service.fresh()
    service.rounds(2)
    assert Incident.objects.get().ended_at is not None


def test_what_is_still_starting_is_not_down(service: Service) -> None:
    service.rounds(5, "api")
    assert not Incident.objects.exists()
    assert not PartState.objects.filter(part="api").exists()
    service.rounds(4, "api")
    assert Incident.objects.get().started_at >= BEGIN + timedelta(seconds=prober.STARTING)


def test_the_status_has_ninety_days_of_each_part_and_what_was_said(service: Service) -> None:
    service.rounds(20)
    service.rounds(20, "api")
    incidents.add_note(incident=Incident.objects.get(), text="We look into it.", now=service.now, actor="olga@x.com")
    incidents.announce(
        title="A larger disk", starts_at=service.now + timedelta(hours=24),
        ends_at=service.now + timedelta(hours=25), now=service.now, actor="olga@x.com",
    )  # fmt: skip
    service.rounds(1, "api")
    told = status.current(service.now)
    api = next(part for part in told.parts if part.name == "api")
    assert (api.status, len(api.days), told.status) == ("down", 90, "down")
    assert (api.days[-1].down_seconds, api.days[0].availability_percent) == (600, None)
    assert api.days[-1].availability_percent == "50"
    assert [one.text for one in told.incidents[0].timeline][-1] == "We look into it."
    assert [one.title for one in told.maintenance] == ["A larger disk"]
    assert "olga" not in str(told)
    assert set(AuditEntry.objects.values_list("action", flat=True)) >= {"incident.noted", "maintenance.announced"}


def test_a_window_excludes_nothing_before_it_was_announced(service: Service) -> None:
    hour = timedelta(hours=1)
    with pytest.raises(ValueError, match="over"):
        incidents.announce(title="x", starts_at=BEGIN - hour, ends_at=BEGIN, now=BEGIN, actor="o")
    window = incidents.announce(title="x", starts_at=BEGIN - hour, ends_at=BEGIN + hour, now=BEGIN, actor="o")
    around = (BEGIN - 5 * hour, BEGIN + 5 * hour)
    assert incidents.windows(*around) == [(second_of(BEGIN), second_of(BEGIN + hour))]
    assert incidents.withdraw(window=window, now=BEGIN + hour / 2, actor="o")
    assert incidents.windows(*around) == [(second_of(BEGIN), second_of(BEGIN + hour / 2))]
    assert not incidents.withdraw(window=window, now=BEGIN + hour / 2, actor="o")
    assert Maintenance.objects.get().withdrawn_at
