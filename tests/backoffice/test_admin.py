"""Operators' pages: each opens, shows no secret, and what is done on them holds at once and is audited."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import AuditEntry, Membership, Tenant, User
from apps.accounts.services import USAGE_BOOKS, record_check
from apps.api_keys.models import ApiKey
from apps.backoffice.site import MENU
from apps.billing.collecting import provider_events
from apps.billing.invoicing import credits
from apps.billing.invoicing.invoices import draft_invoice, issue, issue_credit_note, mark_paid
from apps.billing.models import (
    Coupon,
    CouponRedemption,
    Credit,
    CreditNote,
    Invoice,
    Payment,
    PaymentCard,
    ProviderEvent,
    Refund,
    Subscription,
)
from apps.notifications.models import Delivery, WebhookEndpoint
from apps.notifications.services import create_webhook, send_test
from apps.operations.models import Backup
from apps.sla.models import BurnAlert, Incident, Maintenance, PartState, SlaStatement
from apps.support.services import ask
from tests.api.bodies import HONEST
from tests.cast import Api, Cast
from tests.faces import as_the_api
from tests.factories import MembershipFactory, UsageDayFactory, UsageHourFactory, UserFactory

pytestmark = pytest.mark.django_db(transaction=True)

OUTBOX = ("notifications.delivery", "notifications.event", "notifications.webhookendpoint")
COLLECTED = ("billing.payment", "billing.refund", "billing.paymentcard", "billing.providerevent")
MODELS = sorted((model._meta.label_lower for model in admin.site._registry), key=str)


def address(model: str, page: str, *arguments: Any) -> str:
    return reverse(f"admin:{model.replace('.', '_')}_{page}", args=arguments)


@pytest.fixture
def rows(cast: Cast, operator: User) -> None:
    """At least one row of everything there is a page for."""
    MembershipFactory(tenant=cast.alice.tenant)
    UsageDayFactory(tenant_id=cast.alice.tenant.pk)
    UsageHourFactory(tenant_id=cast.alice.tenant.pk)
    UserFactory(email="quiet@example.com", is_active=False)
    operator.groups.create(name="support")
    now = timezone.now()
    hook = create_webhook(tenant=cast.alice.tenant, livemode=True, url="https://example.com/", now=now)
    send_test(webhook=hook, now=now)
    ask(tenant=cast.alice.tenant, asked_by="ann@example.com", topic="other", subject="Hello", message="…", now=now)
    tenant, one = cast.alice.tenant, Decimal(1)
    CouponRedemption.objects.create(tenant=tenant, coupon=Coupon.objects.create(code="HALF", percent=Decimal(50)))
    credits.grant(tenant, one, "USD", reason="a gift", key="gift", now=now)
    with transaction.atomic():
        said = {"description": "Training", "amount": Decimal(9), "start": now, "end": now + timedelta(days=1)}
        invoice = draft_invoice(tenant=tenant, now=now, **said)
        issue([invoice], now)
    issue_credit_note(invoice=invoice, amount=one, reason="too much", now=now)
    card = PaymentCard.objects.create(tenant=tenant, customer="cus_1", card="pm_1", brand="visa", last4="4242")
    paid = Payment.objects.create(
        invoice=invoice,
        tenant=tenant,
        attempt=1,
        provider="stripe",
        card=card.card,
        amount=Decimal(8),
        currency="USD",
        status="failed",
        idempotency_key="pay_1",
        created_at=now,
        updated_at=now,
    )
    times = {"created_at": now, "updated_at": now}
    Refund.objects.create(payment=paid, amount=one, reason="SLA", idempotency_key="ref_1", **times)
    Incident.objects.create(id="inc_1", part="api", started_at=now, opened_at=now)
    Maintenance.objects.create(title="A larger disk", starts_at=now, ends_at=now + timedelta(days=1), announced_at=now)
    PartState.objects.create(part="api", up=True, since=now, checked_at=now)
    BurnAlert.objects.create(rule="fast", opened_at=now, text="3 of 4 failed")
    SlaStatement.objects.create(
        tenant=tenant, month="2026-10", revision=1, issued_at=now, document={}, credit_percent=10, credit=one
    )
    event = {"id": "evt_1", "type": "customer.created", "created": 1, "data": {"object": {}}}
    provider_events.keep(event, now)
    Backup.objects.create(made_at=now, file="/backups/palisade.backup", size=1_000_000, seconds=2.5)


def test_index_opens(browser: Client) -> None:
    page = browser.get("/admin/")
    assert page.status_code == 200
    assert b"Audit trail" in page.content


def test_doctor_s_page_says_what_is_wrong(browser: Client) -> None:
    page = browser.get(reverse("admin:doctor")).content.decode()
    assert "PALISADE_BACKUP_DIR is not set" in page
    assert reverse("admin:doctor") in browser.get("/admin/").content.decode()


def test_index_names_apps_as_people_do(browser: Client) -> None:
    page = browser.get("/admin/").content.decode()
    assert "API keys" in page
    assert "Api_Keys" not in page


def test_menu_names_every_page() -> None:
    assert sorted(model for pages in MENU.values() for model in pages) == MODELS


def test_every_list_opens_searches_and_filters(browser: Client, rows: None) -> None:
    for model in MODELS:
        for query in ({}, {"q": "a"}):
            assert browser.get(address(model, "changelist"), query).status_code == 200, model


def first_row(model: str) -> Any:
    row = next(one for one in admin.site._registry if one._meta.label_lower == model)._default_manager.first()
    assert row is not None, f"give `rows` a {model}"
    return row


def test_every_row_opens(browser: Client, rows: None) -> None:
    for model in MODELS:
        assert browser.get(address(model, "change", first_row(model).pk)).status_code == 200, model


#: What nobody adds by hand.
MADE_BY_US = {
    "billing.invoice",
    "billing.planspan",
    *(set(COLLECTED) - {"billing.refund"}),
    "accounts.auditentry",
    "usage.usageday",
    "usage.usagehour",
    "support.supportrequest",
    "operations.backup",
    "sla.incident",
    "sla.partstate",
    "sla.burnalert",
    "sla.slastatement",
    *OUTBOX,
}


def test_adding_opens_where_it_is_allowed(browser: Client) -> None:
    found = {model: browser.get(address(model, "add")).status_code for model in MODELS}
    assert found == {model: 403 if model in MADE_BY_US else 200 for model in MODELS}


def test_nothing_that_must_stay_can_be_deleted(browser: Client, rows: None) -> None:
    for model in [model for model in MODELS if model != "accounts.membership"]:
        row = first_row(model)
        assert browser.post(address(model, "delete", row.pk), {"post": "yes"}).status_code == 403, model
        row.refresh_from_db()


def test_no_page_shows_a_secret(browser: Client, rows: None, cast: Cast, operator: User) -> None:
    secrets = [
        operator.password,
        *(hook.secret for hook in WebhookEndpoint.objects.all()),
        *(key.digest for key in ApiKey.objects.all()),
        cast.alice.text,
        cast.alice.test_text,
    ]
    for model in MODELS:
        for page in (address(model, "changelist"), address(model, "change", first_row(model).pk)):
            content = browser.get(page).content
            assert not [secret for secret in secrets if secret.encode() in content], page


@pytest.mark.parametrize("person", ["nobody", "customer", "former operator"])
def test_only_active_staff_come_in(cast: Cast, person: str) -> None:
    client = Client()
    if person == "customer":
        client.force_login(MembershipFactory(tenant=cast.alice.tenant).user)
    if person == "former operator":
        client.force_login(UserFactory(is_staff=True, is_superuser=True, is_active=False))
    for page in ("/admin/", address("accounts.tenant", "changelist"), address("api_keys.apikey", "add")):
        answer = client.get(page)
        assert (answer.status_code, answer["Location"].split("?")[0]) == (302, "/admin/login/")


def test_staff_without_rights_see_nothing(cast: Cast) -> None:
    client = Client()
    client.force_login(UserFactory(is_staff=True))
    assert client.get("/admin/").status_code == 200
    assert client.get(address("accounts.tenant", "changelist")).status_code == 403


# --- tenants ---


def act(browser: Client, model: str, action: str, *rows: Any) -> None:
    """From the list; what asks for a reason is given one."""
    said = {"action": action, "_selected_action": [str(row.pk) for row in rows], "reason": "it had to be"}
    assert browser.post(address(model, "changelist"), said).status_code == 302


def score(api: Api) -> int:
    with as_the_api():
        return api.post("/v1/decisions", HONEST).status_code


def test_suspended_tenant_is_refused_at_once_and_comes_back(browser: Client, alice: Api) -> None:
    assert score(alice) == 200
    act(browser, "accounts.tenant", "suspend", alice.tenant)
    assert score(alice) == 403
    act(browser, "accounts.tenant", "reinstate", alice.tenant)
    assert score(alice) == 200
    actions = (
        AuditEntry.objects.filter(actor="olga@example.com")
        .exclude(action="user.logged_in")
        .values_list("action", flat=True)
    )
    assert list(actions) == ["tenant.reinstated", "tenant.suspended"]


def test_new_tenant_has_a_schema_a_plan_and_an_entry_in_the_audit_trail(browser: Client) -> None:
    answer = browser.post(address("accounts.tenant", "add"), {"slug": "dora", "name": "Dora", "plan": "basic"})
    assert answer.status_code == 302, answer.context["errors"]
    dora = Tenant.objects.get(slug="dora")
    assert dora.subscription.plan_code.startswith("basic")
    assert AuditEntry.objects.get(action="tenant.created", tenant=dora).actor == "olga@example.com"


def test_tenant_of_a_taken_slug_is_refused_in_the_form(browser: Client) -> None:
    answer = browser.post(address("accounts.tenant", "add"), {"slug": "alice", "name": "Again", "plan": "free"})
    assert answer.status_code == 200
    assert b"already exists" in answer.content


def test_renamed_tenant_keeps_its_slug(browser: Client, cast: Cast) -> None:
    browser.post(address("accounts.tenant", "change", cast.bob.tenant.pk), {"name": "Robert", "slug": "robert"})
    bob = Tenant.objects.get(pk=cast.bob.tenant.pk)
    assert (bob.slug, bob.name) == ("bob", "Robert")


def test_new_limit_holds_from_the_next_request_on(browser: Client, alice: Api) -> None:
    assert score(alice) == 200
    form = {"plan_code": "free-2026-11", "custom_rate_per_minute": "", "custom_included": "1"}
    page = address("billing.subscription", "change", alice.tenant.subscription.pk)
    assert browser.post(page, form).status_code == 302
    assert score(alice) == 429
    entry = AuditEntry.objects.get(action="subscription.changed")
    assert (entry.before or {})["plan_code"] == "professional-2026-11"
    assert Subscription.objects.get(tenant=alice.tenant).custom_included == 1


CONFIRMED = [
    (model._meta.label_lower, one.name)
    for model, page in admin.site._registry.items()
    for one in getattr(page, "confirmed", ())
]
A_REASON = {"reason": "it had to be"}


@pytest.mark.parametrize(("model", "name"), CONFIRMED)
def test_what_can_not_be_undone_asks_for_a_reason_on_the_list_and_on_its_own_page(
    browser: Client, rows: None, model: str, name: str
) -> None:
    row = apps.get_model(model)._default_manager.first()
    entries = AuditEntry.objects.count()
    chosen = {"action": name, "_selected_action": [row.pk]}
    for asked in (
        browser.get(address(model, name, row.pk)),
        browser.post(address(model, name, row.pk), {"reason": ""}),
        browser.post(address(model, "changelist"), chosen),
    ):
        assert asked.status_code == 200
        assert b'name="reason"' in asked.content
    assert AuditEntry.objects.count() == entries


@pytest.mark.parametrize(("model", "name"), CONFIRMED)
def test_what_can_not_be_undone_is_for_who_may_change_it(cast: Cast, rows: None, model: str, name: str) -> None:
    client, staff = Client(), UserFactory(is_staff=True)
    staff.user_permissions.add(Permission.objects.get(codename=f"view_{model.split('.')[1]}"))
    client.force_login(staff)
    row = apps.get_model(model)._default_manager.first()
    assert client.post(address(model, name, row.pk), A_REASON).status_code == 403
    assert f"/{name}/".encode() not in client.get(address(model, "changelist")).content


def test_reason_and_address_stand_in_the_audit_trail_and_what_changed_from_and_to(browser: Client, cast: Cast) -> None:
    bob = cast.bob.tenant
    browser.post(address("accounts.tenant", "suspend", bob.pk), {"reason": "a stolen card"})
    form = {"plan_code": "free-2026-11", "spend_cap": "12.50", "custom_rate_per_minute": ""}
    browser.post(address("billing.subscription", "change", bob.subscription.pk), form)
    entry = AuditEntry.objects.get(action="tenant.suspended")
    assert (entry.address, entry.after) == ("127.0.0.1", {"reason": "a stolen card"})
    page = browser.get(address("accounts.auditentry", "changelist")).content.decode()
    for words in ("reason: a stolen card", "plan_code: basic-2026-11 → free-2026-11", "spend_cap: none → 12.50"):
        assert words in page


@pytest.mark.parametrize("state", ["limited", "cancelled", "past_due"])
def test_tenants_show_what_became_of_them(browser: Client, cast: Cast, state: str) -> None:
    Subscription.objects.filter(tenant=cast.bob.tenant).update(status=state)
    page = browser.get(address("accounts.tenant", "changelist"), {"state": state}).content.decode()
    assert state.replace("_", " ") in page
    assert "bob" in page
    assert "alice" not in page
    assert "Reinstate …" not in browser.get(address("accounts.tenant", "change", cast.bob.tenant.pk)).content.decode()


def test_overdue_is_a_state_and_a_filter(browser: Client, cast: Cast) -> None:
    late, early = an_invoice(cast), an_invoice(cast)
    for invoice, days in ((late, 20), (early, 2)):
        with transaction.atomic():
            issue([invoice], timezone.now() - timedelta(days=days))
    page = browser.get(address("billing.invoice", "changelist"), {"state": "overdue"}).content.decode()
    assert str(late.number) in page
    assert str(early.number) not in page


def test_front_page_says_what_needs_a_person(browser: Client, cast: Cast) -> None:
    assert "Nothing: no invoice is overdue" in browser.get("/admin/").content.decode()
    invoice = an_invoice(cast)
    with transaction.atomic():
        issue([invoice], timezone.now() - timedelta(days=20))
    Subscription.objects.filter(tenant=cast.bob.tenant).update(status="limited")
    Delivery.objects.update(state="dead")
    record_check(USAGE_BOOKS, ["bob 2026-11-03: 5 served, 4 recorded"], timezone.now())
    page = browser.get("/admin/").content.decode()
    assert "Nothing: no invoice is overdue" not in page
    for words in (
        "Invoices overdue",
        "state=overdue",
        "Tenants limited for not paying",
        "Differences in the usage books",
        "bob 2026-11-03: 5 served, 4 recorded",
    ):
        assert words in page


@pytest.mark.parametrize("model", MODELS)
def test_rows_are_called_by_what_they_are_and_good_ones_bear_no_cross(browser: Client, rows: None, model: str) -> None:
    row = apps.get_model(model)._default_manager.first()
    for page in (browser.get(address(model, "changelist")), browser.get(address(model, "change", row.pk))):
        content = page.content.decode()
        assert " object (" not in content
        assert f"> {'close'} <" not in content.replace("\n", " ")


# --- money ---


def an_invoice(cast: Cast) -> Invoice:
    now = timezone.now()
    said: dict[str, Any] = {"description": "Training", "amount": Decimal(9), "start": now, "end": now + timedelta(1)}
    return draft_invoice(tenant=cast.bob.tenant, now=now, **said)


def test_invoice_is_issued_paid_and_not_voided_any_more(browser: Client, cast: Cast) -> None:
    invoice = an_invoice(cast)
    states = []
    transfer = {"amount": "9.00", "received": timezone.now().date(), "reference": "BOB 9", "token": "a"}
    for page, said in (("issue", A_REASON), ("transfer", transfer), ("transfer", transfer), ("void", A_REASON)):
        assert browser.post(address("billing.invoice", page, invoice.pk), said).status_code == 302
        invoice.refresh_from_db()
        states.append(invoice.status)
    assert states == ["issued", "paid", "paid", "paid"]
    assert Payment.objects.get(invoice=invoice).reference == "BOB 9"
    assert AuditEntry.objects.get(action="invoice.paid").actor == "olga@example.com"


def test_invoice_is_read_in_words_with_its_currency_and_on_paper(browser: Client, cast: Cast) -> None:
    invoice = an_invoice(cast)
    facts = {"currency": "JPY", "bill_to": {"name": "Bob <b>", "address": "Road 1\nTown"}}
    usage = {
        "by_endpoint": [["decisions", 1200]],
        "by_day": [["2026-11-01", 1200]],
        "late": {"2026-10": [["2026-10-31", 7]]},
    }
    Invoice.objects.filter(pk=invoice.pk).update(**facts, usage=usage)
    page = browser.get(address("billing.invoice", "change", invoice.pk)).content.decode()
    said = ("9 JPY", "Bob &lt;b&gt;<br>Road 1<br>Town", "Palisade Example Ltd", "By endpoint: decisions 1,200<br>")
    for words in (*said, "Recorded late, of October 2026: 31 Oct 7"):
        assert words in page
    assert "9.000" not in page
    assert "by_endpoint" not in page
    html, pdf = (address("billing.invoice", form, invoice.pk) for form in ("html", "pdf"))
    assert f'href="{html}"' in page
    assert b"Training" in browser.get(html).content
    assert browser.get(pdf).content[:5] == b"%PDF-"
    assert browser.get(address("billing.invoice", "pdf", 0)).status_code == 404


def test_invoices_on_paper_are_for_who_may_view_them(cast: Cast) -> None:
    client = Client()
    client.force_login(UserFactory(is_staff=True))
    assert client.get(address("billing.invoice", "html", an_invoice(cast).pk)).status_code == 403


@pytest.mark.parametrize("model", ["creditnote", "credit", "payment", "refund"])
def test_amounts_have_the_decimals_of_their_currency(browser: Client, rows: None, model: str) -> None:
    model = f"billing.{model}"
    row = first_row(model)
    for page in (address(model, "changelist"), address(model, "change", row.pk)):
        content = browser.get(page).content
        assert b".00 USD" in content
        assert b".000" not in content


def test_credit_note_and_credit_are_made_by_their_forms(browser: Client, cast: Cast) -> None:
    invoice = an_invoice(cast)
    act(browser, "billing.invoice", "issue", invoice)
    invoice.refresh_from_db()
    mark_paid(invoice=invoice, now=timezone.now(), how="x")
    note = {"invoice": invoice.pk, "reason": "too much", "to_balance": "on", "token": "a" * 32}
    refused = browser.post(address("billing.creditnote", "add"), note | {"amount": "10.00"})
    assert list(refused.context["adminform"].form.errors) == ["amount"]
    for _ in range(2):  # a form sent twice is one note
        assert browser.post(address("billing.creditnote", "add"), note | {"amount": "4.00"}).status_code == 302
    assert CreditNote.objects.get(invoice=invoice).amount == 4
    credit = {"tenant": cast.bob.tenant.pk, "amount": "5.00", "reason": "sorry", "key": "sorry:1"}
    assert browser.post(address("billing.credit", "add"), credit).status_code == 302
    assert sum(one.remaining for one in Credit.objects.filter(tenant=cast.bob.tenant)) == 9
    Coupon.objects.create(code="OVER", percent=10, redeem_by=timezone.now() - timedelta(days=1))
    redemption = {"tenant": cast.bob.tenant.pk, "coupon": Coupon.objects.get(code="OVER").pk}
    assert browser.post(address("billing.couponredemption", "add"), redemption).status_code == 200


@pytest.mark.parametrize(
    ("amount", "said"),
    [("-1", "It must be more than 0."), ("0", "It must be more than 0."), ("1.001", "USD has two decimals.")],
)
def test_an_amount_that_can_not_be_is_told_at_its_field_in_words(
    browser: Client, cast: Cast, amount: str, said: str
) -> None:
    invoice = an_invoice(cast)
    act(browser, "billing.invoice", "issue", invoice)
    note = {"invoice": invoice.pk, "reason": "too much", "token": "a" * 32, "amount": amount}
    credit = {"tenant": cast.bob.tenant.pk, "amount": amount, "reason": "sorry", "key": "sorry:1"}
    for model, form in (("billing.creditnote", note), ("billing.credit", credit)):
        answer = browser.post(address(model, "add"), form)
        assert dict(answer.context["adminform"].form.errors) == {"amount": [said]}


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("tax_percent", "-4", "A tax takes from 0 to 100 percent."),
        ("tax_percent", "101", "A tax takes from 0 to 100 percent."),
        ("spend_cap", "-1", "A cap takes 0 or more."),
        ("spend_cap", "1.001", "USD has two decimals."),
    ],
)
def test_what_can_not_be_agreed_is_told_at_its_field_in_words(
    browser: Client, cast: Cast, field: str, value: str, said: str
) -> None:
    agreed = Subscription.objects.get(tenant=cast.bob.tenant)
    form = {"plan_code": agreed.plan_code, field: value}
    answer = browser.post(address("billing.subscription", "change", agreed.pk), form)
    assert dict(answer.context["adminform"].form.errors) == {field: [said]}


A_COUPON = {"code": "welcome", "percent": "12.5", "months": "2"}


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"percent": ""}, "percent"),
        ({"amount": "5", "currency": "USD"}, "percent"),
        ({"percent": "", "amount": "5"}, "currency"),
        ({"percent": "", "amount": "10.5", "currency": "JPY"}, "amount"),
        ({"percent": "", "amount": "-5", "currency": "USD"}, "amount"),
        ({"currency": "USD"}, "currency"),
        *(({"percent": percent}, "percent") for percent in ("0", "-1", "100.01", "NaN", "x")),
        *(({"months": months}, "months") for months in ("0", "-1", "1.5", "99999999")),
        *(({"code": code}, "code") for code in ("", "ümlaut", "two words", "x" * 41, "half")),
    ],
)
def test_coupon_that_can_not_be_is_told_at_its_field(browser: Client, wrong: dict[str, str], field: str) -> None:
    Coupon.objects.create(code="HALF", percent=Decimal(50))
    answer = browser.post(address("billing.coupon", "add"), A_COUPON | wrong)
    assert answer.status_code == 200
    assert list(answer.context["adminform"].form.errors) == [field]


def test_coupon_is_made_and_stays_what_it_is_once_redeemed(browser: Client, cast: Cast) -> None:
    assert browser.post(address("billing.coupon", "add"), A_COUPON).status_code == 302
    coupon = Coupon.objects.get(code="WELCOME")
    CouponRedemption.objects.create(tenant=cast.bob.tenant, coupon=coupon)
    said = {"percent": "99", "description": "A welcome"}
    assert browser.post(address("billing.coupon", "change", coupon.pk), A_COUPON | said).status_code == 302
    coupon.refresh_from_db()
    assert (coupon.percent, coupon.description) == (Decimal("12.5"), "A welcome")


@pytest.mark.parametrize("wrong", [{}, {"percent": 5, "months": 0}, {"percent": 5, "code": "HALF"}])
def test_the_database_refuses_coupons_that_can_not_be(wrong: dict[str, Any]) -> None:
    Coupon.objects.create(code="half", percent=Decimal(50))
    with pytest.raises(IntegrityError), transaction.atomic():
        Coupon.objects.create(**{"code": "NEW"} | wrong)


def test_event_of_the_provider_is_replayed(browser: Client, rows: None) -> None:
    event = ProviderEvent.objects.get()
    act(browser, "billing.providerevent", "replay_chosen", event)
    event.refresh_from_db()
    assert (event.outcome, event.next_try_at) == ("nothing to do", None)


def test_payment_that_took_nothing_is_not_refunded(browser: Client, rows: None) -> None:
    act(browser, "billing.payment", "refund", Payment.objects.get())
    assert Refund.objects.count() == 1


def test_plans_are_a_table_to_read(browser: Client) -> None:
    page = browser.get("/admin/billing/subscription/plans/")
    assert page.status_code == 200
    assert b"enterprise-2026-11" in page.content


# --- keys ---

NEW_KEY = {"name": "shop", "livemode": "on", "scopes": ["read", "predict"], "allowed_networks": "127.0.0.0/8"}


def test_new_key_is_shown_once_and_works(browser: Client, cast: Cast) -> None:
    answer = browser.post(address("api_keys.apikey", "add"), NEW_KEY | {"tenant": cast.bob.tenant.pk}, follow=True)
    told = [str(message) for message in answer.context["messages"]]
    text = told[0].partition("<code>")[2].partition("</code>")[0]
    assert score(Api(cast.bob, text)) == 200
    assert text.encode() not in browser.get(address("api_keys.apikey", "changelist")).content
    key = ApiKey.objects.get(name="shop")
    assert (key.scopes, key.allowed_networks) == (["read", "predict"], ["127.0.0.0/8"])
    assert AuditEntry.objects.get(action="key.created", actor="olga@example.com").target.endswith("(shop)")


@pytest.mark.parametrize(
    "wrong",
    [{"allowed_networks": "127.0.0.1/8"}, {"scopes": []}, {"rate_per_minute": "0"}, {"tenant": ""},
     {"expires_at_0": "2020-01-01", "expires_at_1": "00:00:00"}],
)  # fmt: skip
def test_key_that_can_not_be_is_refused_in_the_form(browser: Client, cast: Cast, wrong: dict[str, Any]) -> None:
    before = ApiKey.objects.count()
    answer = browser.post(address("api_keys.apikey", "add"), NEW_KEY | {"tenant": cast.bob.tenant.pk} | wrong)
    assert answer.status_code == 200
    assert answer.context["errors"]
    assert ApiKey.objects.count() == before


def test_revoked_key_is_refused_at_once(browser: Client, alice: Api, cast: Cast) -> None:
    assert score(alice) == 200
    act(browser, "api_keys.apikey", "revoke", cast.alice.live)
    assert score(alice) == 401
    assert AuditEntry.objects.get(action="key.revoked").actor == "olga@example.com"


def test_key_can_not_be_edited(browser: Client, cast: Cast) -> None:
    answer = browser.post(address("api_keys.apikey", "change", cast.alice.live.pk), {"name": "stolen"})
    assert answer.status_code == 403
    assert ApiKey.objects.get(pk=cast.alice.live.pk).name != "stolen"


# --- the outbox ---


def test_webhook_is_switched_off_and_on(browser: Client, rows: None) -> None:
    hook = WebhookEndpoint.objects.get()
    act(browser, "notifications.webhookendpoint", "switch_off", hook)
    hook.refresh_from_db()
    assert hook.disabled_at is not None
    act(browser, "notifications.webhookendpoint", "switch_on", hook)
    hook.refresh_from_db()
    assert hook.disabled_at is None
    assert AuditEntry.objects.filter(action="webhook.changed", actor="olga@example.com").count() == 2


def test_delivery_is_sent_again(browser: Client, rows: None) -> None:
    tests = Delivery.objects.filter(event__kind="webhook.test")
    act(browser, "notifications.delivery", "send_again", tests.get())
    assert tests.filter(state="waiting").count() == 2


# --- people ---


def test_user_is_made_changed_and_given_a_password_with_an_audit_trail(browser: Client) -> None:
    form = {"email": "Eve@Example.com", "name": "Eve", "usable_password": "true", "password1": "quite-long-1"}
    assert browser.post(address("accounts.user", "add"), form | {"password2": "quite-long-1"}).status_code == 302
    eve = User.objects.get(email="eve@example.com")
    browser.post(address("accounts.user", "change", eve.pk), {"email": eve.email, "name": "E.", "is_active": "on"})
    page = reverse("admin:auth_user_password_change", args=[eve.pk])
    again = {"usable_password": "true", "password1": "even-longer-2", "password2": "even-longer-2"}
    assert browser.post(page, again).status_code == 302
    eve.refresh_from_db()
    assert eve.check_password("even-longer-2")
    trail = AuditEntry.objects.filter(action__startswith="user.").order_by("at")[1:]  # after the operator's login
    assert list(trail.values_list("action", flat=True)) == ["user.created", "user.changed", "user.password_set"]
    assert "quite-long" not in str(list(trail.values_list("before", "after")))


def test_staff_can_not_make_themselves_superusers(browser: Client) -> None:
    from django.contrib.auth.models import Permission

    staff = UserFactory(is_staff=True)
    staff.user_permissions.add(*Permission.objects.filter(codename__in=["change_user", "view_user"]))
    client = Client()
    client.force_login(staff)
    form = {"email": staff.email, "name": "me", "is_active": "on", "is_superuser": "on"}
    assert client.post(address("accounts.user", "change", staff.pk), form).status_code == 302
    staff.refresh_from_db()
    assert (staff.name, staff.is_superuser) == ("me", False)


def test_membership_ends_with_an_entry_in_the_audit_trail(browser: Client, cast: Cast) -> None:
    member = MembershipFactory(tenant=cast.alice.tenant)
    answer = browser.post(address("accounts.membership", "delete", member.pk), {"post": "yes"})
    assert answer.status_code == 302
    assert not Membership.objects.exists()
    assert AuditEntry.objects.get(action="membership.deleted").tenant == cast.alice.tenant


def test_used_this_month_is_shown(browser: Client, cast: Cast) -> None:
    UsageDayFactory(tenant_id=cast.charlie.tenant.pk, decisions=4_321)
    page = browser.get(address("accounts.tenant", "changelist"), {"q": "charlie"})
    assert b"4321" in page.content.replace(b",", b"")
