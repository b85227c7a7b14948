"""Large scenes are searched through graphs of their own."""

from unittest import mock

from django.db import connection
from django.test import TestCase

from knowledge import graphs, indexing
from tests.factories import make_published_unit, make_scene


def names():
    with connection.cursor() as cursor:
        cursor.execute("SELECT indexname FROM pg_indexes WHERE indexname LIKE 'hook_vector_%'")
        return {name for (name,) in cursor.fetchall()}


class SceneGraphTests(TestCase):
    def setUp(self):
        self.large, self.small, self.most = make_scene(), make_scene(), make_scene()
        for scene, rules in ((self.large, 2), (self.small, 1), (self.most, 4)):
            for _ in range(rules):
                make_published_unit(scene=scene)
        self.index = indexing.live_index()
        few = self.index.vectors.filter(scene=self.small).count()
        self.enterContext(mock.patch.object(graphs, "EXACT_UP_TO", few))
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # no index is built before they are met

    def test_a_scene_that_has_grown_gets_one_once(self):
        for _ in range(2):
            graphs.keep_scene_graphs()
        assert graphs.graph_name(self.index, self.large.pk) in names()
        for other in (self.small, self.most):
            assert graphs.graph_name(self.index, other.pk) not in names()

    def test_they_go_with_their_index(self):
        graphs.keep_scene_graphs()
        graphs.drop_graphs(self.index)
        left = {name for name in names() if name.startswith(graphs.graph_name(self.index))}
        assert not left

    def test_the_planner_takes_it_for_that_scene(self):
        graphs.keep_scene_graphs()
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
            cursor.execute(
                "EXPLAIN SELECT hook_id FROM knowledge_hookvector "
                "WHERE index_id = %s AND scene_id = %s "
                "ORDER BY (embedding::vector(384)) <=> %s::vector LIMIT 3",
                [self.index.pk, self.large.pk, str([0.1] * 384)],
            )
            plan = "\n".join(line for (line,) in cursor.fetchall())
        assert graphs.graph_name(self.index, self.large.pk) in plan
