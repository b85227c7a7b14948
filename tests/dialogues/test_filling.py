"""A gap is drafted, dismissed or opened again; its page shows what it rests on."""

from django.test import TestCase
from django.urls import reverse
from django.utils import timezone

from dialogues.loop import filling, gaps
from dialogues.models import Case, Conversation, Gap, GapState, GapTurn, Role, Verdict
from knowledge.models import Job, KnowledgeUnit
from tests.dialogues.test_wordings import note
from tests.factories import make_conversation, make_scene, make_turn, make_user, say

ASKED = [
    "Do you deliver to the airport?",
    "Can you bring food to the airport?",
    "Order GW1050: can it go to the airport?",
]
ANSWER = "We deliver to the main hall of the airport, not to the gates."


def make_gap(scene, questions=ASKED, **fields):
    """A gap and its turns, the first the most typical."""
    gap = Gap.objects.create(scene=scene, title=questions[0], **fields)
    for number, question in enumerate(questions):
        turn = make_turn(make_conversation(scene=scene), question, "I don't know.")
        note(turn, question)
        GapTurn.objects.create(gap=gap, turn=turn, typicality=1 - number / 10)
    return gap


def turns_of(gap):
    return [member.turn for member in gap.members.select_related("turn__conversation")]


class EvidenceTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.scene = make_scene()
        cls.person = make_user("operator", [cls.scene])
        cls.gap = make_gap(cls.scene)

    def evidence(self):
        return filling.evidence_of(self.gap, visible_to=self.person)

    def test_what_was_asked_comes_most_typical_first(self):
        assert [example.asked for example in self.evidence().examples] == ASKED

    def test_what_names_somebody_is_no_wording(self):
        assert self.evidence().wordings == ASKED[:2]

    def test_the_answer_is_what_a_person_said_next(self):
        turn = turns_of(self.gap)[1]
        say(turn.conversation, ANSWER, Role.STAFF)
        say(turn.conversation, "Anything else?", Role.STAFF)
        assert [example.answer for example in self.evidence().answered] == [ANSWER]

    def test_a_reviewers_rewrite_is_an_answer_too(self):
        Case.objects.create(
            turn=turns_of(self.gap)[0],
            label=Verdict.BAD,
            issue_types=["withheld_solution"],
            rewrite={"reply": ANSWER},
        )
        assert self.evidence().answered[0].answer == ANSWER
        say(turns_of(self.gap)[2].conversation, "Only to the main hall.", Role.STAFF)
        assert self.evidence().answered[0].answer == "Only to the main hall."

    def test_an_answer_that_names_nobody_is_taken_first(self):
        first, second, _ = turns_of(self.gap)
        say(first.conversation, "I changed GW1050 for you, Ann.", Role.STAFF)
        say(second.conversation, ANSWER, Role.STAFF)
        assert self.evidence().answered[0].answer == ANSWER

    def test_the_cost_is_counted_by_conversations(self):
        first, second, third = turns_of(self.gap)
        Conversation.objects.filter(pk=first.conversation_id).update(rating=1)
        Conversation.objects.filter(pk=second.conversation_id).update(rating=4)
        third.conversation.events.create(kind="control", role=Role.SYSTEM, data={"state": "queued"})
        evidence = self.evidence()
        assert (evidence.conversations, evidence.to_person) == (3, 1)
        assert (evidence.bad_ratings, evidence.mean_rating) == (1, 2.5)

    def test_nobody_rated_is_no_rating(self):
        assert self.evidence().mean_rating is None

    def test_it_takes_one_query(self):
        with self.assertNumQueries(2):  # the user's roles; the turns
            self.evidence()


class DecidingTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.scene = make_scene()
        cls.person = make_user("operator", [cls.scene])
        cls.gap = make_gap(cls.scene)

    def test_a_draft_holds_what_was_asked_and_answered(self):
        turn = turns_of(self.gap)[0]
        say(turn.conversation, ANSWER, Role.STAFF)
        unit = filling.draft_rule(gap=self.gap, by=self.person)
        rule = unit.latest
        assert (unit.scene, unit.status, rule.title) == (self.scene, "draft", ASKED[0])
        assert (rule.content, rule.questions) == (ANSWER, [ASKED[1]])
        assert rule.source == turn.conversation.get_absolute_url()
        self.gap.refresh_from_db()
        assert (self.gap.state, self.gap.unit, self.gap.decided_by) == (
            GapState.DRAFTED,
            unit,
            self.person,
        )

    def test_a_second_click_drafts_nothing_more(self):
        unit = filling.draft_rule(gap=self.gap, by=self.person, answer=ANSWER)
        assert filling.draft_rule(gap=self.gap, by=self.person, answer="Other") == unit
        assert KnowledgeUnit.objects.count() == 1

    def test_an_answer_that_was_typed_is_taken(self):
        unit = filling.draft_rule(gap=self.gap, by=self.person, answer=" No. ")
        assert unit.latest.content == "No."

    def test_without_an_answer_nothing_is_drafted(self):
        with self.assertRaises(filling.AnswerMissing):
            filling.draft_rule(gap=self.gap, by=self.person)

    def test_a_gap_of_no_scene_needs_one_for_its_rule(self):
        gap = make_gap(None, ASKED[:2])
        with self.assertRaises(filling.SceneMissing):
            filling.draft_rule(gap=gap, by=self.person, answer=ANSWER)
        unit = filling.draft_rule(gap=gap, by=self.person, answer=ANSWER, scene=self.scene)
        assert unit.scene == self.scene

    def test_a_dismissed_gap_is_not_drafted_before_it_is_open_again(self):
        filling.dismiss(gap=self.gap, by=self.person)
        filling.dismiss(gap=self.gap, by=self.person)
        with self.assertRaises(filling.GapDecided):
            filling.draft_rule(gap=self.gap, by=self.person, answer=ANSWER)
        filling.reopen(gap=self.gap)
        assert filling.draft_rule(gap=self.gap, by=self.person, answer=ANSWER)

    def test_a_drafted_gap_is_not_dismissed(self):
        filling.draft_rule(gap=self.gap, by=self.person, answer=ANSWER)
        with self.assertRaises(filling.GapDecided):
            filling.dismiss(gap=self.gap, by=self.person)


class GapPageTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.scene = make_scene()
        cls.person = make_user("operator", [cls.scene])
        cls.auditor = make_user("auditor")
        cls.stranger = make_user("operator", [make_scene()])
        cls.gap = make_gap(cls.scene)
        for number in range(3):
            make_gap(cls.scene, [f"Do you sell gift card number {number}?", "Gift cards?"])
        say(turns_of(cls.gap)[0].conversation, ANSWER, Role.STAFF)

    def setUp(self):
        self.client.force_login(self.person)

    def url(self, name, *args):
        return reverse(f"dialogues:gap-{name}", args=args)

    def test_the_list_shows_the_largest_first_in_few_queries(self):
        with self.assertNumQueries(8):  # session, user, roles, scenes, count, page, tiles, job
            page = self.client.get(self.url("list"))
        gaps_shown = list(page.context["page"])
        assert gaps_shown[0] == self.gap
        assert (gaps_shown[0].size, gaps_shown[0].conversations) == (3, 3)
        self.assertContains(page, "Look for gaps now")

    def test_the_list_is_narrowed_by_state(self):
        filling.dismiss(gap=self.gap, by=self.person)
        assert self.client.get(self.url("list")).context["page"].paginator.count == 3
        dismissed = self.client.get(self.url("list"), {"state": "dismissed"})
        assert list(dismissed.context["page"]) == [self.gap]
        everything = self.client.get(self.url("list"), {"state": "all", "scene": self.scene.slug})
        assert everything.context["page"].paginator.count == 4

    def test_htmx_gets_the_table_alone(self):
        page = self.client.get(self.url("list"), headers={"HX-Request": "true"})
        self.assertContains(page, 'id="gaps"')
        self.assertNotContains(page, "<h1")

    def test_an_empty_list_says_what_a_gap_is(self):
        Gap.objects.all().delete()
        self.assertContains(self.client.get(self.url("list")), "No open gaps")

    def test_the_page_shows_what_it_rests_on_in_few_queries(self):
        url = self.url("detail", self.gap.public_id)
        with self.assertNumQueries(5):  # session, user, roles, gap, its turns
            page = self.client.get(url)
        for text in (ASKED[2], ANSWER, "Draft a rule"):
            self.assertContains(page, text)
        turn = turns_of(self.gap)[0]
        self.assertContains(page, f"/dialogues/{turn.conversation.public_id}/?turn=")

    def test_one_click_drafts_the_rule_and_opens_its_form(self):
        answer = self.client.post(self.url("draft", self.gap.public_id))
        unit = KnowledgeUnit.objects.get()
        self.assertRedirects(answer, reverse("knowledge:unit-edit", args=[unit.pk]))
        assert unit.latest.source.startswith("http://testserver/dialogues/")
        self.assertContains(self.client.get(self.url("detail", self.gap.public_id)), "rule ")

    def test_dismissed_and_opened_again(self):
        self.client.post(self.url("dismiss", self.gap.public_id))
        self.gap.refresh_from_db()
        assert self.gap.state == GapState.DISMISSED
        page = self.client.get(self.url("detail", self.gap.public_id))
        self.assertContains(page, "needs no rule")
        self.client.post(self.url("reopen", self.gap.public_id))
        self.gap.refresh_from_db()
        assert (self.gap.state, self.gap.decided_by) == (GapState.OPEN, None)

    def test_a_draft_without_an_answer_is_refused_in_words(self):
        gap = make_gap(self.scene, ASKED[:2])
        answer = self.client.post(self.url("draft", gap.public_id))
        self.assertContains(answer, "Write what the answer should be", status_code=422)

    def test_looking_now_is_one_job_at_a_time(self):
        for _ in range(2):
            self.client.post(self.url("search"))
        job = Job.objects.get()
        assert (job.task, job.by) == (gaps.TASK, self.person)
        self.assertContains(self.client.get(self.url("list")), f"job-{job.public_id}")
        Job.objects.update(state="done", finished_at=timezone.now(), note="1 new.")
        self.assertContains(self.client.get(self.url("list")), "1 new.")
        self.client.post(self.url("search"))
        assert Job.objects.count() == 2

    def test_people_of_other_scenes_see_nothing_of_it(self):
        self.client.force_login(self.stranger)
        assert self.client.get(self.url("list")).context["page"].paginator.count == 0
        assert self.client.get(self.url("detail", self.gap.public_id)).status_code == 404
        for name in ("draft", "dismiss", "reopen"):
            assert self.client.post(self.url(name, self.gap.public_id)).status_code == 404

    def test_who_may_not_write_reads_only(self):
        self.client.force_login(self.auditor)
        page = self.client.get(self.url("detail", self.gap.public_id))
        self.assertNotContains(page, "Draft a rule")
        for url in (self.url("search"), self.url("draft", self.gap.public_id)):
            assert self.client.post(url).status_code == 403

    def test_who_is_signed_out_is_asked_to_sign_in(self):
        self.client.logout()
        for url in (self.url("list"), self.url("detail", self.gap.public_id)):
            assert self.client.get(url).status_code == 302

    def test_a_link_decides_nothing(self):
        for name in ("draft", "dismiss", "reopen"):
            assert self.client.get(self.url(name, self.gap.public_id)).status_code == 405


class GapApiTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.scene = make_scene()
        cls.person = make_user("operator", [cls.scene])
        cls.gap = make_gap(cls.scene)
        make_gap(cls.scene, ASKED[:2])
        make_gap(make_scene(), ASKED[:2])

    def setUp(self):
        self.client.force_login(self.person)

    def url(self, name=""):
        return f"/api/gaps/{self.gap.public_id}/{name}"

    def test_gaps_are_listed_with_their_size(self):
        results = self.client.get("/api/gaps/").json()["results"]
        assert [row["size"] for row in results] == [2, 3]
        assert results[1]["scene"] == self.scene.slug
        assert self.client.get(self.url()).json()["title"] == ASKED[0]

    def test_their_turns_are_listed(self):
        examples = self.client.get(self.url("examples/")).json()
        assert [row["asked"] for row in examples] == ASKED

    def test_a_draft_returns_the_rule(self):
        answer = self.client.post(self.url("draft/"), {"answer": ANSWER}, "application/json")
        assert answer.status_code == 201
        assert answer.json() == {"unit": KnowledgeUnit.objects.get().pk}

    def test_a_draft_without_an_answer_is_refused(self):
        answer = self.client.post(self.url("draft/"), {}, "application/json")
        assert (answer.status_code, answer.json()["code"]) == (422, "answer_missing")

    def test_dismissed_and_opened_again(self):
        assert self.client.post(self.url("dismiss/")).json()["state"] == "dismissed"
        assert self.client.post(self.url("reopen/")).json()["state"] == "open"

    def test_reviewers_read_only_and_strangers_find_nothing(self):
        self.client.force_login(make_user("reviewer", [self.scene]))
        assert self.client.get(self.url()).status_code == 200
        assert self.client.post(self.url("dismiss/")).status_code == 403
        self.client.force_login(make_user("operator", [make_scene()]))
        assert self.client.post(self.url("dismiss/")).status_code == 404
