"""A data set is frozen: its examples can't be changed or added to another's hash."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("training", "0001_initial"),
        ("knowledge", "0002_history_never_changes"),
    ]

    operations = [
        migrations.RunSQL(
            "CREATE TRIGGER example_never_changes BEFORE UPDATE ON training_example "
            "FOR EACH ROW EXECUTE FUNCTION refuse_change()",
            "DROP TRIGGER example_never_changes ON training_example",
        ),
        migrations.RunSQL(
            "CREATE TRIGGER dataset_never_changes BEFORE UPDATE ON training_dataset "
            "FOR EACH ROW EXECUTE FUNCTION refuse_change()",
            "DROP TRIGGER dataset_never_changes ON training_dataset",
        ),
        migrations.RunSQL(
            "CREATE TRIGGER run_event_never_changes BEFORE UPDATE ON training_runevent "
            "FOR EACH ROW EXECUTE FUNCTION refuse_change()",
            "DROP TRIGGER run_event_never_changes ON training_runevent",
        ),
    ]
