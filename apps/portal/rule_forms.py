"""Rules of one's own as forms, in up to three conditions, and in words. Pure."""

import re
from collections.abc import Mapping
from typing import Any

from django import forms

from apps.scoring.engine.rule_fields import fields_of
from apps.scoring.engine.rules import Condition
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
        shown = ", ".join(map(in_figures, value[:5])) + (f" and {len(value) - 5} more" if len(value) > 5 else "")
    else:
        shown = in_figures(value)
    return f"{condition.field} {COMPARISONS[condition.op]} {shown}"


def in_figures(value: Any) -> str:
    """A condition's value as people write it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,.10g}" if isinstance(value, float | int) else str(value)
