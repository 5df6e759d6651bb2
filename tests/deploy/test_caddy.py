"""The Caddyfile, as Debian's Caddy reads it (deploy/fetch-tools); nothing is started and nobody is called."""

import json
import subprocess
from typing import Any

import pytest

from config.local.embedded import CHECKOUT
from tests.monitoring.tools import TOOLS
from tests.pace import within

CADDY = TOOLS / "caddy"
NAMES = {"ACME_EMAIL": "ops@example.com", "PORTAL_HOST": "portal.example.com", "API_HOST": "api.example.com"}
pytestmark = pytest.mark.skipif(not CADDY.exists(), reason="deploy/fetch-tools has not been run, or there is no apt")


def test_caddyfile_is_read_and_leads_each_name_to_its_process() -> None:
    command = [str(CADDY), "adapt", "--config", "deploy/caddy/Caddyfile", "--adapter", "caddyfile"]
    done = subprocess.run(
        command, cwd=CHECKOUT, env=NAMES, capture_output=True, text=True, timeout=within(20), check=False
    )
    assert done.returncode == 0, done.stderr
    (server,) = json.loads(done.stdout)["apps"]["http"]["servers"].values()
    leads = {route["match"][0]["host"][0]: json.dumps(route["handle"]) for route in server["routes"]}
    assert leads.keys() == {"portal.example.com", "api.example.com"}
    assert '"dial": "portal:8501"' in leads["portal.example.com"] and '"dial": "api:8000"' in leads["api.example.com"]
    assert all('"uri": "/ready"' in handle for handle in leads.values())
    assert closed_to_outside(leads["api.example.com"])


def closed_to_outside(handle: Any) -> bool:
    """Whether /metrics is answered 404."""
    return '"/metrics"' in handle and '"status_code": 404' in handle
