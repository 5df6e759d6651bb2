"""What is loaded before workers are forked: nothing is left for a worker's first request."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from config.local.embedded import CHECKOUT
from tests.pace import within


@pytest.mark.parametrize(("face", "view"), [("api", "apps.api.decisions"), ("portal", "apps.portal.pages.dashboard")])
def test_every_view_is_imported_with_the_application(tmp_path: Path, face: str, view: str) -> None:
    """Django would import them with the first request, in each worker."""
    code = f"import sys, config.application_{face}; print({view!r} in sys.modules)"
    inherited = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=CHECKOUT, env=inherited | {"PALISADE_DATA": str(tmp_path)}, text=True,
        capture_output=True, check=False, timeout=within(60),
    )  # fmt: skip
    assert done.stdout.split() == ["True"], done.stderr
