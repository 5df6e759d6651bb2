"""Entries are chained as their transaction commits, and nothing else about them ever changes.

The lock of a chain's head is taken at COMMIT, by a deferred trigger, and chains in one order: a transaction that writes
an entry early keeps nobody waiting, and none wait for each other in a circle.
"""

from django.db import migrations, models

FORWARD = """
CREATE OR REPLACE FUNCTION public.refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.tenant_id IS NULL AND to_jsonb(NEW) - 'tenant_id' = to_jsonb(OLD) - 'tenant_id' THEN
        RETURN NEW;
    END IF;
    IF TG_OP = 'UPDATE' AND OLD.sequence IS NULL AND NEW.sequence IS NOT NULL
        AND to_jsonb(NEW) - '{sequence,digest}'::text[] = to_jsonb(OLD) - '{sequence,digest}'::text[] THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'the audit trail is append-only';
END $$;

CREATE FUNCTION public.refuse_audit_truncation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit trail is append-only';
END $$;
CREATE TRIGGER audit_never_emptied BEFORE TRUNCATE ON public.accounts_auditentry
    FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_audit_truncation();
CREATE TRIGGER audit_chains_never_cut BEFORE DELETE OR TRUNCATE ON public.accounts_auditchain
    FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_audit_truncation();

CREATE FUNCTION public.place_audit_entry() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.chain := coalesce(NEW.tenant_id, 0);
    NEW.sequence := NULL;
    NEW.digest := '';
    RETURN NEW;
END $$;
CREATE TRIGGER audit_placed BEFORE INSERT ON public.accounts_auditentry
    FOR EACH ROW EXECUTE FUNCTION public.place_audit_entry();

CREATE FUNCTION public.chain_audit_entries() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    entry public.accounts_auditentry;
    head public.accounts_auditchain;
BEGIN
    FOR entry IN SELECT * FROM public.accounts_auditentry WHERE sequence IS NULL ORDER BY chain, id LOOP
        INSERT INTO public.accounts_auditchain (chain, length, digest) VALUES (entry.chain, 0, '')
            ON CONFLICT (chain) DO NOTHING;
        SELECT * INTO head FROM public.accounts_auditchain WHERE chain = entry.chain FOR UPDATE;
        head.length := head.length + 1;
        head.digest := encode(sha256(convert_to(head.digest || entry.seal, 'UTF8')), 'hex');
        UPDATE public.accounts_auditentry SET sequence = head.length, digest = head.digest
            WHERE id = entry.id AND sequence IS NULL;
        IF FOUND THEN
            UPDATE public.accounts_auditchain SET length = head.length, digest = head.digest WHERE chain = head.chain;
        END IF;
    END LOOP;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER audit_chained AFTER INSERT ON public.accounts_auditentry
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.chain_audit_entries();
"""
BACKWARD = """
DROP TRIGGER audit_chained ON public.accounts_auditentry;
DROP TRIGGER audit_placed ON public.accounts_auditentry;
DROP TRIGGER audit_never_emptied ON public.accounts_auditentry;
DROP TRIGGER audit_chains_never_cut ON public.accounts_auditchain;
DROP FUNCTION public.chain_audit_entries();
DROP FUNCTION public.place_audit_entry();
DROP FUNCTION public.refuse_audit_truncation();
"""


class Migration(migrations.Migration):
    dependencies = [("accounts", "0006_audit_sealed")]
    operations = [
        migrations.AlterField("auditentry", "seal", models.CharField(editable=False, max_length=80, unique=True)),
        migrations.AddConstraint(
            "auditentry", models.UniqueConstraint(fields=("chain", "sequence"), name="one_entry_a_place")
        ),
        migrations.AddIndex(
            "auditentry", models.Index(fields=["tenant", "-at", "-id"], name="audit_newest_of_tenant")
        ),
        migrations.AddIndex(
            "auditentry",
            models.Index(condition=models.Q(("sequence", None)), fields=["id"], name="audit_to_be_chained"),
        ),
        migrations.RunSQL(FORWARD, BACKWARD),
    ]
