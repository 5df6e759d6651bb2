"""Facts asked once a look: while a page is put together, what was read is read no second time.

A page that shows a month's cost, its estimate and the plan asks for the same subscription in each. Within `one_look` a
function marked `asked_once` answers from what it said before; outside, and in other threads, it asks anew. For reading
alone: whoever writes takes no look.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, ParamSpec, TypeVar

Asked = ParamSpec("Asked")
Said = TypeVar("Said")
_said: ContextVar[dict[Any, Any] | None] = ContextVar("said", default=None)


@contextmanager
def one_look() -> Iterator[None]:
    """What is asked in the block is asked once."""
    before = _said.set({})
    try:
        yield
    finally:
        _said.reset(before)


def asked_once(function: Callable[Asked, Said]) -> Callable[Asked, Said]:
    """Answer from memory within a look. Arguments are hashable; what is returned is changed by nobody."""

    @wraps(function)
    def answer(*args: Asked.args, **kwargs: Asked.kwargs) -> Said:
        known = _said.get()
        if known is None:
            return function(*args, **kwargs)
        key = (function, args, tuple(sorted(kwargs.items())))
        if key not in known:
            known[key] = function(*args, **kwargs)
        said: Said = known[key]
        return said

    return answer
