"""Who can be forgotten: kinds of persons and things, in which fields they stand, and whether a transaction names one.

Pure but for the keyed hashes of masked names.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from apps import card_numbers
from apps.scoring.engine.parties import party_name
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.serving.ids import text_hash

#: Kind → schema → the fields in which one stands.
KINDS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "user": {"payments": ("user_id",), "card_activity": ("User_ID",)},
    "account": {"paysim": ("nameOrig", "nameDest")},
    "merchant": {"payments": ("merchant_id",), "card_activity": ("Merchant_ID",)},
    "device": {"payments": ("device_id",), "card_activity": ("Device_ID",)},
    "email": {"payments": ("email",)},
    "ip_address": {"payments": ("ip_address",)},
    "card": {"ieee_cis": ("card1",)},
}


class Person(NamedTuple):
    """Somebody of a kind, by the name as it was given."""

    kind: str
    name: str

    @property
    def fields(self) -> Mapping[str, tuple[str, ...]]:
        """Schema → the fields in which they stand."""
        return KINDS[self.kind]

    @property
    def hash(self) -> str:
        """Who it was, for those who know the name: keyed, 32 characters."""
        return text_hash(f"{self.kind}:{party_name(self.name)}")

    @property
    def spellings(self) -> tuple[str, ...]:
        """The name as decisions are found by it: as it is, or masked where it is a card number."""
        forms = (self.name, card_numbers.mask_id(self.name), card_numbers.mask(self.name))
        return tuple(dict.fromkeys(map(party_name, forms)))

    @property
    def parties(self) -> list[tuple[str, str, str]]:
        """(schema, role, name) of the pasts that are theirs."""
        return [
            (schema, field, self.name)
            for schema, fields in self.fields.items()
            for field in fields
            if field in SCHEMAS[schema].role_of
        ]

    def is_named(self, schema: str, facts: Mapping[str, Any], hidden: Mapping[str, str] | None) -> bool:
        """Whether stored facts name them. Masked, many have one form: the keyed hash tells them apart."""
        return any(self._stands_in(field, facts[field], hidden or {}) for field in self._given(schema, facts))

    def _given(self, schema: str, facts: Mapping[str, Any]) -> Iterator[str]:
        return (field for field in self.fields.get(schema, ()) if facts.get(field) is not None)

    def _stands_in(self, field: str, value: Any, hidden: Mapping[str, str]) -> bool:
        if field in hidden:
            return hidden[field] == text_hash(party_name(self.name))
        return party_name(value) == party_name(self.name)
