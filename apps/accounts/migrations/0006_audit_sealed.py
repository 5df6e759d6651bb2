"""Entries that were written before there were seals and chains get theirs, in the order of their rows."""

from typing import Any

from django.db import migrations

from apps.accounts.audit_chain import linked, seal

APPEND_ONLY = "ALTER TABLE public.accounts_auditentry {} TRIGGER audit_append_only"


def chain_all(apps: Any, schema_editor: Any) -> None:
    Entry, Chain = apps.get_model("accounts", "AuditEntry"), apps.get_model("accounts", "AuditChain")
    heads: dict[int, tuple[int, str]] = {}
    for entry in Entry.objects.order_by("id").iterator(2_000):
        entry.chain = entry.tenant_id or 0
        entry.seal = seal(entry)
        length, previous = heads.get(entry.chain, (0, ""))
        entry.sequence, entry.digest = length + 1, linked(previous, entry.seal)
        heads[entry.chain] = (entry.sequence, entry.digest)
        entry.save(update_fields=["chain", "seal", "sequence", "digest"])
    Chain.objects.bulk_create(Chain(chain=key, length=length, digest=digest) for key, (length, digest) in heads.items())


class Migration(migrations.Migration):
    dependencies = [("accounts", "0005_audit_places")]
    operations = [
        migrations.RunSQL(APPEND_ONLY.format("DISABLE"), APPEND_ONLY.format("ENABLE")),
        migrations.RunPython(chain_all, migrations.RunPython.noop),
        migrations.RunSQL(APPEND_ONLY.format("ENABLE"), APPEND_ONLY.format("DISABLE")),
    ]
