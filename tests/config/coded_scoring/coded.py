"""Code, as a migration of rows."""

from django.db import migrations

from tests.config.newest_scoring import NEWEST


class Migration(migrations.Migration):
    dependencies = [("scoring", NEWEST)]
    operations = [migrations.RunPython(migrations.RunPython.noop, migrations.RunPython.noop)]
