"""Sketches and histograms are written anew with each batch, so Postgres keeps them as they are: to compress them each
time took as long as all else of writing them."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("scoring", "0016_shadow_reports")]

    operations = [
        migrations.RunSQL(
            "ALTER TABLE scoring_partyday ALTER sketch SET STORAGE EXTERNAL;"
            " ALTER TABLE scoring_featureday ALTER counts SET STORAGE EXTERNAL",
            "ALTER TABLE scoring_partyday ALTER sketch SET STORAGE EXTENDED;"
            " ALTER TABLE scoring_featureday ALTER counts SET STORAGE EXTENDED",
        ),
    ]
