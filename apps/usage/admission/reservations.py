"""Reservations: units taken at the gate's counter before a chunk of a batch is scored, and settled once it is recorded.

reserve ──► scored ──► recorded in Postgres ──► settle
   └ killed anywhere: asked for again under the same id, it is the same reservation; settled, it is none

So chunks of several batches and single calls stop at the same unit. What a killed process left is settled by whoever
looks for it; reconciliation counts what is still reserved.
"""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from apps.accounts.models import Tenant
from apps.api_keys.gate import UNLIMITED, Gate, Names
from apps.billing.subscriptions.services import Allowance, allowance
from apps.usage.admission.admission import COUNTER_SECONDS, period_of, recorded_units
from apps.usage.metering.quantities import units_between
from apps.valkey import Argument, Script, Valkey

_HERE = Path(__file__).parent
RESERVE = Script((_HERE / "reserve.lua").read_text())
SETTLE = Script((_HERE / "settle.lua").read_text())


def reserve(gate: Gate, tenant: Tenant, reservation: str, wanted: int, at: datetime, allowed: Allowance) -> int:
    """Reserve up to `wanted` live units in the month of `at`; how many are reserved under this id in all.

    `allowed`: what the tenant may use now. Raises `apps.valkey.Away`.
    """
    most = allowed.allowed_units
    return _reserve(gate, tenant, reservation, wanted, at, UNLIMITED if most is None else most)


def confirm(gate: Gate, tenant: Tenant, reservation: str, units: int, at: datetime, now: datetime) -> bool:
    """Whether so many units are still reserved, or could be again: Valkey may have lost its memory since."""
    return reserve(gate, tenant, reservation, units, at, allowed_now(tenant, now)) >= units


def settle(gate: Gate, tenant: Tenant, reservation: str, billed: int, at: datetime) -> None:
    """End a reservation of the month of `at` of which `billed` units are recorded. Harmless when repeated.

    Raises `apps.valkey.Away`.
    """
    names = Names(tenant.handle, True)
    gate.valkey.run(SETTLE, [names.quota(period_of(at)), names.reserved(period_of(at))], [reservation, billed])


def reserved(valkey: Valkey, tenant: Tenant, period: str) -> Mapping[str, int]:
    """What is reserved in a month (YYYYMM) and not settled: id → units."""
    answer = valkey.command("HGETALL", Names(tenant.handle, True).reserved(period))
    return {name.decode(): int(units) for name, units in zip(answer[::2], answer[1::2], strict=True)}


def allowed_now(tenant: Tenant, now: datetime) -> Allowance:
    """What the tenant's plan, card and spend cap let it do."""
    return allowance(tenant.pk, now, units_between)


def _reserve(gate: Gate, tenant: Tenant, reservation: str, wanted: int, at: datetime, limit: int) -> int:
    names, period = Names(tenant.handle, True), period_of(at)
    keys = [names.quota(period), names.reserved(period)]
    arguments: list[Argument] = [reservation, wanted, limit, COUNTER_SECONDS]
    answer = gate.valkey.run(RESERVE, keys, arguments)
    if answer is None:
        gate.seed_quota(tenant.handle, period, recorded_units(tenant.pk, period), seconds=COUNTER_SECONDS)
        answer = gate.valkey.run(RESERVE, keys, arguments)
    return int(answer or 0)
