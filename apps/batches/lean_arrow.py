"""Memory of processes that score files and nothing else.

Without pandas, which pyarrow imports the first time it is handed a value, to see whether that is one of pandas': a
second and 30 MB of each process, for nothing. And with the system's allocator, which gives back what a chunk took;
Arrow's own keeps some 50 MB of it. What threads asked for the system's keeps, too, until it is told to give it back.
"""

import ctypes
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from types import ModuleType


class _NoPandas(MetaPathFinder):
    """Finds every module elsewhere, and pandas nowhere."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        if fullname == "pandas":
            raise ModuleNotFoundError("this process does without pandas", name=fullname)


def keep_arrow_lean() -> None:
    """From now on importing pandas fails in this process, which pyarrow takes for its absence (loaded, it stays), and
    Arrow's memory is the system's."""
    sys.meta_path.insert(0, _NoPandas())
    import pyarrow as pa

    pa.set_memory_pool(pa.system_memory_pool())


def give_back() -> None:
    """Give the system what was freed, of every thread's part of the memory; where the C library can (glibc)."""
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)
