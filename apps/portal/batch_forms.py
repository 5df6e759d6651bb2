"""Files to be scored, as forms: the file, how it is scored, which column is read as which field."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from django import forms
from django.conf import settings
from django.http import QueryDict

from apps.batches.beginning import Beginning, samples
from apps.batches.models import Batch
from apps.batches.services import MOST_BYTES, Wanted
from apps.notifications.models import WebhookEndpoint
from apps.portal.kinds import CHOICES
from apps.scoring.engine.engine import ENSEMBLE
from apps.scoring.engine.models import active

EXPLAINED = (
    ("flagged", "Rows that are not approved at a low risk"),
    ("all", "All rows (ten times as slow)"),
    ("none", "No row"),
)
HOW = {
    "name": "the field's own name",
    "spelling": "spelled another way",
    "synonym": "a common other word",
    "chosen": "as you chose",
    "none": "not read",
}
#: Before the place of a column in the names of the mapping's fields.
COLUMN = "column_"


class UploadForm(forms.Form):
    """A file, and which kind of transaction it holds."""

    file = forms.FileField(
        label="A file", max_length=200,
        help_text="CSV, JSON Lines or Parquet, plain or in gzip or zstd, up to 1 GB and 10 million rows. Choose it, or "
        "drop it here.",
    )  # fmt: skip
    schema = forms.ChoiceField(label="Kind of transaction", choices=CHOICES)

    def clean_file(self) -> Any:
        file = self.cleaned_data["file"]
        if file.size > MOST_BYTES:
            raise forms.ValidationError("The file has more than 1 GB: send it in parts.")
        return file


class ScoringForm(forms.Form):
    """How a file shall be scored."""

    schema = forms.ChoiceField(label="Kind of transaction", choices=CHOICES)
    model = forms.ChoiceField(label="Model", required=False)
    explain = forms.ChoiceField(label="Reasons for", choices=EXPLAINED)
    callback = forms.ChoiceField(
        label="Webhook", required=False, help_text="Told when it ends, whatever else it asked for."
    )

    def __init__(self, batch: Batch, webhooks: Sequence[WebhookEndpoint], data: Any = None) -> None:
        names = ("schema", "model", "explain", "callback")
        super().__init__(data, initial={name: getattr(batch, name) for name in names})
        self.fields["model"].choices = _models(batch.schema)  # type: ignore[attr-defined]
        self.fields["callback"].choices = [("", "None"), *((one.pk, one.url) for one in webhooks)]  # type: ignore[attr-defined]

    def wanted(self, batch: Batch, mapping: Mapping[str, str]) -> Wanted:
        """What is asked for; another kind has models of its own, and its columns are matched anew."""
        said = self.cleaned_data
        model, kept = (said["model"], mapping) if said["schema"] == batch.schema else ("", {})
        return Wanted(said["schema"], model, said["explain"], said["callback"], kept)


class MappedColumn(NamedTuple):
    """A column of the file as it is drawn: the name of its input, its first values, the field it is read as."""

    input: str
    name: str
    samples: list[str]
    field: str
    how: str


def mapped(found: Beginning, typed: Mapping[str, str] | None = None) -> list[MappedColumn]:
    """The file's columns; `typed`: as they were filled in, where that can't be."""
    values = samples(found.chunk)
    return [
        MappedColumn(
            f"{COLUMN}{place}", one.column, values[place], one.field if typed is None else typed.get(one.column, ""),
            HOW[one.how],
        )
        for place, one in enumerate(found.headings.columns)
    ]  # fmt: skip


def typed_in(form: QueryDict, names: Sequence[str]) -> dict[str, str]:
    """Column → field, of those that are in the form."""
    inputs = {name: form.get(f"{COLUMN}{place}") for place, name in enumerate(names)}
    return {name: said.strip() for name, said in inputs.items() if said is not None}


def chosen(found: Beginning, typed: Mapping[str, str]) -> dict[str, str]:
    """What of a mapping differs from how the columns match by themselves, or was chosen before."""
    alone = {one.column: one.field for one in found.headings.columns if one.how != "chosen"}
    return {name: field for name, field in typed.items() if alone.get(name) != field}


def _models(schema: str) -> list[tuple[str, str]]:
    names = [entry.partition("/")[0] for entry in active(settings.ARTIFACTS_DIR, schema)]
    return [("", "The champion"), (ENSEMBLE, "All of them together"), *((name, name) for name in names)]
