"""What the live store knows of a file's parties when a batch begins: their pasts as single calls left them.

A tenant that never made a single call has none, and nobody is asked for; unless it has models of its own, for which
what files decided is kept as well.
"""

from collections.abc import Mapping, Sequence

from apps.api_keys.gate import names_of
from apps.api_keys.services import get_gate
from apps.batches import own_models
from apps.batches.history import Naming, Seeds
from apps.batches.models import Batch
from apps.scoring.serving.ids import party_hash, text_hash
from apps.usage.metering.events import BATCHES
from apps.usage.models import UsageDay

#: Parties of one call: more would keep single calls waiting.
AT_ONCE = 1_000


def naming() -> Naming:
    """How names stand in the live store."""
    return Naming(party_hash, lambda name: int(text_hash(name)[:16], 16))


def seeds_of(batch: Batch) -> Seeds | None:
    """The live pasts of parties by role, None where there can be none. Raises `apps.valkey.Away` when it is asked."""
    mine = UsageDay.objects.filter(tenant_id=batch.tenant_id, livemode=batch.livemode)
    if not mine.exclude(endpoint=BATCHES).exists() and not own_models.keeps(batch):
        return None
    valkey, names = get_gate().valkey, names_of(batch.tenant.handle, batch.livemode)

    def known(role: str, parties: Sequence[str]) -> Mapping[str, bytes]:
        found: dict[str, bytes] = {}
        for start in range(0, len(parties), AT_ONCE):
            some = parties[start : start + AT_ONCE]
            keys = [names.party(batch.schema, role, party_hash(party)) for party in some]
            answers = valkey.command("MGET", *keys)
            found |= {party: past for party, past in zip(some, answers, strict=True) if past}
        return found

    return known
