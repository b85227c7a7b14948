"""Whoever wants no news is a site's customer: another site's of the same id may want them.

What was said before names no site, and holds at every one.
"""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [('dialogues', '0020_do_not_call_holds')]

    operations = [
        migrations.RemoveConstraint(
            model_name='optout',
            name='opt_out_customer_once',
        ),
        migrations.AddField(
            model_name='optout',
            name='site',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, to='dialogues.site'),
        ),
        migrations.AddConstraint(
            model_name='optout',
            constraint=models.UniqueConstraint(condition=models.Q(('customer_ref', ''), _negated=True), fields=('customer_ref', 'site'), name='opt_out_customer_once', nulls_distinct=False),
        ),
    ]
