"""The release that words what a sub-agent's job says, and by whose prices it costs."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('agents', '0009_tool_call_status'),
        ('dialogues', '0027_what_ends_news'),
    ]

    operations = [
        migrations.AddField(
            model_name='subagentjob',
            name='release',
            field=models.ForeignKey(editable=False, null=True, on_delete=django.db.models.deletion.PROTECT, to='agents.release'),
        ),
    ]
