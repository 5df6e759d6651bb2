"""What is asked for is pinned, and pinned alike wherever it is installed."""

import re
from pathlib import Path

import pytest

REQUIREMENTS = Path(__file__).parents[2] / "requirements"


def pinned(name: str) -> dict[str, str]:
    """Package → its version in a lock."""
    return dict(
        re.findall(r"^([\w.-]+)(?:\[.*\])?==([^\s;]+)", (REQUIREMENTS / f"{name}.txt").read_text(), re.MULTILINE)
    )


@pytest.mark.parametrize("name", ["base", "dev"])
def test_what_is_asked_for_is_in_the_lock(name: str) -> None:
    lines = (REQUIREMENTS / f"{name}.in").read_text().splitlines()
    asked = {found.group() for line in lines if (found := re.match(r"[\w.-]+", line)) and line[0] != "-"}
    assert asked
    assert {one.lower() for one in asked} - {one.lower() for one in pinned(name)} == set()


def test_developers_have_what_the_product_has() -> None:
    base, dev = pinned("base"), pinned("dev")
    assert {one: (version, dev.get(one)) for one, version in base.items() if dev.get(one) != version} == {}
