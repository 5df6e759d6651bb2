"""Every kind of transaction the engine knows, by name. One file a schema."""

from collections.abc import Mapping
from types import MappingProxyType

from apps.scoring.engine.schemas.paysim import PAYSIM
from apps.scoring.engine.transaction import TransactionSchema

SCHEMAS: Mapping[str, TransactionSchema] = MappingProxyType({PAYSIM.name: PAYSIM})
