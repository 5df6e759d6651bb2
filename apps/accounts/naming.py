"""What tenants, keys and people may be called. Pure but for Django's form of a refusal."""

import re

from django.core.exceptions import ValidationError

from apps import text

#: Slugs stand in addresses: none may be taken for a page or a host of ours, or for us.
_RESERVED = """
about abuse account accounts admin api app assets auth billing blog cdn contact dashboard dev docs email ftp
health help home host hostmaster imap info internal invoice invoices legal localhost login logout mail me
metrics mx news none ns ns1 ns2 null ops owner palisade payments pop portal postmaster press pricing public
ready redoc root sales security settings signin signup sla smtp staging static stats status support system
terms test undefined user users v1 webhook webhooks webmaster www
"""
RESERVED = frozenset(_RESERVED.split())
_SCHEMA = re.compile(r"[a-z][a-z0-9_]{0,62}")


def check_slug(slug: str) -> None:
    """Raise `ValidationError` for a word that is ours."""
    if slug.lower() in RESERVED:
        raise ValidationError(f"'{slug}' is reserved; choose another one.")


def check_one_line(name: str) -> None:
    """Raise `ValidationError` for a name that is blank, or more than a line of text."""
    if len(name.splitlines()) > 1 or text.refusal(name):
        raise ValidationError("A name is one line of text, without control characters.")


def check_schema(name: str) -> None:
    """Raise `ValueError` for what can not stand in SQL as a schema's name."""
    if not _SCHEMA.fullmatch(name):
        raise ValueError(f"not a schema name: {name!r}")
