"""The settings of production, each read by a process of its own: what one name sets, and that Django finds nothing."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from config.local.embedded import CHECKOUT
from tests.pace import within

FOREIGN = ("PALISADE_", "STRIPE_", "DATABASE_URL", "REDIS_URL", "DJANGO_")
LINES = re.search(r"```\n(PALISADE_PUBLIC_HOST=.*?)```", (CHECKOUT / "docs" / "operations.md").read_text(), re.DOTALL)[
    1
]  # type: ignore[index]
PRODUCTION = dict(line.split("=", 1) for line in LINES.splitlines())
BOTH = pytest.mark.parametrize("module", ["portal", "api"])


def run(folder: Path, module: str, *command: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    clean = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    own = {"PALISADE_DATA": str(folder / "data"), "DJANGO_SETTINGS_MODULE": f"config.settings.{module}"}
    return subprocess.run(
        [sys.executable, *command],
        env=clean | own | environment,
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=within(60),
    )


def told(folder: Path, module: str, *names: str, **environment: str) -> list[object]:
    """These settings as a process reads them."""
    code = (
        f"import json; from django.conf import settings as s; print(json.dumps([s.{', s.'.join(names)}], default=str))"
    )
    done = run(folder, module, "-c", code, **environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@BOTH
def test_nothing_is_found_under_the_lines_of_the_manual(tmp_path: Path, module: str) -> None:
    done = run(tmp_path, module, "manage.py", "check", "--deploy", "--fail-level", "INFO", **PRODUCTION)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"System check identified no issues \(\d silenced\)\.\n", done.stdout), (
        done.stdout + done.stderr
    )


#: A line of the manual's → what is found where it is left out.
LEFT_OUT = {
    "PALISADE_PUBLIC_HOST": {"security.W004", "security.W008"},
    "PALISADE_SELLER_NAME": {"palisade.W002"},
    "PALISADE_RESEARCH_LICENSED": {"palisade.W001"},
}


@BOTH
def test_what_is_left_out_is_found(tmp_path: Path, module: str) -> None:
    """All at once: above nothing is found when none is."""
    lines = {name: value for name, value in PRODUCTION.items() if name not in LEFT_OUT}
    said = run(tmp_path, module, "manage.py", "check", "--deploy", **lines).stderr
    assert set().union(*LEFT_OUT.values()) <= set(re.findall(r"\((\w+\.W\d+)\)", said)), said


@BOTH
def test_one_name_sets_all_that_follows_from_it(tmp_path: Path, module: str) -> None:
    names = ("ALLOWED_HOSTS", "CSRF_TRUSTED_ORIGINS", "SECURE_SSL_REDIRECT", "SECURE_HSTS_SECONDS", "API_URL")
    cookies = ("SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "TRUSTED_PROXIES", "SECURE_PROXY_SSL_HEADER")
    assert told(tmp_path, module, *names, *cookies, PALISADE_PUBLIC_HOST="App.Example.com,api.example.com:8443") == [
        ["localhost", "127.0.0.1", "[::1]", "app.example.com", "api.example.com"],
        ["https://app.example.com", "https://api.example.com:8443"],
        True, 31_536_000, "https://app.example.com", True, True, ["127.0.0.0/8", "::1/128"],
        ["HTTP_X_FORWARDED_PROTO", "https"],
    ]  # fmt: skip


def test_production_has_no_demo_and_so_no_mailbox(tmp_path: Path) -> None:
    assert told(tmp_path, "portal", "DEMO_MODE", **PRODUCTION) == [False]
    assert run(tmp_path, "portal", "manage.py", "check", **PRODUCTION | {"PALISADE_DEMO": "1"}).returncode == 1


@BOTH
def test_without_a_name_nothing_is_said_of_tls(tmp_path: Path, module: str) -> None:
    names = ("ALLOWED_HOSTS", "CSRF_TRUSTED_ORIGINS", "SECURE_SSL_REDIRECT", "SECURE_HSTS_SECONDS", "TRUSTED_PROXIES")
    assert told(tmp_path, module, *names) == [["localhost", "127.0.0.1", "[::1]"], [], False, 0, []]


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"PALISADE_PUBLIC_HOST": "https://app.example.com"}, "takes names like app.example.com"),
        ({"PALISADE_PUBLIC_HOST": "*"}, "takes names like app.example.com"),
        ({"PALISADE_PUBLIC_HOST": ".example.com"}, "takes names like app.example.com"),
        ({"PALISADE_PUBLIC_HOST": "app.example.com", "PALISADE_DEMO": "1"}, "Set PALISADE_DEMO=0"),
        (
            {"PALISADE_PUBLIC_HOST": "app.example.com", "PALISADE_DEMO": "1", "PALISADE_DEBUG": "1"},
            "Set PALISADE_DEMO=0",
        ),
        ({"PALISADE_ALLOWED_HOSTS": "app.example.com", "PALISADE_DEMO": "1"}, "Set PALISADE_DEMO=0"),
        ({"PALISADE_TRUSTED_PROXIES": "10.0.0.1/8"}, "host bits set"),
        ({"PALISADE_OPERATOR_NETWORKS": "here"}, "does not appear to be an IPv4 or IPv6 network"),
    ],
)
def test_settings_that_can_not_be_are_refused_at_the_start(
    tmp_path: Path, environment: dict[str, str], said: str
) -> None:
    done = run(tmp_path, "api", "manage.py", "check", **environment)
    assert done.returncode != 0
    assert said in done.stderr
