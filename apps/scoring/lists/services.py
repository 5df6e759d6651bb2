"""Changing lists: each change is one transaction under the list's lock, then Valkey is told.

Repeating one is harmless. An item's row is never changed but by its end: another expiry or note is a row of its own, so
that it is known what was in the list when, and who put it there.
"""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, NamedTuple

from django.db import IntegrityError, connection, transaction
from django.db.models import Exists, F, OuterRef, Value
from django.db.models.functions import Least

from apps.accounts.audit import record_audit
from apps.accounts.models import Tenant
from apps.accounts.tenancy import in_tenant
from apps.notifications.models import new_id
from apps.scoring.lists import publishing
from apps.scoring.lists.given import NewItem
from apps.scoring.lists.publishing import Difference
from apps.scoring.lists.tokens import token_of
from apps.scoring.models import ListItem, ValueList
from apps.scoring.policies import get_policies
from apps.valkey import Away, Valkey

MOST_LISTS = 100  # of each mode
MOST_ITEMS = 1_000_000  # of a list
AT_ONCE = 5_000  # rows that are ended in one transaction
#: Who removes what has expired.
EXPIRY = "expiry"

#: Many rows as four parameters: an array of each column would cost this process more than all the rest. Tokens are
#: 12 bytes each; no text of ours holds a control character.
_BETWEEN = "\x1f"
_NEW = """
(SELECT substring(%(tokens)s::bytea FROM (12 * (place - 1) + 1)::int FOR 12), value, coalesce(note, ''), expires_at
   FROM unnest(string_to_array(%(values)s, chr(31)), string_to_array(%(notes)s, chr(31)),
               string_to_array(%(ends)s, chr(31), '')::timestamptz[])
        WITH ORDINALITY AS rows (value, note, expires_at, place))"""
#: Ends the rows of items that come again with another expiry or note, or after they had expired. `{new}` is where items
#: come from: a token, a value, a note and an end each.
CLOSE = f"""
UPDATE scoring_listitem AS known SET removed_at = least(known.expires_at, %(now)s),
       removed_by = CASE WHEN known.expires_at <= %(now)s THEN '{EXPIRY}' ELSE %(actor)s END
  FROM {{new}} AS new (token, value, note, expires_at)
 WHERE known.list_id = %(list)s AND known.token = new.token AND known.removed_at IS NULL
   AND (known.expires_at <= %(now)s OR (known.expires_at, known.note) IS DISTINCT FROM (new.expires_at, new.note))
"""
ADD = """
INSERT INTO scoring_listitem (list_id, livemode, token, value, note, expires_at, added_at, added_by, removed_by)
SELECT %(list)s, %(livemode)s, new.token, new.value, new.note, new.expires_at, %(now)s, %(actor)s, ''
  FROM {new} AS new (token, value, note, expires_at)
    ON CONFLICT DO NOTHING
"""
_CLOSE, _ADD = CLOSE.format(new=_NEW), ADD.format(new=_NEW) + "RETURNING token"
_REMOVE = """
UPDATE scoring_listitem SET removed_at = least(expires_at, %(now)s), removed_by = %(actor)s
 WHERE list_id = %(list)s AND token = ANY(%(tokens)s) AND removed_at IS NULL
"""


class NameTaken(ValueError):
    """A list of that name is there."""


class TooMany(ValueError):
    """There are as many lists, or items of a list, as there may be: the message says so."""


class Gone(LookupError):
    """The list was deleted meanwhile."""


class InUse(ValueError):
    """Rules that are in force ask for the list: `rules` names them."""

    def __init__(self, rules: Sequence[str]) -> None:
        super().__init__(", ".join(rules))
        self.rules = tuple(rules)


class Added(NamedTuple):
    """What became of items: new ones, those with another expiry or note now, those that were there as they are."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0

    def plus(self, other: "Added") -> "Added":
        return Added(*(one + another for one, another in zip(self, other, strict=True)))


def create(
    *, tenant: Tenant, livemode: bool, name: str, item_type: str, description: str, valkey: Valkey, now: datetime,
    actor: str,
) -> ValueList:  # fmt: skip
    """A new, empty list. Raises `NameTaken`, `TooMany`."""
    row = ValueList(
        id=new_id("lst", now), livemode=livemode, name=name, item_type=item_type, description=description,
        created_at=now, created_by=actor,
    )  # fmt: skip
    after = {"name": name, "item_type": item_type, "livemode": livemode}
    with in_tenant(tenant):
        if ValueList.objects.filter(livemode=livemode, deleted_at=None).count() >= MOST_LISTS:
            raise TooMany(f"There may be {MOST_LISTS} lists of each mode.")
        try:
            with transaction.atomic():
                row.save(force_insert=True)
                Tenant.objects.filter(pk=tenant.pk).update(lists_pending=True)
                record_audit(tenant=tenant, actor=actor, action="list.created", target=name, after=after, now=now)
        except IntegrityError as taken:
            raise NameTaken(name) from taken
    publish(tenant, row, valkey)
    return row


def delete(*, tenant: Tenant, row: ValueList, valkey: Valkey, now: datetime, actor: str) -> None:
    """Delete a list; who looks back still finds it. Harmless when repeated. Raises `InUse`."""
    with in_tenant(tenant), transaction.atomic():
        mine = ValueList.objects.select_for_update().filter(pk=row.pk, deleted_at=None)  # first, as a change does
        is_there = mine.exists()
        locked = Tenant.objects.select_for_update().get(pk=tenant.pk)  # no policy is published meanwhile
        if rules := rules_asking(locked, row.name):
            raise InUse(rules)
        if is_there:
            mine.update(deleted_at=now, deleted_by=actor)
            before = {"item_type": row.item_type, "livemode": row.livemode, "items": row.size}
            record_audit(tenant=tenant, actor=actor, action="list.deleted", target=row.name, before=before, now=now)
    publishing.withdraw(tenant, row.livemode, row.name, valkey)


def rules_asking(tenant: Tenant, name: str) -> list[str]:
    """The rules in force, live or as shadows, that ask for a list of that name."""
    policy = get_policies().get(tenant.schema_name, tenant.policy_version)
    return [
        rule.id for rule in policy.rules if rule.is_in_force and any(check.list == name for check in rule.list_checks)
    ]


def add_items(
    *, tenant: Tenant, row: ValueList, items: Sequence[NewItem], valkey: Valkey, now: datetime, actor: str
) -> Added:
    """Put items in force, in one transaction; what became of them. Of one that comes twice the last counts.

    Raises `TooMany`, `Gone`.
    """
    by_token = {token_of(new.item.name): new for new in items}
    prefixes = {new.item.prefix for new in items if new.item.prefix}
    with in_tenant(tenant), transaction.atomic():
        known = locked(row)
        ended, came = _write(known, by_token, now, actor)
        changed(tenant, known, came - ended, prefixes)
        told = Added(came - ended, ended, len(by_token) - came)
        if came:
            audit_added(tenant, known, told, now, actor)
    ends = {token: new.expires_at for token, new in by_token.items()}
    publishing.tell(tenant, known, valkey, Difference(known.version, (), ends))
    return told


def audit_added(tenant: Tenant, row: ValueList, told: Added, now: datetime, actor: str) -> None:
    """Note in the audit trail that items came: how many; which, each item says itself."""
    after = {"list": row.name, "livemode": row.livemode, "added": told.added, "changed": told.changed}
    record_audit(tenant=tenant, actor=actor, action="list.items_added", target=row.name, after=after, now=now)


def remove_items(
    *, tenant: Tenant, row: ValueList, tokens: Collection[bytes], valkey: Valkey, now: datetime, actor: str
) -> int:
    """End items; how many were there. Harmless when repeated. Raises `Gone`."""
    with in_tenant(tenant), transaction.atomic():
        known = locked(row)
        with connection.cursor() as cursor:
            cursor.execute(_REMOVE, {"list": row.pk, "tokens": list(tokens), "now": now, "actor": actor})
            removed = int(cursor.rowcount)
        changed(tenant, known, -removed, ())
        if removed:
            before = {"list": row.name, "livemode": row.livemode, "removed": removed}
            record_audit(
                tenant=tenant, actor=actor, action="list.items_removed", target=row.name, before=before, now=now
            )
    publishing.tell(tenant, known, valkey, Difference(known.version, tuple(tokens), {}))
    return removed


def forget(*, tenant: Tenant, row: ValueList, tokens: Collection[bytes], valkey: Valkey, until: datetime) -> int:
    """Remove all that was ever said of items until then, as when a person's data is removed; how many rows."""
    with in_tenant(tenant), transaction.atomic():
        known = ValueList.objects.select_for_update().get(pk=row.pk)
        said = ListItem.objects.filter(list=known, token__in=list(tokens), added_at__lte=until)
        open_ = [bytes(token) for token in said.filter(removed_at=None).values_list("token", flat=True)]
        count = int(said.delete()[0])
        changed(tenant, known, -len(open_), ())
    if known.deleted_at is None:
        publishing.tell(tenant, known, valkey, Difference(known.version, open_, {}))
    return count


def tidy(*, tenant: Tenant, valkey: Valkey, now: datetime) -> int:
    """End the rows of what has expired, or whose list was deleted, some at a time; how many. Harmless when repeated."""
    tidied = 0
    with in_tenant(tenant):
        rows = list(ValueList.objects.filter(Exists(ListItem.objects.filter(list=OuterRef("pk"), removed_at=None))))
    for row in rows:
        while ended := _end_some(tenant, row, valkey, now):
            tidied += ended
    return tidied


# --- how ------------------------------------------------------------------------------------------------------------


def locked(row: ValueList) -> ValueList:
    """The list under its lock, as it is now. Raises `Gone`."""
    known = ValueList.objects.select_for_update().filter(pk=row.pk, deleted_at=None).first()
    if known is None:
        raise Gone(row.name)
    return known


def _write(row: ValueList, by_token: Mapping[bytes, NewItem], now: datetime, actor: str) -> tuple[int, int]:
    """Write items; how many rows of theirs ended, and how many came. Most are new: only those that are not are looked
    for."""
    with connection.cursor() as cursor:
        cursor.execute(_ADD, _said(row, by_token, now, actor))
        came = {bytes(token) for (token,) in cursor.fetchall()}
        known = {token: new for token, new in by_token.items() if token not in came}
        if not known:
            return 0, len(came)
        again = _said(row, known, now, actor)
        cursor.execute(_CLOSE, again)
        ended = int(cursor.rowcount)
        if ended:
            cursor.execute(_ADD, again)
        return ended, len(came) + ended


def _said(row: ValueList, by_token: Mapping[bytes, NewItem], now: datetime, actor: str) -> dict[str, Any]:
    """Items as the statements take them."""
    new = list(by_token.values())
    return {
        "list": row.pk,
        "livemode": row.livemode,
        "now": now,
        "actor": actor,
        "tokens": b"".join(by_token),
        "values": _BETWEEN.join(one.item.shown for one in new),
        "notes": _BETWEEN.join(one.note for one in new),
        "ends": _BETWEEN.join("" if one.expires_at is None else one.expires_at.isoformat() for one in new),
    }


def changed(tenant: Tenant, row: ValueList, more: int, prefixes: Collection[str]) -> None:
    """Note a change of a locked list: Valkey is to hear of it. Raises `TooMany`."""
    row.size, row.version = row.size + more, row.version + 1
    row.prefixes = " ".join(sorted({*row.prefixes.split(), *prefixes}))
    if more > 0 and row.size > MOST_ITEMS:
        raise TooMany(f"A list may hold {MOST_ITEMS:,} items.")
    row.save(update_fields=["size", "version", "prefixes"])
    Tenant.objects.filter(pk=tenant.pk).update(lists_pending=True)


def publish(tenant: Tenant, row: ValueList, valkey: Valkey) -> None:
    """Tell Valkey of a whole list."""
    with suppress(Away):  # then the worker does
        publishing.note_published(tenant, row.pk, publishing.publish(tenant, row.pk, valkey))


def _end_some(tenant: Tenant, row: ValueList, valkey: Valkey, now: datetime) -> int:
    """End some items whose time is over, at the time that was theirs; how many."""
    with in_tenant(tenant), transaction.atomic():
        known = ValueList.objects.select_for_update().get(pk=row.pk)
        open_ = ListItem.objects.filter(list=known, removed_at=None)
        over = list((open_ if known.deleted_at else open_.filter(expires_at__lte=now))[:AT_ONCE])
        if not over:
            return 0
        end = Least(F("expires_at"), Value(known.deleted_at)) if known.deleted_at else F("expires_at")
        by = known.deleted_by if known.deleted_at else EXPIRY
        ListItem.objects.filter(pk__in=[item.pk for item in over]).update(removed_at=end, removed_by=by)
        changed(tenant, known, -len(over), ())
    if known.deleted_at is None:
        publishing.tell(tenant, known, valkey, Difference(known.version, [bytes(one.token) for one in over], {}))
    return len(over)
