"""A tenant's own models in its batches: who decides by the policy a batch began with, what is known of the parties, and
what the batch adds to it."""

import logging
from collections.abc import Sequence
from datetime import datetime

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
from apps.scoring.serving import own_pasts
from apps.scoring.serving.own_shelf import get_own_shelf
from apps.times import instant_us
from apps.valkey import Away

log = logging.getLogger(__name__)


def asked_of(batch: Batch) -> OwnModels | None:
    """The own models of the policy a batch began with, where one of them decides and the batch names no other."""
    own = (
        get_policies().get(batch.tenant.schema_name, batch.policy_version).own_models_for(batch.schema, batch.livemode)
    )
    return own if own and own.champion and not batch.model else None


def champion_of(batch: Batch) -> OwnModel | None:
    """The own model that decides; None where none does, or it was refused."""
    own = asked_of(batch)
    return get_own_shelf().get(batch.tenant.schema_name, own.champion) if own else None


def known_of(batch: Batch) -> Known | None:
    """What the live store knows of parties; None where no own model decides."""
    if asked_of(batch) is None:
        return None
    valkey, names = get_gate().valkey, names_of(batch.tenant.handle, batch.livemode)

    def known(field: str, parties: Sequence[str]) -> Sequence[Past]:
        return own_pasts.pasts_of(valkey, names, batch.schema, field, parties)

    return known


def add(batch: Batch, block: Block, rows: np.ndarray, at: datetime) -> None:
    """Add what was decided to what is kept of the parties, where the tenant's policy in force asks for it.

    After the decisions are committed: what a worker that is killed in between does not add, is missing there until the
    next training fills it.
    """
    tenant = type(batch.tenant).objects.get(pk=batch.tenant_id)
    own = get_policies().get(tenant.schema_name, tenant.policy_version).own_models_for(batch.schema, batch.livemode)
    if own is None or not len(rows):
        return
    ahead_ms = instant_us(at) / 1000 + TOLERATED_AHEAD_MS if block.schema.moment else float("inf")
    try:
        doings = doings_of(block, rows, ahead_ms)
        own_pasts.add(get_gate().valkey, names_of(tenant.handle, batch.livemode), batch.schema, doings)
    except Away:
        log.warning("batch %s: Valkey is away, its parties' pasts lack %d decisions", batch.pk, len(rows))
