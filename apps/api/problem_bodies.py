"""Refusals as they are sent: ours, and those of the older interfaces."""

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from apps.errors import MOST_TOLD


class FieldError(msgspec.Struct, frozen=True):
    """A wrong field."""

    param: Annotated[str, Meta(description="The field, parameter or header, such as transaction.amount.")]
    detail: Annotated[str, Meta(description="What is wrong with it, and what it takes.")]


Errors = Annotated[
    list[FieldError],
    Meta(description=f"Every wrong field, at most {MOST_TOLD}; the first of them is `param` and `detail`, too."),
]


class Problem(msgspec.Struct, frozen=True):
    """A refusal, RFC 9457. Read `code`; `detail` is for people."""

    type: Annotated[str, Meta(description="The page of this error.")]
    title: str
    status: int
    detail: str
    code: str
    param: Annotated[str | None, Meta(description="The field, parameter or header that is wrong.")]
    request_id: Annotated[str, Meta(description="Tell it to support.")]
    doc_url: Annotated[str, Meta(description="The same page.")]
    errors: Errors | UnsetType = UNSET
    used: Annotated[int, Meta(description="With quota_exceeded: units used this month.")] | UnsetType = UNSET
    included: Annotated[int, Meta(description="With quota_exceeded: units the plan includes.")] | UnsetType = UNSET
    allowed: Annotated[int, Meta(description="With quota_exceeded: units within the spend cap.")] | UnsetType = UNSET
    line: Annotated[int, Meta(description="Of a rule's `when` that is wrong: where, from 1 on.")] | UnsetType = UNSET
    column: Annotated[int, Meta(description="The same: in the line, from 1 on.")] | UnsetType = UNSET
    offset: Annotated[int, Meta(description="The same: characters before it.")] | UnsetType = UNSET
    suggestions: Annotated[list[str], Meta(description="The same: what may have been meant.")] | UnsetType = UNSET
    required_scope: Annotated[str, Meta(description="With scope_missing.")] | UnsetType = UNSET


class DialectProblem(msgspec.Struct, frozen=True):
    """A refusal in the form of the older interfaces."""

    detail: str
    errors: Errors | UnsetType = UNSET


class WrongField(msgspec.Struct, frozen=True):
    """One field of a body that is wrong."""

    loc: Annotated[list[str], Meta(description="body, and the field.")]
    msg: str
    type: Annotated[str, Meta(examples=["value_error.missing"])]


class DetectProblem(msgspec.Struct, frozen=True):
    """A refusal of the Multi-model interface: a sentence, or every field that is wrong."""

    detail: str | list[WrongField]
    errors: Errors | UnsetType = UNSET
