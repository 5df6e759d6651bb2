"""Secrets in files: NAME_FILE says where NAME stands."""

from pathlib import Path

import pytest

from config.local.secret_files import NAMES, UnreadableSecret, read_secret_files
from tests.config.test_deploy import told


@pytest.mark.parametrize("name", NAMES)
def test_file_is_read_for_each(tmp_path: Path, name: str) -> None:
    file = tmp_path / "secret"
    file.write_text("a value\n")
    environment = {f"{name}_FILE": str(file)}
    read_secret_files(environment)
    read_secret_files(environment)
    assert environment[name] == "a value"


@pytest.mark.parametrize(
    ("content", "beside", "said"), [(None, "", "can't be read"), ("\n", "", "is empty"), ("one", "other", "both set")]
)
def test_what_can_not_be_is_said(tmp_path: Path, content: str | None, beside: str, said: str) -> None:
    if content is not None:
        (tmp_path / "secret").write_text(content)
    environment = {"STRIPE_API_KEY_FILE": str(tmp_path / "secret")} | ({"STRIPE_API_KEY": beside} if beside else {})
    with pytest.raises(UnreadableSecret, match=said):
        read_secret_files(environment)


def test_settings_and_stores_have_them(tmp_path: Path) -> None:
    given = {
        "PALISADE_KEY_PEPPER": "p" * 40,
        "DATABASE_URL": "postgresql://user:pass@db.example.com/palisade",
        "REDIS_URL": "redis://valkey.example.com/0",
    }
    for name, value in given.items():
        (tmp_path / name).write_text(value)
    named = {f"{name}_FILE": str(tmp_path / name) for name in given}
    told_of = told(tmp_path, "api", "KEY_PEPPER", "REDIS_URL", **named)
    assert told_of == [given["PALISADE_KEY_PEPPER"], given["REDIS_URL"]]
