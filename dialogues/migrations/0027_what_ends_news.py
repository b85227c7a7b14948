"""Events after which a policy's news are none, and what it promised is no longer due."""

import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('dialogues', '0026_opened_by'),
    ]

    operations = [
        migrations.AddField(
            model_name='followup',
            name='over_by',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.SlugField(db_index=False, max_length=60), blank=True, default=list, size=None),
        ),
        migrations.AddField(
            model_name='proactiveversion',
            name='over_by',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.SlugField(db_index=False, max_length=60), blank=True, default=list, size=None),
        ),
        migrations.AlterField(
            model_name='followup',
            name='state',
            field=models.CharField(choices=[('open', 'Open'), ('kept', 'Kept'), ('escalated', 'Not kept: passed to a person'), ('void', 'Void: the chat ended, or the matter did')], default='open', max_length=9),
        ),
    ]
