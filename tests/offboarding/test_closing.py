"""A tenant closes: keys stop, the last invoice is made, it can be undone, then all but the books is gone."""

import csv
import io
import json
import zipfile
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.conf import settings
from django.core import mail
from django.test import override_settings
from django.utils import timezone

from apps.accounts import audit_chain, invitations
from apps.accounts.models import AuditEntry, Membership, Tenant, User
from apps.accounts.tenancy import in_tenant
from apps.api_keys.gate import names_of
from apps.api_keys.models import ApiKey
from apps.api_keys.services import get_gate
from apps.billing.collecting.providers import get_gateway
from apps.billing.models import Closing, Invoice, Subscription
from apps.billing.subscriptions.services import subscription_of
from apps.notifications.models import Delivery, WebhookEndpoint
from apps.offboarding import closing, exports, leaving
from apps.offboarding.models import GRACE, KEPT, Closure, Export
from apps.offboarding.parts import PARTS
from apps.periods import Period
from apps.scoring.models import Decision, PublishedPolicy
from apps.usage.closing.closing import close_due
from apps.valkey import Valkey, server
from tests.api.bodies import HONEST
from tests.cast import Api, Cast, enter
from tests.factories import MembershipFactory, UsageDayFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def owner(cast: Cast) -> Membership:
    return MembershipFactory(tenant=cast.bob.tenant)


def close(tenant: Tenant, owner: Membership, now: Any = None) -> Closure:
    return closing.close_tenant(tenant=tenant, gate=get_gate(), now=now or timezone.now(), actor=owner.user.email)


def reopen(tenant: Tenant, owner: Membership) -> None:
    closing.reopen_tenant(tenant=tenant, gate=get_gate(), now=timezone.now(), actor=owner.user.email)


def finish(now: datetime, outside: closing.Outside | None = None) -> int:
    here = server(settings.REDIS_URL, settings.REDIS_TIMEOUT)
    return closing.finish_closures(now, outside or closing.Outside(here, get_gateway()))


def traces(tenant: Tenant) -> list[bytes]:
    """What Valkey knows by the tenant's names, and of its keys."""
    here, names = server(settings.REDIS_URL, settings.REDIS_TIMEOUT), names_of(tenant.handle, True)
    keys = [
        names.key(digest).encode() for digest in ApiKey.objects.filter(tenant=tenant).values_list("digest", flat=True)
    ]
    found = here.command("KEYS", f"*{tenant.handle}*")
    return [*found, *(key for key in keys if here.command("EXISTS", key))]


def told(kind: str) -> list[str]:
    return list(Delivery.objects.filter(event__kind=kind).values_list("recipient", flat=True))


def test_keys_stop_at_once_and_work_again_when_it_is_undone(bob: Api, owner: Membership) -> None:
    before = subscription_of(bob.tenant.pk)
    assert bob.post("/v1/decisions", HONEST).status_code == 200
    close(bob.tenant, owner)
    close(bob.tenant, owner)  # harmless
    answer = bob.post("/v1/decisions", HONEST)
    assert (answer.status_code, answer.json()["code"]) == (403, "tenant_closed")
    assert bob.in_test_mode().get("/v1/usage").status_code == 403
    assert subscription_of(bob.tenant.pk).plan_code.startswith("free")
    reopen(bob.tenant, owner)
    reopen(bob.tenant, owner)  # harmless
    assert bob.post("/v1/decisions", HONEST).status_code == 200
    after = subscription_of(bob.tenant.pk)
    assert (after.plan_code, after.status) == (before.plan_code, before.status)
    assert told("account.closing") == told("account.reopened") == [owner.user.email]
    entries = AuditEntry.objects.filter(tenant=bob.tenant, action__in=["tenant.closing", "tenant.reopened"])
    assert [entry.actor for entry in entries] == [owner.user.email] * 2


def test_limits_of_ones_own_come_back(cast: Cast, owner: Membership) -> None:
    Subscription.objects.filter(tenant=cast.bob.tenant).update(custom_included=70_000, custom_rate_per_minute=900)
    close(cast.bob.tenant, owner)
    assert subscription_of(cast.bob.tenant.pk).custom_included is None
    reopen(cast.bob.tenant, owner)
    row = subscription_of(cast.bob.tenant.pk)
    assert (row.custom_included, row.custom_rate_per_minute) == (70_000, 900)


def test_the_last_invoice_charges_the_fee_up_to_the_closing(cast: Cast, owner: Membership) -> None:
    """Closed in the middle of a month of 30 days that it was there for, on Basic (99.00): half of the fee."""
    tenant, period = cast.bob.tenant, Period.of(timezone.now()).later(1)
    middle = period.start + (period.end - period.start) / 2
    UsageDayFactory(tenant_id=tenant.pk, units=100, decisions=100, day=period.start.date())
    close(tenant, owner, middle)
    close_due(period.end + timedelta(hours=1))
    assert Invoice.objects.get(tenant=tenant, period=str(period)).subtotal == Decimal("49.50")


def test_when_the_grace_is_over_all_but_the_books_is_removed(cast: Cast, drain: Any) -> None:
    dora = Api(enter("dora", "basic"))
    tenant, owner = dora.tenant, MembershipFactory(tenant=dora.tenant)
    assert dora.post("/v1/decisions", HONEST).status_code == 200
    drain()
    exports.ask_for_export(tenant=tenant, now=timezone.now(), actor="ben")
    made = exports.make_next(timezone.now())
    assert made is not None
    asked = timezone.now()
    close(tenant, owner, asked)
    assert finish(asked + GRACE - timedelta(seconds=1)) == 0
    assert finish(asked + GRACE) == 0, "its last month is not invoiced yet"
    Closing.objects.get_or_create(tenant=tenant, period=str(Period.of(asked)), defaults={"closed_at": asked})
    entries, invoices = AuditEntry.objects.filter(chain=tenant.pk).count(), Invoice.objects.count()
    away = closing.Outside(Valkey("redis://127.0.0.1:1/0", 1.0), get_gateway())
    assert traces(tenant) and finish(asked + GRACE, away) == 0
    assert Closure.objects.get(tenant=tenant).finished_at is None, "while Valkey is away it waits"
    assert finish(asked + GRACE) == 1
    assert finish(asked + GRACE) == 0
    assert traces(tenant) == []
    with in_tenant(tenant):
        assert (Decision.objects.count(), PublishedPolicy.objects.count()) == (0, 0)
    for model in (ApiKey, WebhookEndpoint, Membership, Export):
        assert not model._default_manager.filter(tenant=tenant).exists(), model
    assert not made.file.storage.exists(made.file.name)
    assert Invoice.objects.count() == invoices
    assert AuditEntry.objects.filter(chain=tenant.pk).count() == entries + 1
    assert list(audit_chain.faults()) == []
    assert told("account.closed") == [owner.user.email]
    with pytest.raises(closing.NotPossible):
        reopen(tenant, owner)
    assert User.objects.filter(pk=owner.user_id).exists()


def test_an_export_has_everything_and_no_secret(bob: Api, owner: Membership, drain: Any, tmp_path: Any) -> None:
    assert bob.post("/v1/decisions", HONEST).status_code == 200
    drain()
    ApiKey.objects.filter(pk=bob.player.live.pk).update(name="=cmd()")  # type: ignore[union-attr]
    with override_settings(MEDIA_ROOT=tmp_path):
        asked = exports.ask_for_export(tenant=bob.tenant, now=timezone.now(), actor=owner.user.email)
        assert exports.ask_for_export(tenant=bob.tenant, now=timezone.now(), actor="another") == asked
        made = exports.make_next(timezone.now())
        assert made is not None and (made.state, made.percent) == ("ready", 100)
        assert exports.make_next(timezone.now()) is None
        with zipfile.ZipFile(
            io.BytesIO(exports.fetched(export=made, now=timezone.now(), actor="ben").read())
        ) as archive:
            files = {name: archive.read(name).decode() for name in archive.namelist()}
    assert set(files) == {part.file for part in PARTS} | {"README.txt"}
    (decision,) = [json.loads(line) for line in files["decisions.jsonl"].splitlines()]
    assert decision["transaction"] and decision["answer"]["object"] == "decision"
    keys = list(csv.DictReader(io.StringIO(files["keys.csv"])))
    assert len(keys) == 2 and keys[0]["name"] == "'=cmd()"
    assert owner.user.email in files["members.csv"]
    assert "export.asked" in files["audit.jsonl"]
    whole = "".join(files.values())
    secrets = (bob.player.text, bob.player.test_text, bob.player.live.digest, owner.user.password)  # type: ignore[union-attr]
    assert not any(secret in whole for secret in secrets)
    assert told("export.ready") == [owner.user.email]


def test_an_export_whose_worker_died_is_begun_anew_and_given_up_in_the_end(cast: Cast) -> None:
    now = timezone.now()
    asked = exports.ask_for_export(tenant=cast.bob.tenant, now=now, actor="ben")
    Export.objects.filter(pk=asked.pk).update(state="running", tries=1, touched_at=now - exports.STUCK / 2)
    assert exports.make_next(now) is None, "somebody is at it"
    Export.objects.filter(pk=asked.pk).update(touched_at=now - 2 * exports.STUCK)
    made = exports.make_next(now)
    assert made is not None and made.state == "ready"
    Export.objects.filter(pk=asked.pk).update(
        state="running", tries=exports.MOST_TRIES, touched_at=now - 2 * exports.STUCK
    )
    assert exports.make_next(now) is None
    assert Export.objects.get(pk=asked.pk).state == "failed"
    assert exports.forget_old(now + KEPT + timedelta(days=1)) == 1


def test_whoever_leaves_is_told_of(cast: Cast, owner: Membership) -> None:
    vera = MembershipFactory(tenant=cast.bob.tenant, role="viewer")
    leaving.leave_tenant(membership=vera, now=timezone.now())
    assert told("member.left") == [owner.user.email]
    with pytest.raises(invitations.NotPossible):
        leaving.leave_tenant(membership=owner, now=timezone.now())


def test_an_account_is_deleted_but_never_a_companys_only_owner(cast: Cast, owner: Membership) -> None:
    with pytest.raises(leaving.StillOwns) as refused:
        leaving.delete_user(user=owner.user, now=timezone.now())
    assert refused.value.tenants == [cast.bob.tenant]
    other = MembershipFactory(tenant=cast.bob.tenant)
    MembershipFactory(tenant=cast.alice.tenant, user=owner.user, role="viewer")
    email = owner.user.email
    leaving.delete_user(user=owner.user, now=timezone.now())
    assert not User.objects.filter(email=email).exists()
    assert set(AuditEntry.objects.filter(actor=email).values_list("action", flat=True)) == {
        "user.deleted",
        "membership.removed",
    }
    assert told("member.left") == [other.user.email]
    assert mail.outbox[-1].to == [email] and "deleted" in mail.outbox[-1].subject
