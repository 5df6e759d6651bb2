"""Column types of money: amounts, prices, currencies, ids that customers see."""

import secrets
from typing import Any

from django.db import models

from apps.billing.rating.money import EXPONENTS

CURRENCIES = [(code, code) for code in EXPONENTS]


def amount_field(**options: Any) -> models.DecimalField:
    """What is owed: three decimals hold every currency of `money.EXPONENTS`."""
    return models.DecimalField(max_digits=20, decimal_places=3, **options)


def price_field(**options: Any) -> models.DecimalField:
    """A price or a quantity."""
    return models.DecimalField(max_digits=38, decimal_places=12, **options)


def _new_id(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(12)}"


def new_invoice_id() -> str:
    return _new_id("in")


def new_credit_id() -> str:
    return _new_id("cr")


def new_credit_note_id() -> str:
    return _new_id("cn")
