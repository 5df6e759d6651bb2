"""A tenant's own rules: all of them with what they did, one in its editor, the steps of its life."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, NamedTuple

from django.contrib import messages
from django.db.models import Sum
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import redirect

from apps.accounts.tenancy import in_tenant
from apps.api_keys.services import get_gate
from apps.portal.filters import choice_in, search_in
from apps.portal.kinds import KINDS
from apps.portal.page import Page
from apps.portal.roles import Permission
from apps.portal.rule_editor import STATES, Rollout, RuleText, Wrong, completions, wrong_of
from apps.portal.rule_words import OUTCOMES
from apps.portal.table import Column, Empty, Table
from apps.scoring import policies, rule_life
from apps.scoring.engine.rule_meaning import text_of
from apps.scoring.engine.rules import SHADOW, Rule
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.engine.when_check import problem_of
from apps.scoring.lists.reads import types_of
from apps.scoring.models import RuleDay
from apps.scoring.policy_file import InvalidPolicy
from apps.scoring.rule_life import NEXT, NoSuchRule, RuleExists, WrongStep

#: Days whose hits are told.
HITS_OF = 7


class Counted(NamedTuple):
    """What a rule did in the last days: hits that were told, of them deciding, and hits as a shadow."""

    hits: int = 0
    decided: int = 0
    shadow: int = 0


class RuleRow(NamedTuple):
    """A rule as it is listed: its condition as text, and what it did."""

    rule: Rule
    text: str
    did: Counted

    @property
    def kind(self) -> str:
        return KINDS.get(self.rule.schema, "")


RULES = Table(
    row="portal/rows/rule.html",
    filters=(
        search_in("Words", lambda one: one.rule.id, lambda one: one.text, lambda one: one.rule.description),
        choice_in("state", "State", ((one, one) for one in STATES), lambda one: one.rule.state),
        choice_in("outcome", "Outcome", OUTCOMES, lambda one: one.rule.outcome),
    ),
    columns=(
        Column("id", "Rule", lambda one: one.rule.id, ("id",)),
        Column("schema", "Kind", lambda one: one.kind or "all kinds", ("schema",)),
        Column("outcome", "Outcome", lambda one: one.rule.outcome, shown=False),
        Column("when", "Condition", lambda one: one.text),
        Column("state", "State", lambda one: one.rule.state, ("state",)),
        Column("share", "Share", lambda one: one.rule.share, shown=False),
        Column("hits", f"Hits in {HITS_OF} days", lambda one: one.did.hits, ("hits",), number=True),
        Column("shadow_hits", "As a shadow", lambda one: one.did.shadow, ("shadow",), number=True),
        Column("decided", "Decided", lambda one: one.did.decided, ("decided",), number=True),
    ),
)


class _OfRules(Page):
    """Something about the tenant's rules."""

    changes = Permission.POLICY

    def rule(self, rule_id: str) -> Rule:
        """One in the policy in force. Raises `Http404`."""
        try:
            return rule_life.find(policies.in_force(self.tenant), rule_id)
        except NoSuchRule as missing:
            raise Http404 from missing

    def counted(self) -> Mapping[str, Counted]:
        """What every rule did, by its id, in this mode."""
        since = self.now.date() - timedelta(days=HITS_OF)
        with in_tenant(self.tenant):
            rows = RuleDay.objects.filter(livemode=self.livemode, day__gte=since, other="").values("rule")
            sums = {row["rule"]: row for row in rows.annotate(hits=Sum("decisions"), decisive=Sum("decided"))}
        ids = {name.removeprefix(SHADOW) for name in sums}
        none = {"hits": 0, "decisive": 0}
        return {
            one: Counted(
                sums.get(one, none)["hits"], sums.get(one, none)["decisive"], sums.get(SHADOW + one, none)["hits"]
            )
            for one in ids
        }

    def wrong(self, when: str, schema: str) -> Wrong | None:
        """What is wrong with a condition, if anything is."""
        rule = Rule("checked", "note", when=when, schema=schema if schema in SCHEMAS else "")
        policy, lists = policies.in_force(self.tenant), types_of(self.tenant.schema_name)
        problem = problem_of(rule, policy.home_country, lists, policy.aggregates) if when else None
        return wrong_of(problem, when) if problem else None


class RulesPage(_OfRules):
    """All of them."""

    title, template = "Rules", "portal/pages/rules.html"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return self.exported(RULES, self._rows(), "rules") if RULES.exports(request) else super().get(request)

    def context(self, **kwargs: Any) -> dict[str, Any]:
        may_change = self.may(Permission.POLICY)
        text = "A rule stops or lets pass what you know better than a model: too many payments in an hour, a country."
        begin = ("/rules/new/", "Write the first rule") if may_change else ()
        return {
            "table": RULES.show(self.request, self._rows(), Empty("No rules of your own yet", text, *begin)),
            "may_change": may_change,
        }

    def _rows(self) -> list[RuleRow]:
        rules, counted = policies.in_force(self.tenant).rules, self.counted()
        return [RuleRow(rule, text_of(rule), counted.get(rule.id, Counted())) for rule in rules]


class NewRule(_OfRules):
    """The editor of a rule that is not there yet."""

    title, template = "New rule", "portal/pages/rule.html"
    permission = Permission.POLICY

    def context(self, **kwargs: Any) -> dict[str, Any]:
        form = RuleText(is_new=True, kinds=KINDS)
        return {"form": form, "names": completions(policies.in_force(self.tenant).aggregates)}

    def post(self, request: HttpRequest) -> HttpResponse:
        form = RuleText(request.POST, is_new=True, kinds=KINDS)
        wrong = self.wrong(request.POST.get("when", ""), request.POST.get("schema", ""))
        if form.is_valid() and wrong is None:
            said, reason = form.said() | {"state": "draft"}, form.cleaned_data["reason"]
            try:
                made = rule_life.create(
                    tenant=self.tenant, rule=said, gate=get_gate(), now=self.now, actor=self.actor, reason=reason
                )
            except RuleExists:
                form.add_error("id", "There is a rule of this name already.")
            except InvalidPolicy as refused:
                form.add_error(None, str(refused))
            else:
                messages.success(request, "The rule is saved as a draft. Let it run as a shadow before it decides.")
                return redirect("rule", made.id)
        return self.page(**self.context() | {"form": form, "wrong": wrong}, status=422)


class RulePage(_OfRules):
    """One rule: its text, its rollout, its history."""

    template = "portal/pages/rule.html"

    def context(self, **kwargs: Any) -> dict[str, Any]:
        rule = self.rule(kwargs["rule_id"])
        initial = {name: getattr(rule, name) for name in ("outcome", "schema", "description", "reason_code")}
        return {
            "title": rule.id,
            "rule": rule,
            "when": text_of(rule),
            "form": RuleText(initial=initial | {"when": text_of(rule)}, is_new=False, kinds=KINDS),
            "rollout": Rollout(initial={"state": rule.state, "share": rule.share}),
            "next": [name for name in STATES if name in NEXT[rule.state]],
            "means": STATES[rule.state],
            "counted": self.counted().get(rule.id, Counted()),
            "days": HITS_OF,
            "steps": rule_life.history(self.tenant, rule.id),
            "names": completions(policies.in_force(self.tenant).aggregates),
        }

    def post(self, request: HttpRequest, rule_id: str) -> HttpResponse:
        context = self.context(rule_id=rule_id)
        return self._step(context) if request.POST.get("do") == "step" else self._save(context)

    def _save(self, context: dict[str, Any]) -> HttpResponse:
        said = self.request.POST
        form = context["form"] = RuleText(said, is_new=False, kinds=KINDS)
        context["wrong"] = self.wrong(said.get("when", ""), said.get("schema", ""))
        if form.is_valid() and context["wrong"] is None:
            what = form.said()
            if what["when"] == context["when"]:
                del what["when"]  # a list of conditions stays one
            return self._changed(context, form, what, form.cleaned_data["reason"])
        return self.page(**context, status=422)

    def _step(self, context: dict[str, Any]) -> HttpResponse:
        form = context["rollout"] = Rollout(self.request.POST)
        if form.is_valid():
            what = {name: form.cleaned_data[name] for name in ("state", "share")}
            return self._changed(context, form, what, form.cleaned_data["why"])
        return self.page(**context, status=422)

    def _changed(self, context: dict[str, Any], form: Any, what: dict[str, Any], reason: str) -> HttpResponse:
        rule_id = context["rule"].id
        try:
            rule_life.change(
                tenant=self.tenant, rule_id=rule_id, what=what, gate=get_gate(), now=self.now, actor=self.actor,
                reason=reason,
            )  # fmt: skip
        except (WrongStep, InvalidPolicy) as refused:
            form.add_error(None, str(refused))
            return self.page(**context, status=422)
        messages.success(self.request, "Saved. It takes effect with the next call.")
        return redirect("rule", rule_id)


class CheckRule(_OfRules):
    """What is wrong with a condition that is being written; asked by the editor's script."""

    changes = Permission.READ
    http_method_names = ["post"]

    def post(self, request: HttpRequest) -> HttpResponse:
        wrong = self.wrong(request.POST.get("when", ""), request.POST.get("schema", ""))
        return JsonResponse({"wrong": wrong.said if wrong else "", "offset": wrong.offset if wrong else None})
