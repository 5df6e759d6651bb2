"""The pasts a tenant's aggregates are counted from: read and added to in the gate's own call, beside the parties'.

    guess      the aggregates of the newest policy this process met of the tenant
    ride       their pasts are read, and the transactions added, while the gate is asked (activity.lua)
    make sure  the policy is the guessed one: nearly always; of sources it did not have is asked once more

They are pasts like those of `activity`: the same events, the same script, hashed names alone, expiring by themselves.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from apps import text
from apps.api_keys.gate import Names
from apps.scoring.engine import past_events
from apps.scoring.engine.aggregate_plan import Part, Plan, Source, plan_of, source_of
from apps.scoring.engine.aggregates import Aggregate
from apps.scoring.engine.decide import Policy
from apps.scoring.engine.known_aggregates import KnownAggregates
from apps.scoring.engine.transaction import TransactionSchema
from apps.scoring.serving import activity
from apps.scoring.serving.activity import Past, Seen
from apps.scoring.serving.ids import party_hash as hide
from apps.valkey import Valkey

#: Tenants with aggregates that a process remembers.
KEPT = 10_000


class Asked(NamedTuple):
    """What is asked of some transactions' aggregates: each one's part in every source of a plan."""

    plan: Plan
    rows: Sequence[Seen]
    parts: Sequence[Sequence[Part]]

    @classmethod
    def of(cls, plan: Plan, rows: Sequence[Seen]) -> "Asked":
        return cls(plan, rows, [plan.parts(row.parsed, row.transaction_hash, hide) for row in rows])

    def pasts(self, names: Names, *, add: Sequence[bool], without: Sequence[Source] = ()) -> list[Past]:
        """The pasts that are read, and those of which rows (`add`) are added to; none of the sources left out."""
        found: list[Past] = []
        for number, (row, parts) in enumerate(zip(self.rows, self.parts, strict=True), start=1):
            for place, part in self._named(parts, without):
                key = names.aggregate(self.plan.schema_name, self.plan.ids[place], part.party)
                adds, life = number if part.adds and add[number - 1] else 0, self.plan.life_seconds[place]
                found += activity.pasts_at(key, adds, life, part.event, is_ahead=activity.is_ahead(row))
        return found

    def read(self, answers: Iterator[bytes], without: Sequence[Source] = ()) -> list[dict[Source, bytes]]:
        """What was answered to `pasts`: what each row sees of each source's past that it has a party in."""
        return [
            {
                self.plan.sources[place]: activity.past_in(answers, is_ahead=activity.is_ahead(row))
                for place, _ in self._named(parts, without)
            }
            for row, parts in zip(self.rows, self.parts, strict=True)
        ]

    def _named(self, parts: Sequence[Part], without: Sequence[Source]) -> Iterator[tuple[int, Part]]:
        for place, part in enumerate(parts):
            if part.party and self.plan.sources[place] not in without:
                yield place, part


class Aggregates:
    """What one process knows of tenants' aggregates, and how it asks."""

    def __init__(self, valkey: Valkey) -> None:
        self._valkey = valkey
        self._policies: dict[str, Policy] = {}  # by tenant: of those who have aggregates

    def guess(self, names: Names, schema: TransactionSchema, rows: Sequence[Seen]) -> Asked | None:
        """What will be asked for rows, by the newest policy of the tenant that was met here."""
        policy = self._policies.get(names.tenant)
        plan = plan_of(policy, schema.name) if policy else None
        return Asked.of(plan, rows) if plan and plan.sources else None

    def answers(
        self, names: Names, schema: TransactionSchema, rows: Sequence[Seen], policy: Policy, asked: Asked | None,
        ridden: Sequence[bytes], add: Sequence[bool],
    ) -> list[KnownAggregates]:  # fmt: skip
        """What the aggregates of the policy that decides come to for each row; `ridden` answers what was `asked`.
        `add`: which of them are to be counted later. Raises `apps.valkey.Away`."""
        self._remember(names, policy)
        plan = plan_of(policy, schema.name)
        if not plan.sources:
            return [{}] * len(rows)
        seen = asked.read(iter(ridden)) if asked else [{} for _ in rows]
        if asked is None or asked.plan is not plan:
            for row, more in zip(seen, self._ask(names, Asked.of(plan, rows), asked, add), strict=True):
                row.update(more)
        return [
            plan.told([pasts.get(source) for source in plan.sources], row.parsed.at_ms, row.transaction_hash)
            for row, pasts in zip(rows, seen, strict=True)
        ]

    def _ask(self, names: Names, wanted: Asked, asked: Asked | None, add: Sequence[bool]) -> list[dict[Source, bytes]]:
        """What the sources that were not asked come to, in a round trip of its own. Raises `apps.valkey.Away`."""
        known = asked.plan.sources if asked else ()
        pasts = wanted.pasts(names, add=add, without=known)
        return wanted.read(iter(activity.observe(self._valkey, wanted.rows, pasts)), known)

    def _remember(self, names: Names, policy: Policy) -> None:
        """Guess by this policy from now on."""
        if len(self._policies) >= KEPT:
            self._policies.clear()
        if policy.aggregates:
            self._policies[names.tenant] = policy
        else:
            self._policies.pop(names.tenant, None)


# --- forgetting -------------------------------------------------------------------------------------------------------


def forget(valkey: Valkey, names: Names, rows: Sequence[Seen], policy: Policy) -> int:
    """Take transactions out of the pasts of the policy's aggregates; how many events that were. Harmless when repeated.

    Raises `apps.valkey.Away`.
    """
    keys: list[tuple[str, bytes]] = []
    for row in rows:
        plan = plan_of(policy, row.schema.name)
        for place, part in enumerate(plan.parts(row.parsed, row.transaction_hash, hide)):
            if part.party:
                key = names.aggregate(row.schema.name, plan.ids[place], part.party)
                transaction, _ = past_events.mark_of(part.event)
                keys += ((one, transaction) for one in (key, activity.ahead_of(key)))
    return activity.forget_events(valkey, keys)


def forget_parties(
    valkey: Valkey, names: Names, aggregates: Sequence[Aggregate], fields: Mapping[str, Sequence[str]], name: str
) -> int:
    """Forget what is counted by somebody alone, under any of these fields of each kind of transaction; how many pasts
    that were. What is counted by them and another field goes with their transactions (`forget`). Raises `Away`."""
    sources = {source_of(one) for one in aggregates if len(one.by) == 1 and one.by[0] in fields.get(one.schema, ())}
    keys = [names.aggregate(source.schema, source.id, hide(text.recognised(name))) for source in sources]
    both = [key for one in keys for key in (one, activity.ahead_of(one))]
    return int(valkey.command("UNLINK", *both)) if both else 0
