"""Who of a tenant's own models is asked of some transactions, with what they know of the parties: one more call to
Valkey, for tenants with own models alone."""

from collections.abc import Sequence

from apps.scoring.engine.decide import Policy
from apps.scoring.engine.own import OwnAsked
from apps.scoring.serving import own_pasts
from apps.scoring.serving.own_shelf import get_own_shelf
from apps.scoring.serving.requests import Attempt, Item
from apps.valkey import Away, Valkey


def asked_of(attempt: Attempt, items: Sequence[Item], policy: Policy, valkey: Valkey) -> OwnAsked | None:
    """The own models that are asked of these items, which are added to their parties' pasts; None where there are none,
    or while Valkey is away: then the shared champion decides, as it does for everybody without own models."""
    livemode, request = attempt.request.key.livemode, attempt.request
    named = policy.own_models_for(items[0].schema.name, livemode)
    if named is None or attempt.admission.gate_away:
        return None
    rows = [own_pasts.doing(item.schema, item.parsed, item.seen.transaction_hash) for item in items]
    try:
        numbers = own_pasts.observe(valkey, attempt.names, rows, add=not request.dry_run)
    except Away:
        return None
    shelf, tenant_schema = get_own_shelf(), attempt.admission.tenant_schema
    champion = shelf.get(tenant_schema, named.champion) if named.champion else None
    shadows = [model for name in named.shadows if (model := shelf.get(tenant_schema, name)) is not None]
    return OwnAsked(champion, tuple(shadows), numbers) if champion or shadows else None
