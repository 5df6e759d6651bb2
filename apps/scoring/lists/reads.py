"""Reading lists: those there are, what is in one, and what was in it when.

`members_at` answers for any past moment what the hot path would have been told then; simulation, replay and blocks of
many rows ask it.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Q, QuerySet

from apps import text
from apps.accounts.tenancy import in_tenant
from apps.scoring.lists.tokens import tokens_in
from apps.scoring.models import ListItem, ValueList

ITEM = "itm_"
Span = tuple[datetime, datetime | None]
#: Tokens asked for in one query.
AT_ONCE = 20_000
#: When an item was in the list: from, and until it was removed or expired, whichever was first.
_SPANS = """
SELECT token, added_at, least(removed_at, expires_at) FROM scoring_listitem
 WHERE list_id = %(list)s AND token = ANY(%(tokens)s)
"""


def lists(livemode: bool) -> QuerySet[ValueList]:
    """The lists of a mode; to be asked within their tenant."""
    return ValueList.objects.filter(livemode=livemode, deleted_at=None)


def find(tenant_schema: str, livemode: bool, name: str) -> ValueList | None:
    """A list by its name; there is none of a name that no store can hold."""
    if text.unstorable(name):
        return None
    with in_tenant(tenant_schema):
        return lists(livemode).filter(name=name).first()


def types_of(tenant_schema: str) -> dict[str, str]:
    """Name → item type of every list of either mode: those a rule may ask for."""
    with in_tenant(tenant_schema):
        return dict(ValueList.objects.filter(deleted_at=None).values_list("name", "item_type"))


def items(row: ValueList, now: datetime) -> QuerySet[ListItem]:
    """What is in force in a list; to be asked within its tenant."""
    in_time = Q(expires_at=None) | Q(expires_at__gt=now)
    return ListItem.objects.filter(in_time, list=row, removed_at=None)


def holding(row: ValueList, value: str, now: datetime) -> QuerySet[ListItem]:
    """The items by which a value is in the list: of an address the networks it lies in, too."""
    return items(row, now).filter(token__in=tokens_of(row, value))


def item(row: ValueList, item_id: str, now: datetime) -> ListItem | None:
    """An item in force by its id."""
    number = item_id.removeprefix(ITEM)
    return items(row, now).filter(pk=int(number)).first() if number.isdecimal() and len(number) < 19 else None


def id_of(item: ListItem) -> str:
    return f"{ITEM}{item.pk}"


def tokens_of(row: ValueList, value: Any) -> tuple[bytes, ...]:
    """The tokens by which a value may be in a list."""
    return tokens_in(row.item_type, value, row.prefixes.split())


def members_at(
    tenant_schema: str, livemode: bool, name: str, values: Sequence[Any], at: datetime | Sequence[datetime]
) -> list[bool | None]:
    """Whether each value was in the list of that name at its time; None where there was no such list then.

    `values` as transactions hold them (None: not sent, in no list), or `tokens.HiddenValue` for what is masked; `at`:
    one time for all, or one each. Some queries a list and 20,000 values.
    """
    times = [at] * len(values) if isinstance(at, datetime) else at
    found: list[bool | None] = [None] * len(values)
    with in_tenant(tenant_schema):
        for row in ValueList.objects.filter(livemode=livemode, name=name).order_by("created_at"):
            there = [place for place, time in enumerate(times) if _existed(row, time)]
            for place in there:
                found[place] = False
            for place in _were_in(row, values, times, there):
                found[place] = True
    return found


def _existed(row: ValueList, at: datetime) -> bool:
    return row.created_at <= at and (row.deleted_at is None or at < row.deleted_at)


def _were_in(row: ValueList, values: Sequence[Any], times: Sequence[datetime], places: Sequence[int]) -> Iterator[int]:
    """The places whose values were in the list at their times; equal values are read once."""
    prefixes, known = row.prefixes.split(), dict[Any, tuple[bytes, ...]]()
    for place in places:
        if values[place] not in known:
            known[values[place]] = tokens_in(row.item_type, values[place], prefixes)
    spans = _spans(row, sorted({token for tokens in known.values() for token in tokens}))
    for place in places:
        lived = [span for token in known[values[place]] for span in spans.get(token, ())]
        if any(begin <= times[place] and (end is None or times[place] < end) for begin, end in lived):
            yield place


def _spans(row: ValueList, tokens: Sequence[bytes]) -> dict[bytes, list[Span]]:
    """When each of these was in the list; those that never were are not there."""
    found: dict[bytes, list[Span]] = {}
    for start in range(0, len(tokens), AT_ONCE):
        with connection.cursor() as cursor:
            cursor.execute(_SPANS, {"list": row.pk, "tokens": list(tokens[start : start + AT_ONCE])})
            for token, begin, end in cursor.fetchall():
                found.setdefault(bytes(token), []).append((begin, end))
    return found
