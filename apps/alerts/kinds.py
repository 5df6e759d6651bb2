"""Kinds of alert, as one table: what each watches, its thresholds with their bounds, how grave it is. Pure.

A new kind gets a row here, a pure condition in `conditions.py` and a reading in `readings.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

Severity = Literal["info", "warning", "critical"]
SEVERITIES: tuple[Severity, ...] = ("info", "warning", "critical")
#: How often a kind is looked at; `told`: never, others say so.
Pace = Literal["minute", "hour", "told"]
#: Value of a threshold.
Value = float | str


@dataclass(frozen=True)
class Threshold:
    """A number from `least` to `most`, or one of `choices`."""

    label: str
    default: Value
    least: float = 0
    most: float = 0
    choices: tuple[str, ...] = ()
    whole: bool = False


@dataclass(frozen=True)
class Kind:
    """A row. `over_after`: an alert is over when nothing more happened for so long; None: when a look finds it over."""

    title: str
    about: str
    severity: Severity
    pace: Pace
    thresholds: Mapping[str, Threshold]
    over_after: timedelta | None = None
    #: Whether the default rule mails owners and admins.
    mailed: bool = True


_FACTOR = Threshold("Times the usual", 3, least=1.1, most=1_000)
_DECISIONS = Threshold("Decisions at least", 100, least=1, most=1_000_000_000, whole=True)
_OF_PEOPLE = timedelta(days=14)

KINDS: Mapping[str, Kind] = {
    "high_risk_decision": Kind(
        "High-risk decisions", "A decision at a level and of an amount", "warning", "minute",
        {
            "level": Threshold("Level at least", "critical", choices=("high", "critical")),
            "amount": Threshold("Amount at least", 0, most=1e15),
        },
        over_after=timedelta(hours=1),
    ),
    "fraud_rate_spike": Kind(
        "Fraud rate", "The share of decisions at level high or critical in the last full hour, against the same hours "
        "of the four weeks before", "critical", "hour", {"factor": _FACTOR, "decisions": _DECISIONS},
    ),
    "volume_drop": Kind(
        "Fewer calls", "Decisions of the last full hour, against the same hours of the four weeks before", "critical",
        "hour", {"percent": Threshold("Percent fewer", 70, least=10, most=100), "decisions": _DECISIONS},
    ),
    "error_rate": Kind(
        "Errors", "The share of calls for scoring that were refused or failed, in this hour and the one before",
        "warning", "minute",
        {
            "percent": Threshold("Percent at least", 10, least=0.1, most=100),
            "calls": Threshold("Calls at least", 100, least=1, most=1_000_000_000, whole=True),
        },
    ),
    "cost": Kind(
        "Cost", "The month's use of the included volume or of the spend cap", "warning", "hour",
        {"percent": Threshold("Percent at least", 100, least=1, most=1_000)},
        mailed=False,  # budgets are mailed already
    ),
    "data_quality": Kind(
        "Data quality", "The share of a day's rows with a problem, against the seven days before", "warning", "hour",
        {
            "percent": Threshold("Percent of rows at least", 5, least=0.1, most=100),
            "factor": _FACTOR,
            "rows": Threshold("Rows at least", 100, least=1, most=1_000_000_000, whole=True),
        },
    ),
    "drift": Kind(
        "Drift", "Features and scores of the last seven days, against the data each model was made from; from the "
        "Professional plan up", "warning", "hour", {"psi": Threshold("PSI at least", 0.25, least=0.1, most=10)},
    ),
    "key_new_network": Kind(
        "Key used from a new network", "A key is used from a network it never was used from", "warning", "minute",
        {"days": Threshold("Known for days", 1, most=90)}, over_after=_OF_PEOPLE,
    ),
    "key_unusual_rate": Kind(
        "Key used at an unusual rate", "A key's decisions in this hour, against its busiest hour of the weeks before",
        "warning", "minute",
        {
            "factor": Threshold("Times its busiest hour", 5, least=1.1, most=1_000),
            "decisions": Threshold("Decisions at least", 1_000, least=1, most=1_000_000_000, whole=True),
        },
    ),
    "case_overdue": Kind(
        "Review cases overdue", "Cases that are not resolved beyond the SLA of their queue", "warning", "minute",
        {"cases": Threshold("Cases at least", 1, least=1, most=1_000_000_000, whole=True)},
        mailed=False,  # who reviews elsewhere has cases, too
    ),
    "fraud_alert": Kind(
        "Fraud alert you sent", "POST /fraud-alert", "critical", "told", {}, over_after=_OF_PEOPLE
    ),
    "system_alert": Kind(
        "System alert you sent", "POST /system-alert", "warning", "told", {}, over_after=_OF_PEOPLE
    ),
}  # fmt: skip


def defaults(kind: str) -> dict[str, Value]:
    """The thresholds of a kind unless a rule says otherwise."""
    return {name: threshold.default for name, threshold in KINDS[kind].thresholds.items()}


def refusals(kind: str, said: Mapping[str, object]) -> dict[str, str]:
    """What is wrong with thresholds of a kind: a sentence that says the bound, by the threshold's name."""
    known = KINDS[kind].thresholds
    unknown = {name: f"{kind} has no such threshold; it takes {', '.join(known) or 'none'}." for name in said}
    wrong = {name: _refusal(known[name], value) for name, value in said.items() if name in known}
    return {name: told for name, told in (unknown | wrong).items() if told}


def _refusal(threshold: Threshold, value: object) -> str:
    if threshold.choices:
        return "" if value in threshold.choices else f"Takes one of {', '.join(threshold.choices)}."
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number and threshold.least <= value <= threshold.most and not (threshold.whole and value != int(value)):  # type: ignore[operator,call-overload]
        return ""
    word = "a whole number" if threshold.whole else "a number"
    return f"Takes {word} from {threshold.least:g} to {threshold.most:g}."
