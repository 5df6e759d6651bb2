"""What pages say of the house is true: the paths they name are there, and docs/where-is.md's names in their files."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HOUSE = ("apps", "bench", "config", "deploy", "requirements", "tests")
PATH = r"`((?:apps|config|tests|docs|deploy|templates|bench|ml_artifacts)/[\w./-]*)`"


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


@pytest.mark.parametrize("page", ["README.md", *(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md"))])
def test_every_file_a_page_names_is_there(page: str) -> None:
    """Files of ours, by their path or the end of it."""
    there = [str(path.relative_to(ROOT)) for top in HOUSE for path in (ROOT / top).rglob("*")]
    told = set(re.findall(r"`([\w./-]+\.(?:py|lua|sh|yaml))(?::\w+)?`", (ROOT / page).read_text())) - {"manage.py"}
    assert [name for name in told if not any(f"/{path}".endswith(f"/{name}") for path in there)] == []


@pytest.mark.parametrize(("path", "name"), [*named()])
def test_every_name_is_in_its_file(path: str, name: str) -> None:
    text = (ROOT / path).read_text()
    for part in name.split("."):
        assert re.search(rf"(def|class) {part}\b|^ *{part}\b.*[=:]", text, re.MULTILINE), (path, part)


def test_no_answer_takes_more_than_three_files() -> None:
    for row in rows("docs/where-is.md")[2:]:
        assert row.count("→") <= 2, row
