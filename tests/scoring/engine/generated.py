"""Generated transactions of any schema: ordinary ones, sparse ones, and ones with what senders get wrong."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from apps.scoring.engine.field_types import is_kind, metas
from apps.scoring.engine.history import unknown
from apps.scoring.engine.transaction import InvalidTransaction, Parsed, TransactionSchema
from tests.scoring.engine.conftest import EXAMPLES

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
RECEIVED_MS = int(BEGIN.timestamp() * 1000) + 90 * 86_400_000
WORDS = ("x", "C1", "M2", "Österreich", "  spaced  ", "4111 1111 1111 1111", "5500005555555559", "None", "NA", "", "0")
AMOUNTS = (0.0, 0.01, 1.5, 99.99, 100.0, 2_500.0, 20_000.0, 180_000.0, 5_000_000.0)


def value_of(schema: TransactionSchema, name: str, random: Random) -> Any:
    """Some value of a field, nearly always one that is taken."""
    kind = schema.types[name]
    if name in schema.known_values and random.random() < 0.9:
        known = schema.known_values[name]
        return random.choice((*known.values, *known.synonyms, known.values[0].lower()))
    if is_kind(str, kind):
        return random.choice(WORDS) if random.random() < 0.5 else f"{name[0]}{random.randrange(30)}"
    if is_kind(bool, kind):
        return random.random() < 0.5
    if is_kind(datetime, kind):
        at = BEGIN + timedelta(seconds=random.randrange(90 * 86_400), microseconds=random.randrange(1_000_000))
        return at.isoformat()
    return _number(kind, random)


def _number(kind: Any, random: Random) -> float:
    bounds = [(meta.ge if meta.ge is not None else meta.gt, meta.le) for meta in metas(kind)]
    least = max((low for low, _ in bounds if low is not None), default=-1e6)
    most = min((high for _, high in bounds if high is not None), default=1e6)
    found = min(max(random.choice((*AMOUNTS, random.uniform(0, 200), random.randrange(24))), least), most)
    return int(found) if is_kind(int, kind) else found


def transactions(schema: TransactionSchema, random: Random) -> Iterator[dict[str, Any]]:
    """Transactions without an end: the example with fields changed, added and left out."""
    optional = [name for name in schema.fields if name not in schema.required]
    while True:
        few = random.sample(optional, min(len(optional), random.choice((0, 2, 10, 60))))
        changed = random.sample(sorted(schema.required), random.randrange(len(schema.required) + 1))
        names = (*few, *changed)
        yield {**EXAMPLES[schema.name], **{name: value_of(schema, name, random) for name in names}}


def parsed(schema: TransactionSchema, count: int, random: Random) -> list[Parsed]:
    """So many that are taken."""
    found: list[Parsed] = []
    for one in transactions(schema, random):
        try:
            found.append(schema.parse(one, RECEIVED_MS))
        except InvalidTransaction:
            continue
        if len(found) == count:
            return found
    return found


def pasts(schema: TransactionSchema, random: Random) -> dict[str, Any]:
    """Some past of some of the roles, of any numbers."""
    found = {}
    for role in schema.roles:
        if random.random() < 0.8:
            kind = type(unknown(role))
            numbers = (float("nan"), 0.0, 1.0, 2.0, 12.0, 250.0, random.uniform(0, 5_000))
            found[role.name] = kind(*[random.choice(numbers) for _ in kind.__struct_fields__])
    return found
