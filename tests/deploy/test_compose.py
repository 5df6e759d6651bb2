"""compose.yaml, as Docker Compose reads it: the Procfile's processes, none with more rights than it needs."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from config.local.embedded import CHECKOUT
from tests.config.test_deploy import run
from tests.deploy.processes import DEPLOY, comparable, procfile
from tests.pace import within

COMPOSE = shutil.which("docker-compose", path=str(Path(sys.executable).parent))
pytestmark = pytest.mark.skipif(COMPOSE is None, reason="docker-compose is not installed: `make dev` brings it")
EXAMPLE = (DEPLOY / "production.env.example").read_text()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of deploy/ with the settings and secrets a first start makes."""
    copy = tmp_path_factory.mktemp("checkout") / "deploy"
    shutil.copytree(DEPLOY, copy, ignore=shutil.ignore_patterns("secrets", "production.env"))
    (copy / "production.env").write_text(EXAMPLE)
    subprocess.run([str(copy / "secrets.sh")], check=True, timeout=within(60))
    return copy


@pytest.fixture(scope="module")
def services(folder: Path) -> Mapping[str, Any]:
    return read(folder)


def read(folder: Path, *options: str) -> Mapping[str, Any]:
    command = [str(COMPOSE), "-f", str(folder / "compose.yaml"), *options, "config", "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=within(60))
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout)["services"])


def ours(services: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    return ((name, one) for name, one in services.items() if "build" in one)


def test_every_process_of_the_procfile_runs_and_migrations_run_before(services: Mapping[str, Any]) -> None:
    started = {name: comparable(one["command"]) for name, one in ours(services) if name != "migrate"}
    assert started == procfile()
    for name, one in ours(services):
        if name != "migrate":
            assert one["depends_on"]["migrate"]["condition"] == "service_completed_successfully"


def test_stream_runs_where_it_is_wanted_alone(folder: Path, services: Mapping[str, Any]) -> None:
    assert "stream" not in services
    assert read(folder, "--profile", "stream")["stream"]["command"] == ["python", "manage.py", "stream"]


def test_nobody_has_more_rights_than_needed(services: Mapping[str, Any]) -> None:
    for name, one in services.items():
        assert "no-new-privileges:true" in one.get("security_opt", []) or name == "postgres", name
        assert not one.get("privileged"), name
    for name, one in ours(services):
        assert (one["read_only"], one["cap_drop"], one["user"]) == (True, ["ALL"], "10001:10001"), name


def test_only_caddy_is_open_to_all(services: Mapping[str, Any]) -> None:
    open_to_all = {name for name, one in services.items() for port in one.get("ports", []) if "host_ip" not in port}
    assert open_to_all == {"caddy"}


def test_images_are_named_by_version(services: Mapping[str, Any]) -> None:
    for name, one in services.items():
        if "build" not in one:
            assert re.search(r":v?\d+\.\d+", one["image"]), name


def test_files_that_are_mounted_are_there(services: Mapping[str, Any]) -> None:
    for name, one in services.items():
        for mount in one.get("volumes", []):
            assert mount["type"] == "volume" or Path(mount["source"]).exists(), (name, mount["source"])


def test_secrets_are_made_once_and_kept_from_others(folder: Path) -> None:
    made = {file.name: file.read_text() for file in (folder / "secrets").iterdir()}
    assert all(len(text) >= 32 for text in made.values())
    assert (folder / "secrets").stat().st_mode & 0o77 == 0
    subprocess.run([str(folder / "secrets.sh")], check=True, timeout=within(60))
    assert {file.name: file.read_text() for file in (folder / "secrets").iterdir()} == made
    assert made["postgres_password"] in made["database_url"]


def test_settings_are_known(services: Mapping[str, Any]) -> None:
    """A word that no setting has is a mistake nobody would be told of."""
    settings = (CHECKOUT / "docs" / "settings.md").read_text() + (
        CHECKOUT / "config" / "local" / "secret_files.py"
    ).read_text()
    for name, one in ours(services):
        for variable in one["environment"]:
            known = variable.removesuffix("_FILE") in settings
            assert known or variable in ("DJANGO_SETTINGS_MODULE", "HEALTH", "ACME_EMAIL", "PORTAL_HOST", "API_HOST"), (
                name
            )


@pytest.mark.parametrize("module", ["portal", "api"])
def test_django_finds_nothing_under_what_is_shipped(
    folder: Path, services: Mapping[str, Any], tmp_path: Path, module: str
) -> None:
    given = services["api"]["environment"].items()
    ours = {name: value for name, value in given if name.startswith("PALISADE_") and name != "PALISADE_DATA"}
    environment = {name: value.replace("/run/secrets/", f"{folder}/secrets/") for name, value in ours.items()}
    done = run(tmp_path, module, "manage.py", "check", "--deploy", "--fail-level", "INFO", **environment)
    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout, done.stdout + done.stderr
