"""The demo's login: at home, in demo mode, and nowhere else; and the past that it looks at."""

import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.test import Client, override_settings

from apps.accounts.models import User
from apps.portal.demo import EMAIL, PASSWORD
from apps.scoring.engine.schemas import SCHEMAS
from config.local.demo import demo_transactions
from tests.cast import Cast
from tests.factories import MembershipFactory

FILES = "django.core.mail.backends.filebased.EmailBackend"
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _demo(cast: Cast) -> None:
    user = User.objects.create_user(EMAIL, PASSWORD)
    EmailAddress.objects.create(user=user, email=EMAIL, verified=True, primary=True)
    MembershipFactory(tenant=cast.alice.tenant, user=user)


def log_in(path: str = "/account/login/", address: str = "127.0.0.1", **headers: str) -> Any:
    said = {"login": EMAIL, "password": PASSWORD, "username": EMAIL}
    return Client(REMOTE_ADDR=address).post(path, said, headers=headers)


@override_settings(DEMO_MODE=True)
def test_the_demo_is_logged_in_to_from_this_machine() -> None:
    assert PASSWORD in Client().get("/account/login/").content.decode()
    assert log_in()["Location"] == "/start/"


@pytest.mark.parametrize("path", ["/account/login/", "/admin/login/"])
@pytest.mark.parametrize(
    ("demo", "address", "headers"),
    [(False, "127.0.0.1", {}), (True, "203.0.113.9", {}), (True, "127.0.0.1", {"X-Forwarded-For": "203.0.113.9"})],
)
def test_the_demo_is_nobody_elsewhere(path: str, demo: bool, address: str, headers: dict[str, str]) -> None:
    with override_settings(DEMO_MODE=demo):
        assert log_in(path, address, **headers).status_code == 200  # the form again
        form = Client(REMOTE_ADDR=address).get("/account/login/", headers=headers)
        assert PASSWORD not in form.content.decode()


def mailbox(address: str = "127.0.0.1", **headers: str) -> Any:
    return Client(REMOTE_ADDR=address).get("/mailbox/", headers=headers)


@override_settings(DEMO_MODE=True, EMAIL_BACKEND=FILES)
def test_the_mailbox_says_that_it_is_local(tmp_path: Path) -> None:
    (tmp_path / "1.log").write_bytes(b"To: a@example.com\nSubject: Confirm\n\nThe link.\n")
    with override_settings(EMAIL_FILE_PATH=str(tmp_path)):
        shown = mailbox().content.decode()
    assert "Local to this machine" in shown
    assert "The link." in shown


@pytest.mark.parametrize(
    ("demo", "backend", "address", "headers"),
    [
        (False, FILES, "127.0.0.1", {}),
        (True, "django.core.mail.backends.smtp.EmailBackend", "127.0.0.1", {}),
        (True, FILES, "203.0.113.9", {}),
        (True, FILES, "127.0.0.1", {"X-Forwarded-For": "203.0.113.9"}),
    ],
)
def test_elsewhere_there_is_no_mailbox_and_nothing_leads_to_it(
    demo: bool, backend: str, address: str, headers: dict[str, str]
) -> None:
    with override_settings(DEMO_MODE=demo, EMAIL_BACKEND=backend):
        assert mailbox(address, **headers).status_code == 404
        sent = Client(REMOTE_ADDR=address).get("/account/confirm-email/", headers=headers)
        assert "/mailbox/" not in sent.content.decode()


def test_the_past_is_the_same_everywhere_and_can_be_decided_on() -> None:
    begin, end = datetime(2026, 9, 1, tzinfo=UTC), datetime(2026, 9, 15, tzinfo=UTC)
    questions = list(demo_transactions(random.Random(1), begin, end))
    assert questions == list(demo_transactions(random.Random(1), begin, end))
    assert all(begin <= one.at < end for one in questions)
    assert {one.schema for one in questions} == {"payments", "paysim"}
    for one in questions:
        SCHEMAS[one.schema].parse(one.transaction, int(one.at.timestamp() * 1000))
