"""What wording unasked messages costs, and how long a policy's times may be."""

import django.core.validators
from decimal import Decimal
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('dialogues', '0022_subagent_costs'),
    ]

    operations = [
        migrations.AddField(
            model_name='proactivedecision',
            name='completion_tokens',
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.AddField(
            model_name='proactivedecision',
            name='cost',
            field=models.DecimalField(decimal_places=6, default=Decimal('0'), max_digits=12),
        ),
        migrations.AddField(
            model_name='proactivedecision',
            name='prompt_tokens',
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.AlterField(
            model_name='proactiveversion',
            name='contact_hours',
            field=models.PositiveSmallIntegerField(default=24, validators=[django.core.validators.MinValueValidator(1)]),
        ),
        migrations.AlterField(
            model_name='proactiveversion',
            name='cooldown_hours',
            field=models.PositiveIntegerField(default=24, validators=[django.core.validators.MaxValueValidator(87600)]),
        ),
        migrations.AlterField(
            model_name='proactiveversion',
            name='delay_minutes',
            field=models.PositiveIntegerField(default=0, validators=[django.core.validators.MaxValueValidator(5256000)]),
        ),
        migrations.AlterField(
            model_name='proactiveversion',
            name='promise_minutes',
            field=models.PositiveIntegerField(blank=True, null=True, validators=[django.core.validators.MaxValueValidator(5256000)]),
        ),
        migrations.AlterField(
            model_name='proactiveversion',
            name='stale_minutes',
            field=models.PositiveIntegerField(default=720, validators=[django.core.validators.MaxValueValidator(5256000)]),
        ),
        migrations.AddIndex(
            model_name='proactivedecision',
            index=models.Index(condition=models.Q(('cost__gt', 0)), fields=['decided_at'], name='proactive_costs_by_day'),
        ),
        migrations.AddConstraint(
            model_name='proactivedecision',
            constraint=models.CheckConstraint(condition=models.Q(('cost__gte', 0)), name='proactive_cost_not_negative'),
        ),
    ]
