"""Jobs of sub-agents: every state is noted, and a finished one stays as it ended."""

from django.db import migrations

NOTE_CHANGE = """
CREATE FUNCTION note_subagent_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF NEW.state IS NOT DISTINCT FROM OLD.state THEN
            RETURN NULL;
        END IF;
        IF OLD.finished_at IS NOT NULL THEN
            RAISE EXCEPTION 'subagent_job_finished: the job has ended, and stays so'
                USING ERRCODE = 'check_violation', CONSTRAINT = 'subagent_job_finished';
        END IF;
    END IF;
    INSERT INTO dialogues_subagentchange (job_id, state, detail, at)
    VALUES (NEW.id, NEW.state, NEW.progress, clock_timestamp());
    RETURN NULL;
END $$
"""


class Migration(migrations.Migration):
    dependencies = [("dialogues", "0004_subagent_jobs")]

    operations = [
        migrations.RunSQL(NOTE_CHANGE, "DROP FUNCTION note_subagent_change()"),
        migrations.RunSQL(
            "CREATE TRIGGER subagent_change_noted AFTER INSERT OR UPDATE ON dialogues_subagentjob "
            "FOR EACH ROW EXECUTE FUNCTION note_subagent_change()",
            "DROP TRIGGER subagent_change_noted ON dialogues_subagentjob",
        ),
        migrations.RunSQL(
            "CREATE TRIGGER subagent_change_never_changes BEFORE UPDATE "
            "ON dialogues_subagentchange FOR EACH ROW EXECUTE FUNCTION refuse_change()",
            "DROP TRIGGER subagent_change_never_changes ON dialogues_subagentchange",
        ),
    ]
