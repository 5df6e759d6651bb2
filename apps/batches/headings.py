"""A file's columns matched to a schema's fields: by name, by name however it is written, by common other words. Pure.

The match is data, so that it can be shown before anything is scored, and changed.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from apps import card_numbers, text
from apps.batches.bytes_in import UnreadableFile
from apps.scoring.engine.transaction import TransactionSchema

How = Literal["name", "spelling", "synonym", "chosen", "none"]
NAME_CUT = 80
MOST_NAMED = 5

#: Field → what else its column is called, however that is written. A field's own name need not be there.
SYNONYMS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "paysim": {
        "step": ("hour", "time step"),
        "type": ("transaction type", "txn type", "payment type", "kind"),
        "amount": ("amt", "transaction amount", "txn amount", "value"),
        "transaction_id": ("id", "txn id", "transaction", "trans id", "tx id"),
        "nameOrig": ("origin", "sender", "payer", "name origin", "orig", "from account", "from", "customer", "account"),
        "oldbalanceOrg": (
            "old balance orig", "old balance origin", "sender balance before", "origin balance before",
            "balance before origin", "old balance sender",
        ),
        "newbalanceOrig": (
            "new balance org", "new balance origin", "sender balance after", "origin balance after",
            "balance after origin", "new balance sender",
        ),
        "nameDest": ("destination", "recipient", "payee", "receiver", "name destination", "dest", "to account", "to"),
        "oldbalanceDest": (
            "old balance destination", "recipient balance before", "destination balance before",
            "balance before destination", "old balance recipient",
        ),
        "newbalanceDest": (
            "new balance destination", "recipient balance after", "destination balance after",
            "balance after destination", "new balance recipient",
        ),
    },
    "card_activity": {
        "transaction_id": ("id", "txn id", "trans id", "tx id"),
        "User_ID": ("user", "customer id", "cust id", "client id", "account id", "cardholder id"),
        "Transaction_Amount": ("amount", "amt", "txn amount", "value"),
        "Transaction_Location": ("location", "country", "place"),
        "Merchant_ID": ("merchant", "shop id", "store id"),
        "Device_ID": ("device",),
        "Card_Type": ("card", "card brand"),
        "Transaction_Currency": ("currency", "ccy", "currency code"),
        "Transaction_Status": ("status", "state"),
        "Authentication_Method": ("authentication", "auth method"),
        "Transaction_Category": ("category", "merchant category"),
        "Timestamp": ("time", "date", "datetime", "transaction time", "created at", "occurred at"),
    },
    "ieee_cis": {
        "transaction_id": ("id", "txn id", "trans id", "tx id"),
        "TransactionAmt": ("amount", "amt", "transaction amount", "txn amount", "value"),
        "TransactionDT": ("seconds", "transaction seconds"),
        "ProductCD": ("product", "product code"),
        "P_emaildomain": ("payer email domain", "purchaser email domain"),
        "R_emaildomain": ("recipient email domain", "receiver email domain"),
    },
    "payments": {
        "transaction_id": ("id", "txn id", "trans id", "tx id", "payment id"),
        "timestamp": ("time", "date", "datetime", "transaction time", "created at", "occurred at"),
        "amount": ("amt", "transaction amount", "txn amount", "value"),
        "currency": ("ccy", "currency code"),
        "user_id": ("user", "customer id", "cust id", "client id", "account id", "cardholder id"),
        "merchant_id": ("merchant", "shop id", "store id"),
        "merchant_category": ("category", "mcc category"),
        "device_id": ("device", "device fingerprint"),
        "email": ("email address", "customer email"),
        "ip_address": ("ip", "client ip", "remote address"),
        "country": ("country code", "merchant country"),
    },
}  # fmt: skip


class Heading(msgspec.Struct, frozen=True):
    """One column of a file."""

    column: Annotated[str, Meta(description="As the file calls it.")]
    field: Annotated[str, Meta(description='The field it is read as; "" for a column that is kept and not read.')]
    how: Annotated[
        How,
        Meta(
            description="name: the field's own name; spelling: but for case, spaces and marks; synonym: a common other "
            "word; chosen: as you said; none: not read."
        ),
    ]


class Headings(msgspec.Struct, frozen=True):
    """A file's columns in their order, and what is missing among them."""

    columns: tuple[Heading, ...]
    missing: Annotated[tuple[str, ...], Meta(description="Required fields that no column is read as.")]

    @property
    def fields(self) -> Mapping[str, int]:
        """Field → the place of its column."""
        return {one.field: place for place, one in enumerate(self.columns) if one.field}

    def require_all(self) -> None:
        """Raises `UnreadableFile` when required fields are missing."""
        if not self.missing:
            return
        named = ", ".join(f"'{name}'" for name in self.missing[:MOST_NAMED])
        more = f" and {len(self.missing) - MOST_NAMED} more" if len(self.missing) > MOST_NAMED else ""
        found = ", ".join(f"'{card_numbers.cut(one.column, NAME_CUT)}'" for one in self.columns[:MOST_NAMED])
        raise UnreadableFile(
            f"No column is read as {named}{more}: is it the right schema? The file's columns begin with {found}. "
            "Rename columns, or say which is which."
        )


def match(schema: TransactionSchema, names: Sequence[str], chosen: Mapping[str, str] | None = None) -> Headings:
    """Read a file's columns as a schema's fields, the surest match first; `chosen` says column → field, "" for none.

    Raises `UnreadableFile` for a choice of a column or field that does not exist, or of one field twice.
    """
    chosen = chosen or {}
    _check(schema, names, chosen)
    found: dict[str, Heading] = {
        column: Heading(column, name, "chosen" if name else "none") for column, name in chosen.items()
    }
    taken = {name for name in chosen.values() if name}
    for how, known in _tables(schema):
        for column in names:
            name = known.get(column if how == "name" else plain(column))
            if name is not None and name not in taken and column not in found:
                found[column] = Heading(column, name, how)
                taken.add(name)
    columns = tuple(found.get(column) or Heading(column, "", "none") for column in names)
    return Headings(columns, tuple(name for name in schema.fields if name in schema.required and name not in taken))


def plain(name: str) -> str:
    """A name without case, spaces and marks: "Old Balance (Org.)" and oldbalanceOrg are one."""
    return re.sub(r"[\W_]+", "", text.recognised(name))


def _tables(schema: TransactionSchema) -> Sequence[tuple[How, Mapping[str, str]]]:
    """What columns may be called → the field, the surest names first. A name that could be two fields' is none."""
    spelled = _unambiguous((plain(name), name) for name in schema.fields)
    synonyms = SYNONYMS.get(schema.name, {})
    others = _unambiguous((plain(word), name) for name, words in synonyms.items() for word in words)
    return (("name", {name: name for name in schema.fields}), ("spelling", spelled), ("synonym", others))


def _unambiguous(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, set[str]] = {}
    for word, name in pairs:
        found.setdefault(word, set()).add(name)
    return {word: next(iter(names)) for word, names in found.items() if len(names) == 1}


def _check(schema: TransactionSchema, names: Sequence[str], chosen: Mapping[str, str]) -> None:
    fields = [name for name in chosen.values() if name]
    for column, name in chosen.items():
        if column not in names:
            raise UnreadableFile(f"The file has no column '{card_numbers.cut(column, NAME_CUT)}'.")
        if name and name not in schema.types:
            raise UnreadableFile(f"The schema '{schema.name}' has no field '{card_numbers.cut(name, NAME_CUT)}'.")
        if fields.count(name) > 1:
            raise UnreadableFile(f"Two columns are chosen for '{name}': choose one.")
