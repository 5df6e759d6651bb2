"""Rounds of probes and what follows from them, in Postgres; operators' notes and announced maintenance."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from apps.accounts.audit import record_audit
from apps.notifications.models import new_id
from apps.sla.intervals import Interval, moment_of, second_of
from apps.sla.models import Incident, IncidentNote, Maintenance, PartState, ProbedSpan
from apps.sla.parts import COUNTED, PARTS
from apps.sla.watching import CLOSES_AFTER, LONGEST_PAUSE, Look, Watched


@dataclass(frozen=True)
class Round:
    """One round of probes: what each found, what is known of the parts after it, and whose incidents it opened."""

    second: int
    looks: Sequence[Look]
    watched: Mapping[str, Watched]
    opened: Sequence[str]


def watched_parts() -> dict[str, Watched]:
    """What is remembered of each part, and whether its incident is open."""
    open_parts = set(Incident.objects.filter(ended_at=None).values_list("part", flat=True))
    known = {row.part: row for row in PartState.objects.all()}
    return {
        part: Watched(row.up, row.in_a_row, second_of(row.since), part in open_parts)
        if (row := known.get(part))
        else Watched(incident=part in open_parts)
        for part in PARTS
    }


@transaction.atomic
def keep(rounds: Iterable[Round]) -> None:
    """Keep rounds of probes, the oldest first. Harmless when repeated.

    An incident is closed by what is known, not by the change alone: one that opened before this prober began, too.
    """
    for one in rounds:
        _extend_span(one.second)
        for part in one.opened:
            _open(part, one)
        for incident in Incident.objects.filter(ended_at=None):
            _close(incident, one)
        for look in one.looks:
            _remember(look, one.watched[look.part])


def add_note(*, incident: Incident, text: str, now: datetime, actor: str) -> IncidentNote:
    """A line of the timeline, for customers to read."""
    note = IncidentNote.objects.create(incident=incident, at=now, text=text, author=actor)
    record_audit(tenant=None, actor=actor, action="incident.noted", target=incident.pk, after={"text": text}, now=now)
    return note


def announce(*, title: str, starts_at: datetime, ends_at: datetime, now: datetime, actor: str) -> Maintenance:
    """A maintenance window. Raises `ValueError` when it ends before it begins, or is over."""
    if wrong := wrong_window(starts_at, ends_at, now):
        raise ValueError(wrong)
    window = Maintenance.objects.create(title=title, starts_at=starts_at, ends_at=ends_at, announced_at=now)
    record_audit(tenant=None, actor=actor, action="maintenance.announced", target=window, now=now)
    return window


def wrong_window(starts_at: datetime, ends_at: datetime, now: datetime) -> str:
    """Why a window can't be announced, in a sentence; empty when it can."""
    if ends_at <= starts_at:
        return "It must end after it begins."
    return "It is over: what was not announced counts." if ends_at <= now else ""


def withdraw(*, window: Maintenance, now: datetime, actor: str, reason: str = "") -> bool:
    """Take an announced window back; what of it is over stays excluded. False when it was before, or it is over."""
    changed = Maintenance.objects.filter(pk=window.pk, withdrawn_at=None, ends_at__gt=now).update(withdrawn_at=now)
    if changed:
        after = {"reason": reason}
        record_audit(tenant=None, actor=actor, action="maintenance.withdrawn", target=window, after=after, now=now)
    return bool(changed)


def probed(start: datetime, end: datetime) -> list[Interval]:
    """When the service was probed, of [start, end)."""
    spans = ProbedSpan.objects.filter(ended_at__gt=start, started_at__lt=end)
    return [_cut(row.started_at, row.ended_at, start, end) for row in spans.order_by("started_at")]


def counted_incidents(start: datetime, end: datetime) -> list[tuple[Incident, Interval]]:
    """Incidents that count against us, with what of them is in [start, end); one that is open lasts."""
    rows = Incident.objects.filter(part__in=COUNTED, started_at__lt=end).exclude(ended_at__lte=start)
    return [(row, _cut(row.started_at, row.ended_at or end, start, end)) for row in rows.order_by("started_at", "id")]


def windows(start: datetime, end: datetime) -> list[Interval]:
    """What maintenance excludes of [start, end): of each window what came after its announcement, until taken back."""
    found = []
    for row in Maintenance.objects.filter(starts_at__lt=end, ends_at__gt=start).order_by("starts_at"):
        until = min(row.ends_at, row.withdrawn_at or row.ends_at)
        begin, finish = _cut(max(row.starts_at, row.announced_at), until, start, end)
        if begin < finish:
            found.append((begin, finish))
    return found


def _cut(begins: datetime, ends: datetime, start: datetime, end: datetime) -> Interval:
    return second_of(max(begins, start)), second_of(min(ends, end))


def _extend_span(second: int) -> None:
    """The service is probed until now; after a longer pause, from now on."""
    now, pause = moment_of(second), timedelta(seconds=LONGEST_PAUSE)
    last = ProbedSpan.objects.order_by("-ended_at").first()
    if last is None or last.ended_at < now - pause:
        ProbedSpan.objects.create(started_at=now, ended_at=now)
    elif last.ended_at < now:
        ProbedSpan.objects.filter(pk=last.pk).update(ended_at=now)


def _open(part: str, by: Round) -> None:
    if Incident.objects.filter(part=part, ended_at=None).exists():
        return
    incident, new = Incident.objects.get_or_create(
        part=part,
        started_at=moment_of(by.watched[part].since),
        defaults={"id": new_id("inc", moment_of(by.second)), "opened_at": moment_of(by.second)},
    )
    if new:
        _say(incident, by.second, f"{PARTS[part].title}: three probes in a row failed.")


def _close(incident: Incident, by: Round) -> None:
    known = by.watched[incident.part]
    if known.up and not known.incident and known.in_a_row >= CLOSES_AFTER:
        Incident.objects.filter(pk=incident.pk).update(ended_at=moment_of(known.since))
        _say(incident, by.second, f"{PARTS[incident.part].title}: well again.")


def _say(incident: Incident, second: int, text: str) -> None:
    IncidentNote.objects.create(incident=incident, at=moment_of(second), text=text)


def _remember(look: Look, watched: Watched) -> None:
    if look.up is None:
        PartState.objects.filter(part=look.part).update(detail=look.detail)
        return
    PartState.objects.update_or_create(
        part=look.part,
        defaults={
            "up": watched.up, "in_a_row": watched.in_a_row, "since": moment_of(watched.since),
            "checked_at": moment_of(look.second), "ms": look.ms, "detail": look.detail,
        },
    )  # fmt: skip
