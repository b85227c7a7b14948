"""Revisions, publications, snapshots and settings are history: rows are added, never changed."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("knowledge", "0001_initial")]

    operations = [
        migrations.RunSQL(
            """
            CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                RAISE EXCEPTION 'Rows of % are history and never change.', TG_TABLE_NAME
                    USING ERRCODE = 'integrity_constraint_violation';
            END $$
            """,
            "DROP FUNCTION refuse_change()",
        ),
        migrations.RunSQL(
            "CREATE TRIGGER revision_never_changes BEFORE UPDATE ON knowledge_revision "
            "FOR EACH ROW EXECUTE FUNCTION refuse_change()",
            "DROP TRIGGER revision_never_changes ON knowledge_revision",
        ),
        migrations.RunSQL(
            "CREATE TRIGGER publication_never_changes BEFORE UPDATE ON knowledge_publication "
            "FOR EACH ROW EXECUTE FUNCTION refuse_change()",
            "DROP TRIGGER publication_never_changes ON knowledge_publication",
        ),
        migrations.RunSQL(
            "CREATE TRIGGER snapshot_never_changes BEFORE UPDATE ON knowledge_snapshotentry "
            "FOR EACH ROW EXECUTE FUNCTION refuse_change()",
            "DROP TRIGGER snapshot_never_changes ON knowledge_snapshotentry",
        ),
        migrations.RunSQL(
            "CREATE TRIGGER retrieval_settings_never_change "
            "BEFORE UPDATE ON knowledge_retrievalsettings "
            "FOR EACH ROW EXECUTE FUNCTION refuse_change()",
            "DROP TRIGGER retrieval_settings_never_change ON knowledge_retrievalsettings",
        ),
    ]
