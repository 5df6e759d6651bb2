"""The portal and the operators' admin as their process runs them: its addresses and its middleware."""

from collections.abc import Iterator

import pytest
from allauth.usersessions.models import UserSession
from django.core.cache import cache
from django.test import Client

from apps.accounts.models import User
from tests.faces import as_the_portal
from tests.factories import OperatorFactory


@pytest.fixture(autouse=True)
def _as_the_portal() -> Iterator[None]:
    with as_the_portal():
        yield


@pytest.fixture(autouse=True)
def _no_mail_was_sent_a_moment_ago() -> None:
    """allauth counts in the cache how often an address is written to."""
    cache.clear()


@pytest.fixture(autouse=True)
def _forced_logins_are_logins(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `force_login` begins is in the list of sessions, as what allauth's form begins: it counts as just begun."""
    forced = Client.force_login

    def force_login(client: Client, user: User, backend: str | None = None) -> None:
        forced(client, user, backend)
        UserSession.objects.get_or_create(
            session_key=client.session.session_key, defaults={"user": user, "ip": "127.0.0.1"}
        )

    monkeypatch.setattr(Client, "force_login", force_login)


@pytest.fixture
def operator() -> User:
    return OperatorFactory(email="olga@example.com")


@pytest.fixture
def browser(operator: User) -> Client:
    """A browser in which the operator has logged in through the form."""
    client = Client()
    answer = client.post("/admin/login/?next=/admin/", {"username": operator.email, "password": operator.email})
    assert answer.status_code == 302
    return client
