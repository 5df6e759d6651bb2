"""A column more, which the running version knows nothing of."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("scoring", "0008_roll_ups_of_decisions_made_before")]
    operations = [migrations.AddField("decision", "later", models.CharField(max_length=5, null=True))]
