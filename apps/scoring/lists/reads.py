"""Reading lists: those there are, what is in one, and what was in it when.

`members_at` answers for any past moment what the hot path would have been told then; simulation, replay and blocks of
many rows ask it.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Q, QuerySet

from apps.accounts.tenancy import in_tenant
from apps.scoring.lists.tokens import tokens_in
from apps.scoring.models import ListItem, ValueList

ITEM = "itm_"
#: Tokens asked for in one query.
AT_ONCE = 20_000
_WERE_THERE = """
SELECT DISTINCT asked.number FROM unnest(%(tokens)s::bytea[], %(times)s::timestamptz[], %(numbers)s::int[])
    AS asked (token, moment, number)
  JOIN scoring_listitem AS item ON item.list_id = %(list)s AND item.token = asked.token
   AND item.added_at <= asked.moment
   AND (item.removed_at IS NULL OR item.removed_at > asked.moment)
   AND (item.expires_at IS NULL OR item.expires_at > asked.moment)
"""


def lists(livemode: bool) -> QuerySet[ValueList]:
    """The lists of a mode; to be asked within their tenant."""
    return ValueList.objects.filter(livemode=livemode, deleted_at=None)


def find(tenant_schema: str, livemode: bool, name: str) -> ValueList | None:
    """A list by its name."""
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
    """The places whose values were in the list; of equal values at equal times the list is asked once."""
    same: dict[tuple[Any, datetime], list[int]] = {}
    for place in places:
        same.setdefault((values[place], times[place]), []).append(place)
    asked = [(token, time, number) for number, (value, time) in enumerate(same) for token in tokens_of(row, value)]
    alike = list(same.values())
    for start in range(0, len(asked), AT_ONCE):
        tokens, at, numbers = zip(*asked[start : start + AT_ONCE], strict=True)
        with connection.cursor() as cursor:
            said: dict[str, Any] = {"list": row.pk, "tokens": list(tokens), "times": list(at), "numbers": list(numbers)}
            cursor.execute(_WERE_THERE, said)
            for (number,) in cursor.fetchall():
                yield from alike[number]
