"""Money as it comes: transfers in part, too much and moved on; and when tenants were limited, which is only ever ended."""

import django.db.models.deletion
import django.db.models.expressions
from decimal import Decimal
from django.db import migrations, models


FORWARD = """
CREATE FUNCTION public.billing_keep_limitation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.ends_at IS NULL AND to_jsonb(NEW) - 'ends_at' = to_jsonb(OLD) - 'ends_at' THEN RETURN NEW; END IF;
    RAISE EXCEPTION 'a limitation may only be ended' USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER billing_keep_limitation BEFORE UPDATE ON public.billing_limitation
    FOR EACH ROW EXECUTE FUNCTION public.billing_keep_limitation();
INSERT INTO public.billing_limitation (tenant_id, starts_at)
    SELECT one.tenant_id, coalesce(clock.now, now()) FROM public.billing_subscription one
    LEFT JOIN public.billing_billingclock clock ON clock.tenant_id = one.tenant_id WHERE one.status = 'limited';
"""
BACKWARD = """
DROP TRIGGER billing_keep_limitation ON public.billing_limitation;
DROP FUNCTION public.billing_keep_limitation();
"""


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0002_audit_append_only'),
        ('billing', '0012_lines_of_notes'),
    ]

    operations = [
        migrations.CreateModel(
            name='Limitation',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('starts_at', models.DateTimeField()),
                ('ends_at', models.DateTimeField(blank=True, null=True)),
            ],
            options={
                'ordering': ['tenant_id', 'starts_at'],
            },
        ),
        migrations.RemoveConstraint(
            model_name='payment',
            name='billing_invoice_paid_once',
        ),
        migrations.AddField(
            model_name='payment',
            name='moved',
            field=models.DecimalField(decimal_places=3, default=Decimal('0'), max_digits=20),
        ),
        migrations.AddField(
            model_name='payment',
            name='reference',
            field=models.CharField(blank=True, help_text='What stood on the transfer.', max_length=140),
        ),
        migrations.AddField(
            model_name='payment',
            name='source',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='moved_to', to='billing.payment'),
        ),
        migrations.AddField(
            model_name='payment',
            name='unapplied',
            field=models.DecimalField(decimal_places=3, default=Decimal('0'), max_digits=20),
        ),
        migrations.AddConstraint(
            model_name='payment',
            constraint=models.UniqueConstraint(condition=models.Q(('status', 'succeeded'), models.Q(('provider__in', ('transfer', 'balance')), _negated=True)), fields=('invoice',), name='billing_invoice_paid_once'),
        ),
        migrations.AddConstraint(
            model_name='payment',
            constraint=models.CheckConstraint(condition=models.Q(('amount__gte', django.db.models.expressions.CombinedExpression(models.F('unapplied'), '+', models.F('moved'))), ('moved__gte', 0), ('unapplied__gte', 0)), name='billing_payment_parts'),
        ),
        migrations.AddField(
            model_name='limitation',
            name='tenant',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='limitations', to='accounts.tenant'),
        ),
        migrations.AddConstraint(
            model_name='limitation',
            constraint=models.CheckConstraint(condition=models.Q(('ends_at', None), ('ends_at__gte', models.F('starts_at')), _connector='OR'), name='billing_limitation_ahead'),
        ),
        migrations.AddConstraint(
            model_name='limitation',
            constraint=models.UniqueConstraint(condition=models.Q(('ends_at', None)), fields=('tenant',), name='billing_one_limitation_at_a_time'),
        ),
        migrations.RunSQL(FORWARD, BACKWARD),
    ]
