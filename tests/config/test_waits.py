"""Every wait of the suite has an end, and no thread can keep the run from ending."""

import ast
from collections.abc import Iterator

import pytest

from config.local.embedded import CHECKOUT

#: What waits for ever when it is called without an argument of this name (or, where that is so, without any).
ENDED_BY = {
    "subprocess.run": "timeout", "subprocess.check_output": "timeout", "subprocess.check_call": "timeout",
    "urlopen": "timeout", "HTTPConnection": "timeout", "Barrier": "timeout", "create_connection": "timeout",
    "Thread": "daemon",
}  # fmt: skip
ENDED_BY_ANY = {"wait", "join", "communicate", "result", "acquire"}
#: Its threads are joined at the interpreter's end, however long they go on: tests/together.py is for that.
NEVER = {"ThreadPoolExecutor"}
#: A program of its own, and one wait that its barrier ends.
LEFT_OUT = {"tests/stripe_server/__main__.py", "tests/together.py"}


def endless(text: str) -> Iterator[tuple[int, str]]:
    """Line and call of each wait that may never end."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):
            whole = ast.unparse(node.func)
            name, said = whole.rpartition(".")[2], {word.arg for word in node.keywords}
            word = ENDED_BY.get(whole) or ENDED_BY.get(name)
            silent = name in ENDED_BY_ANY and not node.args and not said
            if name in NEVER or silent or (word and word not in said):
                yield node.lineno, whole


def test_every_wait_of_the_suite_has_an_end() -> None:
    files = [file for file in (CHECKOUT / "tests").rglob("*.py") if str(file.relative_to(CHECKOUT)) not in LEFT_OUT]
    found = [
        f"{file.relative_to(CHECKOUT)}:{line} {call}"
        for file in [*files, CHECKOUT / "bench" / "copy.py"]
        for line, call in endless(file.read_text())
    ]
    assert not found, "give it a timeout (tests/pace.py: within), or use tests/together.py"


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("subprocess.run(['x'])", False),
        ("subprocess.run(['x'], timeout=within(3))", True),
        ("process.wait()", False),
        ("process.wait(3)", True),
        ("','.join(names)", True),
        ("thread.join()", False),
        ("threading.Thread(target=work)", False),
        ("Thread(target=work, daemon=True)", True),
        ("ThreadPoolExecutor(8)", False),
        ("urllib.request.urlopen(address)", False),
    ],
)
def test_what_counts_as_a_wait_without_an_end(text: str, ends: bool) -> None:
    assert (not list(endless(text))) == ends
