from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('scoring', '0010_lists'),
    ]

    operations = [
        migrations.AlterField(
            model_name='ruleday',
            name='rule',
            field=models.CharField(help_text='A rule\'s id; of one that was not told, behind rules.SHADOW.', max_length=80),
        ),
        migrations.AlterField(
            model_name='ruleday',
            name='other',
            field=models.CharField(blank=True, max_length=80),
        ),
        migrations.AddField(
            model_name='publishedpolicy',
            name='published_by',
            field=models.CharField(blank=True, db_default='', max_length=200),
        ),
        migrations.AddField(
            model_name='publishedpolicy',
            name='note',
            field=models.CharField(blank=True, db_default='', help_text='Why, in the words of whoever published it.', max_length=500),
        ),
    ]
