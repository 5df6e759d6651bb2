"""docs/where-is.md and the README's map lead somewhere: each path they name is there, and each name is in its file."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PATH = r"`((?:apps|config|tests|docs|templates|bench|ml_artifacts)/[\w./-]*)`"


def rows(page: str) -> list[str]:
    return [line for line in (ROOT / page).read_text().splitlines() if line.startswith("|")]


def named() -> Iterator[tuple[str, str]]:
    """(file, name) of every name that stands in parentheses behind a path."""
    for row in rows("docs/where-is.md"):
        for path, names in re.findall(PATH + r" \(([^)]*`[^)]*)\)", row):
            yield from ((path, name) for name in re.findall(r"`([\w.]+)`", names))


@pytest.mark.parametrize("page", ["docs/where-is.md", "README.md"])
def test_every_path_is_there(page: str) -> None:
    paths = re.findall(PATH, "\n".join(rows(page)))
    assert len(paths) > 10
    assert [path for path in paths if not (ROOT / path).exists()] == []


@pytest.mark.parametrize(("path", "name"), [*named()])
def test_every_name_is_in_its_file(path: str, name: str) -> None:
    text = (ROOT / path).read_text()
    for part in name.split("."):
        assert re.search(rf"(def|class) {part}\b|^ *{part}\b.*[=:]", text, re.MULTILINE), (path, part)


def test_no_answer_takes_more_than_three_files() -> None:
    for row in rows("docs/where-is.md")[2:]:
        assert row.count("→") <= 2, row
