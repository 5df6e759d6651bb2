"""How big the campaigns are: small in `make test`, whole in `make campaign` (CAMPAIGN=whole)."""

import os
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from tests.pace import within


class Size(NamedTuple):
    """One row of the table below."""

    seconds: int  # a test may take
    lives: tuple[int, int]  # tenants, months of random plan changes
    invoices: int  # held against the oracle
    examples: int  # of every law of pricing
    shuffles: int  # months of events out of order, repeated, late
    closed_at_once: int  # tenants whose month 64 closers close
    orders: int  # of the 720 in which webhooks may come, through the database
    served: tuple[int, int]  # tenants, months of real traffic
    attempts: tuple[int, int]  # tenants that are collected from, attempts with kills and lost answers
    spoiled: int  # every so many-th of the ways to spoil an event
    columns: int  # of a kind that the description is tried with
    requests: int  # made up from the description, an address
    storm: tuple[int, int]  # decisions while everything is killed, decisions between two kills
    alike: int  # places of one kind that share what is tried at them: each value is tried at every so many-th


SIZES = {
    "small": Size(300, (4, 5), 3_000, 60, 3, 4, 24, (3, 2), (20, 500), 37, 2, 2, (2_400, 200), 5),
    "whole": Size(
        3_600, (200, 24), 100_000, 1_000, 50, 25, 720, (200, 24), (50, 2_000), 1, 1_000, 40, (20_000, 500), 1
    ),
}
SIZE = SIZES[os.environ.get("CAMPAIGN", "small")]


def campaign(test: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a test that `make campaign` runs, too."""
    return pytest.mark.campaign(pytest.mark.timeout(within(SIZE.seconds))(test))
