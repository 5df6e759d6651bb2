"""Every kind of transaction the engine knows, by name. One file a schema."""

from collections.abc import Mapping
from types import MappingProxyType

from apps.scoring.engine.schemas.card_activity import CARD_ACTIVITY
from apps.scoring.engine.schemas.ieee_cis import IEEE_CIS
from apps.scoring.engine.schemas.payments import PAYMENTS
from apps.scoring.engine.schemas.paysim import PAYSIM
from apps.scoring.engine.transaction import TransactionSchema

SCHEMAS: Mapping[str, TransactionSchema] = MappingProxyType(
    {
        schema.name: schema
        for schema in (
            PAYSIM,
            CARD_ACTIVITY,
            IEEE_CIS,
            PAYMENTS,
        )
    }
)
