"""What was arranged when stays on record."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("dialogues", "0014_arrangements")]

    operations = [
        migrations.RunSQL(
            "CREATE TRIGGER arrangement_never_changes "
            "BEFORE UPDATE OR DELETE ON dialogues_arrangement "
            "FOR EACH ROW EXECUTE FUNCTION refuse_change()",
            "DROP TRIGGER arrangement_never_changes ON dialogues_arrangement",
        ),
    ]
