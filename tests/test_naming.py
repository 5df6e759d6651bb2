"""What tenants, keys and people may be called."""

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from apps.accounts.naming import RESERVED, check_one_line
from apps.accounts.services import create_tenant
from apps.api_keys.services import InvalidKeyRequest
from tests.cast import Cast, new_key

pytestmark = pytest.mark.django_db


def make(slug: str, name: str = "A name") -> None:
    create_tenant(slug=slug, name=name, now=timezone.now())


@pytest.mark.parametrize("slug", ["ALICE", "Alice", *sorted(RESERVED)[:3], "Admin", "WWW", "two words", ""])
def test_slugs_that_are_taken_in_any_case_reserved_or_none_are_refused(cast: Cast, slug: str) -> None:
    with pytest.raises(ValidationError, match="slug"):
        make(slug)


NAMES = ["two\nlines", "two\rlines", "two\u2028lines", "a\x00b", "a\x0bb", "\u200b", " "]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_one_line_everywhere(cast: Cast, name: str) -> None:
    with pytest.raises(ValidationError, match="name"):
        make("fine", name)
    with pytest.raises(InvalidKeyRequest, match="name"):
        new_key(cast.bob.tenant, name=name)


def test_ordinary_names_are_taken() -> None:
    for name in ("Müller & Söhne", "株式会社", "O'Neil – 3rd"):
        check_one_line(name)
