"""The shelf of tenants' own models in a serving process: loaded from Postgres by the policy's word, kept while they are
asked for, the longest unasked put away first.

A file is sealed in its tenant's own schema, its hash checked before anything of it is read; a model that can't be
loaded is refused once, and the shared champion goes on deciding.
"""

import base64
import logging
import zlib
from collections import OrderedDict
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from threading import Lock

import msgspec

from apps.accounts.tenancy import POSTGRES_AWAY, in_tenant
from apps.scoring.engine.models import LoadedModel, ModelRefused, load_files
from apps.scoring.engine.own import OwnModel
from apps.scoring.models import OwnModelFiles

log = logging.getLogger(__name__)

#: Models a process keeps: some megabytes each.
KEPT = 32
#: An own model's name, where the shared ones have their family's.
NAME = "own"


class OwnShelf:
    """The own models this process has met."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str], OwnModel | None] = OrderedDict()
        self._lock = Lock()

    def get(self, tenant_schema: str, model_id: str) -> OwnModel | None:
        """The model; a query only when it is new here. None when it was refused, as the log says."""
        key = (tenant_schema, model_id)
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
        try:
            found = _load(tenant_schema, model_id)
        except POSTGRES_AWAY:  # asked again when it is back
            return None
        with self._lock:
            self._known[key] = found
            while len(self._known) > KEPT:
                self._known.popitem(last=False)
        return found

    def forget(self) -> None:
        """Forget every model met."""
        with self._lock:
            self._known.clear()


@cache
def get_own_shelf() -> OwnShelf:
    """The process's shelf."""
    return OwnShelf()


def sealed(files: Mapping[str, bytes]) -> tuple[str, str]:
    """An artifact as it is kept, to be sealed by its column, and its SHA-256."""
    content = base64.b64encode(zlib.compress(msgspec.msgpack.encode(dict(files)))).decode()
    return content, sha256(content.encode()).hexdigest()


def opened(content: str, digest: str) -> dict[str, bytes]:
    """The files of an artifact. Raises `ModelRefused` when it is not the one that was kept."""
    if sha256(content.encode()).hexdigest() != digest:
        raise ModelRefused("the artifact is not the one that was trained")
    return msgspec.msgpack.decode(zlib.decompress(base64.b64decode(content)), type=dict[str, bytes])


def load(tenant_schema: str, model_id: str) -> LoadedModel:
    """A tenant's own model. Raises `ModelRefused` when it is gone, or not what its card vouches for."""
    with in_tenant(tenant_schema):
        row = OwnModelFiles.objects.filter(pk=model_id).first()
    if row is None:
        raise ModelRefused("its files are gone")
    model = load_files(opened(row.content, row.sha256))
    if model.card.own is None or model.version != model_id:
        raise ModelRefused("the artifact is another model's")
    return model


def _load(tenant_schema: str, model_id: str) -> OwnModel | None:
    try:
        return OwnModel(model_id, load(tenant_schema, model_id))
    except ModelRefused as refused:
        log.error("own model %s of %s is refused: %s", model_id, tenant_schema, refused)
        return None
