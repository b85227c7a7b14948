"""The event log: numbered by the database, fenced by control, append-only."""

from django.db import migrations

NUMBER_EVENT = """
CREATE FUNCTION number_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- The row lock of this UPDATE puts writers of one conversation in order; a rolled-back
    -- event gives its number back, so there are no gaps.
    UPDATE dialogues_conversation
       SET last_seq = last_seq + 1, updated_at = NEW.at
     WHERE id = NEW.conversation_id AND (NEW.fence IS NULL OR fence = NEW.fence)
    RETURNING last_seq INTO NEW.seq;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'event_fence_current: control of the conversation has changed'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'event_fence_current';
    END IF;
    RETURN NEW;
END $$
"""


class Migration(migrations.Migration):
    dependencies = [
        ("dialogues", "0001_initial"),
        ("knowledge", "0002_history_never_changes"),
    ]

    operations = [
        migrations.RunSQL(NUMBER_EVENT, "DROP FUNCTION number_event()"),
        migrations.RunSQL(
            "CREATE TRIGGER event_numbered BEFORE INSERT ON dialogues_event "
            "FOR EACH ROW EXECUTE FUNCTION number_event()",
            "DROP TRIGGER event_numbered ON dialogues_event",
        ),
        migrations.RunSQL(
            "CREATE TRIGGER event_never_changes BEFORE UPDATE ON dialogues_event "
            "FOR EACH ROW EXECUTE FUNCTION refuse_change()",
            "DROP TRIGGER event_never_changes ON dialogues_event",
        ),
        migrations.RunSQL(
            "CREATE TRIGGER judgement_never_changes BEFORE UPDATE ON dialogues_judgement "
            "FOR EACH ROW EXECUTE FUNCTION refuse_change()",
            "DROP TRIGGER judgement_never_changes ON dialogues_judgement",
        ),
    ]
