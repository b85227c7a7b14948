"""Who wanted no news before they signed in in that chat wants none anywhere."""

from django.db import migrations

CARRY = """
INSERT INTO dialogues_optout (site_id, customer_ref, at)
SELECT chat.site_id, chat.customer_ref, min(said.at)
FROM dialogues_optout AS said
JOIN dialogues_conversation AS chat ON chat.id = said.conversation_id
WHERE chat.customer_ref <> ''
GROUP BY chat.site_id, chat.customer_ref
ON CONFLICT DO NOTHING
"""


class Migration(migrations.Migration):
    dependencies = [("dialogues", "0023_wording_costs")]

    operations = [migrations.RunSQL(CARRY, migrations.RunSQL.noop)]
