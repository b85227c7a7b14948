"""Vectors of hooks: which indexes are kept, and their graphs in the database."""

from django.db import connection

from knowledge.embedding import EMBEDDING_DIMENSIONS, MODEL_NAME
from knowledge.models import EmbeddingIndex, IndexState

# Per index a graph over its own rows: 16 links, 64 candidates while it is built, the values
# that gave recall .98 at 100,000 rows.
GRAPH = """
CREATE INDEX IF NOT EXISTS hook_vector_graph_{pk} ON knowledge_hookvector
USING hnsw ((embedding::vector({dimensions})) vector_cosine_ops)
WITH (m = 16, ef_construction = 64) WHERE index_id = {pk}
"""


def live_index() -> EmbeddingIndex:
    """Return the index that searches use; the shipped model's is made on first use."""
    index, created = EmbeddingIndex.objects.get_or_create(
        state=IndexState.LIVE,
        defaults={"name": MODEL_NAME, "embedder": "e5", "dimensions": EMBEDDING_DIMENSIONS},
    )
    if created:
        make_graph(index)
    return index


def make_graph(index: EmbeddingIndex) -> None:
    """Build the HNSW graph of an index; inside a transaction, and locking out writers."""
    with connection.cursor() as cursor:
        cursor.execute(GRAPH.format(pk=int(index.pk), dimensions=int(index.dimensions)))
