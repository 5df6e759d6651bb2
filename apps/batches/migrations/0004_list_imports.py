import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0009_lists_pending'),
        ('batches', '0003_idempotency'),
    ]

    operations = [
        migrations.CreateModel(
            name='ListImport',
            fields=[
                ('id', models.CharField(editable=False, max_length=32, primary_key=True, serialize=False)),
                ('livemode', models.BooleanField()),
                ('list_id', models.CharField(help_text="In the tenant's schema.", max_length=32)),
                ('list_name', models.CharField(max_length=64)),
                ('asked_by', models.CharField(max_length=200)),
                ('created_at', models.DateTimeField()),
                ('upload', models.CharField(help_text='Its file, until it is over.', max_length=200)),
                ('offset', models.BigIntegerField(help_text="Where in the upload the items begin: behind a form's head.")),
                ('size', models.BigIntegerField(help_text='Bytes of the items.')),
                ('is_csv', models.BooleanField()),
                ('lines', models.IntegerField()),
                ('state', models.CharField(choices=[('queued', 'Queued'), ('completed', 'Completed'), ('failed', 'Failed')], default='queued', max_length=10)),
                ('reason', models.CharField(blank=True, help_text='Why it failed, in a sentence.', max_length=500)),
                ('added', models.IntegerField(default=0)),
                ('changed', models.IntegerField(default=0)),
                ('unchanged', models.IntegerField(default=0)),
                ('wrong', models.IntegerField(default=0, help_text='Lines that were left out.')),
                ('problems', models.JSONField(default=list, help_text='The first of them: line, param, detail.')),
                ('finished_at', models.DateTimeField(null=True)),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='list_imports', to='accounts.tenant')),
            ],
            options={
                'indexes': [models.Index(fields=['tenant', 'list_id', '-created_at'], name='list_import_newest_first'), models.Index(condition=models.Q(('state', 'queued')), fields=['created_at'], name='list_import_waiting')],
            },
        ),
    ]
