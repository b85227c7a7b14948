"""The roles people can have; what each may do is in wowconsole.roles."""

from django.db import migrations

ROLES = ["operator", "reviewer", "ml_engineer", "approver", "admin", "auditor"]


def add_roles(apps, schema_editor):
    group = apps.get_model("auth", "Group")
    for name in ROLES:
        group.objects.get_or_create(name=name)


class Migration(migrations.Migration):
    dependencies = [
        ("wowconsole", "0001_initial"),
        ("auth", "0012_alter_user_first_name_max_length"),
    ]

    operations = [migrations.RunPython(add_roles, migrations.RunPython.noop)]
