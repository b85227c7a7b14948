from uuid import uuid4

from django.test import TestCase
from django.urls import reverse
from django.utils import timezone

from dialogues import services
from dialogues.models import Case, IssueType, Judgement, Site, Turn, Verdict
from tests.dialogues.rows import make_answered, make_person, make_rule, make_scene_named, make_talk

HTMX = {"HX-Request": "true"}
SCRIPT = "<script>alert(1)</script>"


class ReviewPages(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.scene = make_scene_named()
        cls.reviewer = make_person("rita", "reviewer", [cls.scene])
        cls.operator = make_person("olga", "operator", [cls.scene])
        cls.stranger = make_person("sam", "reviewer", [make_scene_named("shops")])
        cls.rule = make_rule(cls.scene, cls.reviewer)
        cls.conversation, cls.first = make_talk(
            cls.scene, said=f"Where is GW1042? {SCRIPT}", customer=f"Mia {SCRIPT}"
        )
        cls.turn = make_answered(cls.conversation, rules=[cls.rule], reply=f"Soon {SCRIPT}")
        cls.judge_url = reverse("dialogues:turn-judge", args=[cls.turn.public_id])
        cls.turn_url = reverse("dialogues:turn-detail", args=[cls.turn.public_id])

    def sign_in(self, user):
        self.client.force_login(user)

    def verdict(self, **fields):
        return {"verdict": "bad", "issue_types": ["hallucination"], **fields}


class ConversationListTests(ReviewPages):
    url = "/dialogues/"

    def test_members_see_the_conversations_of_their_scenes(self):
        self.sign_in(self.reviewer)
        answer = self.client.get(self.url)
        self.assertContains(answer, "Where is GW1042?")
        self.assertContains(answer, "&lt;script&gt;alert(1)")
        self.assertNotContains(answer, SCRIPT)

    def test_strangers_see_none(self):
        self.sign_in(self.stranger)
        self.assertContains(self.client.get(self.url), "No dialogues yet")

    def test_the_signed_out_sign_in(self):
        assert self.client.get(self.url).status_code == 302

    def test_nobody_without_a_role(self):
        self.sign_in(make_person("rolf"))
        assert self.client.get(self.url).status_code == 403

    def test_htmx_gets_the_table_alone(self):
        self.sign_in(self.reviewer)
        answer = self.client.get(self.url, headers=HTMX)
        self.assertNotContains(answer, "<html")
        self.assertContains(answer, 'id="conversations"')
        assert "HX-Request" in answer["Vary"]

    def test_filters_narrow(self):
        make_talk(self.scene, said="A refund, please", rating=2)
        Case.objects.create(turn=self.turn, label=Verdict.BAD)
        self.sign_in(self.reviewer)
        expected = {
            "q=refund": 1,
            "q=GW1042": 1,
            "q=%25": 0,
            "scene=delivery": 2,
            "scene=shops": 2,  # not theirs: unreadable, narrows nothing
            "channel=import": 0,
            "label=bad": 1,
            "label=none": 1,
            "label=good": 0,
            "rating=2": 1,
            "rating=none": 1,
            "since=2999-01-01": 0,
            "until=2999-01-01": 2,
            "since=nonsense&rating=77": 2,
            "page=99": 2,
        }
        for query, count in expected.items():
            page = self.client.get(f"{self.url}?{query}").context["page"]
            assert page.paginator.count == count, query

    def test_more_rows_take_no_more_queries(self):
        for number in range(3):
            _, turn = make_talk(self.scene, said=f"Message {number}")
            Case.objects.create(turn=turn, label=Verdict.GOOD)
        self.sign_in(self.reviewer)
        # session, user, roles, scenes of the filter, count, page, first messages, classes
        with self.assertNumQueries(8):
            self.client.get(self.url)


class ConversationDetailTests(ReviewPages):
    def test_the_page_explains_the_chosen_turn(self):
        self.sign_in(self.reviewer)
        url = f"{self.conversation.get_absolute_url()}?turn={self.turn.public_id}"
        answer = self.client.get(url)
        assert answer.context["selected"] == self.turn
        self.assertContains(answer, "Late delivery")
        self.assertContains(answer, "Prompt, exactly as sent")
        self.assertContains(answer, "340 ms")
        self.assertContains(answer, "data-judge")
        self.assertNotContains(answer, SCRIPT)

    def test_whom_a_site_proved_is_shown_beside_the_name(self):
        site = Site.objects.create(slug="shop", name="Corner Shop")
        known = {"customer_ref": "C-7", "identified_at": timezone.now(), "site": site}
        conversation, _ = make_talk(self.scene, customer="Maya", **known)
        self.sign_in(self.reviewer)
        answer = self.client.get(conversation.get_absolute_url())
        self.assertContains(answer, "identified as <strong>C-7</strong> by Corner Shop")
        answer = self.client.get(self.conversation.get_absolute_url())
        self.assertNotContains(answer, "identified")

    def test_of_a_dislike_it_says_why_and_of_which_reply(self):
        reply = self.conversation.events.filter(role="agent").first()
        services.give_feedback(
            conversation=self.conversation,
            message=str(reply.public_id),
            value="dislike",
            reason="wrong: 太慢了",
        )
        self.sign_in(self.reviewer)
        answer = self.client.get(self.conversation.get_absolute_url())
        self.assertContains(answer, "Disliked a reply: The answer is wrong: 太慢了")
        self.assertContains(answer, f'id="said-{reply.public_id}"', count=1)
        self.assertContains(answer, f'href="#said-{reply.public_id}"', count=1)

    def test_the_first_turn_is_chosen_unasked(self):
        self.sign_in(self.reviewer)
        answer = self.client.get(f"{self.conversation.get_absolute_url()}?turn=nonsense")
        assert answer.context["selected"] == self.first

    def test_a_conversation_without_turns_says_so(self):
        conversation, turn = make_talk(self.scene)
        conversation.events.filter(turn=turn).delete()
        turn.delete()
        self.sign_in(self.reviewer)
        self.assertContains(self.client.get(conversation.get_absolute_url()), "not answered yet")

    def test_those_who_may_not_judge_get_no_form(self):
        self.sign_in(self.operator)
        self.assertNotContains(self.client.get(self.conversation.get_absolute_url()), "data-judge")

    def test_strangers_get_404(self):
        self.sign_in(self.stranger)
        assert self.client.get(self.conversation.get_absolute_url()).status_code == 404
        assert self.client.get(self.turn_url, headers=HTMX).status_code == 404

    def test_the_signed_out_sign_in(self):
        assert self.client.get(self.conversation.get_absolute_url()).status_code == 302
        assert self.client.get(self.turn_url).status_code == 302

    def test_the_turn_alone_is_for_htmx(self):
        self.sign_in(self.operator)
        partial = self.client.get(self.turn_url, headers=HTMX)
        self.assertContains(partial, "Late delivery")
        self.assertNotContains(partial, "<html")
        self.assertRedirects(
            self.client.get(self.turn_url),
            f"{self.conversation.get_absolute_url()}?turn={self.turn.public_id}#turn-panel",
            fetch_redirect_response=False,
        )

    def test_more_turns_take_no_more_queries(self):
        self.sign_in(self.reviewer)
        url = self.conversation.get_absolute_url()
        with self.assertNumQueries(10):
            self.client.get(url)
        for number in range(3):
            make_answered(self.conversation, f"And {number}?", rules=[self.rule])
        with self.assertNumQueries(10):
            self.client.get(url)


class ChatTests(TestCase):
    def test_the_customers_page_is_open_to_everybody(self):
        self.assertContains(self.client.get("/chat/"), "Greenway")
        assert self.client.post("/chat/").status_code == 405


class TurnJudgeTests(ReviewPages):
    def test_a_reviewer_rewrites_a_bad_reply(self):
        self.sign_in(self.reviewer)
        data = self.verdict(rewrite="Five minutes.", knowledge=[self.rule.pk], comment="Check.")
        answer = self.client.post(self.judge_url, data, headers=HTMX)
        self.assertContains(answer, "hx-swap-oob")
        self.assertContains(answer, "Five minutes.")
        case = Case.objects.get(turn=self.turn)
        assert case.rewrite["reply"] == "Five minutes."
        assert case.rewrite["knowledge"] == [self.rule.pk]
        assert Judgement.objects.get().author == self.reviewer

    def test_the_text_left_as_it_is_is_no_rewrite(self):
        self.sign_in(self.reviewer)
        data = self.verdict(rewrite=f"Soon {SCRIPT}", knowledge=[self.rule.pk])
        answer = self.client.post(self.judge_url, data)
        assert answer.status_code == 302
        assert Case.objects.get(turn=self.turn).rewrite == {}

    def test_a_rule_that_should_not_be_cited_is_a_rewrite(self):
        self.sign_in(self.reviewer)
        self.client.post(self.judge_url, self.verdict(rewrite=f"Soon {SCRIPT}"))
        assert Case.objects.get(turn=self.turn).rewrite["knowledge"] == []

    def test_judging_twice_keeps_both_and_the_later_class(self):
        self.sign_in(self.reviewer)
        self.client.post(self.judge_url, self.verdict(rewrite="Five minutes."))
        self.client.post(self.judge_url, self.verdict(verdict="good", rewrite="Five minutes."))
        case = Case.objects.get(turn=self.turn)
        assert (case.label, case.rewrite, case.issue_types) == (Verdict.GOOD, {}, [])
        assert self.turn.judgements.count() == 2

    def test_a_bad_reply_without_an_issue_is_shown_again(self):
        self.sign_in(self.reviewer)
        data = self.verdict(issue_types=[], rewrite="x")
        for headers in (HTMX, {}):
            answer = self.client.post(self.judge_url, data, headers=headers)
            self.assertContains(answer, "Name at least one issue", status_code=422)
        assert not Judgement.objects.exists()

    def test_an_empty_rewrite_and_an_unknown_issue_are_refused(self):
        self.sign_in(self.reviewer)
        for fields in ({"rewrite": " "}, {"issue_types": ["rudeness"]}, {"knowledge": ["999999"]}):
            data = self.verdict(**{"rewrite": "x", **fields})
            assert self.client.post(self.judge_url, data, headers=HTMX).status_code == 422
        assert not Judgement.objects.exists()

    def test_a_running_turn_is_refused(self):
        Turn.objects.filter(pk=self.turn.pk).update(status="running", finished_at=None)
        self.sign_in(self.reviewer)
        data = self.verdict(rewrite="x")
        assert self.client.post(self.judge_url, data, headers=HTMX).status_code == 409

    def test_who_may_not(self):
        data = self.verdict(rewrite="x")
        assert self.client.post(self.judge_url, data).status_code == 302
        for user, status in ((self.operator, 403), (self.stranger, 404)):
            self.sign_in(user)
            assert self.client.post(self.judge_url, data).status_code == status
        assert not Judgement.objects.exists()

    def test_only_post(self):
        self.sign_in(self.reviewer)
        assert self.client.get(self.judge_url).status_code == 405

    def test_a_turn_that_is_gone(self):
        self.sign_in(self.reviewer)
        url = reverse("dialogues:turn-judge", args=[uuid4()])
        assert self.client.post(url, self.verdict()).status_code == 404


class CaseListTests(ReviewPages):
    url = "/cases/"

    def add_cases(self):
        bad = {**self.turn.output, "reply": "Five minutes."}
        issues = [IssueType.HALLUCINATION]
        Case.objects.create(turn=self.turn, label="bad", issue_types=issues, rewrite=bad)
        Case.objects.create(turn=self.first, label="good")

    def test_rows_show_reply_and_rewrite(self):
        self.add_cases()
        self.sign_in(self.operator)
        answer = self.client.get(self.url)
        self.assertContains(answer, "Five minutes.")
        self.assertContains(answer, "Hallucination")
        self.assertContains(answer, f"?turn={self.turn.public_id}")
        self.assertNotContains(answer, SCRIPT)

    def test_filters_narrow_and_classes_are_counted(self):
        self.add_cases()
        self.sign_in(self.operator)
        expected = {
            "": 2,
            "label=bad": 1,
            "issue=hallucination": 1,
            "issue=mechanical_tone": 0,
            "rewrite=yes": 1,
            "rewrite=no&label=bad": 0,
            "label=nonsense": 2,
        }
        for query, count in expected.items():
            page = self.client.get(f"{self.url}?{query}").context["page"]
            assert page.paginator.count == count, query
        counts = self.client.get(f"{self.url}?label=bad").context["counts"]
        assert [count for _, _, count in counts] == [1, 1, 0, 0]

    def test_strangers_see_none(self):
        self.add_cases()
        self.sign_in(self.stranger)
        self.assertContains(self.client.get(self.url), "No cases yet")
        self.client.logout()
        assert self.client.get(self.url).status_code == 302

    def test_more_rows_take_no_more_queries(self):
        self.add_cases()
        self.sign_in(self.operator)
        with self.assertNumQueries(6):
            self.client.get(self.url, headers=HTMX)
        for _ in range(3):
            _, turn = make_talk(self.scene)
            Case.objects.create(turn=turn, label="good")
        with self.assertNumQueries(6):
            self.client.get(self.url, headers=HTMX)
