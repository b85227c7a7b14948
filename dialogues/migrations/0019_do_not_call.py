"""Calls that were dialled, and who never wants to be called again."""

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('dialogues', '0018_conversations_of_a_customer'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Dial',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('address', models.CharField(max_length=200)),
                ('at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('job', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='dials', to='dialogues.subagentjob')),
            ],
            options={
                'ordering': ['-pk'],
                'indexes': [models.Index(fields=['address', 'at'], name='dial_lately')],
            },
        ),
        migrations.CreateModel(
            name='DoNotCall',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('address', models.CharField(max_length=200)),
                ('words', models.CharField(blank=True, max_length=300)),
                ('at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, to=settings.AUTH_USER_MODEL)),
                ('job', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='dialogues.subagentjob')),
            ],
            options={
                'ordering': ['-pk'],
                'constraints': [models.UniqueConstraint(fields=('address',), name='do_not_call_address_once'), models.CheckConstraint(condition=models.Q(('address', ''), _negated=True), name='do_not_call_somebody'), models.CheckConstraint(condition=models.Q(models.Q(('by__isnull', False), ('words', '')), models.Q(('by', None), models.Q(('words', ''), _negated=True)), _connector='OR'), name='do_not_call_told_by_somebody')],
            },
        ),
    ]
