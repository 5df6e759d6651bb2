"""Credit notes of any amounts take an invoice apart without a cent too many or too few, line by line."""

import itertools
import random
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.accounts.models import Tenant
from apps.billing.invoicing import credit_note_lines, credits
from apps.billing.invoicing.credit_note_lines import Part
from apps.billing.invoicing.documents import html_of
from apps.billing.invoicing.invoices import NotPossible, draft_invoice, issue, issue_credit_note
from apps.billing.models import Coupon, Credit, CreditNote, CreditNoteLine, Invoice, Subscription
from apps.billing.rating.money import EXPONENTS, from_minor, to_minor
from tests.billing.conftest import at, close, customer, use
from tests.campaign import SIZE

#: Lines of an invoice, what was taken off them, and the tax on the rest, in smallest units.
AMOUNTS = st.lists(st.one_of(st.integers(0, 30), st.integers(0, 10**7)), min_size=1, max_size=12)


@st.composite
def invoices(draw: st.DrawFn) -> tuple[list[int], int, int]:
    amounts = draw(AMOUNTS)
    off = draw(st.one_of(st.just(0), st.integers(0, sum(amounts))))
    permille = draw(st.sampled_from([0, 1, 50, 77, 190, 200, 255, 1000]))
    return amounts, off, (2 * (sum(amounts) - off) * permille + 1000) // 2000


def split(chance: random.Random, whole: int) -> list[int]:
    """An amount in up to 40 parts, of all sizes."""
    marks = {chance.randint(1, whole) for _ in range(chance.randint(0, 39))} | {whole} if whole else set()
    edges = [0, *sorted(marks)]
    return [b - a for a, b in itertools.pairwise(edges)]


@settings(max_examples=5 * SIZE.examples, deadline=None)
@given(invoices(), st.integers(0, 2**32 - 1).map(random.Random))
def test_whatever_the_parts_they_sum_to_the_invoice_line_by_line(
    invoice: tuple[list[int], int, int], chance: random.Random
) -> None:
    amounts, off, tax = invoice
    billed = left = credit_note_lines.billed(amounts, off, tax)
    assert credit_note_lines.total(billed) == (sum(amounts) - off, tax)
    sums = [Part(0, 0)] * len(billed)
    for amount in split(chance, sum(credit_note_lines.total(billed))):
        there = credit_note_lines.total(left)
        taken = credit_note_lines.taken(amount, left)
        assert sum(credit_note_lines.total(taken)) == amount
        assert all(0 <= one.net <= rest.net and 0 <= one.tax <= rest.tax for one, rest in zip(taken, left, strict=True))
        assert abs(credit_note_lines.total(taken).tax - Fraction(amount * there.tax, sum(there))) < 1
        left = credit_note_lines.left(left, taken)
        sums = [Part(a.net + b.net, a.tax + b.tax) for a, b in zip(sums, taken, strict=True)]
    assert sums == billed
    assert credit_note_lines.total(left) == (0, 0)


def test_what_was_taken_off_lowers_every_line_by_its_share() -> None:
    assert credit_note_lines.billed([4950, 14950, 6000], 1000, 4731) == [(4759, 904), (14373, 2731), (5768, 1096)]
    assert credit_note_lines.billed([0, 100], 100, 0) == [(0, 0), (0, 0)]
    assert credit_note_lines.billed([1000, -400], 0, 114) == [(600, 114), (0, 0)]


# --- through the database ---

THIRDS = [
    ("USD", "10.00", "19", ["3.97", "3.97", "3.96"], ["0.63", "0.64", "0.63"]),
    ("JPY", "1000", "10", ["367", "367", "366"], ["33", "34", "33"]),
    ("KWD", "1.000", "5", ["0.350", "0.350", "0.350"], ["0.017", "0.016", "0.017"]),
    ("EUR", "0.05", "19", ["0.01"] * 6, None),
    ("USD", "10.00", "0", ["3.33", "3.33", "3.34"], ["0.00"] * 3),
]


def billed(currency: str, amount: str, percent: str, tenant: Tenant | None = None) -> Invoice:
    """An issued invoice of one line."""
    tenant = tenant or customer()
    Subscription.objects.filter(tenant=tenant).update(currency=currency, tax_name="VAT", tax_percent=Decimal(percent))
    draft = draft_invoice(
        tenant=tenant, description="Something", amount=Decimal(amount), start=at(10), end=at(10, 2), now=at(10, 3)
    )
    with transaction.atomic():
        issue([draft], at(10, 3))
    return draft


def correct(invoice: Invoice, amount: Decimal | str, **more: Any) -> CreditNote:
    return issue_credit_note(invoice=invoice, amount=Decimal(amount), reason="a part", now=at(11, 4), **more)


def check_corrected(invoice: Invoice, *, whole: bool) -> None:
    """What the notes took: never more than there was, to the cent all of it when nothing is left."""
    notes, lines = list(invoice.credit_notes.prefetch_related("lines")), list(invoice.lines.all())
    units = {line.pk: part for line, part in zip(lines, _billed(invoice, lines), strict=True)}
    found = {pk: [Decimal(0), Decimal(0)] for pk in units}
    for note in notes:
        assert sum(one.net for one in note.lines.all()) == note.net >= 0
        assert sum(one.tax for one in note.lines.all()) == note.tax >= 0
        for one in note.lines.all():
            found[one.line_id][0] += one.net
            found[one.line_id][1] += one.tax
    for pk, (net, tax) in found.items():
        most = [from_minor(unit, invoice.currency) for unit in units[pk]]
        assert [net, tax] == most if whole else (net <= most[0] and tax <= most[1])
    if whole:
        assert sum(one.net for one in notes) == invoice.subtotal - invoice.credits
        assert sum(one.tax for one in notes) == invoice.tax


def _billed(invoice: Invoice, lines: list[Any]) -> list[Part]:
    def units(amount: Decimal) -> int:
        return to_minor(amount, invoice.currency)

    return credit_note_lines.billed([units(line.amount) for line in lines], units(invoice.credits), units(invoice.tax))


@pytest.mark.django_db
@pytest.mark.parametrize(("currency", "amount", "percent", "parts", "taxes"), THIRDS)
def test_an_invoice_credited_in_parts_is_credited_to_the_cent(
    currency: str, amount: str, percent: str, parts: list[str], taxes: list[str] | None
) -> None:
    invoice = billed(currency, amount, percent)
    notes = [correct(invoice, part) for part in parts]
    if taxes is not None:
        assert [str(invoice.money(note.tax)) for note in notes] == taxes
    check_corrected(invoice, whole=True)
    assert (invoice.status, invoice.paid_how) == ("paid", "credit note")
    with pytest.raises(NotPossible):
        correct(invoice, from_minor(1, currency))


@pytest.mark.django_db
@pytest.mark.parametrize("currency", sorted(EXPONENTS))
@pytest.mark.parametrize("seed", range(SIZE.shuffles - 1))
def test_months_with_coupons_credits_and_tiers_are_credited_to_the_cent(currency: str, seed: int) -> None:
    """Half of the notes to the balance: what becomes credits is their nets."""
    chance = random.Random(f"{currency}{seed}")
    tenant = customer("basic", currency=currency)
    Subscription.objects.filter(tenant=tenant).update(tax_percent=Decimal(chance.choice(["7.7", "19", "25.5", "0"])))
    Coupon.objects.create(code=f"C{seed}{currency}", percent=Decimal("12.5"))
    credits.redeem(tenant=tenant, code=f"C{seed}{currency}", currency=currency, now=at(10, 2))
    credits.grant(tenant, from_minor(1234, currency), currency, reason="x", key="x", now=at(10, 2))
    use(tenant, at(10, 5), chance.randint(10_001, 40_000))
    invoice = close(tenant, 10)
    given = Decimal(0)
    for units in split(chance, to_minor(invoice.total, currency)):
        to_balance = chance.random() < 0.5
        note = correct(invoice, from_minor(units, currency), to_balance=to_balance)
        given += note.net if to_balance else 0
        check_corrected(invoice, whole=False)
    check_corrected(invoice, whole=True)
    granted = Credit.objects.filter(tenant=tenant, key__startswith="credit note ")
    assert sum(one.amount for one in granted) == given


@pytest.mark.django_db
def test_a_note_of_tax_alone_grants_nothing() -> None:
    invoice = billed("USD", "0.01", "100")
    notes = [correct(invoice, "0.01", to_balance=True) for _ in range(2)]
    assert [(note.net, note.tax) for note in notes] == [(Decimal("0.01"), 0), (0, Decimal("0.01"))]
    assert Credit.objects.get(tenant=invoice.tenant).amount == Decimal("0.01")


@pytest.mark.django_db
def test_notes_from_before_lines_were_kept_stay_and_what_is_left_is_credited_to_the_cent() -> None:
    """Two thirds by the old rule, each tax rounded by itself: 0.63 and 0.63. The third brings what they left: 0.64."""
    invoice = billed("USD", "10.00", "19")
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")  # no triggers
        for number in ("C-2025-000001", "C-2025-000002"):
            CreditNote.objects.create(
                number=number, invoice=invoice, amount=Decimal("3.97"), tax=Decimal("0.63"), issued_at=at(10, 4)
            )
        cursor.execute("SET LOCAL session_replication_role = origin")
    last = correct(invoice, "3.96")
    assert (str(last.net), str(last.tax)) == ("3.32", "0.64")


@pytest.mark.django_db
def test_net_and_tax_of_a_note_stand_on_paper() -> None:
    invoice = billed("USD", "10.00", "19")
    numbers = [correct(invoice, part).number for part in ("3.97", "3.97", "3.96")]
    page = html_of(invoice)
    for number, amount, net, tax in zip(
        numbers, ("3.97", "3.97", "3.96"), ("3.34", "3.33", "3.33"), ("0.63", "0.64", "0.63"), strict=True
    ):
        assert f"Credit note {number}, 4 November 2026: a part (net {net}, VAT 19 % {tax})" in page
        assert amount in page


@pytest.mark.django_db
def test_the_database_refuses_lines_that_change_or_do_not_add_up() -> None:
    invoice = billed("USD", "10.00", "19")
    note = correct(invoice, "3.97")
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for change in (
            "UPDATE billing_creditnoteline SET net = 1",
            "DELETE FROM billing_creditnoteline",
            "TRUNCATE billing_creditnoteline",
            f"INSERT INTO billing_creditnote (public_id, number, invoice_id, amount, tax, reason, issued_at)"
            f" VALUES ('cn_x', 'C-2026-9', {invoice.pk}, 1, 0, 'x', now())",
        ):
            with pytest.raises(IntegrityError), transaction.atomic():
                cursor.execute(change)
        other = draft_invoice(
            tenant=invoice.tenant, description="x", amount=Decimal(1), start=at(9), end=at(9, 2), now=at(10, 5)
        )
        with pytest.raises(IntegrityError), transaction.atomic():
            CreditNoteLine.objects.create(note=note, line=other.lines.get(), net=Decimal(1), tax=Decimal(0))
