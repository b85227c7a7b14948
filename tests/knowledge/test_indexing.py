"""Each index that is kept up gets every hook; an experiment that fails stops nothing."""

import pytest
from django.db import connection
from django.test import TestCase

from knowledge import graphs, indexing, services
from knowledge.embedding import EmbeddingFailed
from knowledge.models import EmbeddingIndex, Hook, HookVector, IndexState, Publication
from tests.factories import make_published_unit, make_unit, make_user

NOWHERE = {"url": "http://127.0.0.1:9/v1", "model": "any"}


def make_index(**fields):
    defaults = {"name": "second", "embedder": "e5", "dimensions": 384, "state": IndexState.READY}
    return EmbeddingIndex.objects.create(**{**defaults, **fields})


def break_live_index():
    EmbeddingIndex.objects.filter(pk=indexing.live_index().pk).update(
        embedder="openai", options=NOWHERE
    )


class IndexingTests(TestCase):
    def test_publishing_writes_into_live_ready_and_building_indexes(self):
        others = [
            make_index(),
            make_index(name="third", state=IndexState.BUILDING),
            make_index(name="old", state=IndexState.RETIRED),
        ]
        unit = make_published_unit(questions=["how so", "why"])
        stored = HookVector.objects.filter(unit=unit)
        counts = [stored.filter(index=index).count() for index in (indexing.live_index(), *others)]
        assert counts == [5, 5, 5, 0]
        assert set(stored.values_list("scene", flat=True)) == {unit.scene_id}

    def test_a_publish_whose_embedding_fails_is_refused_and_changes_nothing(self):
        unit = make_unit()
        break_live_index()
        with pytest.raises(indexing.EmbeddingUnavailable, match="Nothing was published"):
            services.publish_unit(unit=unit, by=make_user("admin"))
        unit.refresh_from_db()
        assert unit.live is None
        assert not Hook.objects.exists()
        assert not Publication.objects.exists()

    def test_an_edit_whose_embedding_fails_leaves_the_live_text(self):
        unit, admin = make_published_unit(title="Old"), make_user("admin")
        services.revise_unit(unit=unit, author=admin, based_on=1, title="New")
        break_live_index()
        with pytest.raises(indexing.EmbeddingUnavailable):
            services.publish_unit(unit=unit, by=admin)
        assert unit.hooks.filter(text="Old").exists()

    def test_another_index_that_fails_misses_the_hooks_and_is_filled_later(self):
        index = make_index(embedder="openai", options=NOWHERE)
        with self.assertLogs("knowledge.indexing", "WARNING"):
            unit = make_published_unit()
        assert list(indexing.missing(index)) == list(unit.hooks.order_by("pk"))
        index.embedder = "e5"
        for _ in range(2):
            indexing.fill(index, list(unit.hooks.select_related("unit")))
        assert not indexing.missing(index).exists()
        assert HookVector.objects.filter(index=index).count() == unit.hooks.count()

    def test_a_model_of_other_dimensions_has_failed(self):
        with pytest.raises(EmbeddingFailed, match="dimensions"):
            indexing.embed_for(make_index(dimensions=3), ["text"], is_query=False)

    def test_each_index_has_a_graph_of_its_own(self):
        index = make_index()
        graphs.make_graph(index)
        graphs.make_graph(index)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT indexdef FROM pg_indexes WHERE indexname = %s",
                [f"hook_vector_graph_{index.pk}"],
            )
            [(definition,)] = cursor.fetchall()
        assert "vector(384)" in definition
