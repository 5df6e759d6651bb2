"""The plan of an import: what is carried over and how, what is left out and why. It is the report. Pure."""

import re
from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from apps.scoring.engine.aggregates import Function, Window

Source = Literal["stripe_radar", "amazon_fraud_detector"]
Part = Literal["rule", "list", "item", "variable", "outcome", "label", "event"]
LONGEST_ID = 64


class CarriedRule(msgspec.Struct, frozen=True):
    """A rule as it will stand here, a draft."""

    id: str
    outcome: str
    when: Annotated[str, Meta(description="The condition, in CEL.")]
    description: str
    theirs: Annotated[str, Meta(description="As it was written there.")]
    remarks: Annotated[list[str], Meta(description="What is not quite the same here.")]


class CarriedItem(msgspec.Struct, frozen=True):
    """An item of a list."""

    value: str
    note: str = ""


class CarriedList(msgspec.Struct, frozen=True):
    """A list as it will be called here."""

    name: str
    item_type: str
    theirs: str
    items: list[CarriedItem]
    remarks: list[str]


class CarriedField(msgspec.Struct, frozen=True):
    """A variable or attribute, and the field that tells it here."""

    theirs: str
    ours: str
    remarks: list[str]


class CarriedAggregate(msgspec.Struct, frozen=True):
    """What is to be counted for rules, which ask for it as `aggregates.NAME`."""

    name: str
    by: list[str]
    function: Function
    window: Window
    of: str


class CarriedOutcome(msgspec.Struct, frozen=True):
    """An outcome, and what it is here."""

    theirs: str
    ours: str


class CarriedLabel(msgspec.Struct, frozen=True):
    """What became of a transaction that was decided there."""

    transaction_id: str
    label: Literal["fraud", "legitimate"]
    occurred_at: str | None = None
    known_at: str | None = None


class Left(msgspec.Struct, frozen=True):
    """What could not be carried over."""

    part: Part
    name: str
    theirs: str
    why: str
    at: Annotated[int | None, Meta(description="The character of `theirs` from which on it can't be read.")] = None


class ImportPlan(msgspec.Struct, frozen=True):
    """All of it."""

    source: Source
    schema: str
    rules: list[CarriedRule]
    lists: list[CarriedList]
    fields: list[CarriedField]
    outcomes: list[CarriedOutcome]
    labels: list[CarriedLabel]
    left: list[Left]
    remarks: Annotated[list[str], Meta(description="Of the whole: what works differently here.")]
    aggregates: Annotated[
        list[CarriedAggregate], Meta(description="What is counted for the rules from the import on.")
    ] = []


def rule_id(name: str, taken: Iterable[str]) -> str:
    """An id of ours as near to their name as it may be, and no other rule's."""
    return _free(re.sub(r"[^A-Za-z0-9_.:-]+", "_", name).strip("_") or "rule", set(taken))


def list_name(name: str) -> str:
    """A name a rule can ask a list by."""
    plain = re.sub(r"[^a-z0-9_]+", "_", name.lower()).strip("_")[:LONGEST_ID] or "list"
    return plain if plain[0].isalpha() else f"list_{plain}"[:LONGEST_ID]


def _free(name: str, taken: set[str]) -> str:
    wanted, number = name[:LONGEST_ID], 1
    while wanted in taken:
        number += 1
        wanted = f"{name[: LONGEST_ID - 6]}_{number}"
    return wanted
