"""Who held what and what was noted or answered is kept; who waits already has a place."""

from django.db import migrations

FIXED = ("assignment", "note", "surveyanswer")

QUEUE_OF_BEFORE = """
INSERT INTO dialogues_handover (conversation_id, asked_at, due_at, summary, summary_source)
SELECT id, updated_at, updated_at + interval '10 minutes', '', ''
  FROM dialogues_conversation
 WHERE control IN ('queued', 'human') AND closed_at IS NULL
"""

REFUSE_NEW_WORDS = """
CREATE FUNCTION refuse_new_words() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (OLD.kind, OLD.text, OLD.choices) IS DISTINCT FROM (NEW.kind, NEW.text, NEW.choices) THEN
        RAISE EXCEPTION 'survey_question_words_never_change: ask another question instead'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'survey_question_words_never_change';
    END IF;
    RETURN NEW;
END $$
"""


class Migration(migrations.Migration):
    dependencies = [("dialogues", "0009_sites_and_keys")]

    operations = [
        *(
            migrations.RunSQL(
                f"CREATE TRIGGER {name}_never_changes BEFORE UPDATE ON dialogues_{name} "
                "FOR EACH ROW EXECUTE FUNCTION refuse_change()",
                f"DROP TRIGGER {name}_never_changes ON dialogues_{name}",
            )
            for name in FIXED
        ),
        migrations.RunSQL(REFUSE_NEW_WORDS, "DROP FUNCTION refuse_new_words()"),
        migrations.RunSQL(
            "CREATE TRIGGER survey_question_words_never_change "
            "BEFORE UPDATE ON dialogues_surveyquestion "
            "FOR EACH ROW EXECUTE FUNCTION refuse_new_words()",
            "DROP TRIGGER survey_question_words_never_change ON dialogues_surveyquestion",
        ),
        migrations.RunSQL(QUEUE_OF_BEFORE, migrations.RunSQL.noop),
    ]
