"""The nets below the doors: the database connection, the log, refusals, the command line."""

import logging
import logging.config
import subprocess
import sys

import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone

from apps.accounts.audit import record_audit
from apps.accounts.models import AuditEntry
from apps.billing.collecting import provider_events
from apps.billing.models import ProviderEvent
from apps.errors import Problem
from config.local import embedded
from tests.cards.pans import in_groups, masked, pan, readable
from tests.live import environment_of
from tests.pace import within

CARD = pan(30)


def test_every_text_and_json_handed_to_postgres_is_masked_and_found() -> None:
    after = {CARD: [in_groups(CARD, " "), {"n": int(CARD)}]}
    record_audit(tenant=None, actor=CARD, action="x", target=f"to {CARD}", after=after, now=timezone.now())
    row = AuditEntry.objects.get(action="x", actor=CARD, target__contains=CARD, actor__in=[CARD])
    assert (row.actor, row.target) == (masked(CARD), f"to {masked(CARD)}")
    assert not readable(str(row.after).encode())
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s, %s = ANY(%s)", [CARD, masked(CARD), [CARD]])
        assert cursor.fetchone() == (masked(CARD), True)


def test_providers_event_is_kept_masked() -> None:
    event = {"id": f"evt_{CARD}", "type": CARD, "created": 1, "data": {"object": {"metadata": {CARD: [int(CARD)]}}}}
    assert provider_events.keep(event, timezone.now())
    assert not provider_events.keep(event, timezone.now())
    row = ProviderEvent.objects.get()
    assert (row.event_id, row.kind) == (f"evt_{masked(CARD)}", masked(CARD))
    assert not readable(str(row.body).encode())


def test_a_logs_line_is_masked_with_arguments_and_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    logging.config.dictConfig(settings.LOGGING)
    try:
        raise ValueError(f"refused {CARD}")
    except ValueError:
        logging.getLogger("apps.of.ours").exception("it was %s: %s", in_groups(CARD, " "), {"a": [CARD]})
    said = capfd.readouterr().err
    assert "Traceback" in said
    assert masked(CARD) in said
    assert not readable(said.encode())


def test_every_handler_of_every_process_writes_masked_lines() -> None:
    formatters = settings.LOGGING["formatters"]
    assert {one["formatter"] for one in settings.LOGGING["handlers"].values()} <= set(formatters)
    assert {one["()"] for one in formatters.values()} == {"config.logs.MaskedLine", "config.logs.JsonLine"}


def test_refusal_holds_none_whatever_it_quotes() -> None:
    refused = Problem(
        "field_invalid", f"'{CARD}' is wrong", CARD, extra={"errors": [{"loc": ["body", CARD], "msg": CARD}]}
    )
    assert not readable(f"{refused} {refused!r}".encode())
    assert refused.param == masked(CARD)


def test_command_line_is_masked_before_it_is_read() -> None:
    command = [sys.executable, "manage.py", "policy_publish", "--tenant", CARD]
    environment = environment_of("config.settings.portal")
    ran = subprocess.run(
        command, cwd=embedded.CHECKOUT, env=environment, capture_output=True, check=False, timeout=within(60)
    )
    assert masked(CARD).encode() in ran.stderr
    assert not readable(ran.stdout + ran.stderr)
