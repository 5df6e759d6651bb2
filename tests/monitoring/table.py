"""Every metric of the house, found where it is made, as docs/metrics.md has to tell it.

`python -m tests.monitoring.table` prints the rows.
"""

import os
import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any, NamedTuple

import django
from prometheus_client.metrics import MetricWrapperBase

from config.local.embedded import CHECKOUT

PAGE = CHECKOUT / "docs" / "metrics.md"
_ROW = re.compile(r"^\| `(\w+)` \| (\w+) \| (.*?) \| (.*) \|$", re.MULTILINE)


class Row(NamedTuple):
    """A metric as it is documented."""

    name: str
    kind: str
    labels: tuple[str, ...]
    says: str

    def __str__(self) -> str:
        labels = ", ".join(f"`{label}`" for label in self.labels)
        return f"| `{self.name}` | {self.kind} | {labels} | {self.says} |"


def made() -> list[Row]:
    """Those that are made somewhere in the house, by name."""
    return sorted([*_counted(), *_asked()])


def documented() -> list[Row]:
    """The rows of the page."""
    rows = _ROW.findall(PAGE.read_text())
    return [Row(name, kind, tuple(re.findall(r"`(\w+)`", labels)), says) for name, kind, labels, says in rows]


def collectors() -> Iterator[Any]:
    """The metrics that processes count, wherever they are made."""
    for file in sorted([*(CHECKOUT / "apps").rglob("*.py"), *(CHECKOUT / "config").rglob("*.py")]):
        if "from prometheus_client import" in file.read_text():
            module = import_module(".".join(file.relative_to(CHECKOUT).with_suffix("").parts))
            yield from (
                one for one in vars(module).values() if isinstance(one, MetricWrapperBase) and not one._labelvalues
            )


def _counted() -> Iterator[Row]:
    for one in collectors():
        name = f"{one._name}_total" if one._type == "counter" else one._name
        yield Row(name, one._type, tuple(one._labelnames), one._documentation)


def _asked() -> Iterator[Row]:
    """What is asked of elsewhere when somebody looks."""
    from apps.monitoring.exposition import FAMILIES

    for name, family in FAMILIES.items():
        yield Row(name, family.kind, tuple(family.labels), family.says)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.portal")
    django.setup()
    print("\n".join(map(str, dict.fromkeys(made()))))
