"""A delivery's tenant is its event's."""

from django.db import migrations

FORWARD = """
UPDATE public.notifications_delivery AS delivery SET tenant_id = event.tenant_id
FROM public.notifications_event AS event WHERE event.id = delivery.event_id AND delivery.tenant_id IS NULL
"""


class Migration(migrations.Migration):
    dependencies = [("notifications", "0002_tenant_of_deliveries")]
    operations = [migrations.RunSQL(FORWARD, migrations.RunSQL.noop)]
