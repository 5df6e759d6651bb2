"""Rules as forms: a rule of one's own in up to three conditions, a built-in rule tuned; and both in words. Pure."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from django import forms

from apps.scoring.engine.decide import Policy
from apps.scoring.engine.rule_check import fields_of
from apps.scoring.engine.rules import BuiltIn, Condition, Tuning
from apps.scoring.engine.schemas import SCHEMAS

CONDITIONS = 3
OUTCOMES = (
    ("review", "Review"),
    ("challenge", "Challenge"),
    ("block", "Block"),
    ("allow", "Approve"),
    ("note", "Only note it"),
    ("fatal_block", "Block, whatever else holds"),
)
COMPARISONS = {
    "ge": "is at least", "gt": "is more than", "le": "is at most", "lt": "is less than", "eq": "is", "ne": "is not",
    "in": "is one of", "not_in": "is none of",
}  # fmt: skip
LISTS = ("in", "not_in")
#: What a tenant may make of a built-in rule.
TUNINGS = (
    ("", "As it is"),
    ("note", "Only note it"),
    ("review", "Review"),
    ("challenge", "Challenge"),
    ("block", "Block"),
    ("off", "Off"),
)
_PLACE = re.compile(r"rules\[\d+\](?:\.all\[(\d+)\])?(?:\.(\w+))?[^:]*: ")
_NUMBERS = ("a number", "a whole number")


class RuleForm(forms.Form):
    """A rule of one's own: it hits when all its conditions hold."""

    id = forms.RegexField(
        r"^[A-Za-z0-9_.:-]{1,64}\Z", label="Name", help_text="Letters, digits and _ . : - such as night_abroad.",
        error_messages={"invalid": "Letters, digits and _ . : - only, 64 at most."},
    )  # fmt: skip
    outcome = forms.ChoiceField(choices=OUTCOMES, label="When it hits")
    schema = forms.ChoiceField(required=False, label="For")
    description = forms.CharField(required=False, max_length=200, label="Why you have it")

    def __init__(self, data: Any = None, kinds: Mapping[str, str] | None = None) -> None:
        super().__init__(data)
        choices = [("", "Every kind that has the fields"), *(kinds or {}).items()]
        self.fields["schema"].choices = choices  # type: ignore[attr-defined]
        for number in range(CONDITIONS):
            first = number == 0
            attributes = {"list": "rule-fields", "autocomplete": "off", "aria-label": f"Field {number + 1}"}
            self.fields[f"field_{number}"] = forms.CharField(
                required=first, max_length=64, label="Field", widget=forms.TextInput(attrs=attributes)
            )
            self.fields[f"op_{number}"] = forms.ChoiceField(
                required=first, choices=list(COMPARISONS.items()), label="Comparison",
                widget=forms.Select(attrs={"aria-label": f"Comparison {number + 1}"}),
            )  # fmt: skip
            self.fields[f"value_{number}"] = forms.CharField(
                required=first, max_length=500, label="Value",
                widget=forms.TextInput(attrs={"aria-label": f"Value {number + 1}"}),
            )  # fmt: skip

    def rows(self) -> list[tuple[Any, Any, Any]]:
        """The fields of each condition."""
        return [(self[f"field_{n}"], self[f"op_{n}"], self[f"value_{n}"]) for n in range(CONDITIONS)]

    def plain(self) -> list[Any]:
        """The fields beside them."""
        return [self[name] for name in ("id", "outcome", "schema", "description")]

    def rule(self) -> dict[str, Any]:
        """As the policy has it."""
        said = self.cleaned_data
        conditions = [
            {"field": said[f"field_{n}"], "op": said[f"op_{n}"], "value": value_of(said, n)}
            for n in range(CONDITIONS)
            if said[f"field_{n}"]
        ]
        return {name: said[name] for name in ("id", "outcome", "schema", "description")} | {"all": conditions}

    def tell(self, wrong: str) -> None:
        """Say at its field what `InvalidPolicy` says of the rule."""
        found = _PLACE.match(wrong)
        condition, member = found.groups() if found else (None, None)
        name = f"{member or 'field'}_{condition}" if condition is not None else member
        said = wrong[found.end() :] if found else wrong
        self.add_error(name if name in self.fields else None, said[:1].upper() + said[1:])


def value_of(said: Mapping[str, str], number: int) -> Any:
    """A condition's value as its field has it: numbers and flags without quotes; what can't be read as it was typed."""
    kinds = {fields_of(schema)[field].kind for schema in SCHEMAS.values() for field in fields_of(schema)
             if field == said[f"field_{number}"]}  # fmt: skip
    text = said[f"value_{number}"].strip()
    if said[f"op_{number}"] in LISTS:
        return [_read(one.strip(), kinds) for one in text.split(",") if one.strip()]
    return _read(text, kinds)


def _read(text: str, kinds: set[Any]) -> Any:
    if "true or false" in kinds and text.lower() in ("true", "false", "yes", "no"):
        return text.lower() in ("true", "yes")
    if kinds.intersection(_NUMBERS):
        try:
            return float(text)
        except ValueError:
            return text
    return text


def in_words(condition: Condition) -> str:
    """A condition as people say it: amount is at least 5,000."""
    value = condition.other if condition.other else condition.value
    if isinstance(value, tuple):
        shown = ", ".join(map(_said, value[:5])) + (f" and {len(value) - 5} more" if len(value) > 5 else "")
    else:
        shown = _said(value)
    return f"{condition.field} {COMPARISONS[condition.op]} {shown}"


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,.10g}" if isinstance(value, float | int) else str(value)


class BuiltInRule(NamedTuple):
    """A rule everybody has, and what the policy makes of it."""

    schema: str
    rule: BuiltIn
    tuned: str
    asks: str


def built_in_rules(policy: Policy) -> Iterator[BuiltInRule]:
    """Every built-in rule of every kind."""
    for name, schema in SCHEMAS.items():
        for rule in schema.rules:
            tuning = tuning_of(policy, name, rule.id)
            outcome = (tuning.outcome if tuning else None) or ""
            yield BuiltInRule(name, rule, outcome, outcome or rule.outcome)


def tuning_of(policy: Policy, schema: str, rule_id: str) -> Tuning | None:
    """What the policy says of a rule of one kind: for it alone, else for all kinds."""
    meant = [one for one in policy.built_in if one.id == rule_id and one.schema in ("", schema)]
    return max(meant, key=lambda one: bool(one.schema), default=None)


def retuned(policy: Policy, schema: str, rule_id: str, outcome: str | None) -> list[dict[str, Any]]:
    """The policy's tunings with another outcome of one rule of one kind; limits stay as they are."""
    spread = [
        (name, one)
        for one in policy.built_in
        for name in ([one.schema] if one.schema or one.id != rule_id else _kinds_with(rule_id))
    ]
    rows = {(one.id, name): {"id": one.id, "schema": name, "outcome": one.outcome, "limits": one.limits}
            for name, one in spread}  # fmt: skip
    row = rows.setdefault((rule_id, schema), {"id": rule_id, "schema": schema, "limits": {}})
    row["outcome"] = outcome
    return [one for one in rows.values() if one["outcome"] or one["limits"]]


def _kinds_with(rule_id: str) -> list[str]:
    return [name for name, schema in SCHEMAS.items() if any(rule.id == rule_id for rule in schema.rules)]
