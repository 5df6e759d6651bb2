"""Files attached to cases. Their bytes stand in the store of files that are sent to us, `STORAGES["batches"]`:

<tenant's schema>/evidence/<id>

A row is written once its file is; a file is deleted before its row, so that no row leads nowhere for long.
"""

import hashlib
from collections.abc import Iterable
from datetime import datetime

from django.core.files.base import ContentFile
from django.core.files.storage import storages

from apps import card_numbers
from apps.accounts.audit import record_audit
from apps.accounts.models import Tenant
from apps.accounts.tenancy import in_tenant
from apps.errors import Problem
from apps.notifications.models import new_id
from apps.review.cases import file_types, work
from apps.review.cases.work import Reviewer
from apps.review.models import Evidence

#: Whatever a file is, no browser is told so.
SERVED_AS = "application/octet-stream"


def attach(
    *, tenant: Tenant, livemode: bool, case_id: str, name: str, content: bytes, reviewer: Reviewer, now: datetime
) -> Evidence:
    """Attach a file to a case; card numbers in texts are masked. Raises `Problem`: not_found, field_invalid,
    limit_reached, storage_full."""
    media_type = _checked(content)
    if media_type == file_types.TEXT:
        content = card_numbers.mask(content.decode("utf-8-sig")).encode()
    with work.locked(tenant, livemode, case_id) as (case, _):
        if case.evidence.count() >= file_types.MOST_FILES:
            raise Problem("limit_reached", f"A case takes {file_types.MOST_FILES} files.")
        made = Evidence(
            id=new_id("evi", now),
            case=case,
            name=file_types.file_name(card_numbers.mask(name)),
            media_type=media_type,
            size=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            added_by=reviewer.name,
            at=now,
        )
        _write(_place(tenant.schema_name, made.pk), content)
        made.save(force_insert=True)
        after = {"attachment": made.pk, "sha256": made.sha256, "size": made.size}
        record_audit(
            tenant=tenant, actor=reviewer.name, action="case.evidence_added", target=case, after=after, now=now
        )
    return made


def find(tenant: Tenant | str, livemode: bool, evidence_id: str) -> Evidence | None:
    with in_tenant(tenant):
        return Evidence.objects.filter(pk=evidence_id, case__livemode=livemode).first()


def read(tenant_schema: str, evidence: Evidence) -> bytes:
    """A file's bytes. Raises `Problem` (not_found) when it is being deleted."""
    try:
        with storages["batches"].open(_place(tenant_schema, evidence.pk)) as file:
            content: bytes = file.read()
            return content
    except FileNotFoundError as gone:
        raise Problem("not_found") from gone


def headers_of(evidence: Evidence) -> dict[str, str]:
    """With what a file is served: saved, never shown or run, whatever a browser makes of it."""
    ascii_name = evidence.name.encode("ascii", "replace").decode().replace("?", "_")
    return {
        "Content-Disposition": f'attachment; filename="{ascii_name}"',
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cache-Control": "private, no-store",
    }


def forget_files(tenant_schema: str, case_ids: Iterable[str]) -> int:
    """Delete the files of cases that are about to go; how many. Within their tenant. Harmless when repeated."""
    ids = list(Evidence.objects.filter(case_id__in=list(case_ids)).values_list("pk", flat=True))
    for evidence_id in ids:
        storages["batches"].delete(_place(tenant_schema, evidence_id))
    return len(ids)


def _checked(content: bytes) -> str:
    if len(content) > file_types.LARGEST:
        raise Problem("field_invalid", f"A file has at most {file_types.LARGEST:,} bytes.", "content")
    media_type = file_types.media_type_of(content)
    if media_type is None:
        raise Problem("field_invalid", f"Takes {file_types.IN_WORDS}.", "content")
    return media_type


def _place(tenant_schema: str, evidence_id: str) -> str:
    return f"{tenant_schema}/evidence/{evidence_id}"


def _write(place: str, content: bytes) -> None:
    try:
        storages["batches"].save(place, ContentFile(content))
    except OSError as full:
        raise Problem("storage_full") from full
