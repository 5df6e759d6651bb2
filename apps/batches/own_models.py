"""A tenant's own models in its batches: who decides by the policy a batch began with, what is known of the parties, and
what the batch adds to it."""

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np

from apps.api_keys.gate import names_of
from apps.api_keys.services import get_gate
from apps.batches.models import Batch
from apps.batches.own_history import Known, doings_of
from apps.scoring.engine.block import Block
from apps.scoring.engine.decide import OwnModels
from apps.scoring.engine.own import OwnModel
from apps.scoring.engine.own_past import Past
from apps.scoring.engine.past_events import TOLERATED_AHEAD_MS
from apps.scoring.policies import get_policies
from apps.scoring.serving import activity, own_pasts
from apps.scoring.serving.filling import Filling
from apps.scoring.serving.own_shelf import get_own_shelf
from apps.times import instant_us
from apps.valkey import Away

log = logging.getLogger(__name__)


class Row(NamedTuple):
    """A row that was decided on: its transaction's hash in the live store, and whether it was blocked."""

    transaction_hash: int
    blocked: bool


def asked_of(batch: Batch) -> OwnModels | None:
    """The own models of the policy a batch began with, where one of them decides or is in shadow, and the batch names
    no other."""
    own = (
        get_policies().get(batch.tenant.schema_name, batch.policy_version).own_models_for(batch.schema, batch.livemode)
    )
    return own if own and (own.champion or own.shadows) and not batch.model else None


def champion_of(batch: Batch) -> OwnModel | None:
    """The own model that decides; None where none does, or it was refused."""
    own = asked_of(batch)
    return get_own_shelf().get(batch.tenant.schema_name, own.champion) if own and own.champion else None


def shadows_of(batch: Batch) -> list[OwnModel]:
    """The own models that are asked beside what decides; one that was refused is left out."""
    own, shelf = asked_of(batch), get_own_shelf()
    found = (shelf.get(batch.tenant.schema_name, name) for name in (own.shadows if own else ()))
    return [model for model in found if model is not None]


def known_of(batch: Batch) -> Known | None:
    """What the live store knows of parties; None where no own model is asked."""
    if asked_of(batch) is None:
        return None
    valkey, names = get_gate().valkey, names_of(batch.tenant.handle, batch.livemode)

    def known(field: str, parties: Sequence[str]) -> Sequence[Past]:
        return own_pasts.pasts_of(valkey, names, batch.schema, field, parties)

    return known


def keeps(batch: Batch) -> bool:
    """Whether the tenant's policy in force asks that what own models need to know is kept."""
    tenant = type(batch.tenant).objects.get(pk=batch.tenant_id)
    policy = get_policies().get(tenant.schema_name, tenant.policy_version)
    return policy.own_models_for(batch.schema, batch.livemode) is not None


def add(batch: Batch, block: Block, rows: Mapping[int, Row], at: datetime) -> None:
    """Add what was decided on some of a block's rows to what is kept of the parties, for a tenant that `keeps` it.

    After the decisions are committed: what a worker that is killed in between does not add, is missing there until the
    next training fills it.
    """
    ahead_ms = instant_us(at) / 1000 + TOLERATED_AHEAD_MS if block.schema.moment else float("inf")
    valkey, names = get_gate().valkey, names_of(batch.tenant.handle, batch.livemode)
    filling = Filling(names)
    for row, told in rows.items():
        seen = activity.seen(block.schema, block.parse(row), told.transaction_hash)
        filling.add(seen, 0 if told.blocked else None)
    try:
        own_pasts.add(valkey, names, batch.schema, doings_of(block, np.array(list(rows), np.int64), ahead_ms))
        filling.write(valkey)
    except Away:
        log.warning("batch %s: Valkey is away, its parties' pasts lack %d decisions", batch.pk, len(rows))
