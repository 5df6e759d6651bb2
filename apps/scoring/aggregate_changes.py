"""A tenant's aggregates: defined, archived, found. They are members of the policy, and each change publishes one.

Whatever is defined once stays what it is: a rule's meaning does not change under its name. An archived one is neither
counted nor asked for any more; its name is not given again.
"""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from apps.accounts.models import Tenant
from apps.api_keys.gate import Gate
from apps.scoring.engine.aggregate_check import AggregateProblem, check_number, problem_of_aggregate
from apps.scoring.engine.aggregates import Aggregate
from apps.scoring.engine.decide import Policy
from apps.scoring.policies import versions_of
from apps.scoring.rule_life import republished


class NoSuchAggregate(LookupError):
    """The policy in force has no aggregate of that name."""


class AggregateExists(ValueError):
    """The policy in force has an aggregate of that name, which may be archived."""


class WrongAggregate(ValueError):
    """One that can't be counted; `problem` says what is wrong with it."""

    def __init__(self, problem: AggregateProblem) -> None:
        super().__init__(problem.in_words)
        self.problem = problem


class AggregateInUse(ValueError):
    """Rules in force, live or as shadows, ask for it; the message names them."""


def create(*, tenant: Tenant, aggregate: Aggregate, gate: Gate, now: datetime, actor: str, reason: str) -> Aggregate:
    """Have something counted from the next request on. Raises `AggregateExists`, `WrongAggregate`, `InvalidRules` when
    there are as many as there may be."""
    if problem := problem_of_aggregate(aggregate):
        raise WrongAggregate(problem)

    def added(policy: Policy) -> Policy:
        if any(one.name == aggregate.name for one in policy.aggregates):
            raise AggregateExists(aggregate.name)
        check_number((*policy.aggregates, aggregate))
        return msgspec.structs.replace(policy, aggregates=(*policy.aggregates, aggregate))

    return find(republished(tenant, added, gate, now, actor, reason), aggregate.name)


def archive(*, tenant: Tenant, name: str, gate: Gate, now: datetime, actor: str, reason: str) -> Aggregate:
    """Count it no more; nothing where it is archived. Raises `NoSuchAggregate`, `AggregateInUse`."""

    def without(policy: Policy) -> Policy:
        was = find(policy, name)
        if rules := rules_asking(policy, was):
            raise AggregateInUse(", ".join(rules))
        archived = msgspec.structs.replace(was, archived=True)
        kept = tuple(archived if one == was else one for one in policy.aggregates)
        return msgspec.structs.replace(policy, aggregates=kept)

    return find(republished(tenant, without, gate, now, actor, reason), name)


def find(policy: Policy, name: str) -> Aggregate:
    """Raises `NoSuchAggregate`."""
    for one in policy.aggregates:
        if one.name == name:
            return one
    raise NoSuchAggregate(name)


def rules_asking(policy: Policy, aggregate: Aggregate) -> Sequence[str]:
    """The rules in force that ask for it."""
    return [rule.id for rule in policy.rules if rule.is_in_force and aggregate.asked_as in rule.names]


def ever(tenant: Tenant) -> Policy:
    """A policy of all that was ever counted for a tenant: what is kept of a person may be under any of it."""
    documents = (row.document.get("aggregates", ()) for row in versions_of(tenant))
    found = {msgspec.convert({**one, "archived": False}, Aggregate) for said in documents for one in said}
    return Policy(aggregates=tuple(found))
