"""The survey after a conversation: asked, answered once, and counted without inventing answers."""

from django.db import IntegrityError, transaction
from django.test import TestCase
from django.urls import reverse

from dialogues import services
from dialogues.chat import surveying, tallying
from dialogues.models import (
    Channel,
    EventKind,
    QuestionKind,
    Role,
    Survey,
    SurveyAnswer,
    SurveyQuestion,
    SurveyRequest,
)
from tests.factories import make_conversation, make_scene, make_user
from wowconsole.errors import Invalid


def make_survey(scene=None, **fields):
    survey = Survey.objects.create(scene=scene, **fields)
    surveying.ask_the_usual(survey=survey)
    return survey


def end(conversation):
    """Close it and return the survey's event, if one came."""
    services.close(conversation=conversation)
    return conversation.events.filter(kind=EventKind.SURVEY).first()


class SurveyCase(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.scene = make_scene()
        cls.survey = make_survey(cls.scene)
        cls.solved, cls.ease, cls.words = cls.survey.questions.all()
        cls.conversation = make_conversation(scene=cls.scene)

    def answer(self, event, **answers):
        named = {str(getattr(self, name).public_id): value for name, value in answers.items()}
        return surveying.answer(
            conversation=event.conversation, survey=event.data["survey"], answers=named
        )


class AskTests(SurveyCase):
    def test_it_comes_after_the_end_with_its_questions(self):
        event = end(self.conversation)
        kinds = [row.kind for row in self.conversation.events.order_by("seq")]
        assert kinds == [EventKind.CLOSED, EventKind.SURVEY]
        assert [row["kind"] for row in event.data["questions"]] == ["choice", "score", "text"]
        assert event.data["questions"][0]["choices"] == ["Yes", "Partly", "No"]

    def test_a_scene_of_its_own_survey_or_that_of_the_deployment(self):
        general = make_survey(None)
        assert end(make_conversation())
        assert end(self.conversation)
        found = dict(SurveyRequest.objects.values_list("survey", "conversation"))
        assert set(found) == {general.pk, self.survey.pk}

    def test_not_where_nobody_wrote_questions_and_not_for_programs(self):
        assert end(make_conversation()) is None
        assert end(make_conversation(scene=self.scene, channel=Channel.API)) is None

    def test_not_at_the_end_where_it_is_for_requests_only(self):
        Survey.objects.update(at_end=False)
        assert end(self.conversation) is None
        assert surveying.ask(conversation=self.conversation)

    def test_a_conversation_is_asked_about_once(self):
        surveying.ask(conversation=self.conversation)
        with self.assertRaises(surveying.AlreadyAsked):
            surveying.ask(conversation=self.conversation)
        end(self.conversation)
        assert SurveyRequest.objects.count() == 1

    def test_what_is_retired_is_not_asked(self):
        SurveyQuestion.objects.filter(survey=self.survey).exclude(pk=self.ease.pk).update(
            retired_at="2026-01-01T00:00Z"
        )
        assert len(end(self.conversation).data["questions"]) == 1
        SurveyQuestion.objects.update(retired_at="2026-01-01T00:00Z")
        assert end(make_conversation(scene=self.scene)) is None


class AnswerTests(SurveyCase):
    def test_each_answer_is_a_row_and_what_is_left_out_is_none(self):
        event = end(self.conversation)
        told = self.answer(event, solved="Yes", ease=4, words="  ")
        rows = [(row.question, row.score, row.text) for row in SurveyAnswer.objects.all()]
        assert rows == [(self.solved, None, "Yes"), (self.ease, 4, "")]
        assert (told.role, told.data["answered"]) == (Role.CUSTOMER, 2)
        assert SurveyRequest.objects.get().answered_at

    def test_numbers_of_cards_are_not_kept(self):
        self.answer(end(self.conversation), words="4111 1111 1111 1111 did not work")
        assert SurveyAnswer.objects.get().text == "•••• 1111 did not work"

    def test_once(self):
        event = end(self.conversation)
        self.answer(event, ease=4)
        with self.assertRaises(surveying.AlreadyAnswered):
            self.answer(event, ease=5)
        assert SurveyAnswer.objects.get().score == 4

    def test_values_must_fit_their_question(self):
        event = end(self.conversation)
        for nonsense in (
            {"ease": 6},
            {"ease": 0},
            {"ease": True},
            {"ease": "4"},
            {"ease": [4]},
            {"solved": "Maybe"},
            {"solved": ["Yes"]},
            {"words": 7},
            {"words": "x" * 2001},
            {"words": "\0"},
            {"words": ""},
            {},
        ):
            with self.subTest(nonsense), self.assertRaises(Invalid):
                self.answer(event, **nonsense)
        assert not SurveyAnswer.objects.exists()

    def test_only_what_was_asked_here(self):
        event = end(self.conversation)
        other = make_conversation(scene=self.scene)
        foreign = make_survey(None).questions.first()
        for conversation, survey, question in (
            (other, event.data["survey"], self.ease),
            (self.conversation, "x", self.ease),
        ):
            with self.assertRaises(surveying.NoSurvey):
                surveying.answer(
                    conversation=conversation, survey=survey, answers={str(question.public_id): 4}
                )
        with self.assertRaises(Invalid):
            surveying.answer(
                conversation=self.conversation,
                survey=event.data["survey"],
                answers={str(foreign.public_id): "Yes"},
            )

    def test_the_database_keeps_words_and_answers(self):
        self.answer(end(self.conversation), ease=4)
        answer = SurveyAnswer.objects.get()
        broken = [
            (
                "survey_question_words_never_change",
                lambda: SurveyQuestion.objects.update(text="Was it hard?"),
            ),
            ("", lambda: SurveyAnswer.objects.update(score=5)),
            (
                "survey_answer_once",
                lambda: SurveyAnswer.objects.create(
                    request=answer.request, question=self.ease, score=3
                ),
            ),
            (
                "survey_answer_says_something",
                lambda: SurveyAnswer.objects.create(request=answer.request, question=self.words),
            ),
            (
                "question_choices_when_choice",
                lambda: SurveyQuestion.objects.create(
                    survey=self.survey, kind=QuestionKind.CHOICE, text="?", choices=["One"]
                ),
            ),
            ("survey_one_per_scene", lambda: Survey.objects.create(scene=self.scene)),
        ]
        for name, break_it in broken:
            with (
                self.subTest(name),
                self.assertRaisesMessage(IntegrityError, name),
                transaction.atomic(),
            ):
                break_it()


class TallyTests(SurveyCase):
    def test_who_did_not_answer_is_missing_and_never_neutral(self):
        talks = [make_conversation(scene=self.scene) for _ in range(4)]
        events = [end(talk) for talk in talks]
        self.answer(events[0], ease=5, solved="Yes")
        self.answer(events[1], ease=2)
        found = tallying.results(self.survey, visible_to=make_user("admin"), since=None)
        assert (found.asked, found.answered, found.answered_percent) == (4, 2, 50)
        solved, ease, words = found.tallies
        assert (ease.asked, ease.answered, ease.missing, ease.mean) == (4, 2, 2, 3.5)
        assert [bar.count for bar in ease.bars] == [0, 1, 0, 0, 1]
        assert (solved.answered, solved.missing) == (1, 3)
        assert [(bar.label, bar.count, bar.percent) for bar in solved.bars] == [
            ("Yes", 1, 100),
            ("Partly", 0, 0),
            ("No", 0, 0),
        ]
        assert (words.answered, words.missing, words.texts) == (0, 4, [])

    def test_nobody_asked_has_no_mean(self):
        found = tallying.results(self.survey, visible_to=make_user("admin"), since=None)
        assert found.answered_percent is None
        assert found.tallies[1].mean is None

    def test_answers_of_other_scenes_stay_there(self):
        general = make_survey(None)
        hidden, open_to_all = make_conversation(), make_conversation(scene=None)
        for talk in (hidden, open_to_all):
            end(talk)
        member = make_user("operator", [self.scene])
        assert tallying.results(general, visible_to=member, since=None).asked == 1


class SurveyPageTests(SurveyCase):
    def setUp(self):
        self.operator = make_user("operator", [self.scene])
        self.client.force_login(self.operator)
        self.url = self.survey.get_absolute_url()

    def test_the_results_count_the_missing(self):
        for number in range(3):
            event = end(make_conversation(scene=self.scene))
            if number:
                self.answer(event, ease=number + 2, words=f"Quicker, please {number}")
        page = self.client.get(self.url).content.decode()
        assert "3.5 of 5" in page
        assert "1 missing" in page
        assert "Quicker, please 2" in page

    def test_the_number_of_queries_does_not_grow(self):
        for _ in range(3):
            self.answer(end(make_conversation(scene=self.scene)), ease=3, words="Fine")
        self.client.get(self.url)
        with self.assertNumQueries(9):
            self.client.get(self.url)

    def test_a_new_survey_begins_with_the_usual_questions(self):
        scene = make_scene()
        self.operator.scenes.add(scene)
        answer = self.client.post(
            reverse("dialogues:survey-add"), {"scene": scene.slug, "at_end": "on"}
        )
        survey = Survey.objects.get(scene=scene)
        self.assertRedirects(answer, survey.get_absolute_url())
        assert survey.questions.count() == 3
        again = self.client.post(reverse("dialogues:survey-add"), {"scene": scene.slug})
        self.assertContains(again, "has a survey already", status_code=422)

    def test_questions_are_added_and_retired(self):
        add = reverse("dialogues:question-add", args=[self.survey.public_id])
        fields = {"text": "Which way?", "kind": "choice", "choices": "Chat\nPhone\n", "place": 4}
        assert self.client.post(add, fields).status_code == 302
        question = SurveyQuestion.objects.get(text="Which way?")
        assert question.choices == ["Chat", "Phone"]
        bad = self.client.post(add, {**fields, "choices": "One"})
        assert bad.status_code == 422
        retire = reverse(
            "dialogues:question-retire", args=[self.survey.public_id, question.public_id]
        )
        self.client.post(retire)
        question.refresh_from_db()
        assert question.retired_at
        self.client.post(retire, {"again": "yes"})
        question.refresh_from_db()
        assert question.retired_at is None

    def test_who_may_change_it(self):
        general = make_survey(None)
        edit = reverse("dialogues:survey-edit", args=[self.survey.public_id])
        for user, status in [
            (make_user("reviewer", [self.scene]), 403),
            (make_user("operator", [make_scene()]), 404),
            (self.operator, 302),
        ]:
            self.client.force_login(user)
            with self.subTest(status=status):
                assert self.client.post(edit).status_code == status
        everywhere = reverse("dialogues:survey-edit", args=[general.public_id])
        assert self.client.post(everywhere).status_code == 404
        self.client.force_login(make_user("admin"))
        assert self.client.post(everywhere).status_code == 302

    def test_who_may_read_it(self):
        for user, status in [
            (make_user("auditor"), 200),
            (make_user("reviewer", [self.scene]), 200),
            (make_user("reviewer", [make_scene()]), 404),
            (make_user(), 403),
        ]:
            self.client.force_login(user)
            with self.subTest(status=status):
                assert self.client.get(self.url).status_code == status
        self.client.logout()
        assert self.client.get(self.url).status_code == 302
        assert self.client.post(self.url).status_code == 405
