"""Types of fields: their kind and bounds, and whether a card number may stand in one. Pure."""

from collections.abc import Callable, Collection, Iterator, Mapping
from math import inf
from typing import Any, get_args, get_origin

import msgspec

from apps import card_numbers


def may_hold_cards(types: Mapping[str, Any], ids: Collection[str]) -> Iterator[tuple[str, Callable[[Any], Any]]]:
    """Fields a card number may stand in, and how it is masked there: texts, and numbers with as many digits."""
    for name, kind in types.items():
        if is_kind(str, kind):
            yield name, card_numbers.mask_id if name in ids else card_numbers.mask
        elif (is_kind(int, kind) or is_kind(float, kind)) and largest(kind) >= 10**card_numbers.SHORTEST - 1:
            yield name, card_numbers.mask_number


def largest(annotation: Any) -> float:
    """The most a number may be."""
    return min((meta.le for meta in metas(annotation) if meta.le is not None), default=inf)


def metas(annotation: Any) -> tuple[msgspec.Meta, ...]:
    """What a field's type says beside its kind, its own first."""
    nested = [meta for part in get_args(annotation) for meta in metas(part)] if get_origin(annotation) else []
    own = [part for part in getattr(annotation, "__metadata__", ()) if isinstance(part, msgspec.Meta)]
    return (*own, *nested)


def is_kind(kind: type, annotation: Any) -> bool:
    """Whether a field's type is this kind, or allows it beside others."""
    return annotation is kind or any(is_kind(kind, part) for part in get_args(annotation))
