"""A release's id stands on messages: what it was must stay readable."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("agents", "0001_initial"),
        ("knowledge", "0002_history_never_changes"),
    ]

    operations = [
        migrations.RunSQL(
            "CREATE TRIGGER release_never_changes BEFORE UPDATE ON agents_release "
            "FOR EACH ROW EXECUTE FUNCTION refuse_change()",
            "DROP TRIGGER release_never_changes ON agents_release",
        ),
        migrations.RunSQL(
            "CREATE TRIGGER promotion_never_changes BEFORE UPDATE ON agents_promotion "
            "FOR EACH ROW EXECUTE FUNCTION refuse_change()",
            "DROP TRIGGER promotion_never_changes ON agents_promotion",
        ),
    ]
