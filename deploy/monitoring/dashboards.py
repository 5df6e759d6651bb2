"""The dashboards, as one table of panels; `python deploy/monitoring/dashboards.py` writes grafana/dashboards/*.json.

A panel: its title, its unit, how it is drawn, what Prometheus is asked. Two panels to a row, four of single numbers.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

Kind = Literal["timeseries", "stat", "bargauge"]
Unit = Literal["short", "reqps", "percentunit", "s", "bytes", "none"]
FOLDER = Path(__file__).parent / "grafana" / "dashboards"
SOURCE = {"type": "prometheus", "uid": "palisade"}
WIDTH, HEIGHT = {"timeseries": 12, "stat": 6, "bargauge": 12}, {"timeseries": 8, "stat": 4, "bargauge": 8}


class Query(NamedTuple):
    """What is asked, and what each line of the answer is called."""

    expression: str
    legend: str = ""


class Panel(NamedTuple):
    """One drawing."""

    title: str
    unit: Unit
    kind: Kind
    queries: Sequence[Query]


class Dashboard(NamedTuple):
    """One page."""

    name: str
    title: str
    panels: Sequence[Panel]


def lines(title: str, unit: Unit, *queries: Query) -> Panel:
    """Over time."""
    return Panel(title, unit, "timeseries", queries)


def number(title: str, unit: Unit, expression: str) -> Panel:
    """As it is now."""
    return Panel(title, unit, "stat", [Query(expression)])


def bars(title: str, unit: Unit, expression: str, legend: str) -> Panel:
    """As it is now, by a label."""
    return Panel(title, unit, "bargauge", [Query(expression, legend)])


SERVICE = (
    number("Requests", "reqps", "palisade:requests:rate5m"),
    number("Failed", "percentunit", "palisade:request_errors:ratio5m"),
    number("95 % within", "s", "palisade:request_seconds:p95"),
    number("Servers up", "none", 'sum(up{job="palisade"})'),
    lines(
        "Requests by status",
        "reqps",
        Query("sum by (status) (rate(palisade_request_seconds_count[5m]))", "{{status}}"),
    ),
    lines(
        "How long they take",
        "s",
        Query("palisade:request_seconds:p50", "half"),
        Query("palisade:request_seconds:p95", "95 %"),
        Query("palisade:request_seconds:p99", "99 %"),
    ),
    lines(
        "Portal: 95 % of its pages within",
        "s",
        Query("histogram_quantile(0.95, sum by (le) (rate(palisade_page_seconds_bucket[5m])))", "95 %"),
    ),
    lines(
        "Error budget, spent so many times as fast as it may be",
        "short",
        Query("palisade:request_errors:ratio5m / 0.001", "5 minutes"),
        Query("palisade:request_errors:ratio1h / 0.001", "1 hour"),
        Query("palisade:request_errors:ratio6h / 0.001", "6 hours"),
        Query("palisade:request_errors:ratio3d / 0.001", "3 days"),
    ),
    lines(
        "SLA's budget, as the prober counts it",
        "short",
        Query("max by (window) (palisade_burn_rate)", "{{window}} s"),
    ),
    lines("Parts, as the prober finds them", "none", Query("min by (part) (palisade_part_up)", "{{part}}")),
    lines("Refused at the gate", "reqps", Query("palisade:gate_refusals:rate5m", "{{reason}}")),
    lines(
        "Answers without a part",
        "reqps",
        Query("sum by (part) (rate(palisade_degraded_answers_total[5m]))", "{{part}}"),
    ),
    lines("Stores", "none", Query("min by (store) (palisade_store_up)", "{{store}}")),
    lines("Journal: entries", "short", Query("max(palisade_journal_entries)", "entries")),
    lines(
        "Journal: age",
        "s",
        Query("max(palisade_journal_age_seconds)", "oldest entry"),
        Query("max(palisade_recorder_lag_seconds)", "recorder"),
    ),
    lines("Recorded", "short", Query("sum(rate(palisade_recorded_total[5m]))", "a second")),
    lines("Recorders at work", "none", Query("sum(palisade_recorder_active)", "recorders")),
    lines(
        "Cluster: promised without a replica's word",
        "short",
        Query("sum(increase(palisade_valkey_unconfirmed_total[15m]))", "writes in 15 minutes"),
    ),
    lines(
        "Analytics, by the Postgres that answers",
        "reqps",
        Query("sum by (store) (rate(palisade_analytics_reads_total[5m]))", "{{store}}"),
    ),
    lines("Last backup: age", "s", Query("max(palisade_backup_age_seconds)", "of everything")),
    lines("Queues: tasks", "short", Query("max by (queue) (palisade_queue_tasks)", "{{queue}}")),
    lines("Queues: age", "s", Query("max by (queue) (palisade_queue_age_seconds)", "{{queue}}")),
    lines(
        "Messages to customers: late",
        "s",
        Query("max by (channel) (palisade_outbox_oldest_due_seconds)", "{{channel}}"),
    ),
    lines("Messages to customers: due", "short", Query("max by (channel) (palisade_outbox_due)", "{{channel}}")),
    lines("Files: rows to be scored", "short", Query("max(palisade_batch_rows_waiting)", "rows")),
    lines("Files: rows done", "short", Query("sum by (outcome) (rate(palisade_batch_rows_total[5m]))", "{{outcome}}")),
    lines("Files", "short", Query("max by (state) (palisade_batches)", "{{state}}")),
    lines("Processors", "percentunit", Query("palisade:cpu_used:ratio5m", "{{instance}}")),
    lines("Memory", "percentunit", Query("palisade:memory_used:ratio", "{{instance}}")),
    lines("Disk", "percentunit", Query("palisade:disk_used:ratio", "{{instance}}")),
    lines(
        "Books: places where they differ",
        "short",
        Query("max by (books) (palisade_reconciliation_differences)", "{{books}}"),
    ),
)
BUSINESS = (
    number("Decisions an hour", "short", "sum(increase(fraud_predictions_total[1h]))"),
    number("Units today", "short", "sum(max by (tier) (palisade_units_today))"),
    number("Tenants", "none", 'sum(max by (tier) (palisade_tenants{state="active"}))'),
    number("Past due", "none", 'max(palisade_subscriptions{status="past_due"})'),
    lines("Decisions by plan", "reqps", Query("sum by (tier) (rate(fraud_predictions_total[5m]))", "{{tier}}")),
    lines("Units today by plan", "short", Query("max by (tier) (palisade_units_today)", "{{tier}}")),
    lines(
        "Recurring revenue a month", "short", Query("max by (currency) (palisade_recurring_revenue)", "{{currency}}")
    ),
    lines("Subscriptions", "short", Query("max by (status) (palisade_subscriptions)", "{{status}}")),
    lines("Invoices", "short", Query("max by (status) (palisade_invoices)", "{{status}}")),
    lines(
        "Payments without a last word",
        "short",
        Query("max(palisade_payments_unanswered)", "payments"),
        Query("max(palisade_provider_events_waiting)", "webhooks of the provider"),
    ),
    lines(
        "Stopped by their limit",
        "reqps",
        Query(
            'sum by (reason) (rate(palisade_gate_refusals_total{reason=~"rate_limited|quota_exceeded"}[5m]))',
            "{{reason}}",
        ),
    ),
)
MODELS = (
    lines("Decisions by kind", "reqps", Query("palisade:predictions:rate5m", "{{schema}}")),
    lines("Fraud, of an hour's decisions", "percentunit", Query("palisade:fraud:ratio1h", "{{schema}}")),
    lines(
        "Decisions by model",
        "reqps",
        Query("sum by (schema, model) (rate(fraud_predictions_total[5m]))", "{{schema}}/{{model}}"),
    ),
    lines("Decisions by action", "reqps", Query("sum by (action) (rate(fraud_predictions_total[5m]))", "{{action}}")),
    lines("95 % decided within", "s", Query("palisade:prediction_seconds:p95", "{{schema}}")),
    lines(
        "Accuracy, by labels of 30 days",
        "percentunit",
        Query('max by (schema, model) (model_accuracy{basis="labels"})', "{{schema}}/{{model}}"),
    ),
    bars(
        "Accuracy when made",
        "percentunit",
        'max by (schema, model) (model_accuracy{basis="card"})',
        "{{schema}}/{{model}}",
    ),
    lines("Drift of scores", "short", Query("max by (schema, model) (palisade_drift_index)", "{{schema}}/{{model}}")),
    lines(
        "Vectors that come out otherwise",
        "percentunit",
        Query("max by (schema) (palisade_feature_vector_mismatch_rate)", "{{schema}}"),
    ),
)
TENANTS = (
    lines("Tenants by plan", "short", Query('max by (tier) (palisade_tenants{state="active"})', "{{tier}}")),
    lines(
        "Suspended and closed",
        "short",
        Query('sum by (state) (max by (state, tier) (palisade_tenants{state!="active"}))', "{{state}}"),
    ),
    bars(
        "Units today: who used most", "short", "topk(10, max by (tenant) (palisade_tenant_units_today))", "{{tenant}}"
    ),
    bars("Open alerts of tenants", "short", "max by (kind) (palisade_open_alerts)", "{{kind}}"),
    lines("Fraud by plan", "reqps", Query("sum by (tier) (rate(fraud_detected_total[5m]))", "{{tier}}")),
    lines(
        "Webhooks and mails tried",
        "short",
        Query("sum by (channel, outcome) (rate(palisade_deliveries_total[5m]))", "{{channel}} {{outcome}}"),
    ),
)
DASHBOARDS = (
    Dashboard("service", "Palisade: service", SERVICE),
    Dashboard("business", "Palisade: business", BUSINESS),
    Dashboard("models", "Palisade: models", MODELS),
    Dashboard("tenants", "Palisade: tenants", TENANTS),
)


def model_of(dashboard: Dashboard) -> dict[str, Any]:
    """A dashboard as Grafana reads it."""
    return {
        "uid": f"palisade-{dashboard.name}",
        "title": dashboard.title,
        "tags": ["palisade"],
        "schemaVersion": 38,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "utc",
        "panels": list(_panels(dashboard.panels)),
    }


def _panels(panels: Sequence[Panel]) -> Iterator[dict[str, Any]]:
    """From left to right, as many to a row as there is room for."""
    x = y = tallest = 0
    for number_of, panel in enumerate(panels, 1):
        width, height = WIDTH[panel.kind], HEIGHT[panel.kind]
        if x + width > 24:
            x, y, tallest = 0, y + tallest, 0
        yield _panel(number_of, panel, {"x": x, "y": y, "w": width, "h": height})
        x, tallest = x + width, max(tallest, height)


def _panel(number_of: int, panel: Panel, place: Mapping[str, int]) -> dict[str, Any]:
    return {
        "id": number_of,
        "title": panel.title,
        "type": panel.kind,
        "datasource": SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "options": {},
        "targets": [_target(panel, place_of, query) for place_of, query in enumerate(panel.queries)],
    }


def _target(panel: Panel, place_of: int, query: Query) -> dict[str, Any]:
    target = {
        "refId": chr(ord("A") + place_of),
        "datasource": SOURCE,
        "expr": query.expression,
        "legendFormat": query.legend,
    }
    return target | ({} if panel.kind == "timeseries" else {"instant": True})


def files() -> dict[Path, str]:
    """Every file and what is in it."""
    return {FOLDER / f"{one.name}.json": json.dumps(model_of(one), indent=1) + "\n" for one in DASHBOARDS}


if __name__ == "__main__":
    for path, text in files().items():
        path.write_text(text)
