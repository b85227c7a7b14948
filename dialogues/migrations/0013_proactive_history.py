"""What was told, decided and asked for stays as it was."""

from django.db import migrations

EVENT = """
CREATE FUNCTION keep_business_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.handled_at := OLD.handled_at;
    IF NEW IS DISTINCT FROM OLD THEN
        RAISE EXCEPTION 'business_event_never_changes: it stays as it was told'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'business_event_never_changes';
    END IF;
    RETURN NULL;
END $$
"""
DECISION = """
CREATE FUNCTION keep_proactive_decision() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.decided_at IS NOT NULL AND (
        (NEW.outcome, NEW.reason, NEW.decided_at, NEW.event_id, NEW.policy_id, NEW.version_id)
        IS DISTINCT FROM
        (OLD.outcome, OLD.reason, OLD.decided_at, OLD.event_id, OLD.policy_id, OLD.version_id)
    ) THEN
        RAISE EXCEPTION 'proactive_decision_stays: it was decided'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'proactive_decision_stays';
    END IF;
    RETURN NEW;
END $$
"""
OPT_OUT = """
CREATE FUNCTION keep_opt_out() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'opt_out_stays: whoever wants no news gets none'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'opt_out_stays';
END $$
"""


class Migration(migrations.Migration):
    dependencies = [("dialogues", "0012_proactive")]

    operations = [
        migrations.RunSQL(EVENT, "DROP FUNCTION keep_business_event()"),
        migrations.RunSQL(
            "CREATE TRIGGER business_event_kept AFTER UPDATE ON dialogues_businessevent "
            "FOR EACH ROW EXECUTE FUNCTION keep_business_event()",
            "DROP TRIGGER business_event_kept ON dialogues_businessevent",
        ),
        migrations.RunSQL(DECISION, "DROP FUNCTION keep_proactive_decision()"),
        migrations.RunSQL(
            "CREATE TRIGGER proactive_decision_kept BEFORE UPDATE ON dialogues_proactivedecision "
            "FOR EACH ROW EXECUTE FUNCTION keep_proactive_decision()",
            "DROP TRIGGER proactive_decision_kept ON dialogues_proactivedecision",
        ),
        migrations.RunSQL(OPT_OUT, "DROP FUNCTION keep_opt_out()"),
        migrations.RunSQL(
            "CREATE TRIGGER opt_out_kept BEFORE UPDATE OR DELETE ON dialogues_optout "
            "FOR EACH ROW WHEN (OLD.customer_ref <> '') EXECUTE FUNCTION keep_opt_out()",
            "DROP TRIGGER opt_out_kept ON dialogues_optout",
        ),
        migrations.RunSQL(
            "CREATE TRIGGER proactive_version_never_changes "
            "BEFORE UPDATE ON dialogues_proactiveversion "
            "FOR EACH ROW EXECUTE FUNCTION refuse_change()",
            "DROP TRIGGER proactive_version_never_changes ON dialogues_proactiveversion",
        ),
    ]
