"""Rolled up = invoiced, day by day: late units are told, everything else needs a person."""

from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from apps.scoring.management.commands.reconcile import verdict
from apps.usage.models import UsageDay
from apps.usage.reconciliation import Difference
from tests.billing.conftest import at, close, customer, use

pytestmark = pytest.mark.django_db


def invoiced(tenant: Any) -> list[str]:
    """What reconciliation says of a tenant's October and its invoices."""
    out = StringIO()
    try:
        call_command("reconcile", "--month", "2026-10", "--tenant", tenant.slug, stdout=out)
    except CommandError:
        out.write("exit 1\n")
    return [line for line in out.getvalue().splitlines() if "units invoiced" in line]


def late(units: int) -> Difference:
    return Difference("acme", "2026-10-04", "units invoiced", units, 0, corrected=True)


def counter() -> Difference:
    return Difference("acme", "2026-10", "units counted by the gate", 1, 2, corrected=True)


def test_invoiced_units_agree_with_those_rolled_up() -> None:
    tenant = customer()
    use(tenant, at(10, 3), 12)
    close(tenant, 10)
    assert invoiced(tenant) == []


def test_late_units_wait_for_the_next_invoice_and_are_told() -> None:
    tenant = customer()
    use(tenant, at(10, 3), 12)
    close(tenant, 10)
    use(tenant, at(10, 4), 5)
    said = f"{tenant.slug} 2026-10-04: units invoiced: expected 5, found 0 (late: on the next invoice)"
    assert invoiced(tenant) == [said]
    close(tenant, 11)
    assert invoiced(tenant) == []


def test_units_on_an_invoice_that_nobody_used_are_a_difference() -> None:
    tenant = customer()
    use(tenant, at(10, 3), 12)
    close(tenant, 10)
    UsageDay.objects.filter(tenant_id=tenant.pk).update(units=11)
    assert invoiced(tenant) == [f"{tenant.slug} 2026-10-03: units invoiced: expected 11, found 12"]


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ([], "The books agree."),
        ([late(5), late(3)], "The books agree but for 8 late units, which go on the next invoice."),
        ([counter()], "The books agree but for 1 of the gate's counters, set right."),
        (
            [late(1), counter()],
            "The books agree but for 1 late units, which go on the next invoice,"
            " and 1 of the gate's counters, set right.",
        ),
    ],
)
def test_the_last_line_is_a_verdict(found: list[Difference], said: str) -> None:
    assert verdict(found) == said


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_a_tenant_there_is_none_of_is_refused(form: tuple[str, ...]) -> None:
    with pytest.raises(CommandError, match="--tenant: there is no 'nope'"):
        call_command("reconcile", "--tenant", "nope", *form, stdout=StringIO())
