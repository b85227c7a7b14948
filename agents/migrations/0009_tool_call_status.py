from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("agents", "0008_tool_result_template"),
    ]

    operations = [
        migrations.AddField(
            model_name="toolcall",
            name="status",
            field=models.PositiveSmallIntegerField(null=True),
        ),
    ]
