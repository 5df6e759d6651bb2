"""A promotion holds on a running server, without a restart; a refused one changes nothing."""

import json
import shutil
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from tests.api.bodies import HONEST
from tests.cast import Api
from tests.live import serving
from tests.pace import within


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """The shipped models where they may be changed."""
    return Path(shutil.copytree(settings.ARTIFACTS_DIR, tmp_path / "models"))


def test_a_promotion_holds_without_a_restart(alice: Api, shelf: Path) -> None:
    with serving(PALISADE_ARTIFACTS=str(shelf)) as address:
        assert _asked(address, alice)["model"]["name"] == "xgboost"
        call_command("promote_model", "paysim", "lightgbm", "--artifacts", str(shelf))
        _until(lambda: _asked(address, alice)["model"]["name"] == "lightgbm")
        assert _asked(address, alice, model="xgboost")["model"]["name"] == "xgboost"


def test_a_model_that_is_not_itself_is_not_promoted(alice: Api, shelf: Path) -> None:
    model = next(shelf.glob("paysim/lightgbm/*/model.onnx"))
    model.write_bytes(model.read_bytes()[:-1] + b"\x00")
    before = (shelf / "paysim" / "ACTIVE").read_text()
    with serving(PALISADE_ARTIFACTS=str(shelf)) as address:
        with pytest.raises(CommandError, match=r"model\.onnx is not the file"):
            call_command("promote_model", "paysim", "lightgbm", "--artifacts", str(shelf))
        time.sleep(1.5)
        told = _asked(address, alice)
    assert (shelf / "paysim" / "ACTIVE").read_text() == before
    assert (told["model"]["name"], told["degraded"]) == ("xgboost", [])


def _asked(address: str, api: Api, **more: Any) -> dict[str, Any]:
    body = json.dumps(HONEST | more).encode()
    assert api.player is not None
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {api.player.text}"}
    with urllib.request.urlopen(
        urllib.request.Request(f"{address}/v1/decisions", body, headers), timeout=within(10)
    ) as answer:
        return json.load(answer)


def _until(true: Callable[[], bool], seconds: float = 15.0) -> None:
    begun = time.monotonic()
    while not true():
        assert time.monotonic() - begun < within(seconds)
        time.sleep(0.1)
