"""The audit trail: written by one writer, chained at COMMIT, and whatever is done to it afterwards is found."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from apps.accounts import audit_chain
from apps.accounts.audit import ORIGIN, Origin, record_audit
from apps.accounts.models import AuditChain, AuditEntry, Tenant
from tests.cast import Cast
from tests.pace import within
from tests.together import together

pytestmark = pytest.mark.django_db(transaction=True)

LENGTH = 6


def write(tenant: Tenant | None, action: str = "x.done", **said: Any) -> AuditEntry:
    record_audit(tenant=tenant, actor="ann@example.com", action=action, target="a thing", now=timezone.now(), **said)
    return AuditEntry.objects.filter(tenant=tenant).order_by("-pk")[0]


@pytest.fixture
def tenant(cast: Cast) -> Tenant:
    """One whose chain is a few entries longer than it was."""
    for number in range(LENGTH):
        write(cast.alice.tenant, after={"number": number, "share": 0.5, "whole": 2.0, "words": "größer – ß"})
    return cast.alice.tenant


def chain_of(tenant: Tenant) -> list[AuditEntry]:
    return list(AuditEntry.objects.filter(chain=tenant.pk).order_by("sequence"))


def test_what_was_written_is_whole(tenant: Tenant) -> None:
    assert list(audit_chain.faults()) == []
    places = [entry.sequence for entry in chain_of(tenant)]
    assert places == list(range(1, len(places) + 1))
    head = AuditChain.objects.get(chain=tenant.pk)
    assert (head.length, head.digest) == (len(places), chain_of(tenant)[-1].digest)


def test_an_entry_says_where_it_came_from() -> None:
    noted = ORIGIN.set(Origin("2001:db8::7", "req_1"))
    try:
        entry = write(None)
    finally:
        ORIGIN.reset(noted)
    assert (entry.address, entry.request_id, entry.chain) == ("2001:db8::7", "req_1", 0)
    assert list(audit_chain.faults()) == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE accounts_auditentry SET actor = 'nobody'",
        "UPDATE accounts_auditentry SET sequence = sequence + 1000",
        "UPDATE accounts_auditentry SET sequence = NULL",
        "DELETE FROM accounts_auditentry",
        "TRUNCATE accounts_auditentry",
        "DELETE FROM accounts_auditchain",
        "TRUNCATE accounts_auditchain",
    ],
)
def test_the_database_refuses_changes(tenant: Tenant, statement: str) -> None:
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert list(audit_chain.faults()) == []


def past_the_triggers(statement: str, *parameters: Any) -> None:
    """What somebody may do who owns the database."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(statement, parameters)


def change(column: str, value: Any) -> Callable[[AuditEntry], None]:
    return lambda entry: past_the_triggers(
        f"UPDATE accounts_auditentry SET {column} = %s WHERE id = %s", value, entry.pk
    )


def remove(entry: AuditEntry) -> None:
    past_the_triggers("DELETE FROM accounts_auditentry WHERE id = %s", entry.pk)


def swap(entry: AuditEntry) -> None:
    """With the next one, digests and all."""
    past_the_triggers(
        "UPDATE accounts_auditentry SET sequence = -sequence WHERE chain = %s AND sequence IN (%s, %s)",
        entry.chain, entry.sequence, int(entry.sequence or 0) + 1,
    )  # fmt: skip
    past_the_triggers(
        "UPDATE accounts_auditentry SET sequence = %s + sequence WHERE chain = %s AND sequence < 0",
        2 * int(entry.sequence or 0) + 1, entry.chain,
    )  # fmt: skip


COPIED = "at, tenant_id, actor, action, target, address, request_id, before, after, chain"


def insert(entry: AuditEntry) -> None:
    """A copy before it, everything behind moved on."""
    past_the_triggers(
        "UPDATE accounts_auditentry SET sequence = sequence + 1000000 WHERE chain = %s AND sequence >= %s",
        entry.chain, entry.sequence,
    )  # fmt: skip
    past_the_triggers(
        "UPDATE accounts_auditentry SET sequence = sequence - 999999 WHERE chain = %s AND sequence >= 1000000",
        entry.chain,
    )  # fmt: skip
    past_the_triggers(
        f"INSERT INTO accounts_auditentry ({COPIED}, sequence, seal, digest)"
        f" SELECT {COPIED}, %s, left(seal, 79) || 'x', digest FROM accounts_auditentry WHERE id = %s",
        entry.sequence, entry.pk,
    )  # fmt: skip


TAMPERED: dict[str, Callable[[AuditEntry], None]] = {
    "actor": change("actor", "mallory@example.com"),
    "action": change("action", "y.done"),
    "target": change("target", "another thing"),
    "time": change("at", datetime(2020, 1, 1, tzinfo=UTC)),
    "address": change("address", "192.0.2.1"),
    "request": change("request_id", "req_2"),
    "before": change("before", '{"number": 7}'),
    "after": change("after", '{"number": 7}'),
    "seal": change("seal", "0" * 80),
    "digest": change("digest", "0" * 64),
    "whose": change("chain", 999_999_999),
    "place": change("sequence", 1_000_000),
    "unchained": change("sequence", None),
    "removed": remove,
    "moved": swap,
    "inserted": insert,
}


@pytest.mark.parametrize(
    ("how", "back"),
    [(how, 2) for how in TAMPERED] + [(how, 0) for how in TAMPERED if how != "moved"],  # the last has none behind it
)
def test_tampering_is_found_and_where(tenant: Tenant, how: str, back: int) -> None:
    entry = chain_of(tenant)[-1 - back]
    TAMPERED[how](entry)
    found = list(audit_chain.faults())
    assert found, how
    mine = {fault.sequence for fault in found if fault.chain == tenant.pk}
    assert entry.sequence in mine and min(mine - {0}) == entry.sequence, (how, found)


def test_an_entry_written_past_us_is_found(tenant: Tenant) -> None:
    """Not even one that the database's own triggers have chained."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO accounts_auditentry (at, tenant_id, actor, action, target, request_id, chain, seal, digest)"
            " VALUES (now(), %s, 'operator', 'x.allowed', '', '', 0, repeat('0', 80), '')",
            [tenant.pk],
        )
    (fault,) = audit_chain.faults()
    assert (fault.chain, fault.sequence) == (tenant.pk, len(chain_of(tenant)))


def test_a_chain_shortened_and_numbered_anew_differs_from_heads_kept_elsewhere(tenant: Tenant, tmp_path: Path) -> None:
    file = tmp_path / "heads.json"
    call_command("audit_verify", heads=file)
    gone = chain_of(tenant)[-1]
    before = chain_of(tenant)[-2]
    remove(gone)
    past_the_triggers(
        "UPDATE accounts_auditchain SET length = %s, digest = %s WHERE chain = %s",
        before.sequence, before.digest, tenant.pk,
    )  # fmt: skip
    call_command("audit_verify")
    with pytest.raises(CommandError, match="1 faults"):
        call_command("audit_verify", heads=file)


def test_the_command_says_where(tenant: Tenant, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("audit_verify")
    assert "Whole: " in capsys.readouterr().out
    entry = chain_of(tenant)[-1]
    remove(entry)
    with pytest.raises(CommandError):
        call_command("audit_verify")
    assert f"chain of tenant {tenant.pk}, entry {entry.sequence}: is missing" in capsys.readouterr().err


def test_nobody_waits_for_a_transaction_that_has_written_an_entry(cast: Cast) -> None:
    """Chains are locked at COMMIT: two transactions write to the same two chains, in opposite order, side by side."""
    both_have_written = threading.Barrier(2, timeout=within(10))

    def work(number: int) -> None:
        tenants = (cast.alice.tenant, cast.bob.tenant)
        with transaction.atomic():
            for tenant in tenants if number else reversed(tenants):
                write(tenant)
            both_have_written.wait(timeout=within(10))

    together(2, work)
    assert list(audit_chain.faults()) == []


@pytest.fixture(autouse=True)
def _no_entries_are_left(tenant: Tenant) -> Iterator[None]:
    """Whole to begin with."""
    assert list(audit_chain.faults()) == []
    yield
