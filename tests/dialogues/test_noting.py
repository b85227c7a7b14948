"""What customers asked is noted with its vector, once, by the live index."""

from unittest import mock

from django.test import TestCase

from dialogues import tasks
from dialogues.desk import noting
from dialogues.models import Turn, TurnQuestion, TurnStatus
from knowledge.embedding import EmbeddingFailed
from knowledge.indexing import live_index
from knowledge.models import EmbeddingIndex, IndexState
from tests.factories import make_conversation, make_turn


class NotingTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.conversation = make_conversation()
        cls.first = make_turn(cls.conversation, "Do you deliver flowers on Sunday?")
        cls.second = make_turn(cls.conversation, "and groceries?")

    def text_of(self, turn):
        return TurnQuestion.objects.get(turn=turn).text

    def test_a_question_is_noted_as_it_was_searched_for(self):
        assert noting.note_questions() == 2
        assert self.text_of(self.first) == "Do you deliver flowers on Sunday?"
        assert self.text_of(self.second) == "Do you deliver flowers on Sunday? and groceries?"

    def test_a_second_run_finds_nothing_to_do(self):
        tasks.note_questions()
        tasks.note_questions()
        assert TurnQuestion.objects.count() == 2
        assert noting.note_questions() == 0

    def test_questions_of_another_index_are_noted_anew(self):
        noting.note_questions()
        EmbeddingIndex.objects.update(state=IndexState.READY)
        new = EmbeddingIndex.objects.create(
            name="other", embedder="e5", dimensions=384, state=IndexState.LIVE
        )
        assert noting.note_questions() == 2
        assert set(TurnQuestion.objects.values_list("index", flat=True)) == {new.pk}

    def test_the_newest_come_first_and_a_run_ends_in_time(self):
        with mock.patch.object(noting, "BATCH", 1):
            assert noting.note_questions(seconds=0) == 0
            index = live_index()
            assert [turn.pk for turn in noting._waiting(index)] == [self.second.pk]

    def test_what_still_runs_or_was_interrupted_waits(self):
        Turn.objects.filter(pk=self.second.pk).update(status=TurnStatus.DROPPED)
        make_turn(self.conversation, status=TurnStatus.RUNNING, finished_at=None)
        assert noting.note_questions() == 1

    def test_a_failing_embedder_is_logged_and_tried_again_later(self):
        failing = mock.patch.object(noting, "embed_for", side_effect=EmbeddingFailed("down"))
        with failing, self.assertLogs("dialogues.desk.noting", "WARNING"):
            assert noting.note_questions() == 0
        assert noting.note_questions() == 2

    def test_a_turn_that_is_gone_meanwhile_is_left_out(self):
        gone = make_turn()
        gone = Turn.objects.create(
            conversation=gone.conversation,
            asked_seq=9,
            status=TurnStatus.DONE,
            finished_at=gone.finished_at,
        )
        questions = [
            TurnQuestion(turn=turn, text="x", index=live_index(), embedding=[1.0] + [0.0] * 383)
            for turn in (gone, self.first)
        ]
        Turn.objects.filter(pk=gone.pk).delete()
        noting._store(questions)
        assert TurnQuestion.objects.get().turn == self.first

    def test_the_queries_do_not_grow_with_the_turns(self):
        for _ in range(3):
            make_turn(question="Is the shop open on Sunday?")
        live_index()
        with self.assertNumQueries(8):  # index; turns, messages, 2 + savepoint's 2; turns
            noting.note_questions()
