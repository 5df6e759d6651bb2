"""The dunning schedule: what happens while an invoice is not paid, as one table. Pure.

    day 0  1  3  5  7  9  11  14         a try each (with Stripe); each failure is told, with the time of the next
                              14         past due: the last try failed (by transfer: 14 days passed)
                                   + 7   limited: the free volume and nothing more
                                   + 31  cancelled: the plan ends
    paid at any time                     as before, at once
    −3 +3 +14 +28                        days from the due date: a reminder, where no card is tried

Tries are counted, not days: while Stripe is away nothing is tried, nothing fails and nobody is limited.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Literal

#: When each try is due, from the day the invoice was issued.
TRIES = tuple(timedelta(days=day) for day in (0, 1, 3, 5, 7, 9, 11, 14))
#: Tries that were held up don't follow each other faster than this.
LEAST_APART = timedelta(hours=20)
#: By transfer: how long an invoice may stand open.
TRANSFER_DAYS = timedelta(days=14)

#: When whoever transfers is reminded, from the due date. The last one is three days before the plan ends.
REMINDERS = tuple(timedelta(days=day) for day in (-3, 3, 14, 28))

Standing = Literal["active", "past_due", "limited", "cancelled"]
#: From when all tries had failed to what the tenant is then, the last one first.
STEPS: Sequence[tuple[timedelta, Standing]] = (
    (timedelta(days=31), "cancelled"),
    (timedelta(days=7), "limited"),
    (timedelta(0), "past_due"),
)


def next_try_at(
    issued_at: datetime, tried_at: Sequence[datetime], card_since: datetime | None = None
) -> datetime | None:
    """When an invoice is tried next, given when it was tried in vain; None after the last. A new card: at once."""
    if tried_at and card_since is not None and card_since > max(tried_at):
        return card_since
    if len(tried_at) >= len(TRIES):
        return None
    due = issued_at + TRIES[len(tried_at)]
    return max(due, max(tried_at) + LEAST_APART) if tried_at else due


def exhausted_at(issued_at: datetime, tried_at: Sequence[datetime], *, collects: bool) -> datetime | None:
    """Since when an invoice is without hope; None while there is some. `collects`: there is a card to try."""
    if not collects:
        return issued_at + TRANSFER_DAYS
    return sorted(tried_at)[len(TRIES) - 1] if len(tried_at) >= len(TRIES) else None


def hopeless_since(exhausted: Iterable[datetime | None], now: datetime) -> datetime | None:
    """Since when the first of a tenant's unpaid invoices is without hope."""
    return min((at for at in exhausted if at is not None and at <= now), default=None)


def standing(since: datetime | None, now: datetime) -> Standing:
    """What a tenant is that has been without hope since then."""
    if since is None:
        return "active"
    return next(standing for after, standing in STEPS if now >= since + after)


def next_step(since: datetime | None, now: datetime) -> tuple[Standing, datetime] | None:
    """What a tenant that has been without hope since then becomes next, and when; None after the last."""
    ahead = [(since + after, step) for after, step in STEPS if since is not None and now < since + after]
    return min(((step, at) for at, step in ahead), key=lambda one: one[1], default=None)


def reminder(due_at: datetime, now: datetime) -> timedelta | None:
    """The last reminder of an invoice whose time has come; None before the first. One before the due date is none
    after it."""
    reached = [after for after in REMINDERS if due_at + after <= now and (after > timedelta(0) or now < due_at)]
    return max(reached, default=None)
