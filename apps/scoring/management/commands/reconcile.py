"""`manage.py reconcile [--month YYYY-MM] [--tenant S] [--json]`: exits 1 when a difference needs a person."""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from apps.accounts.models import Tenant
from apps.scoring.reconciliation import reconcile_month
from apps.usage.reconciliation import BookedDay, Books, Difference

#: What reconciliation calls the units that wait for the next invoice.
LATE = "units invoiced"


class Command(BaseCommand):
    """served = journaled = recorded = rolled up = invoiced, per tenant and day; the gate's counters are set right."""

    help = "Compare the books of a month and set the gate's counters right; exits 1 when something else differs."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--month", help="YYYY-MM (default: this month, UTC)")
        parser.add_argument("--tenant", help="one tenant's slug (default: all)")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["tenant"] and not Tenant.objects.filter(slug=options["tenant"]).exists():
            raise CommandError(f"--tenant: there is no '{options['tenant']}'")
        now = timezone.now()
        months = reconcile_month(_month(options["month"]) if options["month"] else now, now, options["tenant"])
        found = self._print_json(months) if options["json"] else self._print(months)
        wrong = sum(not difference.corrected for difference in found)
        if wrong:
            raise CommandError(f"{wrong} differences need a person", returncode=1)

    def _print(self, months: Iterator[Books]) -> list[Difference]:
        found = []
        for books in months:
            self.stdout.writelines(f"{line}\n" for line in (*map(_booked, books.days), *map(_line, books.differences)))
            found += books.differences
        if all(difference.corrected for difference in found):
            self.stdout.write(verdict(found))
        return found

    def _print_json(self, months: Iterator[Books]) -> list[Difference]:
        days, found = [], []
        for books in months:
            days += [day._asdict() for day in books.days]
            found += books.differences
        differences = [difference._asdict() for difference in found]
        ok = all(difference.corrected for difference in found)
        self.stdout.write(json.dumps({"ok": ok, "differences": differences, "days": days}))
        return found


def verdict(mended: Sequence[Difference]) -> str:
    """The last line, where nobody has to look at anything."""
    late = sum(difference.expected - difference.found for difference in mended if difference.what == LATE)
    counters = sum(difference.what != LATE for difference in mended)
    but = [f"{late} late units, which go on the next invoice"] * bool(late)
    but += [f"{counters} of the gate's counters, set right"] * bool(counters)
    return f"The books agree{' but for ' * bool(but)}{', and '.join(but)}."


def _booked(one: BookedDay) -> str:
    journaled = "no longer kept" if one.journaled is None else one.journaled
    aside = [f"{count} {what}" for count, what in ((one.direct, "past the journal"), (one.waiting, "waiting")) if count]
    invoiced = "not yet" if one.units_invoiced is None else one.units_invoiced
    return (
        f"{one.tenant} {one.day}: decisions served {one.served}, journaled {journaled}, recorded {one.recorded},"
        f" rolled up {one.rolled_up}{''.join(f' ({note})' for note in aside)};"
        f" units recorded {one.units_recorded}, rolled up {one.units_rolled_up}, invoiced {invoiced}"
    )


def _line(one: Difference) -> str:
    mended = ""
    if one.corrected:
        mended = " (late: on the next invoice)" if one.what == LATE else " (set right)"
    return f"{one.tenant} {one.day}: {one.what}: expected {one.expected}, found {one.found}{mended}"


def _month(text: str) -> datetime:
    try:
        return datetime.fromisoformat(f"{text}-15T00:00:00+00:00")
    except ValueError as wrong:
        raise CommandError("--month: say YYYY-MM") from wrong
