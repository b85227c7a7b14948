"""Whoever wants never to be called again is not, whoever dials."""

from django.db import migrations

STAYS = """
CREATE FUNCTION keep_do_not_call() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        -- the conversation may be deleted
        OLD.job_id := NEW.job_id;
        IF NEW.job_id IS NULL AND NEW IS NOT DISTINCT FROM OLD THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'do_not_call_stays: whoever wants no calls gets none'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'do_not_call_stays';
END $$
"""
WANTED = """
CREATE FUNCTION refuse_unwanted_dial() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM dialogues_donotcall WHERE address = NEW.address) THEN
        RAISE EXCEPTION 'dial_wanted: they asked never to be called again'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'dial_wanted';
    END IF;
    RETURN NEW;
END $$
"""


class Migration(migrations.Migration):
    dependencies = [("dialogues", "0019_do_not_call")]

    operations = [
        migrations.RunSQL(STAYS, "DROP FUNCTION keep_do_not_call()"),
        migrations.RunSQL(
            "CREATE TRIGGER do_not_call_kept BEFORE UPDATE OR DELETE ON dialogues_donotcall "
            "FOR EACH ROW EXECUTE FUNCTION keep_do_not_call()",
            "DROP TRIGGER do_not_call_kept ON dialogues_donotcall",
        ),
        migrations.RunSQL(WANTED, "DROP FUNCTION refuse_unwanted_dial()"),
        migrations.RunSQL(
            "CREATE TRIGGER dial_wanted BEFORE INSERT OR UPDATE ON dialogues_dial "
            "FOR EACH ROW EXECUTE FUNCTION refuse_unwanted_dial()",
            "DROP TRIGGER dial_wanted ON dialogues_dial",
        ),
    ]
