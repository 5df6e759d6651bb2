import django.db.models.deletion
import django.db.models.functions.comparison
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        migrations.swappable_dependency(settings.TENANT_MODEL),
        ('notifications', '0003_fill_tenant_of_deliveries'),
    ]

    operations = [
        migrations.AlterField(
            model_name='delivery',
            name='tenant',
            field=models.ForeignKey(db_index=False, help_text="The event's; turns go round by it.", on_delete=django.db.models.deletion.CASCADE, to=settings.TENANT_MODEL),
        ),
        migrations.AddIndex(
            model_name='delivery',
            index=models.Index(models.F('tenant'), django.db.models.functions.comparison.Coalesce('endpoint', models.Value('')), models.F('next_try_at'), condition=models.Q(('state', 'waiting')), name='delivery_lane'),
        ),
    ]
