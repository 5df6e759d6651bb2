"""Provenance of features: the fields each is made from, found by building the features from names alone. Pure.

The one definition of the features (`TransactionSchema.build`) is run on values that know nothing but the fields they
come from; whatever is computed from some of them comes from all of theirs. So the answer can't differ from the code.
"""

from collections.abc import Iterable, Mapping

from apps.scoring.engine.operations import Operations
from apps.scoring.engine.rule_fields import counted_of
from apps.scoring.engine.transaction import TransactionSchema

Fields = frozenset[str]


class Origin:
    """A value known by the fields it is made from alone."""

    def __init__(self, fields: Fields) -> None:
        self.fields = fields

    def _joined(self, other: object) -> "Origin":
        return joined(self, other)

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __mod__ = _joined
    __lt__ = __le__ = __gt__ = __ge__ = __and__ = __rand__ = __or__ = __ror__ = _joined
    __eq__ = _joined  # type: ignore[assignment]  # a comparison of columns is a column
    __hash__ = None  # type: ignore[assignment]


class Transaction:
    """A transaction of which each field is known by its name alone."""

    def __getattr__(self, name: str) -> Origin:
        return Origin(frozenset((name,)))


class Past:
    """A party's past, of which everything is made from the fields that name the party and say when it is now."""

    def __init__(self, origin: Origin) -> None:
        self._origin = origin

    def __getattr__(self, name: str) -> Origin:
        return self._origin


def joined(*values: object) -> Origin:
    """What is made from these values; numbers and tables come from no field."""
    return Origin(frozenset().union(*(value.fields for value in values if isinstance(value, Origin))))


#: The operations features are written in, on origins.
ORIGINS = Operations(*[joined] * len(Operations._fields))


def fields_of_features(schema: TransactionSchema, operations: Operations = ORIGINS) -> Mapping[str, Fields]:
    """Feature → the fields it is made from: those it reads, those its reason points at, those that name its party."""
    transaction = Transaction()
    at_ms = joined(schema.event_time_ms(transaction, Origin(frozenset()), operations))
    pasts = [Past(Origin(at_ms.fields | {role.name})) for role in schema.roles]
    built = schema.build(transaction, at_ms, pasts, operations)
    return {
        feature.name: joined(value).fields | {feature.field, *needs}
        for feature, value, needs in zip(schema.features, built, schema.needed, strict=True)
    }


class _Noted(Past):
    """A past that notes what is asked of it."""

    def __init__(self) -> None:
        super().__init__(Origin(frozenset()))
        self.asked: dict[str, None] = {}

    def __getattr__(self, name: str) -> Origin:
        self.asked[name] = None
        return Origin(frozenset())


def fields_of_pasts(schema: TransactionSchema, names: Iterable[str] = ()) -> tuple[tuple[str, ...], ...]:
    """What the features ask of each role's past, in the order of the roles, and what `names` of rules ask of it."""
    pasts = [_Noted() for _ in schema.roles]
    schema.build(Transaction(), Origin(frozenset()), pasts, ORIGINS)
    counted = counted_of(schema)
    for name in sorted(counted.keys() & frozenset(names)):
        pasts[counted[name].role].asked[counted[name].what] = None
    return tuple(tuple(past.asked) for past in pasts)


def fields_of_rules(schema: TransactionSchema) -> Mapping[str, tuple[str, ...]]:
    """Field → the built-in rules that ask for it, itself or as a feature made from it."""
    origins = fields_of_features(schema)
    found: dict[str, list[str]] = {}
    for rule in schema.rules:
        asked = [name for condition in rule.all for name in (condition.field, condition.other) if name]
        for field in dict.fromkeys(_fields_of(asked, schema, origins)):
            found.setdefault(field, []).append(rule.id)
    return {field: tuple(rules) for field, rules in found.items()}


def _fields_of(names: Iterable[str], schema: TransactionSchema, origins: Mapping[str, Fields]) -> Iterable[str]:
    """The fields behind names that rules ask for; a field hides a feature of its name."""
    for name in names:
        yield from (name,) if name in schema.types else sorted(origins.get(name, ()))
