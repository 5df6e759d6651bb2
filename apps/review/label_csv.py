"""Labels as CSV: a header that names the columns, a label a line. Pure; a request's body and a batch's file are read by
it alike."""

import csv
from collections.abc import Iterable, Iterator, Mapping

from apps.review.given import FIELDS

#: Spellings of a column, beside its own name.
SYNONYMS: Mapping[str, str] = {
    "decision": "decision_id",
    "transaction": "transaction_id",
    "is_fraud": "label",
    "outcome": "label",
    "lost": "amount_lost",
    "loss": "amount_lost",
    "date": "occurred_at",
}
#: Spellings of a label.
LABELS: Mapping[str, str] = {
    **dict.fromkeys(("fraud", "1", "true", "yes"), "fraud"),
    **dict.fromkeys(("legitimate", "legit", "0", "false", "no"), "legitimate"),
}


class UnreadableCsv(ValueError):
    """The file is no CSV of labels; the message says why."""


def read(lines: Iterable[str]) -> Iterator[dict[str, object]]:
    """Each line as the members of a label, empty cells left out. Raises `UnreadableCsv`."""
    try:
        rows = csv.reader(lines, strict=True)
        columns = _columns(next(rows, []))
        for row in rows:
            if any(row):
                yield _members(columns, row)
    except csv.Error as wrong:
        raise UnreadableCsv(f"The file is no CSV: {wrong}.") from wrong


def _columns(header: list[str]) -> list[str]:
    """The header's columns by their own names. Raises `UnreadableCsv`."""
    named = [cell.strip("\ufeff \t").lower().replace(" ", "_") for cell in header]
    columns = [SYNONYMS.get(name, name) for name in named]
    if not columns or not {"label", "source"} <= set(columns):
        raise UnreadableCsv(f"The first line names the columns: label, source and some of {', '.join(FIELDS)}.")
    if len(set(columns)) < len(columns):
        raise UnreadableCsv("A column stands there twice.")
    return columns


def _members(columns: list[str], row: list[str]) -> dict[str, object]:
    """A line's cells as JSON would say them; more cells than columns are told as a column without a name."""
    named: dict[str, object] = {
        column: cell.strip() for column, cell in zip(columns, row, strict=False) if cell.strip()
    }
    if len(row) > len(columns):
        named[""] = row[len(columns)]
    if "label" in named:
        named["label"] = LABELS.get(str(named["label"]).lower(), named["label"])
    if "amount_lost" in named:
        named["amount_lost"] = _number(str(named["amount_lost"]))
    return named


def _number(cell: str) -> object:
    """The cell as a number where it is one."""
    try:
        return float(cell.replace(",", "")) if cell.count(".") < 2 else cell
    except ValueError:
        return cell
