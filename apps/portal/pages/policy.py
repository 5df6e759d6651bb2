"""The policy: where levels and actions begin, the home country, rules; its versions, and going back to one."""

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from itertools import zip_longest
from typing import Any, NamedTuple

import msgspec
from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect

from apps.api_keys.services import get_gate
from apps.portal import tuning
from apps.portal.histogram import histogram
from apps.portal.kinds import KINDS
from apps.portal.page import Page
from apps.portal.roles import Permission
from apps.scoring import policies, tallies
from apps.scoring.engine.decide import Policy
from apps.scoring.engine.rule_meaning import text_of
from apps.scoring.engine.rules import InvalidRules
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.lists.reads import types_of
from apps.scoring.models import PublishedPolicy
from apps.scoring.policy_file import InvalidPolicy, changed, members

LEVELS = {"medium": "Level medium from", "high": "Level high from", "critical": "Level critical from"}
ACTS = {"review_at": "Review from", "block_at": "Block from"}
ACTIONS = [("review", "review"), ("challenge", "challenge"), ("approve", "approve"), ("block", "block")]
#: Days whose scores are drawn.
SCORES_OF = 30
#: With what a message about a tuning begins.
_TUNING = re.compile(r"^built_in\[\d+\][^:]*: ")
#: How members of a policy are called where versions are compared.
MEMBERS = (
    LEVELS
    | ACTS
    | {
        "default_action": "If no score is available",
        "home_country": "Home country",
        "rules": "Your rules",
        "built_in": "Built-in rules",
        "own_models": "Your own models",
        "snoozes": "Snoozes",
        "aggregates": "Aggregates",
    }
)


def _threshold(label: str) -> forms.FloatField:
    widget = forms.NumberInput(attrs={"step": "any", "min": 0, "max": 1, "inputmode": "decimal"})
    return forms.FloatField(label=label, min_value=0, max_value=1, widget=widget)


def _list(label: str, help_text: str) -> forms.CharField:
    widget = forms.Textarea(attrs={"rows": 8, "spellcheck": "false"})
    return forms.CharField(required=False, label=label, help_text=help_text, widget=widget)


class PolicyForm(forms.Form):
    """What of a policy most people change, and its rules as JSON."""

    medium = _threshold(LEVELS["medium"])
    high = _threshold(LEVELS["high"])
    critical = _threshold(LEVELS["critical"])
    review_at = _threshold(ACTS["review_at"])
    block_at = _threshold(ACTS["block_at"])
    default_action = forms.ChoiceField(
        choices=ACTIONS, label="If no score is available", help_text="Neither a rule nor a model could decide."
    )
    home_country = forms.CharField(
        required=False, max_length=128, label="Home country", help_text="As your transactions name it. Empty: learned."
    )
    rules = _list("Your rules", "A JSON list, as the policy file has it.")
    built_in = _list("Built-in rules, tuned", "A JSON list: outcomes and limits by rule.")

    def said(self) -> dict[str, Any]:
        """The members of the policy. Raises `InvalidPolicy` for JSON that is none."""
        plain = {name: value for name, value in self.cleaned_data.items() if name not in ("rules", "built_in")}
        lists = {name: self.cleaned_data[name].strip() or "[]" for name in ("rules", "built_in")}
        return plain | members(f'{{"rules": {lists["rules"]}, "built_in": {lists["built_in"]}}}'.encode())


class _OfPolicy(Page):
    """Something about the tenant's policy."""

    def published(self, policy: Policy) -> HttpResponse:
        version = policies.publish(tenant=self.tenant, policy=policy, gate=get_gate(), now=self.now, actor=self.actor)
        messages.success(self.request, f"Version {version} is published and takes effect with the next call.")
        return redirect("policy")

    def in_force(self) -> Policy:
        return policies.in_force(self.tenant)

    def changed(self, said: Mapping[str, Any]) -> Policy:
        """The policy in force with what is said of it. Raises `InvalidPolicy`."""
        return changed(self.in_force(), said, types_of(self.tenant.schema_name))

    def version(self, number: int) -> PublishedPolicy:
        """One that was published. Raises `Http404`."""
        found = {row.version: row for row in policies.versions_of(self.tenant)}
        if number not in found:
            raise Http404
        return found[number]


class PolicyPage(_OfPolicy):
    """The policy in force: thresholds over the tenant's own scores, rules, versions."""

    title, template = "Policy", "portal/pages/policy.html"
    changes = Permission.POLICY

    def context(self, **kwargs: Any) -> dict[str, Any]:
        published, policy = policies.versions_of(self.tenant), self.in_force()
        kind = self.request.GET.get("kind", "")
        return {
            "policy": policy,
            "is_default": msgspec.structs.replace(policy, version=0) == Policy(),
            "form": PolicyForm(initial=initial_of(policy)),
            "scores": self._scores(policy, kind if kind in SCHEMAS else None),
            "kind": kind,
            "kinds": KINDS,
            "own": [(rule, text_of(rule)) for rule in policy.rules],
            "built_in": [(name, KINDS[name], _tuned(policy, name)) for name in SCHEMAS],
            "versions": [(row, difference(row, before)) for row, before in zip_longest(published, published[1:])],
        }

    def post(self, request: HttpRequest) -> HttpResponse:
        form = PolicyForm(request.POST)
        if form.is_valid():
            try:
                return self.published(self.changed(form.said()))
            except InvalidPolicy as wrong:
                form.add_error(field_of(str(wrong)), in_labels(str(wrong)))
        return self.page(**self.context() | {"form": form}, status=422)

    def _scores(self, policy: Policy, kind: str | None) -> Any:
        since = self.now.date() - timedelta(days=SCORES_OF)
        counts = tallies.scores(self.tenant.schema_name, self.livemode, since, kind)
        return histogram(counts, {name: getattr(policy, name) for name in (*LEVELS, *ACTS)})


class BuiltInRules(_OfPolicy):
    """The built-in rules of one kind of transaction: what each asks for, from which limits on."""

    title, template = "Built-in rules", "portal/pages/built_in_rules.html"
    changes = Permission.POLICY

    def context(self, **kwargs: Any) -> dict[str, Any]:
        kind = kwargs["kind"]
        if kind not in SCHEMAS:
            raise Http404
        rules = tuning.tuned_rules(self.in_force(), kind)
        return {"kind": kind, "words": KINDS[kind], "kinds": KINDS, "rules": rules, "outcomes": tuning.OUTCOMES}

    def post(self, request: HttpRequest, kind: str) -> HttpResponse:
        """One of them, tuned; what can't be is told beside it."""
        context, policy, rule_id = self.context(kind=kind), self.in_force(), request.POST.get("rule", "")
        if all(one.rule.id != rule_id for one in context["rules"]):
            raise Http404
        try:
            tuned = tuning.read(request.POST.dict())
            return self.published(self.changed({"built_in": tuning.retuned(policy, kind, rule_id, tuned)}))
        except (InvalidPolicy, ValueError) as wrong:
            said = _TUNING.sub("", str(wrong))
            typed = tuning.as_typed(context["rules"], rule_id, request.POST.dict())
            return self.page(**context | {"rules": typed, "wrong_rule": rule_id, "wrong": said}, status=422)


class PolicyVersion(_OfPolicy):
    """One version beside the one in force, or beside another."""

    title, template = "Policy", "portal/pages/policy_version.html"

    def context(self, **kwargs: Any) -> dict[str, Any]:
        row, published = self.version(kwargs["version"]), policies.versions_of(self.tenant)
        asked = self.request.GET.get("beside", "")
        beside = next((one for one in published if str(one.version) == asked), published[0])
        return {
            "row": row,
            "beside": beside,
            "versions": published,
            "changes": [
                (MEMBERS.get(name, name), _pretty(before), _pretty(after))
                for name, before, after in difference(row, beside)
            ],
            "raw": json.dumps(row.document, indent=2, ensure_ascii=False),
        }


class RestorePolicy(_OfPolicy):
    """An earlier version, published anew."""

    permission = Permission.POLICY
    http_method_names = ["post"]

    def post(self, request: HttpRequest, version: int = 0) -> HttpResponse:
        self.version(version)
        try:
            made = policies.roll_back(
                tenant=self.tenant, version=version, gate=get_gate(), now=self.now, actor=self.actor
            )
        except InvalidRules as wrong:
            messages.error(self.request, str(wrong))
            return redirect("policy_version", version)
        messages.success(
            self.request, f"Version {made} is published with the contents of version {version}. It is in force now."
        )
        return redirect("policy")


class DefaultPolicy(_OfPolicy):
    """What everybody begins with, published: thresholds, no rules of one's own, built-in rules as they are."""

    permission = Permission.POLICY
    http_method_names = ["post"]

    def post(self, request: HttpRequest) -> HttpResponse:
        return self.published(Policy())


class _Counted(NamedTuple):
    """A kind's built-in rules, and how many of them are tuned."""

    rules: int
    tuned: int


def _tuned(policy: Policy, kind: str) -> _Counted:
    rules = SCHEMAS[kind].rules
    return _Counted(len(rules), sum(tuning.tuning_of(policy, kind, rule.id) is not None for rule in rules))


def difference(row: PublishedPolicy, before: PublishedPolicy | None) -> list[tuple[str, Any, Any]]:
    """(member, before, after) of what a version has otherwise than another, or than what everybody begins with."""
    was: Mapping[str, Any] = before.document if before else msgspec.json.decode(msgspec.json.encode(Policy()))
    names = (name for name in row.document if name != "version" and row.document[name] != was.get(name))
    return [(name, was.get(name), row.document[name]) for name in names]


def _pretty(value: Any) -> str:
    if isinstance(value, list):
        return json.dumps(value, indent=2, ensure_ascii=False) if value else "none"
    return str(value) if value != "" else "not set"


def initial_of(policy: Policy) -> dict[str, Any]:
    """The form's fields as the policy has them."""
    told = msgspec.to_builtins(policy)
    lists = {
        name: json.dumps(told[name], indent=2, ensure_ascii=False) if told[name] else ""
        for name in ("rules", "built_in")
    }
    return {**told, **lists}


def in_labels(wrong: str) -> str:
    """A message of `InvalidPolicy` about the order of thresholds with the fields' own labels."""
    if "must hold" not in wrong:
        return wrong
    names = [name for name in (*LEVELS, *ACTS) if f"{name} is " in wrong]
    given = ", ".join(f"“{PolicyForm.base_fields[name].label}”" for name in names)
    return f"These take numbers from 0 to 1, none smaller than the one before it: {given}."


def field_of(wrong: str) -> str | None:
    """The form's field that a message of `InvalidPolicy` begins with, or names first."""
    names = [name for name in PolicyForm.base_fields if wrong.startswith(name)]
    if not names:
        names = [name for name in PolicyForm.base_fields if f"{name} is " in wrong]
    return names[0] if names else None
