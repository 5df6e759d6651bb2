"""Scoring's migrations with one more, as a later version would bring it: for tests of migrating under load."""

from apps.scoring import migrations

__path__ = [*migrations.__path__, *__path__]
