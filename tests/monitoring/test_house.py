"""The whole house is run once (house.py): every metric is told and bounded, and every query finds its data."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from math import isnan
from typing import Any

import pytest
import yaml
from django.conf import settings
from prometheus_client.parser import text_string_to_metric_families

from apps.valkey import server
from tests.cast import Cast
from tests.monitoring import house, labels, table
from tests.monitoring.house import House
from tests.monitoring.tools import SHIPPED, needs_prometheus
from tests.sweeping import Snapshot

#: What is not told while nothing is the matter, and why.
SILENT = {
    "palisade_connections_cut_total": "nobody was cut",
    "palisade_deliveries_under_way": "the courier has just begun",
    "palisade_drift_index": "the sample's histograms are written with the recorder's next batch",
    "palisade_provider_events_total": "there is no payment provider",
    "palisade_recorder_store_away_total": "no store was away",
    "palisade_valkey_unconfirmed_total": "there is no cluster",
    **{row.name: "no stream runs" for row in table.documented() if row.name.startswith("palisade_stream_")},
}


@pytest.fixture(scope="module")
def run(
    cast: Cast, snapshot: Snapshot, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    valkey = server(settings.REDIS_URL, settings.REDIS_TIMEOUT)
    valkey.command("FLUSHDB")  # what a test counted whose rows were rolled back is a difference of the books
    with django_db_blocker.unblock():
        try:
            with house.running(cast, tmp_path_factory.mktemp("house")) as one:
                yield one
        finally:
            snapshot.sweep()


def told(run: House) -> dict[str, list[dict[str, str]]]:
    """Metric → the labels of its samples."""
    found: dict[str, list[dict[str, str]]] = defaultdict(list)
    for family in text_string_to_metric_families(run.metrics):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        found[name] += [sample.labels for sample in family.samples]
    return found


def test_every_documented_metric_is_told_and_no_other(run: House) -> None:
    documented, found = (
        {row.name for row in table.documented()},
        {name for name, samples in told(run).items() if samples},
    )
    assert documented - found <= set(SILENT)
    assert found <= documented


def test_labels_say_nothing_but_what_their_table_lists(run: House) -> None:
    seen: dict[str, set[str]] = defaultdict(set)
    for samples in told(run).values():
        for sample in samples:
            for label, value in sample.items():
                seen[label].add(value)
    seen.pop("le")
    assert seen.keys() <= labels.VALUES.keys() | labels.AT_MOST.keys()
    assert {label: values - labels.VALUES[label]() for label, values in seen.items() if label in labels.VALUES} == {
        label: set() for label in seen if label in labels.VALUES
    }
    assert all(len(seen[label]) <= most for label, most in labels.AT_MOST.items())


def test_what_was_done_was_counted(run: House) -> None:
    samples = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(run.metrics)
        for sample in family.samples
    }
    rows = samples["palisade_batch_rows_total", ("outcome", "decided")]
    assert rows == 50
    assert samples["palisade_reconciliation_differences", ("books", "usage")] == 0
    assert samples["palisade_gate_refusals_total", ("reason", "key_malformed")] >= 1  # twice where Prometheus is there
    assert samples["palisade_gate_refusals_total", ("reason", "rate_limited")] >= 1


def test_the_page_lists_every_metric_as_it_is_made() -> None:
    made = list(dict.fromkeys(table.made()))
    assert [str(row) for row in table.documented()] == [str(row) for row in made]


def test_the_page_lists_every_label() -> None:
    listed = set(re.findall(r"^\| `(\w+)` \| (?!counter|gauge|histogram)", table.PAGE.read_text(), re.MULTILINE))
    assert listed == {label for row in table.made() for label in row.labels}


# --- by Prometheus ----------------------------------------------------------------------------------------------------

#: Queries that rightly find nothing here, and why.
NOTHING = {
    "palisade_stream_age_seconds": "no stream runs",
    "palisade_drift_index": SILENT["palisade_drift_index"],
    "palisade_valkey_unconfirmed_total": SILENT["palisade_valkey_unconfirmed_total"],
    'palisade_analytics_reads_total{store="replica"}': "there is no replica",
}
_WORDS = r"sum|rate|increase|max|min|by|and|or|unless|on|ignoring|vector|absent|histogram_quantile|topk|predict_linear"
_GROUPED = re.compile(r"\b(?:by|without|on|ignoring)\s*\([^)]*\)")
_SELECTOR = re.compile(rf"(?<![\w:\"])(?!(?:{_WORDS})\b)[a-zA-Z_:][\w:]*(?:\{{[^}}]*\}})?")


def rules() -> list[dict[str, str]]:
    files = sorted((SHIPPED / "prometheus" / "rules").glob("*.yml"))
    return [rule for file in files for group in yaml.safe_load(file.read_text())["groups"] for rule in group["rules"]]


def selectors(query: str) -> list[str]:
    """Every series a query asks for."""
    bare = re.sub(r"\[[^\]]*\]", "", _GROUPED.sub("", query))
    return [one for one in _SELECTOR.findall(bare) if one not in ("bool",)]


def finds(run: House, query: str) -> bool:
    """Whether a query is answered with numbers."""
    return any(not isnan(float(one["value"][1])) for one in run.ask(query))


def may_find_nothing(query: str) -> bool:
    return any(name in query for name in NOTHING)


@needs_prometheus
def test_every_series_an_alert_asks_for_is_there(run: House) -> None:
    asked = {one for rule in rules() if "alert" in rule for one in selectors(rule["expr"])}
    assert len(asked) > 30
    assert [one for one in sorted(asked) if not may_find_nothing(one) and not run.ask(one)] == []


@needs_prometheus
def test_every_recorded_rule_finds_data(run: House) -> None:
    recorded = [rule["expr"] for rule in rules() if "record" in rule]
    assert [query for query in recorded if not finds(run, query)] == []


@needs_prometheus
def test_every_query_of_every_panel_finds_data(run: House) -> None:
    files = sorted((SHIPPED / "grafana" / "dashboards").glob("*.json"))
    asked = [
        (file.stem, panel["title"], target["expr"])
        for file in files
        for panel in json.loads(file.read_text())["panels"]
        for target in panel["targets"]
    ]
    assert len(asked) > 50
    assert [one for one in asked if not may_find_nothing(one[2]) and not finds(run, one[2])] == []


@needs_prometheus
def test_no_alert_is_raised_by_a_house_that_is_well(run: House) -> None:
    of_the_machine = "Palisade(Processors|Memory|Disk).*"  # what else runs on it is none of this test's
    raised = run.ask(f'ALERTS{{alertstate="firing",alertname!~"{of_the_machine}"}}')
    assert {one["metric"]["alertname"] for one in raised} == set()


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ('sum by (le) (rate(a_bucket{status=~"5.."}[5m])) / sum(b:c)', ['a_bucket{status=~"5.."}', "b:c"]),
        ('absent(up{job="palisade"})', ['up{job="palisade"}']),
        ("a:b > 3 * c:d and e > 0.1", ["a:b", "c:d", "e"]),
        ('predict_linear(x{state="available"}[6h], 86400) < 0', ['x{state="available"}']),
    ],
)
def test_every_series_of_a_query_is_seen(query: str, found: list[str]) -> None:
    assert selectors(query) == found
