"""What a sub-agent's job costs, for the sums and for the caps."""

from decimal import Decimal

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("dialogues", "0021_opt_outs_of_sites")]

    operations = [
        migrations.AddField(
            model_name="subagentjob",
            name="cost",
            field=models.DecimalField(decimal_places=6, default=Decimal(0), max_digits=12),
        ),
        migrations.AddIndex(
            model_name="subagentjob",
            index=models.Index(
                condition=models.Q(("cost__gt", 0)),
                fields=["created_at"],
                name="subagent_costs_by_day",
            ),
        ),
        migrations.AddConstraint(
            model_name="subagentjob",
            constraint=models.CheckConstraint(
                condition=models.Q(("cost__gte", 0)), name="subagent_cost_not_negative"
            ),
        ),
    ]
