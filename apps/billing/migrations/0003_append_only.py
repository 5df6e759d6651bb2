"""What the database itself refuses: overlapping spans, charging a component twice for the same time, and any change of
an issued invoice, its lines and credit notes but the way to paid or void. For every role, the tables' owner too."""

from django.db import migrations

FORWARD = """
CREATE EXTENSION IF NOT EXISTS btree_gist WITH SCHEMA public;

ALTER TABLE public.billing_planspan ADD CONSTRAINT billing_spans_never_overlap
    EXCLUDE USING gist (tenant_id WITH =, tstzrange(starts_at, ends_at) WITH &&);
ALTER TABLE public.billing_invoiceline ADD CONSTRAINT billing_charged_once
    EXCLUDE USING gist (tenant_id WITH =, component WITH =, tstzrange(starts_at, ends_at) WITH &&) WHERE (NOT void);

CREATE FUNCTION public.billing_keep_span() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF to_jsonb(NEW) - 'ends_at' = to_jsonb(OLD) - 'ends_at' THEN RETURN NEW; END IF;
    RAISE EXCEPTION 'a span of the timeline may only be ended' USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER billing_keep_span BEFORE UPDATE ON public.billing_planspan
    FOR EACH ROW EXECUTE FUNCTION public.billing_keep_span();

CREATE FUNCTION public.billing_keep_invoice() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    movable text[] := ARRAY['status', 'paid_at', 'paid_how', 'voided_at'];
BEGIN
    IF OLD.status = 'draft' THEN
        IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
        IF NEW.status IN ('draft', 'issued') THEN RETURN NEW; END IF;
    ELSIF TG_OP = 'UPDATE' AND to_jsonb(NEW) - movable = to_jsonb(OLD) - movable
        AND (OLD.status = NEW.status OR (OLD.status = 'issued' AND NEW.status IN ('paid', 'void'))) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'invoice % is issued: it is never changed, a credit note corrects it', OLD.number
        USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER billing_keep_invoice BEFORE UPDATE OR DELETE ON public.billing_invoice
    FOR EACH ROW EXECUTE FUNCTION public.billing_keep_invoice();

CREATE FUNCTION public.billing_keep_part() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    part jsonb := CASE WHEN TG_OP = 'INSERT' THEN to_jsonb(NEW) ELSE to_jsonb(OLD) END;
    state text := (SELECT status FROM public.billing_invoice WHERE id = (part ->> 'invoice_id')::bigint);
BEGIN
    IF state = 'draft' OR state IS NULL THEN
        IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
        IF to_jsonb(NEW) -> 'invoice_id' = part -> 'invoice_id' THEN RETURN NEW; END IF;
    END IF;
    IF TG_OP = 'UPDATE' AND state = 'void' AND to_jsonb(NEW) - 'void' = part - 'void'
        AND (to_jsonb(NEW) ->> 'void')::boolean THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'the invoice of this line is issued: nothing is added, changed or removed'
        USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER billing_keep_line BEFORE INSERT OR UPDATE OR DELETE ON public.billing_invoiceline
    FOR EACH ROW EXECUTE FUNCTION public.billing_keep_part();
CREATE TRIGGER billing_keep_deduction BEFORE INSERT OR UPDATE OR DELETE ON public.billing_invoicededuction
    FOR EACH ROW EXECUTE FUNCTION public.billing_keep_part();

CREATE FUNCTION public.billing_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is written once', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER billing_keep_note BEFORE UPDATE OR DELETE ON public.billing_creditnote
    FOR EACH ROW EXECUTE FUNCTION public.billing_refuse();
CREATE TRIGGER billing_keep_notes BEFORE TRUNCATE ON public.billing_creditnote
    FOR EACH STATEMENT EXECUTE FUNCTION public.billing_refuse();
CREATE TRIGGER billing_keep_invoices BEFORE TRUNCATE ON public.billing_invoice
    FOR EACH STATEMENT EXECUTE FUNCTION public.billing_refuse();
CREATE TRIGGER billing_keep_lines BEFORE TRUNCATE ON public.billing_invoiceline
    FOR EACH STATEMENT EXECUTE FUNCTION public.billing_refuse();
"""
BACKWARD = """
DROP TRIGGER billing_keep_lines ON public.billing_invoiceline;
DROP TRIGGER billing_keep_invoices ON public.billing_invoice;
DROP TRIGGER billing_keep_notes ON public.billing_creditnote;
DROP TRIGGER billing_keep_note ON public.billing_creditnote;
DROP TRIGGER billing_keep_deduction ON public.billing_invoicededuction;
DROP TRIGGER billing_keep_line ON public.billing_invoiceline;
DROP TRIGGER billing_keep_invoice ON public.billing_invoice;
DROP TRIGGER billing_keep_span ON public.billing_planspan;
DROP FUNCTION public.billing_refuse();
DROP FUNCTION public.billing_keep_part();
DROP FUNCTION public.billing_keep_invoice();
DROP FUNCTION public.billing_keep_span();
ALTER TABLE public.billing_invoiceline DROP CONSTRAINT billing_charged_once;
ALTER TABLE public.billing_planspan DROP CONSTRAINT billing_spans_never_overlap;
"""


class Migration(migrations.Migration):
    dependencies = [("billing", "0002_money")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
