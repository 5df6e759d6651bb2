"""Sums over steps of time, asked of Postgres as whole numbers: psycopg takes ten times as long to read a time or a
decimal, which a page over 90 days would feel."""

from datetime import datetime, timedelta

from django.db.models import BigIntegerField, F, Func, IntegerField, Sum, Value
from django.db.models.functions import Cast


def step_of(column: str, step: timedelta, origin: datetime) -> Func:
    """The number of the step a moment lies in, 0 for the one that begins at `origin`."""
    ticks = f"(floor(extract(epoch FROM %(expressions)s) / {int(step.total_seconds())}))::int"
    return Func(F(column) - Value(origin), template=ticks, output_field=IntegerField())


def whole_sum(column: str) -> Cast:
    """A sum of whole numbers as the whole number it is; Postgres tells it as a decimal."""
    return Cast(Sum(column), BigIntegerField())
