"""What a tool was when a release was made must stay readable, and so must test calls."""

from django.db import migrations

TABLES = {"agents_toolrevision": "tool_revision", "agents_toolcall": "tool_call"}


def trigger(table: str, name: str) -> migrations.RunSQL:
    return migrations.RunSQL(
        f"CREATE TRIGGER {name}_never_changes BEFORE UPDATE ON {table} "
        "FOR EACH ROW EXECUTE FUNCTION refuse_change()",
        f"DROP TRIGGER {name}_never_changes ON {table}",
    )


class Migration(migrations.Migration):
    dependencies = [
        ("agents", "0004_tool_catalogue"),
        ("knowledge", "0002_history_never_changes"),
    ]

    operations = [trigger(table, name) for table, name in TABLES.items()]
