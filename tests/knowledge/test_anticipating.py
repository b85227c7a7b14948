"""Questions that are embedded before they are searched for."""

from unittest import mock

from django.test import SimpleTestCase

from knowledge import anticipating
from knowledge.embedding import EmbeddingFailed

OURS = {"embedder": "e5", "options": {}}


def vectors_of(texts, **kwargs):
    return [[float(len(text)), 0.0] for text in texts]


class ExpectingTests(SimpleTestCase):
    def setUp(self):
        anticipating._expected.clear()
        anticipating._in_use[:] = [("e5", "{}")]
        self.embed = mock.Mock(side_effect=vectors_of)
        patch = mock.patch.object(anticipating, "embed", self.embed)
        patch.start()
        self.addCleanup(patch.stop)
        # What a test expected in vain is not the next one's.
        self.addCleanup(lambda: anticipating._thread().submit(str).result())

    def asked(self):
        return [call.args[0] for call in self.embed.call_args_list if call.args[0]]

    def test_what_was_expected_is_embedded_once(self):
        anticipating.expect("cold soup")
        anticipating.expect("cold soup")
        vectors = anticipating.embed_questions(["late", "cold soup"], **OURS)
        assert vectors == [[4.0, 0.0], [9.0, 0.0]]
        assert sorted(self.asked()) == [["cold soup"], ["late"]]

    def test_it_serves_one_search_and_is_forgotten(self):
        anticipating.expect("cold soup")
        for _ in range(2):
            anticipating.embed_questions(["cold soup"], **OURS)
        assert self.asked() == [["cold soup"]] * 2

    def test_another_embedder_makes_its_own(self):
        anticipating.expect("cold soup")
        anticipating.embed_questions(["cold soup"], embedder="openai", options={"model": "m"})
        assert self.embed.call_args.kwargs["embedder"] == "openai"
        anticipating.expect("late")
        anticipating._expected.popitem()[1].result()
        assert self.embed.call_args.kwargs == {
            "is_query": True,
            "embedder": "openai",
            "options": {"model": "m"},
        }

    def test_nothing_is_expected_before_the_first_search(self):
        anticipating._in_use.clear()
        anticipating.expect("cold soup")
        assert not anticipating._expected

    def test_the_oldest_are_forgotten(self):
        for number in range(anticipating.MOST_EXPECTED + 3):
            anticipating.expect(f"question {number}")
        kept = [text for _, text in anticipating._expected]
        assert len(kept) == anticipating.MOST_EXPECTED
        assert kept[0] == "question 3"

    def test_a_failure_is_the_searchs(self):
        self.embed.side_effect = EmbeddingFailed("no model")
        anticipating.expect("cold soup")
        with self.assertRaises(EmbeddingFailed):
            anticipating.embed_questions(["cold soup"], **OURS)
        assert not anticipating._expected
