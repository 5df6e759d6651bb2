"""A rule of alerts as a form: the thresholds of its kind with their bounds, whom it is sent to, when it is quiet."""

from collections.abc import Sequence
from typing import Any

from django import forms

from apps.alerts.kinds import KINDS, SEVERITIES, Threshold
from apps.alerts.rules import LEAST_PERIOD, LONGEST_NAME, LONGEST_PERIOD, MOST_STEPS, InvalidRule, Rule
from apps.alerts.timing import QuietHours, Step
from apps.notifications.models import ChatChannel

_EVERYBODY, _NOBODY, _SOME = "owners", "nobody", "these"
MAILED = ((_EVERYBODY, "Owners and admins"), (_SOME, "These addresses"), (_NOBODY, "Nobody"))


class AlertRuleForm(forms.Form):
    """A rule. What is wrong with it is told at its field (`tell`)."""

    name = forms.CharField(max_length=LONGEST_NAME, label="Name")
    enabled = forms.BooleanField(required=False, label="Switched on")
    severity = forms.ChoiceField(choices=[(one, one.title()) for one in SEVERITIES], label="Severity")
    period_minutes = forms.IntegerField(
        min_value=LEAST_PERIOD, max_value=LONGEST_PERIOD, label="Minutes between messages"
    )
    mailed = forms.ChoiceField(choices=MAILED, label="E-mail to")
    mail_to = forms.CharField(required=False, label="E-mail addresses", help_text="Separated by commas.")
    quiet_start = forms.TimeField(required=False, label="Quiet from", help_text="Critical alerts are sent anyway.")
    quiet_end = forms.TimeField(required=False, label="Quiet until")
    quiet_zone = forms.CharField(required=False, max_length=64, label="Time zone", help_text="Such as Europe/Berlin.")

    def __init__(self, rule: Rule, channels: Sequence[ChatChannel], data: Any = None, zone: str = "UTC") -> None:
        super().__init__(data, initial=_initial(rule, zone))
        for name, threshold in KINDS[rule.kind].thresholds.items():
            self.fields[f"threshold_{name}"] = _field(threshold)
        if channels:
            self.fields["channels"] = forms.MultipleChoiceField(
                required=False, label="Chat channels", widget=forms.CheckboxSelectMultiple,
                choices=[(one.pk, one.shown) for one in channels],
            )  # fmt: skip
            self.initial["channels"] = list(rule.channels if rule.channels is not None else [c.pk for c in channels])
        for number in range(MOST_STEPS):
            self.fields[f"step_{number}_minutes"] = forms.IntegerField(
                required=False, min_value=1, max_value=LONGEST_PERIOD, label=f"Escalation {number + 1}: after minutes"
            )
            self.fields[f"step_{number}_mail_to"] = forms.CharField(
                required=False, label=f"Escalation {number + 1}: e-mail to"
            )
        self._kind, self._all = rule.kind, {one.pk for one in channels}

    def facts(self) -> dict[str, Any]:
        """What the rule becomes."""
        said = self.cleaned_data
        chosen = set(said.get("channels", ()))
        people = {_EVERYBODY: None, _NOBODY: [], _SOME: _addresses(said["mail_to"])}
        return {
            **{name: said[name] for name in ("name", "enabled", "severity", "period_minutes")},
            "thresholds": {name: said[f"threshold_{name}"] for name in KINDS[self._kind].thresholds},
            "mail_to": people[said["mailed"]],
            "channels": None if chosen == self._all else sorted(chosen),
            "quiet_hours": self._quiet(),
            "escalation": [
                Step(said[f"step_{n}_minutes"], tuple(_addresses(said[f"step_{n}_mail_to"])))
                for n in range(MOST_STEPS)
                if said[f"step_{n}_minutes"]
            ],
        }

    def tell(self, invalid: InvalidRule) -> None:
        """Say at its field what is wrong with the rule."""
        places = {"quiet_hours": "quiet_zone", "escalation": "step_0_mail_to"}
        for field, why in invalid.wrong.items():
            name = field.replace("thresholds.", "threshold_")
            name = places.get(name, name)
            self.add_error(name if name in self.fields else None, why)

    def _quiet(self) -> QuietHours | None:
        said = self.cleaned_data
        if said["quiet_start"] is None or said["quiet_end"] is None:
            return None
        return QuietHours(f"{said['quiet_start']:%H:%M}", f"{said['quiet_end']:%H:%M}", said["quiet_zone"] or "UTC")


class ChannelForm(forms.Form):
    """A new chat channel."""

    name = forms.CharField(max_length=100, label="Channel", help_text="What you call it, such as #fraud.")
    url = forms.CharField(
        max_length=2_048, label="Address of its incoming webhook",
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text="A secret: it is stored encrypted and never shown again.",
    )  # fmt: skip


def _field(threshold: Threshold) -> forms.Field:
    if threshold.choices:
        return forms.ChoiceField(choices=[(one, one.title()) for one in threshold.choices], label=threshold.label)
    kind = forms.IntegerField if threshold.whole else forms.FloatField
    return kind(label=threshold.label, min_value=threshold.least, max_value=threshold.most)  # type: ignore[arg-type]


def _initial(rule: Rule, zone: str) -> dict[str, Any]:
    quiet = rule.quiet_hours or QuietHours("", "", zone)
    steps: dict[str, Any] = {}
    for number, step in enumerate(rule.escalation):
        steps |= {f"step_{number}_minutes": step.after_minutes, f"step_{number}_mail_to": ", ".join(step.mail_to)}
    return {
        **{name: getattr(rule, name) for name in ("name", "enabled", "severity", "period_minutes")},
        **{f"threshold_{name}": value for name, value in rule.thresholds.items()},
        "mailed": _EVERYBODY if rule.mail_to is None else _SOME if rule.mail_to else _NOBODY,
        "mail_to": ", ".join(rule.mail_to or ()),
        "quiet_start": quiet.start,
        "quiet_end": quiet.end,
        "quiet_zone": quiet.zone,
        **steps,
    }


def _addresses(text: str) -> list[str]:
    return [one.strip() for one in text.split(",") if one.strip()]
