"""The HNSW graphs over the vectors of hooks, each a partial index of PostgreSQL.

Every embedding index has one over all its vectors. pgvector applies filters after the walk: in
a scene with a tenth of the vectors, nine of ten steps are in vain. So a scene with more vectors
than are compared one by one gets a graph of its own as well, and the planner takes it wherever
that scene alone is searched. (At 30,000 of 300,000 vectors: 6 ms instead of 20 to 40.)
"""

from django.db import connection
from django.db.models import Count

from knowledge.models import KEPT_UP, EmbeddingIndex, HookVector

EXACT_UP_TO = 10_000  # vectors in scope that are compared one by one: 7 ms, and none is missed
LARGEST_SHARE = 0.5  # of an index's vectors: above it the common graph serves a scene as well
KEEPING = 3_700_518  # advisory lock: held by who makes the graphs of scenes

# 16 links, 64 candidates while it is built: the values that gave recall .98 at 100,000 rows.
GRAPH = """
CREATE INDEX {concurrently} IF NOT EXISTS {name} ON knowledge_hookvector
USING hnsw ((embedding::vector({dimensions})) vector_cosine_ops)
WITH (m = 16, ef_construction = 64) WHERE index_id = {pk} {in_scene}
"""
BROKEN = "SELECT 1 FROM pg_index WHERE indexrelid = to_regclass(%s) AND NOT indisvalid"
OF_INDEX = "SELECT indexname FROM pg_indexes WHERE indexname = %s OR starts_with(indexname, %s)"


def graph_name(index: EmbeddingIndex, scene: int | None = None) -> str:
    """Return what the database calls the index's graph, or that of one of its scenes."""
    name = f"hook_vector_graph_{int(index.pk)}"
    return name if scene is None else f"{name}_{int(scene)}"


def make_graph(index: EmbeddingIndex, scene: int | None = None) -> None:
    """Build a graph, again if a process died while building it.

    Outside a transaction, writers are not locked out meanwhile.
    """
    name = graph_name(index, scene)
    sql = GRAPH.format(
        concurrently="" if connection.in_atomic_block else "CONCURRENTLY",
        name=name,
        dimensions=int(index.dimensions),
        pk=int(index.pk),
        in_scene="" if scene is None else f"AND scene_id = {int(scene)}",
    )
    with connection.cursor() as cursor:
        cursor.execute(BROKEN, [name])
        if cursor.fetchone():
            cursor.execute(f"DROP INDEX IF EXISTS {name}")
        cursor.execute(sql)


def drop_graphs(index: EmbeddingIndex) -> None:
    """Drop the index's graph, and those of its scenes."""
    name = graph_name(index)
    with connection.cursor() as cursor:
        cursor.execute(OF_INDEX, [name, f"{name}_"])
        for (found,) in cursor.fetchall():
            cursor.execute(f"DROP INDEX IF EXISTS {connection.ops.quote_name(found)}")


def keep_scene_graphs() -> None:
    """Give every large scene its graph, in each index that is kept up; from beat.

    One process at a time: a graph that another is building looks like a broken one.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [KEEPING])
        if cursor.fetchone() != (True,):
            return
    try:
        _make_scene_graphs()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [KEEPING])


def _make_scene_graphs() -> None:
    indexes = EmbeddingIndex.objects.filter(state__in=KEPT_UP).in_bulk()
    vectors = HookVector.objects.filter(index__in=indexes).order_by().values_list("index", "scene")
    counts = {(index, scene): n for index, scene, n in vectors.annotate(count=Count("pk"))}
    for (index, scene), count in counts.items():
        whole = sum(n for (of, _), n in counts.items() if of == index)
        if count > EXACT_UP_TO and count <= LARGEST_SHARE * whole:
            make_graph(indexes[index], scene)
