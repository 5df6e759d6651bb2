"""A column more, which the running version knows nothing of."""

from django.db import migrations, models

from tests.config.newest_scoring import NEWEST


class Migration(migrations.Migration):
    dependencies = [("scoring", NEWEST)]
    operations = [migrations.AddField("decision", "later", models.CharField(max_length=5, null=True))]
