"""What the live store knows of a file's parties when a batch begins: their pasts as single calls left them.

A tenant that never made a single call has none, and nobody is asked for; unless it has models of its own, for which
what files decided is kept as well.
"""

from collections.abc import Callable, Mapping, Sequence

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
    names = names_of(batch.tenant.handle, batch.livemode)
    return _read(batch, lambda role, party: names.party(batch.schema, role, party_hash(party)))


def aggregates_of(batch: Batch) -> Seeds | None:
    """The same of what aggregates are counted from, by source and hidden name. Raises `apps.valkey.Away`."""
    names = names_of(batch.tenant.handle, batch.livemode)
    return _read(batch, lambda source, party: names.aggregate(batch.schema, source, party))


def _read(batch: Batch, key: Callable[[str, str], str]) -> Seeds | None:
    """Reads pasts by their keys, some at a time; None for a tenant that never made a single call."""
    mine = UsageDay.objects.filter(tenant_id=batch.tenant_id, livemode=batch.livemode)
    if not mine.exclude(endpoint=BATCHES).exists() and not own_models.keeps(batch):
        return None
    valkey = get_gate().valkey

    def known(kind: str, parties: Sequence[str]) -> Mapping[str, bytes]:
        found: dict[str, bytes] = {}
        for start in range(0, len(parties), AT_ONCE):
            some = parties[start : start + AT_ONCE]
            answers = valkey.command("MGET", *(key(kind, party) for party in some))
            found |= {party: past for party, past in zip(some, answers, strict=True) if past}
        return found

    return known
