"""What own models need to know of the parties, brought into Valkey from Postgres: when a model is trained, and after
Valkey lost its memory. From then on requests, files and labels keep it up to date.

That is the parties' pasts as own models know them, and of what came by files their recent activity as well: the models
learned from features that know of it.
"""

import logging
from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from apps.accounts.models import Tenant
from apps.accounts.tenancy import in_tenant
from apps.api_keys.gate import names_of
from apps.own_models.reading import Read, key_of, read
from apps.scoring.engine.decide import OwnModels
from apps.scoring.engine.own_decisions import Decisions
from apps.scoring.engine.own_features import parties_of
from apps.scoring.engine.own_past import BUCKET_MS, FOR_GOOD, KEPT_BUCKETS, KEPT_SECONDS, MOST_KNOWN, Past
from apps.scoring.models import OwnModel
from apps.scoring.policies import get_policies
from apps.scoring.serving import own_pasts
from apps.valkey import Valkey

log = logging.getLogger(__name__)

#: `own_past.BUCKET` and `own_past.KNOWN` as arrays.
_BUCKETS = np.dtype([("bucket", "<u4"), ("decisions", "<u4"), ("hundredths", "<f8")])
_KNOWN = np.dtype([("transaction", "<u8"), ("second", "<u4")])


def refill(tenant: Tenant, valkey: Valkey, schema_name: str, livemode: bool, known: Read) -> int:
    """Bring what is kept of all parties up to what was read; how many parties that are. Raises `Away`."""
    pasts = dict(pasts_of(schema_name, known))
    names = names_of(tenant.handle, livemode)
    own_pasts.refill(valkey, names, schema_name, pasts)
    known.filling.write(valkey)
    valkey.command("SET", names.own_pasts_filled(schema_name), "")
    return len(pasts)


def refill_lost(tenant: Tenant, valkey: Valkey) -> int:
    """Bring back what own models need to know where Valkey has lost it; of how many kinds of transactions. A training
    under way fills it itself. Raises `Away`."""
    policy, filled = get_policies().get(tenant.schema_name, tenant.policy_version), 0
    for entry in policy.own_models:
        names = names_of(tenant.handle, entry.livemode)
        if valkey.command("EXISTS", names.own_pasts_filled(entry.schema)) or _is_trained(tenant, entry):
            continue
        parties = refill(tenant, valkey, entry.schema, entry.livemode, read(tenant, entry.schema, entry.livemode))
        log.warning("what own models of %s know was lost; %d parties filled", tenant.schema_name, parties)
        filled += 1
    return filled


def _is_trained(tenant: Tenant, entry: OwnModels) -> bool:
    with in_tenant(tenant):
        rows = OwnModel.objects.filter(schema=entry.schema, livemode=entry.livemode, state=OwnModel.State.TRAINING)
        return rows.exists()


def pasts_of(schema_name: str, read: Read) -> Iterator[tuple[tuple[str, str], Past]]:
    """(field, hash) of each party with something that still counts, and what is kept of it."""
    decisions = read.decisions
    if not len(decisions.at_ms):
        return
    for place, field in enumerate(parties_of(schema_name)):
        buckets, known = _buckets(decisions, place), _known(decisions, read.transactions, place)
        for party in sorted(buckets.keys() | known.keys()):
            yield (field, key_of(read.names[place][party])), Past(buckets.get(party, b""), known.get(party, b""))


def _buckets(decisions: Decisions, place: int) -> dict[int, bytes]:
    party, bucket = decisions.parties[:, place], decisions.at_ms // BUCKET_MS
    counts = (party >= 0) & (bucket > bucket[-1] - KEPT_BUCKETS)
    keys, inverse = np.unique((party[counts] << 33) + bucket[counts], return_inverse=True)
    found = np.empty(len(keys), _BUCKETS)
    found["bucket"] = keys & (2**33 - 1)
    found["decisions"] = np.bincount(inverse, minlength=len(keys))
    found["hundredths"] = np.bincount(inverse, decisions.hundredths[counts], len(keys))
    return _by_party(keys >> 33, found)


def _known(decisions: Decisions, transactions: np.ndarray, place: int) -> dict[int, bytes]:
    row, since, until = decisions.frauds.T
    party = decisions.parties[row, place]
    counts = (party >= 0) & (until == FOR_GOOD)
    if not counts.any():
        return {}
    counts &= since > since[counts].max() - KEPT_SECONDS
    order = np.lexsort((since[counts], party[counts]))
    found = np.empty(int(counts.sum()), _KNOWN)
    found["transaction"], found["second"] = transactions[counts][order], since[counts][order]
    whole = _by_party(party[counts][order], found)
    return {one: kept[-MOST_KNOWN * _KNOWN.itemsize :] for one, kept in whole.items()}


def _by_party(party: np.ndarray, entries: np.ndarray) -> dict[int, bytes]:
    """Entries in order of their parties, apart."""
    parties, begins = np.unique(party, return_index=True)
    ends = pairwise([*begins.tolist(), len(entries)])
    return {one: entries[begin:end].tobytes() for one, (begin, end) in zip(parties.tolist(), ends, strict=True)}
