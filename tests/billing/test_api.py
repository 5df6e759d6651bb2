"""Plans, the subscription, invoices and credits, as customers read and change them."""

from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from apps.accounts.models import AuditEntry
from apps.api_keys.services import get_gate, invalidate_pending
from apps.billing.invoicing import credits, documents
from apps.billing.invoicing.invoices import issue_credit_note
from apps.billing.models import Coupon, CouponRedemption, Payment, Refund, Subscription
from apps.billing.subscriptions.services import set_payment_method, sign_up
from apps.periods import Period
from apps.times import rfc3339
from tests.billing.conftest import at, close, use
from tests.cast import Api, Player, new_key

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def dora() -> Api:
    """On Basic since October 2026, with 20,001 units used in that month: 179.01."""
    tenant = sign_up(slug="dora", name="Dora & Co.", plan="basic", now=at(10))
    player = Player(tenant, *new_key(tenant, scopes=["read", "predict", "admin"]), *new_key(tenant, livemode=False))
    use(tenant, at(10, 5), 20_001)
    return Api(player)


def test_plans_have_their_prices_in_every_currency(alice: Api) -> None:
    plans = {one["name"]: one for one in alice.get("/v1/plans").json()["data"]}
    assert plans["basic"]["prices"]["USD"] == {
        "monthly": "99.00",
        "overage": [{"up_to": 10_000, "price": "0.008"}, {"up_to": None, "price": "0.005"}],
    }
    assert set(plans["enterprise"]["prices"]) >= {"USD", "EUR", "GBP"}


def test_an_upgrade_holds_at_once_for_the_gate_too(dora: Api) -> None:
    assert dora.post("/v1/decisions/batch", {"schema": "paysim", "transactions": []}).status_code in (403, 422)
    told = dora.post("/v1/subscription", {"plan": "enterprise"}).json()
    assert (told["name"], told["rate_per_minute"], told["next_plan"]) == ("enterprise", 2_000, None)
    assert dora.get("/v1/usage")["X-RateLimit-Limit"] == "2000"


def test_without_stripe_an_upgrade_asks_for_nothing_and_stops_at_what_the_plan_includes(dora: Api) -> None:
    told = dora.post("/v1/subscription", {"plan": "professional"}).json()
    assert told["name"] == "professional"
    assert told["allowed_units"] == told["included"]
    set_payment_method(tenant_id=dora.tenant.pk, ready=True, now=timezone.now(), label="bank transfer")  # agreed
    assert dora.get("/v1/subscription").json()["allowed_units"] is None


def test_a_downgrade_is_scheduled_and_can_be_taken_back(dora: Api) -> None:
    told = dora.post("/v1/subscription", {"plan": "free"}).json()
    month_end = rfc3339(Period.of(timezone.now()).end)
    assert (told["name"], told["next_plan"], told["next_plan_at"]) == ("basic", "free-2026-11", month_end)
    told = dora.post("/v1/subscription", {"plan": "basic"}).json()
    assert (told["next_plan"], told["next_plan_at"]) == (None, None)


@pytest.mark.parametrize("body", [{"plan": "gold"}, {}, {"plan": "free", "x": 1}])
def test_what_is_no_plan_is_refused(dora: Api, body: Any) -> None:
    assert dora.post("/v1/subscription", body).status_code == 422


def test_changing_the_plan_takes_the_admin_scope(dora: Api) -> None:
    reader = Api(dora.player, new_key(dora.tenant, scopes=["read"])[1])
    assert reader.post("/v1/subscription", {"plan": "free"}).status_code == 403
    assert reader.get("/v1/subscription").status_code == 200


def test_with_stripe_a_paid_plan_asks_for_a_payment_method(dora: Api, settings: Any) -> None:
    settings.STRIPE_API_KEY = "sk_test_1"
    assert dora.post("/v1/subscription", {"plan": "enterprise"}).json()["code"] == "payment_method_required"
    Subscription.objects.filter(tenant=dora.tenant).update(has_payment_method=True)
    assert dora.post("/v1/subscription", {"plan": "enterprise"}).status_code == 200


@pytest.mark.parametrize(("trying", "plan", "status"), [
    (False, "free", 200), (False, "basic", 200), (False, "professional", 402),
    (True, "free", 200), (True, "basic", 402), (True, "professional", 402),
])  # fmt: skip
def test_who_stays_or_goes_down_is_not_asked_for_a_card(settings: Any, trying: bool, plan: str, status: int) -> None:
    settings.STRIPE_API_KEY = "sk_test_1"
    tenant = sign_up(slug="erin", name="Erin", plan="basic", now=timezone.now(), trial_days=14 if trying else 0)
    erin = Api(Player(tenant, *new_key(tenant, scopes=["read", "admin"]), *new_key(tenant, livemode=False)))
    erin.post("/v1/subscription", {"plan": "free"})
    assert erin.post("/v1/subscription", {"plan": plan}).status_code == status


def test_invoices_are_listed_and_read_page_by_page(dora: Api) -> None:
    for month in (10, 11, 12):
        close(dora.tenant, month)
    first = dora.get("/v1/invoices?limit=2").json()
    second = dora.get(f"/v1/invoices?limit=2&cursor={first['next_cursor']}").json()
    assert [one["period"] for one in (*first["data"], *second["data"])] == ["2026-12", "2026-11", "2026-10"]
    assert (first["has_more"], second["has_more"], second["next_cursor"]) == (True, False, None)
    october = dora.get(f"/v1/invoices/{second['data'][0]['id']}").json()
    assert (october["total"], october["units"]) == ("179.01", 20_001)
    assert [line["amount"] for line in october["lines"]] == ["99.00", "80.00", "0.01"]
    assert dora.in_test_mode().get("/v1/invoices").json()["data"] == []


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "cursor=in_other"])
def test_wrong_pages_are_refused(dora: Api, query: str) -> None:
    assert dora.get(f"/v1/invoices?{query}").status_code in (400, 422)


def test_an_invoice_is_drawn_as_pdf_and_html(dora: Api) -> None:
    invoice = close(dora.tenant, 10)
    page = dora.get(f"/v1/invoices/{invoice.public_id}.html")
    assert invoice.number in page.content.decode()
    assert "179.01" in page.content.decode()
    assert "5 Oct: 20,001" in page.content.decode()
    assert "http" not in page.content.decode().replace("http-equiv", "")
    drawn = dora.get(f"/v1/invoices/{invoice.public_id}.pdf")
    assert (drawn.status_code, drawn["Content-Type"], drawn.content[:5]) == (200, "application/pdf", b"%PDF-")


def test_credit_notes_and_refunds_stand_with_the_invoice(dora: Api) -> None:
    invoice = close(dora.tenant, 10)
    note = issue_credit_note(invoice=invoice, amount=Decimal("5.00"), reason="too much", now=at(11, 4))
    facts: dict[str, Any] = {"created_at": at(11, 5), "updated_at": at(11, 5)}
    payment = Payment.objects.create(
        invoice=invoice, tenant=dora.tenant, attempt=1, provider="stripe", amount=Decimal("174.01"), currency="USD",
        status="succeeded", idempotency_key="pay_1", **facts,
    )  # fmt: skip
    Refund.objects.create(payment=payment, amount=Decimal(3), reason="x", idempotency_key="ref_1", **facts)
    told = dora.get(f"/v1/invoices/{invoice.public_id}").json()
    assert told["credit_notes"] == [
        {"id": note.public_id, "object": "credit_note", "invoice": invoice.public_id, "currency": "USD",
         "number": note.number, "amount": "5.00", "net": "5.00", "tax": "0.00", "reason": "too much",
         "issued_at": "2026-11-04T00:00:00.000Z",
         "lines": [{"line": 1, "net": "2.77", "tax": "0.00"}, {"line": 2, "net": "2.23", "tax": "0.00"}]}
    ]  # fmt: skip
    assert told["payments"] == [
        {"amount": "174.01", "method": "card", "reference": "", "paid_at": "2026-11-05T00:00:00.000Z"}
    ]
    assert told["amount_due"] == "0.00"
    assert told["refunds"] == [{"amount": "3.00", "status": "pending", "created_at": "2026-11-05T00:00:00.000Z"}]


def test_a_credit_note_is_read_and_drawn_by_its_own_tenant_alone(dora: Api, bob: Api) -> None:
    invoice = close(dora.tenant, 10)
    note = issue_credit_note(invoice=invoice, amount=Decimal("5.00"), reason="too much", now=at(11, 4))
    address = f"/v1/credit-notes/{note.public_id}"
    assert dora.get(address).json() == dora.get(f"/v1/invoices/{invoice.public_id}").json()["credit_notes"][0]
    page = dora.get(f"{address}.html").content.decode()
    assert f"for invoice {invoice.number} of 1 November 2026" in page
    assert dora.get(f"{address}.pdf").content[:5] == b"%PDF-"
    assert [api.get(address).status_code for api in (bob, dora.in_test_mode())] == [404, 404]
    assert dora.get(f"/v1/invoices/{invoice.public_id}").json()["amount_due"] == "174.01"


def test_without_its_libraries_the_pdf_says_so(dora: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: Any) -> bytes:
        raise documents.PdfUnavailable("Pango is missing here.")

    monkeypatch.setattr(documents, "pdf_of", missing)
    answer = dora.get(f"/v1/invoices/{close(dora.tenant, 10).public_id}.pdf")
    assert (answer.status_code, answer.json()["code"]) == (503, "pdf_unavailable")


def test_credits_show_what_is_left(dora: Api) -> None:
    credits.grant(dora.tenant, Decimal(200), "USD", reason="SLA credit", key="sla", now=at(10))
    close(dora.tenant, 10)
    told = dora.get("/v1/credits").json()["data"][0]
    assert (told["amount"], told["remaining"], told["reason"]) == ("200.00", "20.99", "SLA credit")
    invalidate_pending(get_gate())


# --- coupons ---


def redeem(api: Api, code: str) -> Any:
    return api.post("/v1/credits", {"coupon": code})


def test_a_coupon_is_redeemed_stands_in_the_list_and_on_the_next_invoice(dora: Api) -> None:
    Coupon.objects.create(code="HALF", percent=Decimal("50"), months=2, description="A welcome")
    this = Period.of(timezone.now())
    told = redeem(dora, " half ").json()
    assert (told["code"], told["percent"], told["amount"], told["description"]) == ("HALF", "50", None, "A welcome")
    assert (told["first_month"], told["last_month"]) == (str(this), str(this.later(1)))
    assert dora.get("/v1/credits").json()["coupons"] == [told]
    invoice = close(dora.tenant, this.month, year=this.year)
    assert (invoice.subtotal, invoice.credits) == (99, Decimal("49.50"))
    assert AuditEntry.objects.get(action="coupon.redeemed").actor.startswith("key:")


def test_redeeming_again_changes_nothing_also_when_its_time_is_over(dora: Api) -> None:
    coupon = Coupon.objects.create(code="FIVE", amount=Decimal(5), currency="USD")
    first = redeem(dora, "FIVE")
    Coupon.objects.filter(pk=coupon.pk).update(redeem_by=at(1))
    again = redeem(dora, "FIVE")
    assert (again.status_code, again.json()) == (200, first.json())
    assert (first.json()["amount"], first.json()["currency"], first.json()["last_month"]) == ("5.00", "USD", None)
    assert CouponRedemption.objects.filter(tenant=dora.tenant).count() == 1
    assert AuditEntry.objects.filter(action="coupon.redeemed").count() == 1


@pytest.mark.parametrize(
    ("coupon", "said"),
    [
        (None, "There is no such coupon."),
        ({"percent": 10, "redeem_by": at(10)}, "The coupon could be redeemed until 2026-10-01 00:00 UTC."),
        ({"amount": 5, "currency": "EUR"}, "The coupon is for accounts in EUR; this one is in USD."),
    ],
)
def test_a_coupon_that_does_not_hold_is_refused_with_the_reason(dora: Api, coupon: Any, said: str) -> None:
    if coupon:
        Coupon.objects.create(code="NO", **coupon)
    answer = redeem(dora, "NO")
    told = answer.json()
    assert (answer.status_code, told["code"], told["param"], told["detail"]) == (422, "field_invalid", "coupon", said)
    assert dora.get("/v1/credits").json()["coupons"] == []


@pytest.mark.parametrize(
    "body", [{}, {"coupon": ""}, {"coupon": 1}, {"coupon": None}, {"coupon": "\u0000"}, {"coupon": "x", "y": 1}]
)
def test_what_is_no_code_names_its_field(dora: Api, body: Any) -> None:
    answer = dora.post("/v1/credits", body)
    assert (answer.status_code, answer.json()["code"]) == (422, "field_invalid")
    assert answer.json().get("param") == ("coupon" if "y" not in body else "y")


def test_anothers_coupons_are_not_shown(dora: Api, alice: Api) -> None:
    Coupon.objects.create(code="HALF", percent=Decimal(50))
    redeem(dora, "HALF")
    assert alice.get("/v1/credits").json()["coupons"] == []


AGREED = [
    ("/v1/credits", {"coupon": "HALF"}),
    ("/v1/subscription", {"plan": "enterprise"}),
    ("/v1/budgets", {"spend_cap": "1.00"}),
    ("/v1/payment-method", {"success_url": "https://x.example/", "cancel_url": "https://x.example/"}),
    ("/v1/payment-method/portal", {"return_url": "https://x.example/"}),
]


@pytest.mark.parametrize(("path", "body"), AGREED)
def test_test_keys_change_nothing_that_was_agreed(dora: Api, path: str, body: Any) -> None:
    Coupon.objects.create(code="HALF", percent=Decimal(50))
    tester = Api(dora.player, new_key(dora.tenant, scopes=["read", "admin"], livemode=False)[1])
    answer = tester.post(path, body)
    assert (answer.status_code, answer.json()["code"]) == (403, "live_key_required")
    subscription = Subscription.objects.get(tenant=dora.tenant)
    assert (subscription.plan_code, subscription.spend_cap) == ("basic-2026-11", None)
    assert not CouponRedemption.objects.exists()


@pytest.mark.parametrize(("path", "body"), AGREED)
def test_what_is_agreed_is_changed_with_the_scope_admin(dora: Api, path: str, body: Any) -> None:
    reader = Api(dora.player, new_key(dora.tenant, scopes=["read", "predict"])[1])
    assert reader.post(path, body).json()["code"] == "scope_missing"
