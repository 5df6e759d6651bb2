import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        migrations.swappable_dependency(settings.TENANT_MODEL),
        ('notifications', '0001_outbox_and_webhooks'),
    ]

    operations = [
        migrations.AddField(
            model_name='delivery',
            name='tenant',
            field=models.ForeignKey(db_index=False, help_text="The event's; turns go round by it.", null=True, on_delete=django.db.models.deletion.CASCADE, to=settings.TENANT_MODEL),
        ),
    ]
