"""The policy: where levels and actions begin, the home country, rules; its versions, and going back to one."""

import json
from itertools import zip_longest
from typing import Any

import msgspec
from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect

from apps.api_keys.services import get_gate
from apps.portal.page import Page
from apps.portal.roles import Permission
from apps.scoring import policies
from apps.scoring.engine.decide import Policy
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.policy_file import InvalidPolicy, changed, members

THRESHOLDS = {
    "medium": "Level medium from",
    "high": "Level high from",
    "critical": "Level critical from",
    "review_at": "Review from",
    "block_at": "Block from",
}
ACTIONS = [("review", "review"), ("challenge", "challenge"), ("approve", "approve"), ("block", "block")]


class PolicyForm(forms.Form):
    """What of a policy most people change, and its rules as JSON."""

    medium = forms.FloatField(label=THRESHOLDS["medium"], min_value=0, max_value=1)
    high = forms.FloatField(label=THRESHOLDS["high"], min_value=0, max_value=1)
    critical = forms.FloatField(label=THRESHOLDS["critical"], min_value=0, max_value=1)
    review_at = forms.FloatField(label=THRESHOLDS["review_at"], min_value=0, max_value=1)
    block_at = forms.FloatField(label=THRESHOLDS["block_at"], min_value=0, max_value=1)
    default_action = forms.ChoiceField(
        choices=ACTIONS, label="When nothing can be said", help_text="Neither a rule nor a model could decide."
    )
    home_country = forms.CharField(
        required=False, max_length=128, label="Home country", help_text="As your transactions name it. Empty: learned."
    )
    rules = forms.CharField(
        required=False, label="Rules of your own", widget=forms.Textarea(attrs={"rows": 10, "spellcheck": "false"}),
        help_text="A JSON list, as the policy file has it; see the API's documentation.",
    )  # fmt: skip
    built_in = forms.CharField(
        required=False, label="Built-in rules, tuned", widget=forms.Textarea(attrs={"rows": 5, "spellcheck": "false"}),
        help_text="A JSON list: which of the rules below are off, or ask for another action.",
    )  # fmt: skip

    def said(self) -> dict[str, Any]:
        """The members of the policy. Raises `InvalidPolicy` for JSON that is none."""
        plain = {name: value for name, value in self.cleaned_data.items() if name not in ("rules", "built_in")}
        lists = {name: self.cleaned_data[name].strip() or "[]" for name in ("rules", "built_in")}
        return plain | members(f'{{"rules": {lists["rules"]}, "built_in": {lists["built_in"]}}}'.encode())


class PolicyPage(Page):
    """The policy in force and a form of it."""

    title, template = "Policy", "portal/pages/policy.html"
    changes = Permission.POLICY

    def context(self, **kwargs: Any) -> dict[str, Any]:
        published = policies.versions_of(self.tenant)
        policy = self._in_force()
        return {
            "policy": policy,
            "form": PolicyForm(initial=_initial(policy)),
            "versions": [(row, _difference(row, before)) for row, before in zip_longest(published, published[1:])],
            "built_in": [(name, rule) for name, schema in SCHEMAS.items() for rule in schema.rules],
        }

    def post(self, request: HttpRequest) -> HttpResponse:
        form = PolicyForm(request.POST)
        if form.is_valid():
            try:
                policy = changed(self._in_force(), form.said())
            except InvalidPolicy as wrong:
                form.add_error(_field_of(str(wrong)), str(wrong))
            else:
                return self._published(policy)
        return self.page(**self.context() | {"form": form}, status=422)

    def _published(self, policy: Policy) -> HttpResponse:
        version = policies.publish(tenant=self.tenant, policy=policy, gate=get_gate(), now=self.now, actor=self.actor)
        messages.success(self.request, f"Version {version} is published; it decides from the next call on.")
        return redirect("policy")

    def _in_force(self) -> Policy:
        version = self.tenant.policy_version
        return policies.load(self.tenant.schema_name, version) if version else Policy()


class RestorePolicy(PolicyPage):
    """An earlier version, published anew."""

    permission = Permission.POLICY
    http_method_names = ["post"]

    def post(self, request: HttpRequest, version: int = 0) -> HttpResponse:
        known = {row.version: row for row in policies.versions_of(self.tenant)}
        if version not in known:
            raise Http404
        return self._published(msgspec.convert(known[version].document, Policy))


def _initial(policy: Policy) -> dict[str, Any]:
    """The form's fields as the policy has them."""
    told = msgspec.to_builtins(policy)
    lists = {
        name: json.dumps(told[name], indent=2, ensure_ascii=False) if told[name] else ""
        for name in ("rules", "built_in")
    }
    return {**told, **lists}


def _difference(row: Any, before: Any) -> list[tuple[str, Any, Any]]:
    """(member, before, after) of what a version changed."""
    was = before.document if before else msgspec.to_builtins(Policy())
    names = (name for name in row.document if name != "version" and row.document[name] != was.get(name))
    return [(name, was.get(name), row.document[name]) for name in names]


def _field_of(wrong: str) -> str | None:
    """The form's field that a message of `InvalidPolicy` begins with."""
    names = [name for name in PolicyForm.base_fields if wrong.startswith(name)]
    return names[0] if names else None
