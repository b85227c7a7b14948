"""A customer's conversations are looked for at every contact, and beside the opt-outs."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # what runs concurrently runs outside a transaction

    dependencies = [("dialogues", "0017_event_seq_returned")]

    operations = [
        AddIndexConcurrently(
            "conversation",
            models.Index(fields=["customer_ref"], name="conversation_of_customer"),
        ),
    ]
