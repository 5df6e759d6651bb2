"""The connection to Postgres: whatever text is handed to it as a parameter, card numbers in it are masked.

The doors mask what they are told, and say so to the sender. This is the net below all of them: the operators' forms,
commands, provider's events, what is written next year. What is looked for is masked alike, so that it is found.
"""

from typing import Any

from django_tenants.postgresql_backend.base import DatabaseWrapper as TenantsWrapper
from psycopg.types.json import Jsonb, JsonbDumper
from psycopg.types.string import StrDumperUnknown

from apps import card_numbers


class MaskedText(StrDumperUnknown):
    """A text on its way to Postgres. The pure dumpers are built upon: the compiled ones would not come by here."""

    def dump(self, obj: str) -> Any:
        return super().dump(card_numbers.mask(obj))


class MaskedJson(JsonbDumper):
    """A JSON value on its way to Postgres."""

    def dump(self, obj: Any) -> Any:
        return super().dump(Jsonb(card_numbers.mask_json(obj.obj), obj.dumps))


class DatabaseWrapper(TenantsWrapper):
    """django-tenants' connection with that net."""

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        connection = super().get_new_connection(conn_params)
        connection.adapters.register_dumper(str, MaskedText)
        connection.adapters.register_dumper(Jsonb, MaskedJson)
        return connection
