"""The words of all hooks, among which a misspelt word finds what was meant."""

import re
from collections.abc import Iterable

from django.db import connection

from knowledge.scripts import LETTER

# Shorter words are too like each other, and Chinese has no words to misspell in letters.
LONG_WORD = re.compile(rf"(?<!{LETTER})[a-z]{{5,30}}(?!{LETTER})", re.IGNORECASE)

_LEARN = """
INSERT INTO knowledge_vocabularyword (word, stem)
SELECT word, stem
FROM unnest(%s::text[]) AS word,
     LATERAL (SELECT (tsvector_to_array(to_tsvector('english', word)))[1] AS stem) AS stemmed
WHERE stem IS NOT NULL
ORDER BY word
ON CONFLICT (word) DO NOTHING
"""  # in order, so that two publications never wait for each other in a circle


def words_of(text: str) -> list[str]:
    """Return the long words of a text in lower case, each once."""
    return list(dict.fromkeys(word.lower() for word in LONG_WORD.findall(text)))


def learn(texts: Iterable[str]) -> None:
    """Add the words of hooks to the vocabulary."""
    words = sorted({word for text in texts for word in words_of(text)})
    with connection.cursor() as cursor:
        cursor.execute(_LEARN, [words])
