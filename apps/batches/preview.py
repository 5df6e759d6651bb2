"""A dry run: how a file's columns are read, and what would be said of its first rows. Nothing is stored or billed."""

from datetime import datetime
from typing import Annotated, Literal, cast

import msgspec
from msgspec import Meta

from apps.batches.headings import Heading, match
from apps.batches.outcomes import ToldProblem, problems_of
from apps.batches.reading import Format, open_source
from apps.batches.rows import read_rows
from apps.batches.sections import section
from apps.batches.services import Received, Wanted
from apps.scoring.engine.block import ACTIONS, LEVELS
from apps.scoring.engine.block_pasts import past_columns
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.policies import get_policies
from apps.scoring.serving.runtime import get_scoring

#: Rows of a dry run.
PREVIEWED = 100


class PreviewedRow(msgspec.Struct, frozen=True):
    """One row's outcome."""

    row: int
    fraud_probability: float | None
    risk_score: int | None
    risk_level: str
    recommended_action: str


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """What a batch of this file would begin like."""

    object: Literal["batch_preview"] = "batch_preview"
    schema: str
    format: Literal["csv", "jsonl", "parquet"]
    columns: Annotated[list[Heading], Meta(description="How the file's columns are read.")]
    missing: Annotated[list[str], Meta(description="Required fields that no column is read as.")]
    rows: Annotated[list[PreviewedRow], Meta(description=f"The first {PREVIEWED} rows, as if they had no past.")]
    problems: Annotated[list[ToldProblem], Meta(description="What is wrong with rows among them.")]
    billed_units: Literal[0] = 0


def preview(received: Received, wanted: Wanted, tenant_schema: str, policy_version: int, now: datetime) -> Preview:
    """The beginning of a received file, scored for nothing. Raises `UnreadableFile`."""
    schema = SCHEMAS[wanted.schema]
    with received.path.open("rb") as whole:
        file = section(whole, received.offset, received.size)
        source = open_source(file, cast(Format, received.format or None))
        rows = next(source.chunks(PREVIEWED))
    headings = match(schema, source.names, wanted.mapping)
    columns, missing = list(headings.columns), list(headings.missing)
    told = Preview(schema=schema.name, format=source.format, columns=columns, missing=missing, rows=[], problems=[])
    if missing:
        return told
    part = read_rows(rows, schema, headings, int(now.timestamp() * 1000))
    nobody = past_columns(schema, [{}] * len(part.block))
    policy = get_policies().get(tenant_schema, policy_version)
    found = get_scoring().engine.decide_block(part.block, nobody, policy, wanted.model or None, explain="none")
    probability = [None] * len(part.block) if found.probability is None else found.probability.tolist()
    score = [None] * len(part.block) if found.risk_score is None else found.risk_score.tolist()
    levels, actions = found.verdicts.level.tolist(), found.verdicts.action.tolist()
    return msgspec.structs.replace(
        told,
        rows=[
            PreviewedRow(place + 1, probability[row], score[row], LEVELS[levels[row]], ACTIONS[actions[row]])
            for row, place in enumerate(part.places.tolist())
        ],
        problems=problems_of(part.problems, 0, len(rows)),
    )
