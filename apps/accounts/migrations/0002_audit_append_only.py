"""The audit trail is append-only: the database refuses UPDATE and DELETE (but for a tenant's removal nulling its id)."""

from django.db import migrations

FORWARD = """
CREATE FUNCTION public.refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.tenant_id IS NULL AND to_jsonb(NEW) - 'tenant_id' = to_jsonb(OLD) - 'tenant_id' THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'the audit trail is append-only';
END $$;
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE ON public.accounts_auditentry
    FOR EACH ROW EXECUTE FUNCTION public.refuse_audit_change();
"""
BACKWARD = """
DROP TRIGGER audit_append_only ON public.accounts_auditentry;
DROP FUNCTION public.refuse_audit_change();
"""


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
