"""Who of a tenant's own models is asked of some transactions, with what they know of the parties.

    guess   whether the tenant keeps what own models need to know, by the newest policy this process met
    ride    it is read and added to while the gate is asked (own_past.lua)
    ask     who stands in the policy; where the guess was wrong, in a call of its own

Nobody else's request pays for it.
"""

from collections.abc import Sequence

from apps.api_keys.gate import Names
from apps.scoring.engine.decide import Policy
from apps.scoring.engine.own import OwnAsked
from apps.scoring.serving import own_pasts
from apps.scoring.serving.own_pasts import Doing, Numbers
from apps.scoring.serving.own_shelf import get_own_shelf
from apps.scoring.serving.requests import Attempt, Item
from apps.valkey import Away, Valkey

#: Tenants with own models that a process remembers, each with a mode and a schema.
KEPT = 10_000


class OwnAsking:
    """What one process knows of who has own models, and how it asks them."""

    def __init__(self, valkey: Valkey) -> None:
        self._valkey = valkey
        self._keeping: set[tuple[str, str]] = set()  # by tenant and mode, and schema

    def guess(self, names: Names, items: Sequence[Item]) -> Sequence[Doing]:
        """What will be asked for; nothing of a tenant that has no own models, as far as is known here."""
        if not items or (names.mode, items[0].schema.name) not in self._keeping:
            return ()
        return _doings(items)

    def of(self, attempt: Attempt, items: Sequence[Item], policy: Policy, rode: Sequence[Numbers]) -> OwnAsked | None:
        """The own models that are asked of these items, of each of which `rode` tells what is known of its parties, if
        that rode along; None where there are none, or while Valkey is away: then the shared champion decides, as it
        does for everybody without own models."""
        schema, livemode = items[0].schema.name, attempt.request.key.livemode
        named = policy.own_models_for(schema, livemode)
        self._remember(attempt.names, schema, named is not None)
        if named is None or attempt.admission.gate_away:
            return None
        try:
            numbers = rode or own_pasts.observe(
                self._valkey, attempt.names, _doings(items), add=not attempt.request.dry_run
            )
        except Away:
            return None
        shelf, tenant_schema = get_own_shelf(), attempt.admission.tenant_schema
        champion = shelf.get(tenant_schema, named.champion) if named.champion else None
        shadows = [model for name in named.shadows if (model := shelf.get(tenant_schema, name)) is not None]
        return OwnAsked(champion, tuple(shadows), numbers) if champion or shadows else None

    def _remember(self, names: Names, schema: str, keeps: bool) -> None:
        """Guess by this from now on."""
        if keeps and len(self._keeping) >= KEPT:
            self._keeping.clear()
        (self._keeping.add if keeps else self._keeping.discard)((names.mode, schema))


def _doings(items: Sequence[Item]) -> list[Doing]:
    return [own_pasts.doing(item.schema, item.parsed, item.seen.transaction_hash) for item in items]
