"""Files and pages over the wire: compressed where they may be, kept where their address says what is in them."""

import gzip
import re
from typing import Any

import pytest
from django.test import Client

from config import files
from tests.cast import Cast
from tests.faces import as_the_portal
from tests.factories import MembershipFactory

pytestmark = pytest.mark.django_db(transaction=True)
BACKEND = "allauth.account.auth_backends.AuthenticationBackend"
GZIP = {"Accept-Encoding": "gzip, deflate, br"}


@pytest.fixture(autouse=True)
def _as_the_portal() -> Any:
    with as_the_portal():
        yield


def body_of(answer: Any) -> bytes:
    return b"".join(answer) if answer.streaming else answer.content


def test_a_file_is_small_and_the_same() -> None:
    plain, small = Client().get("/static/portal.css"), Client().get("/static/portal.css", headers=GZIP)
    assert "Content-Encoding" not in plain
    assert (small["Content-Encoding"], small["Vary"]) == ("gzip", "Accept-Encoding")
    assert small["Content-Type"] == plain["Content-Type"]
    assert gzip.decompress(body_of(small)) == body_of(plain)
    assert len(body_of(small)) < len(gzip.decompress(body_of(small))) / 2


def test_addresses_name_the_content_and_are_kept() -> None:
    page = Client().get("/account/login/").content.decode()
    address = re.search(r"/static/portal\.css\?v=[0-9a-f]{12}", page)
    assert address
    assert Client().get(address[0])["Cache-Control"] == files.KEPT_FOR_A_YEAR
    assert "immutable" not in Client().get("/static/portal.css")["Cache-Control"]


@pytest.mark.parametrize("asked", [{"Range": "bytes=0-9"}, {"If-None-Match": "*"}])
def test_a_part_of_a_file_is_a_part_of_the_file(asked: dict[str, str]) -> None:
    answer = Client().get("/static/portal.css", headers=GZIP | asked)
    assert answer.status_code == (206 if "Range" in asked else 200)
    assert ("Content-Encoding" in answer) == ("Range" not in asked)


def test_pages_are_small_but_for_those_with_secrets(cast: Cast) -> None:
    client, user = Client(), MembershipFactory(tenant=cast.alice.tenant).user
    client.force_login(user, backend=BACKEND)
    client.post("/account/reauthenticate/", {"password": user.email})
    assert client.get("/keys/", headers=GZIP)["Content-Encoding"] == "gzip"
    made = client.post("/keys/", {"name": "x", "scopes": ["read"]}, headers=GZIP)
    assert "pk_test_" in made.content.decode()
    assert "Content-Encoding" not in made
    assert "Content-Encoding" not in client.get("/account/2fa/", headers=GZIP)


def test_a_page_is_never_twice_as_long() -> None:
    """Django's bytes of random number: a page's length says nothing exact of what is in it."""
    lengths = {len(Client().get("/", headers=GZIP).content) for _ in range(20)}
    assert len(lengths) > 5
