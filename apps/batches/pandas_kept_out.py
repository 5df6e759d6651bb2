"""Processes that score files and nothing else do without pandas.

pyarrow imports it the first time it is handed a value, to see whether that is one of pandas': a second and 30 MB of
each process, for nothing.
"""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from types import ModuleType


class _NoPandas(MetaPathFinder):
    """Finds every module elsewhere, and pandas nowhere."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        if fullname == "pandas":
            raise ModuleNotFoundError("this process does without pandas", name=fullname)


def keep_pandas_out() -> None:
    """From now on importing pandas fails in this process, which pyarrow takes for its absence. Loaded, it stays."""
    sys.meta_path.insert(0, _NoPandas())
