"""One word for one thing on every page, whoever wrote it: "e-mail", in allauth's and Django's words too."""

import gettext
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client
from django.utils.translation import gettext as said

from tests.browser.places import ACCOUNT, OUTSIDE, menu
from tests.cast import Cast
from tests.factories import MembershipFactory

pytestmark = pytest.mark.django_db
BACKEND = "allauth.account.auth_backends.AuthenticationBackend"
NOT_OURS = re.compile(r"(?<![\w(%/.\-@])[Ee]mail(s|ed)?\b(?![\w)@])")
OPEN = [place.path for place in OUTSIDE if place.process == "portal" and place.path != "/mailbox/"]
INSIDE = [place.path for place in (*ACCOUNT, *menu())]


def text_of(page: str) -> str:
    """What of a page is read."""
    bare = re.sub(r"(?s)<(script|style|code|pre|datalist)\b.*?</\1>", " ", page)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", bare))


def library_words() -> Iterator[str]:
    """What the libraries say, by a translation of theirs that has all of it."""
    for package in ("allauth", "django.contrib.auth"):
        spec = find_spec(package)
        assert spec is not None and spec.origin is not None
        with (Path(spec.origin).parent / "locale/de/LC_MESSAGES/django.mo").open("rb") as file:
            for key in gettext.GNUTranslations(file)._catalog:  # type: ignore[attr-defined]
                if isinstance(key, str) and "\x04" not in key:
                    yield key


def test_pages_for_everybody_write_it_one_way() -> None:
    browser = Client()
    for path in OPEN:
        assert not NOT_OURS.findall(text_of(browser.get(path).content.decode())), path
    wrong = browser.post("/account/signup/", {"email": "no address", "password1": "x", "company": "A"})
    assert not NOT_OURS.findall(text_of(wrong.content.decode()))


def test_pages_of_an_account_write_it_one_way(cast: Cast) -> None:
    browser = Client()
    browser.force_login(MembershipFactory(tenant=cast.alice.tenant).user, backend=BACKEND)
    for path in INSIDE:
        found = NOT_OURS.search(text_of(browser.get(path).content.decode()))
        assert found is None, (path, found)


def test_every_word_of_the_libraries_is_written_our_way() -> None:
    wrong = {word for word in library_words() if NOT_OURS.search(word) and NOT_OURS.search(said(word))}
    assert wrong == set(), f"add them to {settings.LOCALE_PATHS[0]}/en/LC_MESSAGES/django.po, and run msgfmt"
