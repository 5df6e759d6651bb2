"""Pieces of synchronous work side by side in one thread: what several of them want of one maker is made in one call.

    together(works) ─► each goes on until it wants something ─► one call for all who want it of that maker ─► …

Requests that came at the same time are such pieces. They ask the server in one round trip, since to send, to be woken
and to read cost both sides more than most of what is asked; and a model in one call, since most of a call for one row
is the call.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from greenlet import getcurrent, greenlet

#: Makes what is wanted of each of several things, in their order. An exception among the answers is raised to who
#: wanted that one; one that is raised, to all.
Maker = Callable[[Sequence[Any]], Sequence[Any]]


class Errand(greenlet):
    """Synchronous work that may wait in company."""


class Wanted(NamedTuple):
    """What an errand waits for: `maker`'s answer to `what`. `elsewhere`: it is asked of another process."""

    maker: Maker
    what: Any
    elsewhere: bool


Waiting = tuple[Errand, Wanted]


def alone() -> bool:
    """Whether this work has no company: what it wants is made for it at once."""
    return not isinstance(getcurrent(), Errand)


def made(maker: Maker, what: Any, *, elsewhere: bool = False) -> Any:
    """What the maker makes of this one, in company of what other errands want of it; raises what it answers so.

    What is not elsewhere must be harmless to ask again: after a failure of all, each is asked for alone.
    """
    answer = maker([what])[0] if alone() else getcurrent().parent.switch(Wanted(maker, what, elsewhere))
    if isinstance(answer, Exception):
        raise answer
    return answer


def together(works: Iterable[Callable[[], None]]) -> None:
    """Do pieces of work side by side in this thread, each in its order.

    Each is synchronous code and knows nothing of the others, but that they go on while it waits. So nothing of the
    thread's may be held over a call of `made`: no open transaction, no tenant's search path.
    """
    waiting = [one for work in works if (one := _gone_on(Errand(work)))]
    while waiting:
        # what is made here first: then all of them wait for the other process at once
        now = [one for one in waiting if not one[1].elsewhere] or waiting
        answers = dict(zip([errand for errand, _ in now], _answers_to([wanted for _, wanted in now]), strict=True))
        waiting = [
            further
            for errand, wanted in waiting
            if (further := _gone_on(errand, answers[errand]) if errand in answers else (errand, wanted))
        ]


def _gone_on(errand: Errand, *answer: Any) -> Waiting | None:
    """What an errand waits for next; None when it is done."""
    wanted = errand.switch(*answer)
    return None if errand.dead else (errand, wanted)


def _answers_to(wanted: Sequence[Wanted]) -> list[Any]:
    """The answers in the same order, all of one maker's by one call."""
    answers: dict[Maker, Iterator[Any]] = {}
    for one in wanted:
        if one.maker not in answers:
            mine = [other.what for other in wanted if other.maker == one.maker]
            answers[one.maker] = iter(_made_of_all(one, mine))
    return [next(answers[one.maker]) for one in wanted]


def _made_of_all(one: Wanted, things: Sequence[Any]) -> Sequence[Any]:
    try:
        return one.maker(things)
    except Exception as failure:  # told to each errand, which knows what it means
        if one.elsewhere or len(things) == 1:
            return [failure] * len(things)
        return [_made_of_all(one, [thing])[0] for thing in things]
