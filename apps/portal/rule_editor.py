"""The form a rule is written in, and what is said of it: as text, with errors where they stand. Pure."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from django import forms

from apps.portal.rule_words import OUTCOMES
from apps.scoring.engine.aggregates import Aggregate
from apps.scoring.engine.expressions.lowering import CLOCKS, FUNCTIONS, TEXT_TESTS
from apps.scoring.engine.expressions.tokens import LONGEST
from apps.scoring.engine.rule_fields import names_of
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.engine.when_check import Problem

_TEXT = {"rows": 5, "spellcheck": "false", "autocomplete": "off", "aria-autocomplete": "list",
         "aria-controls": "completions", "class": "expression"}  # fmt: skip
#: What each state means, where a rule is in it.
STATES = {
    "draft": "Kept, not asked.",
    "shadow": "Asked and counted, never told; it decides nothing.",
    "live": "It decides.",
    "retired": "Out of use, kept with its history.",
}


class RuleText(forms.Form):
    """A rule, but for its state."""

    id = forms.RegexField(
        r"^[A-Za-z0-9_.:-]{1,64}\Z", label="Name", help_text="Letters, digits and _ . : - such as large_abroad.",
        error_messages={"invalid": "Letters, digits and _ . : - only, 64 at most."},
    )  # fmt: skip
    outcome = forms.ChoiceField(choices=OUTCOMES, label="Outcome")
    schema = forms.ChoiceField(required=False, label="Kind of transaction")
    when = forms.CharField(max_length=LONGEST, label="Condition", widget=forms.Textarea(attrs=_TEXT))
    description = forms.CharField(required=False, max_length=200, label="Reason shown when it decides")
    reason_code = forms.CharField(
        required=False, max_length=200, label="Reason code", help_text="Empty: the rule's name."
    )
    reason = forms.CharField(
        required=False, max_length=500, label="Reason for the change", help_text="Shown in its history."
    )

    def __init__(self, *args: Any, is_new: bool, kinds: Mapping[str, str], **more: Any) -> None:
        super().__init__(*args, **more)
        choices = [("", "All kinds that have these fields"), *kinds.items()]
        self.fields["schema"].choices = choices  # type: ignore[attr-defined]
        if not is_new:
            del self.fields["id"]

    def clean_when(self) -> str:
        """The condition on one line, as policies keep it."""
        text = self.cleaned_data["when"]
        if "//" in text and len(text.splitlines()) > 1:
            raise forms.ValidationError("It is kept on one line: leave comments (//) out.")
        return " ".join(text.split("\n")).replace("\r", " ").strip()

    def said(self) -> dict[str, Any]:
        """The rule's members."""
        return {name: value for name, value in self.cleaned_data.items() if name != "reason"}


class Rollout(forms.Form):
    """A step of a rule's life."""

    state = forms.ChoiceField(choices=[(name, name) for name in STATES], label="State")
    share = forms.IntegerField(
        min_value=1, max_value=100, label="Share in percent", help_text="Of parties, when live: always the same ones."
    )
    why = forms.CharField(required=False, max_length=500, label="Reason", help_text="Shown in its history.")


class Wrong(NamedTuple):
    """What is wrong with a condition, the line it stands in, and what is left of the place in it."""

    said: str
    line: str
    before: str
    offset: int


def wrong_of(problem: Problem, text: str) -> Wrong:
    """A problem as it is shown."""
    meant = f" Did you mean {' or '.join(problem.meant)}?" if problem.meant else ""
    lines = text.splitlines() or [""]
    line = lines[min(problem.place.line, len(lines)) - 1]
    said = f"Line {problem.place.line}, column {problem.place.column}: {problem.said}{meant}"
    return Wrong(said, line, " " * min(problem.place.column - 1, len(line)), problem.place.offset)


def completions(aggregates: tuple[Aggregate, ...] = ()) -> dict[str, list[str]]:
    """Kind of transaction → every name and function an expression may use; under "" those of any kind."""
    functions = [f"{name}(" for name in (*FUNCTIONS, *TEXT_TESTS, *CLOCKS)]
    found = {name: sorted(names_of(schema, aggregates)) for name, schema in SCHEMAS.items()}
    every = sorted(frozenset[str]().union(*found.values()))
    return {name: [*names, *functions] for name, names in {**found, "": every}.items()}
