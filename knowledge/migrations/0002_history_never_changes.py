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
        # Two merges at once could close a circle between them: they take turns.
        migrations.RunSQL(
            """
            CREATE FUNCTION refuse_lineage_cycle() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                PERFORM pg_advisory_xact_lock(hashtext('knowledge_lineage'));
                IF EXISTS (
                    WITH RECURSIVE became (id) AS (
                        SELECT NEW.target_id
                        UNION
                        SELECT lineage.target_id
                        FROM knowledge_lineage AS lineage JOIN became ON source_id = became.id
                    )
                    SELECT FROM became WHERE id = NEW.source_id
                ) THEN
                    RAISE EXCEPTION 'Rule % came from rule % already.',
                        NEW.source_id, NEW.target_id
                        USING ERRCODE = 'integrity_constraint_violation';
                END IF;
                RETURN NEW;
            END $$
            """,
            "DROP FUNCTION refuse_lineage_cycle()",
        ),
        migrations.RunSQL(
            "CREATE TRIGGER lineage_without_cycles BEFORE INSERT OR UPDATE ON knowledge_lineage "
            "FOR EACH ROW EXECUTE FUNCTION refuse_lineage_cycle()",
            "DROP TRIGGER lineage_without_cycles ON knowledge_lineage",
        ),
    ]
