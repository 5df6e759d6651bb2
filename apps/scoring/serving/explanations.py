"""A stored decision explained: every contribution, and the waterfall. Of the model that decided, by version, its card
is enough: the contributions were stored with the decision.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
from django.conf import settings

from apps.api_keys.gate import Admission, Names
from apps.errors import Problem
from apps.scoring.engine.engine import ENSEMBLE
from apps.scoring.engine.explain import YES_OR_NO, Contribution, Explanation, explanation
from apps.scoring.engine.models import Card, LoadedModel, ModelRefused, read_card
from apps.scoring.engine.own_features import widened
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.engine.transaction import TransactionSchema
from apps.scoring.engine.waterfall import percent, waterfall_svg
from apps.scoring.engine.wording import number
from apps.scoring.models import Decision
from apps.scoring.serving import decision_formats, decisions
from apps.scoring.serving.own_shelf import NAME, get_own_shelf
from apps.scoring.serving.service import Scoring
from apps.scoring.serving.stored_answers import missing


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
        """The amount as the sender gave it: 180,000 USD."""
        schema = SCHEMAS[self.schema]
        amount, currency = self.facts[schema.amount_field], schema.currency(schema.recalled(self.facts))
        return f"Amount {number(amount)} {currency or ''}".rstrip()


def find(scoring: Scoring, names: Names, admission: Admission, decision_id: str) -> Explained:
    """Raises `Problem` (404) when there is no such decision or no model had a part in it."""
    stored = _stored(scoring, names, admission, decision_id)
    card = _explaining(scoring, admission.tenant_schema, stored) if stored.model else None
    return _explained(decision_id, stored, card)


def of_stored(decision: Decision, tenant_schema: str) -> Explained:
    """The same of a recorded decision of a tenant's, where no model is loaded: its card does. Raises `Problem`: 404."""
    stored = _kept(decision, bytes(decision.features), bytes(decision.contributions), decision.facts)
    name, version = _named(stored)
    return _explained(decision.pk, stored, _card_by(tenant_schema, stored, name, version) if name else None)


def _explained(decision_id: str, stored: _Stored, card: Card | None) -> Explained:
    if card is None:
        raise Problem("not_found", f"Decision '{decision_id}' was made without a model: there is nothing to explain.")
    found = explanation(card, stored.features, stored.contributions, stored.facts)
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
    schema = widened(explained.schema) if explained.model == NAME else SCHEMAS[explained.schema]
    items = [(schema.labels[item.feature], _pictured(schema, item), item.contribution) for item in found.items]
    return waterfall_svg(explained.title, found.base_value, found.log_odds, items, explained.subtitle)


def _pictured(schema: TransactionSchema, item: Contribution) -> float | str | None:
    """A value as a picture shows it: yes or no of a flag, a number with its unit."""
    if item.feature in schema.flags and item.value in YES_OR_NO:
        return YES_OR_NO[bool(item.value)]
    return f"{number(item.value)} {item.unit}" if item.unit and isinstance(item.value, float | int) else item.value


def _explaining(scoring: Scoring, tenant_schema: str, stored: _Stored) -> Card:
    """The card of the model whose contributions were stored."""
    name, version = _named(stored)
    active = scoring.engine.models.get(stored.schema, {}).get(name)
    if isinstance(active, LoadedModel) and active.version == version:
        return active.card
    return _card_by(tenant_schema, stored, name, version)


def _card_by(tenant_schema: str, stored: _Stored, name: str, version: str) -> Card:
    """The card of a shared model, or of the tenant's own. Raises `Problem` when it is gone."""
    if name != NAME:
        return _card_of(stored.schema, name, version)
    own = get_own_shelf().get(tenant_schema, version)
    if own is None:
        raise Problem("not_found", f"Your own model {version} is no longer kept.")
    return own.model.card


def _named(stored: _Stored) -> tuple[str, str]:
    """Name and version of the model whose contributions were stored: of an ensemble, the one its version names."""
    if stored.model != ENSEMBLE:
        return stored.model, stored.version
    name, _, version = stored.version.partition("@")
    return name, version


@lru_cache(maxsize=64)
def _card_of(schema: str, name: str, version: str) -> Card:
    """A model's card by version, active or not. Raises `Problem` when it is gone."""
    try:
        return read_card(settings.ARTIFACTS_DIR / schema / name / version)
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
