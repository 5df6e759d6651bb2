"""Guides, questions that are asked often, and the API's reference, within the portal."""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

from django.conf import settings
from django.http import Http404
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from apps.errors import KINDS as PROBLEMS
from apps.portal.page import Page
from apps.portal.pages.start import FIRST, api_address

#: Address → title, what it answers. Its text: templates/portal/guides/.
GUIDES: Mapping[str, tuple[str, str]] = {
    "answers": ("Read an answer", "Levels, actions, reasons: what to do with what comes back."),
    "integration": ("Go live safely", "Keys, test mode, time-outs, sending again."),
    "webhooks": ("Receive webhooks", "What is told, and how to know that it is ours."),
    "policy": ("Decide your own way", "Thresholds, rules, versions."),
    "billing": ("What is paid for", "Units, overage, caps, changing the plan."),
}
METHODS = ("get", "post", "put", "patch", "delete")


class Operation(NamedTuple):
    """An endpoint as the reference shows it."""

    method: str
    path: str
    summary: str
    description: SafeString
    fields: list[tuple[str, str, SafeString]]


class HelpPage(Page):
    """Where to read what."""

    title, template = "Guides and questions", "portal/pages/help.html"

    def context(self, **kwargs: Any) -> dict[str, Any]:
        return {"guides": GUIDES, "api": api_address(self.request)}


class GuidePage(Page):
    """One guide."""

    template = "portal/pages/guide.html"

    def context(self, **kwargs: Any) -> dict[str, Any]:
        name = kwargs["guide"]
        if name not in GUIDES:
            raise Http404
        title, lead = GUIDES[name]
        return {
            "title": title,
            "lead": lead,
            "guide": f"portal/guides/{name}.html",
            "api": api_address(self.request),
            "body": json.dumps(FIRST, indent=2),
        }


class ApiReferencePage(Page):
    """Every endpoint and error, from the API's own description."""

    title, template = "API reference", "portal/pages/api_reference.html"

    def context(self, **kwargs: Any) -> dict[str, Any]:
        problems = [(code, kind.status, kind.title, marked(kind.fix)) for code, kind in PROBLEMS.items()]
        return {"tags": reference(), "problems": problems, "api": api_address(self.request)}


@cache
def reference() -> list[tuple[str, SafeString, list[Operation]]]:
    """The operations of static/openapi.json by their tags."""
    told = json.loads((settings.BASE_DIR / "static" / "openapi.json").read_bytes())
    found = list(_operations(told))
    return [
        (tag["name"], marked(tag["description"]), [one for name, one in found if name == tag["name"]])
        for tag in told["tags"]
    ]


def _operations(told: Mapping[str, Any]) -> Iterator[tuple[str, Operation]]:
    for path, methods in told["paths"].items():
        for method in METHODS:
            if said := methods.get(method):
                yield (
                    said["tags"][0],
                    Operation(
                        method.upper(), path, said["summary"], marked(said.get("description", "")), _fields(told, said)
                    ),
                )


def _fields(told: Mapping[str, Any], operation: Mapping[str, Any]) -> list[tuple[str, str, SafeString]]:
    """(name, where, what) of parameters and of the body's members."""
    found = [_resolved(told, one) for one in operation.get("parameters", [])]
    rows = [(one["name"], one["in"], marked(one.get("description", ""))) for one in found]
    content: dict[str, Any] = operation.get("requestBody", {}).get("content", {})
    body: Mapping[str, Any] = next(iter(content.values()), {})
    members = _members(told, body.get("schema", {}))
    return rows + [(name, "body", marked(_resolved(told, one).get("description", ""))) for name, one in members.items()]


def _members(told: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """The members of an object, or of any it may be."""
    found = _resolved(told, schema)
    members: dict[str, Any] = dict(found.get("properties", {}))
    for one in (*found.get("oneOf", ()), *found.get("anyOf", ()), *found.get("allOf", ())):
        members = _members(told, one) | members
    return members


def _resolved(told: Mapping[str, Any], value: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a reference stands for."""
    if "$ref" not in value:
        return value
    found: Any = told
    for name in value["$ref"].removeprefix("#/").split("/"):
        found = found[name]
    return _resolved(told, found)


def marked(text: str) -> SafeString:
    """`words` as code, [words](address) of the web as a link."""
    linked = re.sub(r"\[([^\]]+)\]\((https?://[^)\s]+)\)", r'<a href="\2" rel="noreferrer">\1</a>', escape(text))
    return mark_safe(re.sub(r"`([^`]+)`", r"<code>\1</code>", linked))  # noqa: S308 - escaped
