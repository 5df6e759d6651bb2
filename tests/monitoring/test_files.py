"""The shipped files are what their tables say, Debian's own tools take them, and alerts fire when they should."""

import importlib.util
import re
from types import ModuleType

import pytest
import yaml

from apps.sla.burn import RULES
from config.local.embedded import CHECKOUT
from tests.monitoring.tools import SHIPPED, needs_prometheus, run


def table(name: str) -> ModuleType:
    """A script of deploy/monitoring as a module."""
    spec = importlib.util.spec_from_file_location(f"shipped_{name}", SHIPPED / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


ALERTS, DASHBOARDS = table("alerts"), table("dashboards")
NAMES = list(dict.fromkeys(alert.name for alert in ALERTS.ALERTS))


def test_rules_and_dashboards_are_what_their_tables_say() -> None:
    assert ALERTS.FILE.read_text() == ALERTS.rules()
    files = DASHBOARDS.files()
    assert {path: path.read_text() for path in DASHBOARDS.FOLDER.glob("*.json")} == files


def test_burn_alerts_are_the_sla_rules() -> None:
    by_rule = {rule.name: (float(rule.rate), set(rule.windows), rule.pages) for rule in RULES}
    shipped = {
        alert.name.removeprefix("PalisadeBurn").lower(): (
            float(alert.expression.rpartition(" ")[2]),
            {int(window) for window in re.findall(r'window="(\d+)"', alert.expression)},
            alert.severity == "critical",
        )
        for alert in ALERTS.ALERTS
        if alert.name.startswith("PalisadeBurn")
    }
    assert shipped == by_rule


def test_every_alert_has_a_page_in_the_runbook_and_every_page_an_alert() -> None:
    runbook = (CHECKOUT / ALERTS.RUNBOOK).read_text()
    pages = re.findall(r"^#+ (Palisade\w+)$", runbook, re.MULTILINE)
    assert sorted(pages) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_page_says_what_is_seen_what_it_means_what_to_look_at_and_what_to_do(name: str) -> None:
    page = re.split(r"^#+ ", (CHECKOUT / ALERTS.RUNBOOK).read_text(), flags=re.MULTILINE)
    (text,) = [one for one in page if one.startswith(f"{name}\n")]
    for word in ("Signal", "Meaning", "Look at", "Do"):
        assert f"**{word}.**" in text, word


def test_dashboards_have_names_of_their_own_and_panels_that_lie_beside_each_other() -> None:
    for dashboard in DASHBOARDS.DASHBOARDS:
        titles = [panel.title for panel in dashboard.panels]
        assert len(set(titles)) == len(titles)
        taken = set()
        for panel in DASHBOARDS.model_of(dashboard)["panels"]:
            place = panel["gridPos"]
            cells = {
                (x, y)
                for x in range(place["x"], place["x"] + place["w"])
                for y in range(place["y"], place["y"] + place["h"])
            }
            assert place["x"] + place["w"] <= 24 and not cells & taken
            taken |= cells


@needs_prometheus
def test_prometheus_takes_configuration_and_rules() -> None:
    said = run("promtool", "check", "config", "prometheus/prometheus.yml")
    assert "SUCCESS" in said and "WARNING" not in said


@needs_prometheus
def test_rules_follow_the_house_rules() -> None:
    assert "SUCCESS" in run(
        "promtool", "check", "rules", "prometheus/rules/recording.yml", "prometheus/rules/alerts.yml"
    )


@needs_prometheus
@pytest.mark.parametrize("file", sorted(path.name for path in (SHIPPED / "prometheus" / "tests").glob("*.yml")))
def test_alerts_fire_when_they_should(file: str) -> None:
    assert "SUCCESS" in run("promtool", "test", "rules", f"prometheus/tests/{file}")


def test_every_alert_is_seen_firing_in_some_test() -> None:
    looks = [
        look
        for path in (SHIPPED / "prometheus" / "tests").glob("*.yml")
        for test in yaml.safe_load(path.read_text())["tests"]
        for look in test["promql_expr_test"]
        if 'alertstate="firing"' in look["expr"]
    ]
    fired = set(re.findall(r'alertname="(\w+)"', str([look["exp_samples"] for look in looks])))
    assert set(NAMES) - fired == set()


@needs_prometheus
def test_alertmanager_takes_its_routes() -> None:
    assert "SUCCESS" in run("amtool", "check-config", "alertmanager/alertmanager.yml")


@needs_prometheus
@pytest.mark.parametrize(
    ("labels", "receiver"),
    [("severity=critical", "page"), ("severity=warning", "mail"), ("severity=info", "nobody"), ("", "mail")],
)
def test_who_is_told(labels: str, receiver: str) -> None:
    said = run(
        "amtool", "config", "routes", "test", "--config.file=alertmanager/alertmanager.yml", *filter(None, [labels])
    )
    assert said.split()[-1] == receiver
