"""Card numbers in operators' forms: masked before a page, a message, the audit trail or a row has them."""

from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.urls import reverse

from apps.accounts.models import AuditEntry, User
from tests.cards.pans import in_groups, masked, pan, readable

pytestmark = pytest.mark.django_db(transaction=True)
CARD = pan(20)


def everything() -> str:
    """All rows of the public schema, as text."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'accounts_schematemplate'"
        )
        tables = [name for (name,) in cursor.fetchall()]
        rows: list[Any] = []
        for table in tables:
            cursor.execute(f"SELECT t::text FROM public.{connection.ops.quote_name(table)} t")
            rows += cursor.fetchall()
    return "\n".join(text for (text,) in rows)


@pytest.mark.parametrize("written", [CARD, in_groups(CARD, " "), in_groups(CARD, "-")])
def test_form_is_saved_and_told_masked_with_a_warning(browser: Client, written: str) -> None:
    page = browser.post(reverse("admin:auth_group_add"), {"name": f"team of {written}"}, follow=True)
    assert page.status_code == 200
    assert "Card numbers were masked in: name." in page.content.decode()
    assert not readable(page.content)
    assert Group.objects.get().name.replace("-", "").replace(" ", "").endswith(masked(CARD))
    assert AuditEntry.objects.filter(action="group.created").exists()
    assert not readable(everything().encode())


def test_form_that_is_refused_shows_the_mask(browser: Client) -> None:
    page = browser.post(reverse("admin:accounts_user_add"), {"email": f"no e-mail {CARD}", "name": CARD})
    assert page.status_code == 200
    assert masked(CARD) in page.content.decode()
    assert not readable(page.content)


def test_search_and_address_show_the_mask(browser: Client) -> None:
    for address in (f"/admin/accounts/user/?q={CARD}", f"/admin/accounts/user/{CARD}/change/", f"/admin/{CARD}/"):
        page = browser.get(address, follow=True)
        assert not readable(page.content), address
    stranger = Client().get(f"/admin/accounts/user/?q={in_groups(CARD, '%20')}")
    assert not readable(stranger["Location"].encode())


def test_password_is_what_was_typed(browser: Client, operator: User) -> None:
    form = {"email": "new@example.com", "name": "", "usable_password": "true", "password1": CARD, "password2": CARD}
    assert browser.post(reverse("admin:accounts_user_add"), form).status_code == 302
    assert User.objects.get(email="new@example.com").check_password(CARD)
