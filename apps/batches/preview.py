"""A dry run: how a file's columns are read, and what would be said of its first rows. Nothing is stored or billed."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal

import msgspec
import numpy as np
from msgspec import Meta

from apps.batches.beginning import PREVIEWED, begin
from apps.batches.headings import Heading
from apps.batches.outcomes import ToldProblem
from apps.batches.rows import Rows
from apps.batches.services import Received, Wanted
from apps.scoring.engine.block import ACTIONS, LEVELS
from apps.scoring.engine.block_pasts import past_columns
from apps.scoring.engine.decide import Policy
from apps.scoring.engine.list_checks import ListCheck
from apps.scoring.lists.blocks import known_of_block
from apps.scoring.policies import get_policies
from apps.scoring.serving.runtime import get_scoring


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


def preview(
    received: Received, wanted: Wanted, tenant_schema: str, livemode: bool, policy_version: int, now: datetime
) -> Preview:
    """The beginning of a received file, scored for nothing. Raises `UnreadableFile`."""
    with received.path.open("rb") as file:
        place = (received.offset, received.size, received.format)
        found = begin(file, *place, wanted.schema, wanted.mapping, now)
    policy = get_policies().get(tenant_schema, policy_version)
    block = None if found.rows is None else found.rows.block
    lists = {} if block is None else known_of_block(tenant_schema, livemode, policy, block, now)
    return Preview(
        schema=wanted.schema,
        format=found.chunk.format,
        columns=list(found.headings.columns),
        missing=list(found.headings.missing),
        rows=[] if found.rows is None else _decided(found.rows, wanted.model, policy, lists),
        problems=found.problems,
    )


def _decided(part: Rows, model: str, policy: Policy, lists: Mapping[ListCheck, np.ndarray]) -> list[PreviewedRow]:
    """What rows would be told, as if they had no past."""
    nobody = past_columns(part.block.schema, [{}] * len(part.block))
    engine = get_scoring().engine
    found = engine.decide_block(part.block, nobody, policy, model or None, explain="none", known_lists=lists)
    probability = [None] * len(part.block) if found.probability is None else found.probability.tolist()
    score = [None] * len(part.block) if found.risk_score is None else found.risk_score.tolist()
    levels, actions = found.verdicts.level.tolist(), found.verdicts.action.tolist()
    return [
        PreviewedRow(place + 1, probability[row], score[row], LEVELS[levels[row]], ACTIONS[actions[row]])
        for row, place in enumerate(part.places.tolist())
    ]
