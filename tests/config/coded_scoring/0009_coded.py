"""Code, as a migration of rows."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("scoring", "0008_roll_ups_of_decisions_made_before")]
    operations = [migrations.RunPython(migrations.RunPython.noop, migrations.RunPython.noop)]
