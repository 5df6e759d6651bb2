"""What a credit note takes of each line of its invoice: written once, and summing to the note. Notes there are stay."""

import django.db.models.deletion
from django.db import migrations, models

FORWARD = """
CREATE TRIGGER billing_keep_note_line BEFORE UPDATE OR DELETE ON public.billing_creditnoteline
    FOR EACH ROW EXECUTE FUNCTION public.billing_refuse();
CREATE TRIGGER billing_keep_note_lines BEFORE TRUNCATE ON public.billing_creditnoteline
    FOR EACH STATEMENT EXECUTE FUNCTION public.billing_refuse();

CREATE FUNCTION public.billing_note_adds_up() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    row jsonb := to_jsonb(NEW);
    note public.billing_creditnote;
    nets numeric;
    taxes numeric;
    strangers bigint;
BEGIN
    SELECT * INTO note FROM public.billing_creditnote WHERE id = coalesce(row ->> 'note_id', row ->> 'id')::bigint;
    SELECT sum(one.net), sum(one.tax), count(*) - count(line.id) INTO nets, taxes, strangers
        FROM public.billing_creditnoteline one
        LEFT JOIN public.billing_invoiceline line ON line.id = one.line_id AND line.invoice_id = note.invoice_id
        WHERE one.note_id = note.id;
    IF taxes = note.tax AND nets = note.amount - note.tax AND strangers = 0 THEN RETURN NULL; END IF;
    RAISE EXCEPTION 'the lines of credit note % do not add up to it', note.number
        USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE CONSTRAINT TRIGGER billing_note_adds_up AFTER INSERT ON public.billing_creditnote
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.billing_note_adds_up();
CREATE CONSTRAINT TRIGGER billing_note_line_adds_up AFTER INSERT ON public.billing_creditnoteline
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.billing_note_adds_up();
"""
BACKWARD = """
DROP TRIGGER billing_note_line_adds_up ON public.billing_creditnoteline;
DROP TRIGGER billing_note_adds_up ON public.billing_creditnote;
DROP FUNCTION public.billing_note_adds_up();
DROP TRIGGER billing_keep_note_lines ON public.billing_creditnoteline;
DROP TRIGGER billing_keep_note_line ON public.billing_creditnoteline;
"""


class Migration(migrations.Migration):
    dependencies = [("billing", "0011_events_that_end")]
    operations = [
        migrations.CreateModel(
            name="CreditNoteLine",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("net", models.DecimalField(decimal_places=3, max_digits=20)),
                ("tax", models.DecimalField(decimal_places=3, max_digits=20)),
                (
                    "line",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="billing.invoiceline",
                    ),
                ),
                (
                    "note",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="lines",
                        to="billing.creditnote",
                    ),
                ),
            ],
            options={
                "ordering": ["note_id", "line_id"],
                "constraints": [
                    models.UniqueConstraint(fields=("note", "line"), name="billing_note_line_once"),
                    models.CheckConstraint(
                        condition=models.Q(("net__gte", 0), ("tax__gte", 0)), name="billing_note_line_from_0"
                    ),
                ],
            },
        ),
        migrations.RunSQL(FORWARD, BACKWARD),
    ]
