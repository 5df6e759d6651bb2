"""From Amazon Fraud Detector: what its get_* calls answer, put side by side in one JSON object. Pure.

`eventTypes` (GetEventTypes), `variables` (GetVariables), `ruleDetails` (GetRules), `outcomes` (GetOutcomes), `labels`
(GetLabels), `lists` (GetListsMetadata, each with its `elements` from GetListElements), `events` (GetEvent), and the
detector's version that is in use (GetDetectorVersion): only its rules are carried over when it is there.

https://docs.aws.amazon.com/frauddetector/latest/api/API_Operations_Amazon_Fraud_Detector.html
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from apps.imports.carrying import Carrying, TheirList, field_of, rows_with
from apps.imports.languages import detector_condition
from apps.imports.plan import CarriedItem, CarriedLabel, CarriedOutcome, ImportPlan, Left
from apps.imports.words import (
    ITEM_TYPES,
    SCHEMA,
    VARIABLE_NAMES,
    VARIABLE_TYPES,
    Label,
    Ours,
    Outcome,
    label_of,
    outcome_of,
    why_not,
)

REMARKS = (
    "A rule there has a place in an order; here every rule is asked and the weightiest decides: an allow before a "
    "block, a block before a challenge and a review. An outcome that approves is an allow here and passes a payment "
    "whatever the model says: keep such rules drafts until you have looked at each.",
    "Scores of their models can't be asked for by rules here: set the policy's thresholds.",
)
#: Of a rule with several outcomes the gravest is carried over.
GRAVEST = ("block", "challenge", "review", "allow", "note")
MODEL_SCORE = "It is the score of a model of theirs: set the policy's thresholds (review_at, block_at) instead."


class Named(msgspec.Struct, frozen=True):
    """An outcome or a label of theirs."""

    name: str
    description: str = ""


class EventType(msgspec.Struct, frozen=True, rename="camel"):
    """What their events are made of."""

    name: str
    event_variables: list[str] = []
    labels: list[str] = []
    entity_types: list[str] = []


class Variable(msgspec.Struct, frozen=True, rename="camel"):
    """A variable of theirs."""

    name: str
    data_type: str = "STRING"
    data_source: str = "EVENT"
    variable_type: str = ""


class RuleDetail(msgspec.Struct, frozen=True, rename="camel"):
    """A rule of theirs."""

    rule_id: str
    expression: str
    outcomes: list[str] = []
    rule_version: str = "1"
    description: str = ""


class ElementList(msgspec.Struct, frozen=True, rename="camel"):
    """A list of theirs."""

    name: str
    variable_type: str = ""
    elements: list[str] = []
    description: str = ""


class RuleVersion(msgspec.Struct, frozen=True, rename="camel"):
    """Which version of a rule a detector uses."""

    rule_id: str
    rule_version: str = "1"


class DetectorVersion(msgspec.Struct, frozen=True, rename="camel"):
    """The rules a detector asks, in their order."""

    rules: list[RuleVersion] = []
    rule_execution_mode: Literal["ALL_MATCHED", "FIRST_MATCHED"] = "FIRST_MATCHED"


class Event(msgspec.Struct, frozen=True, rename="camel"):
    """An event that was stored there, and what became of it."""

    event_id: str
    current_label: str = ""
    event_timestamp: str | None = None
    label_timestamp: str | None = None


class DetectorExport(msgspec.Struct, frozen=True, rename="camel"):
    """What is brought along from Amazon Fraud Detector."""

    event_types: list[EventType] = []
    variables: list[Variable] = []
    rule_details: list[RuleDetail] = []
    outcomes: list[Named] = []
    labels: list[Named] = []
    lists: list[ElementList] = []
    events: list[Event] = []
    detector_version: DetectorVersion | None = None
    fields: Annotated[dict[str, str], Meta(description="A variable → the field of yours that tells it.")] = {}
    outcome_map: Annotated[dict[str, Outcome], Meta(description="An outcome → what it is here.")] = {}
    label_map: Annotated[dict[str, Label], Meta(description="A label → fraud or legitimate.")] = {}


def plan(export: DetectorExport) -> ImportPlan:
    """What is carried over of it. Raises `LeftOut` for a mapping to a field that is none."""
    found = {one.name: ours for one in export.variables if (ours := ours_of(one))}
    rows = rows_with({**VARIABLE_NAMES, **found}, export.fields)
    scores = {one.name for one in export.variables if "SCORE" in one.data_source}
    carrying = Carrying(rows, lambda name: MODEL_SCORE if name in scores else why_not(name), map(_list, export.lists))
    for rule in _in_use(export):
        _carry(carrying, export, rule)
    labels, left = _labels(export)
    return ImportPlan(
        source="amazon_fraud_detector",
        schema=SCHEMA,
        rules=carrying.rules,
        lists=carrying.lists(),
        fields=[field_of(one.name, rows[one.name]) for one in export.variables if one.name in rows],
        outcomes=list(_outcomes(export)),
        labels=labels,
        left=[*carrying.left, *_left(export, rows, scores), *left],
        remarks=list(REMARKS) if carrying.rules else [],
    )


def ours_of(variable: Variable) -> Ours | None:
    """What tells a variable here, by its type, else by its name; None where nothing does."""
    return VARIABLE_TYPES.get(variable.variable_type) or VARIABLE_NAMES.get(variable.name.lower())


def _in_use(export: DetectorExport) -> Iterator[RuleDetail]:
    """The rules of the detector's version, in its order; without one the newest version of each."""
    newest: dict[str, RuleDetail] = {}
    versions: dict[tuple[str, str], RuleDetail] = {}
    for rule in export.rule_details:
        versions[rule.rule_id, rule.rule_version] = rule
        if rule.rule_id not in newest or _number(rule) > _number(newest[rule.rule_id]):
            newest[rule.rule_id] = rule
    if export.detector_version is None:
        yield from newest.values()
        return
    for used in export.detector_version.rules:
        found = versions.get((used.rule_id, used.rule_version)) or newest.get(used.rule_id)
        if found is not None:
            yield found


def _number(rule: RuleDetail) -> float:
    return float(rule.rule_version) if rule.rule_version.isdecimal() else 0.0


def _carry(carrying: Carrying, export: DetectorExport, rule: RuleDetail) -> None:
    meant = {_outcome(export, name) for name in rule.outcomes}
    outcome = next((one for one in GRAVEST if one in meant), "note")
    carrying.rule(rule.rule_id, rule.expression, outcome, lambda: detector_condition(rule.expression), rule.description)


def _outcomes(export: DetectorExport) -> Iterator[CarriedOutcome]:
    for one in export.outcomes:
        if outcome := _outcome(export, one.name):
            yield CarriedOutcome(one.name, outcome)


def _outcome(export: DetectorExport, name: str) -> Outcome | None:
    return export.outcome_map.get(name) or outcome_of(name)


def _labels(export: DetectorExport) -> tuple[list[CarriedLabel], list[Left]]:
    """What became of the events, in our words; and the labels whose words say nothing."""
    meant = {name: export.label_map.get(name) or label_of(name) for name in _label_names(export)}
    told = [
        CarriedLabel(event.event_id, label, event.event_timestamp, event.label_timestamp)
        for event in export.events
        if (label := meant.get(event.current_label))
    ]
    why = "Its name does not say whether it is fraud: say so (`labelMap`)."
    return told, [Left("label", name, name, why) for name, label in meant.items() if label is None]


def _label_names(export: DetectorExport) -> list[str]:
    named = [one.name for one in export.labels] + [name for one in export.event_types for name in one.labels]
    return list(dict.fromkeys(name for name in named + [one.current_label for one in export.events] if name))


def _left(export: DetectorExport, rows: Mapping[str, Ours], scores: set[str]) -> Iterator[Left]:
    """Variables that nothing tells here, and outcomes whose names say nothing."""
    known = {one.name for one in export.variables}
    asked = (name for one in export.event_types for name in one.event_variables if name not in known)
    for name in [*dict.fromkeys(asked), *(one.name for one in export.variables)]:
        if name not in rows:
            yield Left("variable", name, name, MODEL_SCORE if name in scores else "No field here tells it (`fields`).")
    for one in export.outcomes:
        if _outcome(export, one.name) is None:
            why = "Its name does not say what it asks for: its rules are notes (`outcomeMap`)."
            yield Left("outcome", one.name, one.description or one.name, why)


def _list(one: ElementList) -> TheirList:
    ours = VARIABLE_TYPES.get(one.variable_type)
    return TheirList(one.name, ITEM_TYPES.get(ours.name, "text") if ours else "", tuple(map(CarriedItem, one.elements)))
