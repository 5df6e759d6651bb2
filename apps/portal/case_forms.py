"""Forms of review: what a case was, notes, evidence, whom it is given to, queues."""

from collections.abc import Sequence
from typing import Any

import msgspec
from django import forms

from apps.portal.kinds import CHOICES
from apps.review.cases import file_types, queues
from apps.review.cases.criteria import Criteria
from apps.review.cases.work import LONGEST_NOTE
from apps.review.models import Queue
from apps.text import refusal

RESOLUTION_WORDS = {"fraud": "Fraud", "legitimate": "Legitimate", "unsure": "Can't be told"}
ORDER_WORDS = {"money": "Most expected money", "oldest": "Oldest", "amount": "Largest amount", "score": "Likeliest"}


class LinesField(forms.CharField):
    """A text that may have lines, and nothing no store can hold."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=LONGEST_NOTE, widget=forms.Textarea({"rows": 3}), **options)

    def validate(self, value: str) -> None:
        super().validate(value)
        if value and (why := refusal(" ".join(value.split()))):
            raise forms.ValidationError(f"The text {why}.")


class ResolveForm(forms.Form):
    """What a case was."""

    resolution = forms.ChoiceField(choices=tuple(RESOLUTION_WORDS.items()), widget=forms.RadioSelect, label="Verdict")
    note = LinesField(required=False, label="Why")
    amount_lost = forms.FloatField(
        required=False, min_value=0, max_value=1e12, label="Amount lost",
        help_text="In the transaction's currency; may be left out.",
    )  # fmt: skip


class NoteForm(forms.Form):
    """Something to remember."""

    text = LinesField(label="Note", help_text="Card numbers are masked.")


class EvidenceForm(forms.Form):
    """A file."""

    file = forms.FileField(label="A file", help_text=f"{file_types.IN_WORDS}; at most 5 MB.")

    def clean_file(self) -> Any:
        if self.cleaned_data["file"].size > file_types.LARGEST:
            raise forms.ValidationError("The file has more than 5 MB.")
        return self.cleaned_data["file"]


class AssignForm(forms.Form):
    """Whom a case is given to."""

    to = forms.ChoiceField(required=False, label="Assign to")

    def __init__(self, people: Sequence[str], *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["to"].choices = [("", "Anybody"), *((name, name) for name in people)]  # type: ignore[attr-defined]


class QueueForm(forms.Form):
    """A queue; of the default one what it takes is not asked."""

    name = forms.CharField(max_length=60, label="Name")
    rules = forms.CharField(
        required=False,
        max_length=1_000,
        label="Rules",
        help_text="Names of rules, separated by commas: one of them matched.",
    )
    schemas = forms.MultipleChoiceField(
        required=False,
        choices=CHOICES,
        label="Kinds",
        widget=forms.CheckboxSelectMultiple,
    )
    amount_from = forms.FloatField(required=False, min_value=0, max_value=1e15, label="Amount from")
    amount_to = forms.FloatField(required=False, min_value=0, max_value=1e15, label="Amount to")
    probability_from = forms.FloatField(required=False, min_value=0, max_value=1, label="Probability from")
    probability_to = forms.FloatField(required=False, min_value=0, max_value=1, label="Probability to")
    older_than_minutes = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=525_600,
        label="Waiting for minutes",
        help_text="Older cases move to this queue.",
    )
    position = forms.IntegerField(
        min_value=0,
        max_value=1_000,
        initial=1,
        label="Position",
        help_text="A case goes to the first queue that takes it.",
    )
    order = forms.ChoiceField(choices=tuple(ORDER_WORDS.items()), label="Order")
    sla_minutes = forms.IntegerField(
        min_value=queues.LEAST_SLA, max_value=queues.LONGEST_SLA, initial=queues.USUAL_SLA, label="Due after minutes"
    )
    second_review_above = forms.FloatField(
        required=False, min_value=0, max_value=1e15, label="Two people above an amount of",
        help_text="Empty: as in the default queue.",
    )  # fmt: skip

    def __init__(self, *args: Any, queue: Queue | None = None, **options: Any) -> None:
        super().__init__(*args, **options)
        if queue is not None:
            self.initial = _initial(queue)
        if queue is not None and queue.code == queues.DEFAULT:
            for name in (*Criteria.__struct_fields__, "position"):
                del self.fields[name]

    def clean(self) -> dict[str, Any]:
        for name in ("name", "rules"):
            if (said := self.cleaned_data.get(name)) and (why := refusal(said)):
                self.add_error(name, f"The text {why}.")
        return dict(self.cleaned_data)

    def facts(self) -> dict[str, Any]:
        """What is said of a queue, as it is stored."""
        said = dict(self.cleaned_data)
        criteria = {name: said.pop(name) for name in Criteria.__struct_fields__ if name in said}
        if criteria:
            criteria["rules"] = [one.strip() for one in criteria["rules"].split(",") if one.strip()][:50]
            said["criteria"] = {name: value for name, value in criteria.items() if value not in (None, [], "")}
        return said


def _initial(queue: Queue) -> dict[str, Any]:
    criteria = msgspec.structs.asdict(queues.criteria_of(queue))
    own = {name: getattr(queue, name) for name in ("name", "position", "order", "sla_minutes", "second_review_above")}
    return criteria | {"rules": ", ".join(criteria["rules"] or ())} | own
