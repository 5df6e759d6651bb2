"""A PaymentIntent of Stripe's read as a transaction of `payments`, whatever it holds. Pure.

Each field is taken from the first source that has something usable, the merchant's metadata before the intent itself.
What can't be used is left out and told in a warning that names it: nothing in an intent keeps a payment from being
screened. Warnings never quote what was sent.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from apps.currencies import CURRENCIES, USUAL_DECIMALS, stripe_decimals
from apps.scoring.engine.schemas.payments import MOST_MONEY, PAYMENTS
from apps.scoring.engine.transaction import IN_QUOTES

Json = Mapping[str, Any]
#: (where it stands in the intent, its value), the better place first; "" is no place of the intent's.
Sources = Sequence[tuple[str, Any]]

#: In dollars: the largest payment among the rows the models learned from was 30,722.
MOST_LEARNED = 31_000.0
_NUMBER = re.compile(r"[+-]?\d{1,30}(\.\d{1,30})?([eE][+-]?\d{1,3})?")
_UNITS = re.compile(r"\d{1,30}")


class Mapped(NamedTuple):
    """A transaction, and what to tell of how it was read."""

    transaction: dict[str, Any]
    warnings: tuple[str, ...]


def mapped(intent: Json, merchant: str) -> Mapped:
    """Read a PaymentIntent. `merchant`: who is paid unless the intent names another."""
    reading = _Reading()
    metadata = intent.get("metadata")
    if not isinstance(metadata, Mapping | None):
        reading.ignore("metadata", "it must be an object")
    for name, read in _FROM_METADATA.items():
        if name in _object(metadata):
            reading.take(name, f"metadata.{name}", _object(metadata)[name], read)
    for name, sources in _sources(intent, merchant).items():
        for place, value in sources:
            if value is not None and value != "":
                reading.take(name, place, value, _as_it_is)
    reading.take_amount(intent)
    return Mapped(reading.transaction, tuple(reading.warnings))


def _sources(intent: Json, merchant: str) -> Mapping[str, Sources]:
    """Where the fields stand that an intent has itself."""
    method, charge = _object(intent.get("payment_method")), _object(intent.get("latest_charge"))
    card = _object(method.get("card"))
    billing = _object(charge.get("billing_details")) or _object(method.get("billing_details"))
    address, shipping = _object(billing.get("address")), _object(_object(intent.get("shipping")).get("address"))
    types, email = intent.get("payment_method_types"), ("receipt_email", intent.get("receipt_email"))
    payer = [("customer", _id(intent.get("customer"))), ("card.fingerprint", card.get("fingerprint")), email]
    return {
        "transaction_id": [("id", intent.get("id"))],
        "currency": [("currency", _upper(intent.get("currency")))],
        "timestamp": [("created", _time(intent.get("created")))],
        "user_id": [*payer, ("id", intent.get("id")), ("", "unknown")],
        "merchant_id": [("on_behalf_of", _id(intent.get("on_behalf_of"))), ("", merchant)],
        "email": [email, ("billing_details.email", billing.get("email"))],
        "country": [
            ("card.country", card.get("country")),
            ("billing_details.address.country", address.get("country")),
            ("shipping.address.country", shipping.get("country")),
        ],
        "card_present": [("", "card_present" in types)] if isinstance(types, list) and types else [],
    }


class _Reading:
    """What was read so far, and what was left out."""

    def __init__(self) -> None:
        self.transaction: dict[str, Any] = {}
        self.warnings: list[str] = []

    def ignore(self, place: str, why: str) -> None:
        if (warning := f"{place} was ignored: {why}.") not in self.warnings:
            self.warnings.append(warning)

    def take(self, name: str, place: str, value: Any, read: Callable[[Any], Any]) -> None:
        """Take a field's value unless a better place had one; what the schema would refuse is ignored."""
        if name in self.transaction:
            return
        value = read(value)
        problem = PAYMENTS.problem(name, value)
        if value is None or value == "":
            self.ignore(place, "it is empty")
        elif problem is not None:
            self.ignore(place, _needs(problem.detail))
        else:
            self.transaction[name] = value

    def take_amount(self, intent: Json) -> None:
        """Take the amount in the currency's own units: 0 where there is none, the bound where it is beyond it."""
        currency = self.transaction.get("currency", "")
        if currency not in CURRENCIES:
            self.warnings.append(f"The currency is unknown: the amount was read with {USUAL_DECIMALS} decimals.")
        units = _units(intent.get("amount"))
        if units is None:
            self.warnings.append("amount was ignored: it must be a whole number from 0. The payment was screened as 0.")
        most = most_of(currency)
        amount = (units or 0) / 10 ** stripe_decimals(currency)
        if amount > most:
            self.warnings.append(f"amount is beyond what can be weighed: it was screened as {most:,.0f}.")
        self.transaction["amount"] = min(amount, most)
        if amount > most * (MOST_LEARNED / MOST_MONEY):
            self.warnings.append(f"amount is worth more than {MOST_LEARNED:,.0f} US dollars: the models know no such.")


def most_of(currency: str) -> float:
    """The largest amount of a currency that `payments` takes."""
    return MOST_MONEY / (CURRENCIES[currency].dollars if currency in CURRENCIES else 1.0)


def _units(amount: Any) -> int | None:
    """An amount in the smallest unit as Stripe tells it, or as text or a float would; None when it is none."""
    if isinstance(amount, str) and _UNITS.fullmatch(amount):
        amount = int(amount)
    if isinstance(amount, float) and amount.is_integer():
        amount = int(amount)
    return amount if type(amount) is int and 0 <= amount < 10**30 else None


def _time(created: Any) -> Any:
    """Seconds since 1970 as a time; what is none stays what it is, and is refused as that."""
    if isinstance(created, bool) or not isinstance(created, int | float):
        return created
    try:
        return datetime.fromtimestamp(created, UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        return created


def _text(value: Any) -> Any:
    """Text, or what a merchant's code wrote as a number or a truth."""
    return str(value) if isinstance(value, int | float) else value


def _number(value: Any) -> Any:
    return float(value) if isinstance(value, str) and _NUMBER.fullmatch(value.strip(" ")) else _text(value)


def _yes_or_no(value: Any) -> Any:
    return _TRUTHS.get(value.strip(" ").lower(), value) if isinstance(value, str) else value


_TRUTHS = {"true": True, "false": False}
#: Fields of `payments` that a merchant may give in the PaymentIntent's metadata, as text, and what makes them of it.
_FROM_METADATA: Mapping[str, Callable[[Any], Any]] = {
    "user_id": _text,
    "merchant_id": _text,
    "merchant_category": _text,
    "device_id": _text,
    "ip_address": _text,
    "country": _text,
    "email": _text,
    "distance_from_home_km": _number,
    "distance_from_last_transaction": _number,
    "ratio_to_median_purchase_price": _number,
    "foreign_transaction": _yes_or_no,
    "repeat_retailer": _yes_or_no,
}


def _needs(detail: str) -> str:
    """What a field takes, as metadata has it: in quotes always."""
    return detail.removesuffix(".").replace(IN_QUOTES, "")


def _as_it_is(value: Any) -> Any:
    return value


def _upper(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


def _object(value: Any) -> Json:
    return value if isinstance(value, Mapping) else {}


def _id(value: Any) -> Any:
    """An id, or that of the object that was sent in its place."""
    return value.get("id") if isinstance(value, Mapping) else value
