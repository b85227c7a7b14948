from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('dialogues', '0029_calls_under_way'),
    ]

    operations = [
        migrations.AddConstraint(
            model_name='conversation',
            constraint=models.UniqueConstraint(condition=models.Q(('token_sha256', ''), _negated=True), fields=('token_sha256',), name='conversation_token_unique'),
        ),
    ]
