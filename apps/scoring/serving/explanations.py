"""A stored decision explained: every contribution, and the waterfall. The model is the one that decided, by version."""

from collections.abc import Mapping
from functools import lru_cache
from types import SimpleNamespace
from typing import Any, NamedTuple

import msgspec
from django.conf import settings

from apps.api_keys.gate import Admission, Names
from apps.errors import Problem
from apps.scoring.engine.engine import ENSEMBLE
from apps.scoring.engine.explain import Explanation, explanation
from apps.scoring.engine.models import LoadedModel, ModelRefused, load_model
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.engine.waterfall import percent, waterfall_svg
from apps.scoring.engine.wording import number
from apps.scoring.serving import decision_formats, decisions
from apps.scoring.serving.service import Scoring
from apps.scoring.serving.stored_answers import missing

#: Where schemas have a currency.
CURRENCY_FIELDS = ("currency", "Transaction_Currency")


class Explained(NamedTuple):
    """A decision's id and model, and what each feature added."""

    decision_id: str
    transaction_id: str
    schema: str
    model: str
    version: str
    explanation: Explanation
    title: str
    subtitle: str


class _Stored(NamedTuple):
    """What is kept of a decision to explain it."""

    transaction_id: str
    schema: str
    model: str
    version: str
    features: bytes
    contributions: bytes
    fraud_probability: float | None
    risk_level: str
    recommended_action: str
    facts: Mapping[str, Any]

    @property
    def title(self) -> str:
        """What was decided: 99.9 % fraud, critical: block."""
        probability = "" if self.fraud_probability is None else f"Fraud {percent(self.fraud_probability)}, "
        return f"{probability}{self.risk_level}: {self.recommended_action}"

    @property
    def amount(self) -> str:
        """What it was about, as the sender told it: 180,000 USD."""
        schema = SCHEMAS[self.schema]
        transaction = SimpleNamespace(**{**dict.fromkeys(schema.fields), **self.facts})
        currency = next((self.facts[name] for name in CURRENCY_FIELDS if self.facts.get(name)), "")
        return f"Amount {number(schema.amount(transaction))} {currency}".rstrip()


def find(scoring: Scoring, names: Names, admission: Admission, decision_id: str) -> Explained:
    """Raises `Problem` (404) when there is no such decision or no model had a part in it."""
    stored = _stored(scoring, names, admission, decision_id)
    if not stored.model:
        raise Problem("not_found", f"Decision '{decision_id}' was made without a model: there is nothing to explain.")
    model = _explaining(scoring, stored)
    found = explanation(model, stored.features, stored.contributions)
    return Explained(
        decision_id=decision_id,
        transaction_id=stored.transaction_id,
        schema=stored.schema,
        model=stored.model,
        version=stored.version,
        explanation=found,
        title=stored.title,
        subtitle=f"{stored.amount}, {decision_id}",
    )


def drawn(explained: Explained) -> str:
    """The explanation as a SHAP waterfall, SVG."""
    found = explained.explanation
    labels = SCHEMAS[explained.schema].labels
    items = [(labels[item.feature], item.value, item.contribution) for item in found.items]
    return waterfall_svg(explained.title, found.base_value, found.log_odds, items, explained.subtitle)


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
    entry, valkey_away = scoring.answers.on_its_way(names, decision_id)
    if entry is not None:
        record = decision_formats.unpack(entry.record)
        return _kept(record, record.features, record.contributions, msgspec.json.decode(record.facts))
    row = decisions.find(admission.tenant_schema, names.livemode, decision_id)
    if row is None:
        raise missing(decision_id, valkey_away=valkey_away)
    return _kept(row, bytes(row.features), bytes(row.contributions), row.facts)


def _kept(decision: Any, features: bytes, contributions: bytes, facts: Mapping[str, Any]) -> _Stored:
    """Of a journaled or a recorded decision: their fields have the same names."""
    return _Stored(
        transaction_id=decision.transaction_id,
        schema=decision.schema,
        model=decision.model_name,
        version=decision.model_version,
        features=features,
        contributions=contributions,
        fraud_probability=decision.fraud_probability,
        risk_level=decision.risk_level,
        recommended_action=decision.recommended_action,
        facts=facts,
    )
