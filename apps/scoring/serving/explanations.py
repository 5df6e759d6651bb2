"""A stored decision explained: every contribution, and the waterfall. The model is the one that decided, by version."""

from functools import lru_cache
from typing import NamedTuple

from django.conf import settings

from apps.api_keys.gate import Admission, Names
from apps.errors import Problem
from apps.scoring.engine.engine import ENSEMBLE
from apps.scoring.engine.explain import Explanation, explanation
from apps.scoring.engine.models import LoadedModel, ModelRefused, load_model
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.engine.waterfall import waterfall_svg
from apps.scoring.serving import decision_formats, decisions
from apps.scoring.serving.service import Scoring, missing


class Explained(NamedTuple):
    """A decision's id and model, and what each feature added."""

    decision_id: str
    transaction_id: str
    schema: str
    model: str
    version: str
    explanation: Explanation


class _Stored(NamedTuple):
    """What is kept of a decision to explain it."""

    transaction_id: str
    schema: str
    model: str
    version: str
    features: bytes
    contributions: bytes


def find(scoring: Scoring, names: Names, admission: Admission, decision_id: str) -> Explained:
    """Raises `Problem` (404) when there is no such decision or no model had a part in it."""
    stored = _stored(scoring, names, admission, decision_id)
    if not stored.model:
        raise Problem("not_found", f"Decision '{decision_id}' was made without a model: there is nothing to explain.")
    model = _explaining(scoring, stored)
    found = explanation(model, stored.features, stored.contributions)
    return Explained(decision_id, stored.transaction_id, stored.schema, stored.model, stored.version, found)


def drawn(explained: Explained) -> str:
    """The explanation as a SHAP waterfall, SVG."""
    found = explained.explanation
    labels = SCHEMAS[explained.schema].labels
    items = [(labels[item.feature], item.value, item.contribution) for item in found.items]
    return waterfall_svg(f"Decision {explained.decision_id}", found.base_value, found.log_odds, items)


def _explaining(scoring: Scoring, stored: _Stored) -> LoadedModel:
    """The model whose contributions were stored: of an ensemble, the one its version names."""
    name, version = stored.model, stored.version
    if name == ENSEMBLE:
        name, _, version = version.partition("@")
    active = scoring.engine.models.get(stored.schema, {}).get(name)
    if isinstance(active, LoadedModel) and active.version == version:
        return active
    return model_of(stored.schema, name, version)


@lru_cache(maxsize=16)
def model_of(schema: str, name: str, version: str) -> LoadedModel:
    """A model by version, active or not. Raises `Problem` when its files are gone or refused."""
    try:
        return load_model(settings.ARTIFACTS_DIR / schema / name / version)
    except (ModelRefused, OSError) as refusal:
        raise Problem("not_found", f"The model {name}@{version} is no longer kept.") from refusal


def _stored(scoring: Scoring, names: Names, admission: Admission, decision_id: str) -> _Stored:
    entry, valkey_away = scoring.on_its_way(names, decision_id)
    if entry is not None:
        one = decision_formats.unpack(entry.record)
        return _Stored(
            one.transaction_id, one.schema, one.model_name, one.model_version, one.features, one.contributions
        )
    row = decisions.find(admission.tenant_schema, names.livemode, decision_id)
    if row is None:
        raise missing(decision_id, valkey_away=valkey_away)
    vectors = bytes(row.features), bytes(row.contributions)
    return _Stored(row.transaction_id, row.schema, row.model_name, row.model_version, *vectors)
