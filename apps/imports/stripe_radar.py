"""From Stripe Radar: the text of its rules, and its lists as its API gives them. Pure."""

from typing import Annotated

import msgspec
from msgspec import Meta

from apps.imports.carrying import Carrying, TheirList, rows_with
from apps.imports.languages import radar_rule, radar_rules
from apps.imports.plan import CarriedItem, ImportPlan
from apps.imports.tree import Unreadable
from apps.imports.velocities import velocities, why_not
from apps.imports.words import RADAR, RADAR_LIST_TYPES, RADAR_OUTCOMES, SCHEMA

REMARKS = (
    "In Radar the first kind of rule that matches decides (3D Secure, allow, block, review). Here every rule is asked "
    "and the weightiest decides: a fatal block before an allow, an allow before a block, a challenge and a review. An "
    "allow passes a payment whatever the model says.",
    "A condition on what was not sent does not hold here, nor does its contrary.",
)


class ValueListItem(msgspec.Struct, frozen=True):
    """An item of a list of Radar's."""

    value: str


class ValueListItems(msgspec.Struct, frozen=True):
    """Its items as the API pages them."""

    data: list[ValueListItem] = []


class ValueList(msgspec.Struct, frozen=True):
    """A list of Radar's, as GET /v1/radar/value_lists gives it, with its items."""

    alias: str
    item_type: str = ""
    list_items: ValueListItems = ValueListItems()
    items: Annotated[list[str], Meta(description="The values alone, instead of list_items.")] = []


class RadarExport(msgspec.Struct, frozen=True):
    """What is brought along from Stripe Radar."""

    rules: Annotated[
        list[str], Meta(description="Rules as their page shows them; an item may have several lines.")
    ] = []
    lists: list[ValueList] = []
    fields: Annotated[dict[str, str], Meta(description="An attribute → the field of yours that tells it.")] = {}


def plan(export: RadarExport) -> ImportPlan:
    """What is carried over of it. Raises `LeftOut` for a mapping to a field that is none."""
    rows = rows_with({**RADAR, **velocities(export.fields)}, export.fields)
    carrying = Carrying(rows, why_not, map(_list, export.lists))
    for number, text in enumerate(radar_rules("\n".join(export.rules)), 1):
        _carry(carrying, number, text)
    return ImportPlan(
        source="stripe_radar",
        schema=SCHEMA,
        rules=carrying.rules,
        lists=carrying.lists(),
        fields=carrying.fields(),
        outcomes=[],
        labels=[],
        left=carrying.left,
        aggregates=carrying.aggregates(),
        remarks=list(REMARKS) if carrying.rules else [],
    )


def _carry(carrying: Carrying, number: int, text: str) -> None:
    """A rule has no name there: it gets its number, and what it does."""
    try:
        rule = radar_rule(text)
    except Unreadable as wrong:
        carrying.leave(f"radar_{number}", text, wrong)
        return
    carrying.rule(f"radar_{number}_{rule.action}", text, RADAR_OUTCOMES[rule.action], lambda: rule.condition)


def _list(one: ValueList) -> TheirList:
    values = [item.value for item in one.list_items.data] + one.items
    return TheirList(one.alias, RADAR_LIST_TYPES.get(one.item_type, ""), tuple(map(CarriedItem, values)))
