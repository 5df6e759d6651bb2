"""Scoring's migrations with one more that is code: no SQL tells what it does."""

from apps.scoring import migrations

__path__ = [*migrations.__path__, *__path__]
