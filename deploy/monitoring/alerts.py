"""The alerts, as one table; `python deploy/monitoring/alerts.py` writes prometheus/rules/alerts.yml from it.

A row: what it is called, what Prometheus asks, for how long that has to hold, how grave it is, and what somebody reads
on a telephone at night. Each has a page of the same name in docs/runbook.md.
"""

from pathlib import Path
from typing import Literal, NamedTuple

import yaml

Severity = Literal["critical", "warning", "info"]
HERE = Path(__file__).parent
FILE = HERE / "prometheus" / "rules" / "alerts.yml"
RUNBOOK = "docs/runbook.md"


class Alert(NamedTuple):
    """A row."""

    name: str
    expression: str
    held: str
    severity: Severity
    summary: str


class Level(NamedTuple):
    """From which share of a machine's resource somebody is told, and how gravely."""

    share: float
    severity: Severity


#: The share of failed requests that may be spent evenly over a month: 99.9 % are promised.
BUDGET = 0.001
LEVELS = (Level(0.80, "info"), Level(0.85, "warning"), Level(0.90, "critical"))


def burning(factor: float, *windows: str) -> str:
    """The budget is spent `factor` times as fast as it may be, in each of these windows."""
    return " and ".join(f"palisade:request_errors:ratio{window} > {factor * BUDGET:.4f}" for window in windows)


def burnt(factor: float, *windows: int) -> str:
    """The same as the prober counts it, over all API servers and with its probes; windows in seconds."""
    return " and ".join(f'max(palisade_burn_rate{{window="{window}"}}) >= {factor:g}' for window in windows)


def used(name: str, resource: str, held: str) -> tuple[Alert, ...]:
    """The same alert at each level."""
    return tuple(
        Alert(
            name,
            f"palisade:{resource} > {share:.2f}",
            held,
            severity,
            f"{{{{ $labels.instance }}}}: {{{{ $value | humanizePercentage }}}} used, over {share:.0%}.",
        )
        for share, severity in LEVELS
    )


ALERTS: tuple[Alert, ...] = (
    # --- requests ---
    Alert(
        "PalisadeDown", 'up{job="palisade"} == 0', "1m", "critical", "{{ $labels.instance }} does not answer /metrics."
    ),
    Alert(
        "PalisadeNotWatched", 'absent(up{job="palisade"})', "2m", "critical", "Prometheus scrapes no Palisade at all."
    ),
    Alert(
        "PalisadeErrorsFast",
        burning(14.4, "1h", "5m"),
        "0m",
        "critical",
        "A month's error budget is gone in two days: {{ $value | humanizePercentage }} of an hour's requests failed.",
    ),
    Alert(
        "PalisadeErrorsSlow",
        burning(6, "6h", "30m"),
        "0m",
        "critical",
        "A month's error budget is gone in five days: {{ $value | humanizePercentage }} of six hours' requests failed.",
    ),
    Alert(
        "PalisadeErrorsSteady",
        burning(1, "3d", "6h"),
        "1h",
        "warning",
        "The month's error budget will be spent: {{ $value | humanizePercentage }} of three days' requests failed.",
    ),
    Alert(
        "PalisadeSlow",
        "palisade:request_seconds:p95 > 0.5",
        "10m",
        "warning",
        "Requests take {{ $value | humanizeDuration }} at the 95th percentile; the goal is 500 ms.",
    ),
    Alert(
        "PalisadeDegraded",
        "sum by (part) (rate(palisade_degraded_answers_total[5m])) > 0",
        "5m",
        "warning",
        "Answers are given without {{ $labels.part }}, and not billed.",
    ),
    Alert(
        "PalisadeRefusing",
        "sum(rate(palisade_gate_refusals_total[15m])) / palisade:requests:rate5m > 0.25",
        "15m",
        "warning",
        "The gate refuses {{ $value | humanizePercentage }} of all requests.",
    ),
    Alert(
        "PalisadeKeysGuessed",
        "sum(rate(palisade_refused_keys_held_up_total[5m])) > 1",
        "5m",
        "warning",
        "Somebody tries keys: {{ $value | humanize }} a second are held up.",
    ),
    # --- what the prober finds ---
    Alert(
        "PalisadeProberGone",
        "absent(palisade_part_up)",
        "5m",
        "critical",
        "No prober runs: no incident opens, silent minutes are no data, the public status grows old.",
    ),
    Alert(
        "PalisadePartDown",
        "min by (part) (palisade_part_up) == 0",
        "90s",
        "critical",
        "The prober finds {{ $labels.part }} down.",
    ),
    Alert(
        "PalisadeBurnFast",
        burnt(14.4, 3_600, 300),
        "0m",
        "critical",
        "Of all requests and probes of an hour so many failed that the SLA's budget burns {{ $value | humanize }} x.",
    ),
    Alert(
        "PalisadeBurnSlow",
        burnt(6, 21_600, 1_800),
        "0m",
        "critical",
        "Of all requests and probes of six hours so many failed that the budget burns {{ $value | humanize }} x.",
    ),
    Alert(
        "PalisadeBurnCreeping",
        burnt(1, 259_200),
        "1h",
        "warning",
        "Over three days the SLA's budget burns {{ $value | humanize }} x as fast as it may.",
    ),
    # --- stores, journal, recorder ---
    Alert(
        "PalisadeValkeyAway",
        'min(palisade_store_up{store="valkey"}) == 0',
        "1m",
        "critical",
        "An API server can't reach Valkey: answers are degraded and not billed.",
    ),
    Alert(
        "PalisadePostgresAway",
        'min(palisade_store_up{store="postgres"}) == 0',
        "1m",
        "critical",
        "The recorder can't reach Postgres: answers are not billed, the journal grows.",
    ),
    Alert(
        "PalisadeJournalOld",
        "max(palisade_journal_age_seconds) > 60",
        "2m",
        "critical",
        "A decision waits for {{ $value | humanizeDuration }} to be recorded.",
    ),
    Alert(
        "PalisadeJournalFull",
        "max(palisade_journal_full_ratio) > 0.5",
        "1m",
        "critical",
        "The journal is {{ $value | humanizePercentage }} full; when it is full, scoring answers 503.",
    ),
    Alert(
        "PalisadeJournalSetAside",
        "max(palisade_journal_dead_entries) > 0",
        "1m",
        "warning",
        "{{ $value }} journal entries can't be recorded.",
    ),
    Alert(
        "PalisadeRecorderGone",
        "absent(palisade_recorder_lag_seconds)",
        "2m",
        "critical",
        "No recorder runs: decisions are kept in the journal alone.",
    ),
    Alert(
        "PalisadeRecorderSlow",
        "max(palisade_recorder_lag_seconds) > 30",
        "5m",
        "warning",
        "Decisions are recorded {{ $value | humanizeDuration }} after they were made.",
    ),
    Alert(
        "PalisadeRecorderIdle",
        "sum(palisade_recorder_active) == 0",
        "1m",
        "critical",
        "Recorders stand by and none works: decisions are kept in the journal alone.",
    ),
    Alert(
        "PalisadeRecordersMany",
        "sum(palisade_recorder_active) > 1",
        "2m",
        "warning",
        "{{ $value }} recorders say that it is their turn.",
    ),
    Alert(
        "PalisadeUnconfirmed",
        "sum(increase(palisade_valkey_unconfirmed_total[15m])) > 0",
        "0m",
        "warning",
        "Writes were promised that no replica of Valkey had confirmed: about {{ $value | humanize }}.",
    ),
    Alert(
        "PalisadeReplicaAway",
        'sum(increase(palisade_analytics_reads_total{store="postgres"}[10m])) > 0'
        ' and sum(increase(palisade_analytics_reads_total{store="replica"}[1d])) > 0',
        "10m",
        "warning",
        "Analytics are read from the primary: its replica does not answer.",
    ),
    Alert(
        "PalisadeBackupOld",
        "max(palisade_backup_age_seconds) > 93600",
        "10m",
        "critical",
        "The last backup is {{ $value | humanizeDuration }} old.",
    ),
    # --- workers ---
    Alert(
        "PalisadeQueueOld",
        'max by (queue) (palisade_queue_age_seconds{queue!~"heavy|models"}) > 60',
        "2m",
        "critical",
        "A task waits in {{ $labels.queue }} for {{ $value | humanizeDuration }}.",
    ),
    Alert(
        "PalisadeHeavyQueueOld",
        'max(palisade_queue_age_seconds{queue="heavy"}) > 7200',
        "10m",
        "warning",
        "A task waits in heavy for {{ $value | humanizeDuration }}.",
    ),
    Alert(
        "PalisadeModelsQueueOld",
        'max(palisade_queue_age_seconds{queue="models"}) > 18000',
        "10m",
        "warning",
        "A task waits in models for {{ $value | humanizeDuration }}: a training ends after four hours at most.",
    ),
    Alert(
        "PalisadeFiguresOld",
        'min(palisade_figures_age_seconds{pace="often"}) > 300',
        "1m",
        "critical",
        "Nothing scheduled was done for {{ $value | humanizeDuration }}: beat or the money worker is away.",
    ),
    Alert(
        "PalisadeFiguresMissing",
        'absent(palisade_figures_age_seconds{pace="often"})',
        "5m",
        "critical",
        "Nothing scheduled is done: beat or the money worker is away.",
    ),
    Alert(
        "PalisadeOutboxLate",
        "max by (channel) (palisade_outbox_oldest_due_seconds) > 300",
        "5m",
        "warning",
        "A message by {{ $labels.channel }} is {{ $value | humanizeDuration }} late.",
    ),
    Alert(
        "PalisadeBatchStanding",
        "max(palisade_batch_standing_seconds) > 900",
        "5m",
        "warning",
        "No file came further for {{ $value | humanizeDuration }}.",
    ),
    Alert(
        "PalisadeStreamLate",
        "max by (topic) (palisade_stream_age_seconds) > 60",
        "5m",
        "warning",
        "Messages of {{ $labels.topic }} wait for {{ $value | humanizeDuration }}.",
    ),
    Alert(
        "PalisadeAlertsFailing",
        "sum by (kind) (increase(palisade_alert_evaluations_failed_total[30m])) > 0",
        "0m",
        "warning",
        "Tenants' alerts of the kind {{ $labels.kind }} could not be looked at.",
    ),
    # --- money ---
    Alert(
        "PalisadeBooksDiffer",
        "max by (books) (palisade_reconciliation_differences) > 0",
        "0m",
        "critical",
        "The {{ $labels.books }} books differ in {{ $value }} places.",
    ),
    Alert(
        "PalisadeBooksNotCompared",
        'min(palisade_reconciliation_age_seconds{books="usage"}) > 10800',
        "5m",
        "warning",
        "The books were last compared {{ $value | humanizeDuration }} ago.",
    ),
    Alert(
        "PalisadeMonthNotClosed",
        "sum(increase(palisade_closing_failures_total[1d])) > 0",
        "0m",
        "critical",
        "The month of some tenant could not be closed.",
    ),
    Alert(
        "PalisadePaymentsUnanswered",
        "max(palisade_payments_unanswered) > 0",
        "1h",
        "warning",
        "{{ $value }} payments have no last word from the provider.",
    ),
    Alert(
        "PalisadeProviderEvents",
        "max(palisade_provider_events_given_up) > 0",
        "5m",
        "warning",
        "{{ $value }} webhooks of the payment provider were given up.",
    ),
    # --- models ---
    Alert(
        "PalisadeFraudRate",
        "palisade:fraud:ratio1h > 3 * palisade:fraud:ratio1d and palisade:predictions:rate5m > 0.1",
        "15m",
        "warning",
        "{{ $labels.schema }}: {{ $value | humanizePercentage }} of an hour's decisions are fraud, 3 times the day's.",
    ),
    Alert(
        "PalisadeDrift",
        "max by (schema, model) (palisade_drift_index) > 0.25",
        "2h",
        "warning",
        "{{ $labels.schema }}/{{ $labels.model }} scores others than it was made for: index {{ $value | humanize }}.",
    ),
    Alert(
        "PalisadeAccuracyLow",
        "palisade:model_accuracy:lost > 0.1",
        "2h",
        "warning",
        "{{ $labels.schema }}/{{ $labels.model }} is right {{ $value | humanizePercentage }} less often than it was.",
    ),
    Alert(
        "PalisadeVectorsDiffer",
        "max by (schema) (palisade_feature_vector_mismatch_rate) > 0.001",
        "0m",
        "warning",
        "{{ $labels.schema }}: {{ $value | humanizePercentage }} of yesterday's vectors come out otherwise.",
    ),
    # --- the machine ---
    *used("PalisadeProcessorsBusy", "cpu_used:ratio5m", "15m"),
    *used("PalisadeMemoryUsed", "memory_used:ratio", "5m"),
    *used("PalisadeDiskUsed", "disk_used:ratio", "5m"),
    Alert(
        "PalisadeDiskFilling",
        'predict_linear(palisade_host_disk_bytes{state="available"}[6h], 86400) < 0',
        "30m",
        "warning",
        "{{ $labels.instance }}: the disk will be full within a day.",
    ),
)


def page(name: str) -> str:
    """Where an alert's page is."""
    return f"{RUNBOOK}#{name.lower()}"


def rules() -> str:
    """The table as Prometheus reads it."""
    rows = [
        {
            "alert": alert.name,
            "expr": alert.expression,
            "for": alert.held,
            "labels": {"severity": alert.severity},
            "annotations": {"summary": alert.summary, "runbook": page(alert.name)},
        }
        for alert in ALERTS
    ]
    head = "# Written by deploy/monitoring/alerts.py; change it there.\n"
    return head + yaml.safe_dump({"groups": [{"name": "palisade", "rules": rows}]}, sort_keys=False, width=1000)


if __name__ == "__main__":
    FILE.write_text(rules())
