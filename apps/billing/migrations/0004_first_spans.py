"""Subscriptions made before there was a timeline get its first span."""

from django.db import migrations

FORWARD = """
INSERT INTO public.billing_planspan (tenant_id, plan_code, starts_at, trial, own_included)
SELECT tenant_id, plan_code, started_at, false, custom_included FROM public.billing_subscription
"""


class Migration(migrations.Migration):
    dependencies = [("billing", "0003_append_only")]
    operations = [migrations.RunSQL(FORWARD, migrations.RunSQL.noop)]
