"""Questions that are embedded before they are searched for."""

from concurrent.futures import wait
from threading import Barrier, Event
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
        self.addCleanup(self.forget)

    def expect(self, text):
        """Expect it, and wait until it was embedded."""
        anticipating.expect(text)
        wait(anticipating._expected.values(), 5)

    def forget(self):
        """What a test expected in vain is not the next one's."""
        for future in anticipating._expected.values():
            future.cancel()
        wait(anticipating._expected.values())

    def asked(self):
        return [call.args[0] for call in self.embed.call_args_list if call.args[0]]

    def test_what_was_expected_is_embedded_once(self):
        self.expect("cold soup")
        self.expect("cold soup")
        vectors = anticipating.embed_questions(["late", "cold soup"], **OURS)
        assert vectors == [[4.0, 0.0], [9.0, 0.0]]
        assert sorted(self.asked()) == [["cold soup"], ["late"]]

    def test_it_serves_one_search_and_is_forgotten(self):
        self.expect("cold soup")
        for _ in range(2):
            anticipating.embed_questions(["cold soup"], **OURS)
        assert self.asked() == [["cold soup"]] * 2

    def test_what_waits_for_its_turn_is_made_at_once(self):
        begun, go_on = Barrier(anticipating.AT_ONCE + 1), Event()

        def slowly(texts, **kwargs):
            if texts[0].startswith("slow"):
                begun.wait(5)
                go_on.wait(5)
            return vectors_of(texts)

        self.embed.side_effect = slowly
        for number in range(anticipating.AT_ONCE):
            anticipating.expect(f"slow {number}")
        begun.wait(5)
        anticipating.expect("late")
        assert anticipating.embed_questions(["late"], **OURS) == [[4.0, 0.0]]
        go_on.set()

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
        self.expect("cold soup")
        with self.assertRaises(EmbeddingFailed):
            anticipating.embed_questions(["cold soup"], **OURS)
        assert not anticipating._expected

    def test_an_old_failure_is_not_kept(self):
        self.embed.side_effect = EmbeddingFailed("no model")
        self.expect("cold soup")
        self.expect("late")
        self.embed.side_effect = vectors_of
        self.expect("late")
        vectors = anticipating.embed_questions(["cold soup", "late"], **OURS)
        assert vectors == [[9.0, 0.0], [4.0, 0.0]]
        assert self.asked() == [["cold soup"], ["late"], ["late"], ["cold soup"]]
