"""Whatever deletes an attachment, its files are noted for the sweep."""

from django.db import migrations

NOTE_FILES = """
CREATE FUNCTION note_dead_files() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO dialogues_deadfile (name, at)
    SELECT name, now() FROM unnest(ARRAY[OLD.file, OLD.thumbnail]) AS name WHERE name <> ''
    ON CONFLICT (name) DO NOTHING;
    RETURN NULL;
END $$
"""


class Migration(migrations.Migration):
    dependencies = [("dialogues", "0010_desk_history")]

    operations = [
        migrations.RunSQL(NOTE_FILES, "DROP FUNCTION note_dead_files()"),
        migrations.RunSQL(
            "CREATE TRIGGER attachment_files_noted AFTER DELETE ON dialogues_attachment "
            "FOR EACH ROW EXECUTE FUNCTION note_dead_files()",
            "DROP TRIGGER attachment_files_noted ON dialogues_attachment",
        ),
    ]
