"""The inbox, the live page of a conversation, and what people do there."""

from datetime import timedelta

from django.test import TestCase
from django.urls import reverse
from django.utils import timezone

from dialogues import services
from dialogues.desk import control
from dialogues.models import (
    CannedReply,
    Control,
    Conversation,
    Draft,
    DraftKind,
    DraftSource,
    EventKind,
    Handover,
    Note,
    Role,
)
from knowledge.models import Job, JobState
from tests.factories import make_conversation, make_scene, make_user, say

HTMX = {"HX-Request": "true"}


class DeskCase(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.scene = make_scene()
        cls.conversation = make_conversation(scene=cls.scene, customer="Maya")
        cls.ana = make_user("operator", [cls.scene], first_name="Ana")
        cls.ben = make_user("reviewer", [cls.scene], first_name="Ben")
        say(cls.conversation, "Where is my order?")

    def setUp(self):
        self.client.force_login(self.ana)

    def url(self, name, *args):
        return reverse(f"dialogues:{name}", args=[self.conversation.public_id, *args])

    def post(self, name, *args, **fields):
        return self.client.post(self.url(name, *args), fields)

    def fresh(self):
        self.conversation.refresh_from_db()
        return self.conversation


class InboxTests(DeskCase):
    def rows(self, view):
        page = self.client.get(reverse("dialogues:inbox"), {"view": view})
        return [row.conversation for row in page.context["rows"]]

    def test_mine_waiting_and_all(self):
        waiting, mine, with_agent = (make_conversation(scene=self.scene) for _ in range(3))
        ended = make_conversation(scene=self.scene)
        control.ask_for_person(conversation=ended)
        services.close(conversation=ended)
        control.ask_for_person(conversation=waiting)
        control.take_control(conversation=mine, by=self.ana)
        control.take_control(conversation=self.conversation, by=self.ben)
        assert self.rows("mine") == [mine]
        assert self.rows("waiting") == [waiting]
        everything = {self.conversation, waiting, mine, with_agent}
        assert set(self.rows("all")) == everything

    def test_who_has_waited_longest_comes_first_and_lateness_shows(self):
        second = make_conversation(scene=self.scene)
        for talk in (self.conversation, second):
            control.ask_for_person(conversation=talk)
        past = timezone.now() - timedelta(hours=1)
        Handover.objects.filter(conversation=second).update(asked_at=past, due_at=past)
        page = self.client.get(reverse("dialogues:inbox"))
        assert [row.conversation for row in page.context["rows"]] == [second, self.conversation]
        assert [row.place for row in page.context["rows"]] == [1, 2]
        self.assertContains(page, "Overdue since")
        self.assertContains(page, "Where is my order?")

    def test_whom_the_holder_lets_wait_is_marked(self):
        control.take_control(conversation=self.conversation, by=self.ben)
        say(self.conversation, "Hello?", at=timezone.now() - timedelta(minutes=11))
        url = reverse("dialogues:inbox")
        self.assertContains(self.client.get(url, {"view": "all"}), "Unanswered for 11")
        services.reply_as_staff(conversation=self.conversation, by=self.ben, text="Yes?")
        say(self.conversation, "Where is it?")
        self.assertNotContains(self.client.get(url, {"view": "all"}), "Unanswered")

    def test_other_scenes_stay_out(self):
        control.ask_for_person(conversation=make_conversation())
        assert self.rows("waiting") == []
        assert self.rows("all") == [self.conversation]

    def test_an_open_page_gets_the_table_alone(self):
        page = self.client.get(reverse("dialogues:inbox"), headers=HTMX)
        self.assertNotContains(page, "<html")
        self.assertContains(page, "Nobody waits for a person")

    def test_the_number_of_queries_does_not_grow(self):
        for _ in range(3):
            talk = make_conversation(scene=self.scene)
            say(talk, "Hello?")
            control.ask_for_person(conversation=talk)
        self.client.get(reverse("dialogues:inbox"))
        with self.assertNumQueries(11):
            self.client.get(reverse("dialogues:inbox"))

    def test_the_next_one_is_who_has_waited_longest(self):
        first, second = (make_conversation(scene=self.scene) for _ in range(2))
        for talk in (first, second):
            control.ask_for_person(conversation=talk)
        url = reverse("dialogues:next-waiting")
        assert str(first.public_id) in self.client.get(url).url
        after = self.client.get(url, {"after": first.public_id}).url
        assert str(second.public_id) in after
        Handover.objects.all().delete()
        self.assertRedirects(self.client.get(url, {"after": "x"}), reverse("dialogues:inbox"))


class LivePageTests(DeskCase):
    def test_the_page_shows_what_was_said_and_offers_to_take_over(self):
        page = self.client.get(self.url("desk"))
        self.assertContains(page, "Where is my order?")
        self.assertContains(page, "Take over")
        self.assertContains(page, "Maya")

    def test_whom_the_site_proved_is_shown_beside_the_name(self):
        known = {"customer_ref": "C-7", "identified_at": timezone.now()}
        Conversation.objects.filter(pk=self.conversation.pk).update(**known)
        self.assertContains(self.client.get(self.url("desk")), "identified as <strong>C-7</strong>")

    def test_of_a_dislike_it_says_why_and_of_which_reply(self):
        reply = say(self.conversation, "In May.", Role.AGENT)
        services.give_feedback(
            conversation=self.conversation,
            message=str(reply.public_id),
            value="dislike",
            reason="repeated",
        )
        page = self.client.get(self.url("desk"))
        self.assertContains(page, "Disliked a reply: It was said before")
        self.assertContains(page, f'id="said-{reply.public_id}"', count=1)
        self.assertContains(page, f'href="#said-{reply.public_id}"', count=1)

    def test_what_tools_and_jobs_told_is_shown(self):
        found = {"order_id": "GW1002", "items": [{"name": "Soup <b>"}], "courier": None}
        rung = {"facts": {"ready_in": "25 minutes"}}
        data = {"name": "look_up", "arguments": {}, "result": found}
        more = {"conversation": self.conversation, "fence": 0}
        services.append(kind=EventKind.ACTION, role=Role.AGENT, data=data, **more)
        data = {"name": "call_shop", "state": "done", "detail": "Done", "result": rung}
        services.append(kind=EventKind.JOB, role=Role.SYSTEM, data=data, **more)
        page = self.client.get(self.url("desk"))
        self.assertContains(page, "<dt>Order id</dt><dd>GW1002</dd>")
        self.assertContains(page, "<dd>name: Soup &lt;b&gt;</dd>")
        self.assertContains(page, "<dt>Courier</dt><dd>–</dd>")
        self.assertContains(page, "<dd>ready_in: 25 minutes</dd>")

    def test_an_open_page_gets_nothing_until_something_happens(self):
        stamp = self.client.get(self.url("desk")).context["stamp"]
        same = self.client.get(self.url("desk"), {"seen": stamp}, headers=HTMX)
        assert (same.status_code, same.content) == (204, b"")
        say(self.conversation, "Hello?")
        more = self.client.get(self.url("desk"), {"seen": stamp}, headers=HTMX)
        self.assertContains(more, "Hello?")
        self.assertNotContains(more, "<html")

    def test_an_open_page_offers_what_may_be_done_now_and_lets_who_writes_write(self):
        def news(page):
            seen = {name: page.context[name] for name in ("stamp", "held")}
            seen["seen"] = seen.pop("stamp")
            return self.client.get(self.url("desk"), seen, headers=HTMX)

        page = self.client.get(self.url("desk"))
        self.assertContains(page, "End the conversation")
        control.take_control(conversation=self.conversation, by=self.ben)
        live = news(page)
        self.assertContains(live, 'id="control"')
        self.assertContains(live, "Ben holds this conversation: take it over before you hand it")
        for words in ("Hand back to the agent", "Put back into", "End the conversation"):
            self.assertNotContains(live, words)
        control.assign(conversation=self.conversation, to=self.ana, by=self.ben)
        live = news(live)
        self.assertContains(live, 'id="summary-text"')
        say(self.conversation, "Hello?")
        live = news(live)
        self.assertContains(live, "Hello?")
        self.assertNotContains(live, 'id="control"')
        services.close(conversation=self.conversation)
        self.assertContains(news(live), '<div id="control" class="d-none" hx-swap-oob="true">')

    def test_an_open_page_learns_that_nothing_can_be_sent_and_keeps_what_was_written(self):
        stamp = self.client.get(self.url("desk")).context["stamp"]
        sending = '<button type="submit" class="btn btn-primary"{}>Send'
        control.take_control(conversation=self.conversation, by=self.ben)
        live = self.client.get(self.url("desk"), {"seen": stamp}, headers=HTMX)
        self.assertContains(live, '<div id="sending" hx-swap-oob="true">')
        self.assertContains(live, "Ben holds this conversation")
        self.assertContains(live, sending.format(" disabled"))
        control.take_control(conversation=self.conversation, by=self.ana, force=True)
        live = self.client.get(self.url("desk"), {"seen": stamp}, headers=HTMX)
        self.assertContains(live, sending.format(""))
        services.close(conversation=self.conversation)
        live = self.client.get(self.url("desk"), {"seen": stamp}, headers=HTMX)
        self.assertContains(live, "This conversation has ended: nothing more can be sent.")
        self.assertNotContains(live, sending.format(""))
        self.assertNotContains(live, 'id="reply-text"')  # it stands as it is

    def test_the_number_of_queries_does_not_grow(self):
        control.take_control(conversation=self.conversation, by=self.ana)
        for number in range(3):
            say(self.conversation, f"Message {number}")
            Note.objects.create(conversation=self.conversation, author=self.ben, text="Hm")
            CannedReply.objects.create(
                scene=self.scene, shortcut=f"c{number}", text="x", updated_by=self.ana
            )
        self.client.get(self.url("desk"))
        with self.assertNumQueries(19):
            self.client.get(self.url("desk"))

    def test_an_ended_conversation_takes_no_answer(self):
        services.close(conversation=self.conversation)
        page = self.client.get(self.url("desk"))
        self.assertNotContains(page, 'id="reply-text"')
        self.assertContains(page, "Closed")


class ControlPageTests(DeskCase):
    def test_taking_answering_and_handing_back(self):
        assert self.post("take").status_code == 302
        assert self.fresh().control == Control.HUMAN
        self.post("staff-reply", text="It comes today.")
        page = self.client.get(self.url("desk"))
        log = "Customer: Where is my order? Colleague: It comes today."
        assert page.context["summary"] == log
        self.post("hand-back", summary=log)
        handover = Handover.objects.get()
        assert (handover.summary, handover.summary_source) == (log, "log")
        assert self.fresh().control == Control.BOT
        self.assertContains(self.client.get(self.url("desk")), "Drafted from the log")

    def test_own_words_are_the_colleagues(self):
        self.post("take")
        self.post("hand-back", summary="Called the courier.")
        assert Handover.objects.get().summary_source == "staff"

    def test_a_summary_deals_with_what_the_page_had_shown(self):
        self.post("take")
        page = self.client.get(self.url("desk"))
        seen = self.fresh().last_seq
        self.assertContains(
            page, f'<input type="hidden" name="seen" form="hand-back" value="{seen}">', html=True
        )
        say(self.conversation, "And may I pay by card?")
        self.post("hand-back", summary="Called the courier.", seen=str(seen))
        assert self.conversation.events.last().data == {"state": "bot", "owes": True}

    def test_without_knowing_what_was_shown_a_summary_deals_with_all(self):
        for seen in ("", "x", "-1", "9" * 20):
            self.post("take")
            self.post("hand-back", summary="Called the courier.", seen=seen)
            assert self.conversation.events.last().data == {"state": "bot"}

    def test_an_answer_that_is_refused_is_not_lost(self):
        control.take_control(conversation=self.conversation, by=self.ben)
        page = self.post("staff-reply", text="It comes at <six>.")
        assert page.status_code == 409
        self.assertContains(page, "Not sent: Ben holds this conversation.", status_code=409)
        self.assertContains(page, ">It comes at &lt;six&gt;.</textarea>", status_code=409)
        services.close(conversation=self.conversation)
        page = self.post("staff-reply", text="It comes at six.")
        self.assertContains(page, "Not sent: This conversation has ended.", status_code=409)
        self.assertContains(page, ">It comes at six.</textarea>", status_code=409)
        self.assertNotContains(page, 'id="reply-text"', status_code=409)
        page = self.post("staff-reply", text="x" * 2001)
        assert (page.status_code, page.context["text"]) == (422, "x" * 2001)

    def test_a_refused_draft_is_still_known_as_one(self):
        job = Job.objects.create(task="x", title="Draft", by=self.ana)
        draft = Draft.objects.create(
            conversation=self.conversation, job=job, kind=DraftKind.REPLY, after_seq=1
        )
        control.take_control(conversation=self.conversation, by=self.ben)
        page = self.post("staff-reply", text="Hi", draft=str(draft.public_id))
        assert page.context["draft_used"] == draft

    def test_what_a_colleague_holds_is_taken_on_purpose(self):
        control.take_control(conversation=self.conversation, by=self.ben)
        assert self.post("take").status_code == 409
        assert self.post("staff-reply", text="Hi").status_code == 409
        self.assertContains(self.client.get(self.url("desk")), "Take over from Ben")
        assert self.post("take", force="yes").status_code == 302
        assert Handover.objects.get().holder == self.ana

    def test_releasing_assigning_and_ending(self):
        self.post("take")
        self.assertRedirects(self.post("release"), reverse("dialogues:inbox"))
        assert self.fresh().control == Control.QUEUED
        self.post("assign", to=self.ben.username)
        assert Handover.objects.get().holder == self.ben
        assert self.post("assign", to="nobody").status_code == 404
        outsider = make_user("operator")
        assert self.post("assign", to=outsider.username).status_code == 422
        self.post("take", force="yes")
        self.post("close")
        assert self.fresh().closed_at
        assert self.post("take").status_code == 409

    def test_a_page_that_is_not_up_to_date_gives_away_nothing(self):
        control.take_control(conversation=self.conversation, by=self.ben)
        for name in ("hand-back", "release", "close"):
            assert self.post(name, summary="I gave a voucher.").status_code == 409
        assert Handover.objects.get().holder == self.ben
        assert self.fresh().closed_at is None

    def test_what_was_handed_back_already_says_so(self):
        page = self.client.post(self.url("hand-back"), {"summary": "Done."}, follow=True)
        self.assertContains(page, "The agent answered already")
        services.close(conversation=self.conversation)
        assert self.post("hand-back", summary="Done.").status_code == 409

    def test_the_same_form_sent_twice_is_one_answer(self):
        page = self.client.get(self.url("desk"))
        assert "no-store" in page["Cache-Control"]
        form = str(page.context["form_id"])
        self.assertContains(page, f'name="form_id" value="{form}"')
        for _ in range(2):
            answer = self.post("staff-reply", text="A voucher is on its way.", form_id=form)
            assert answer.status_code == 302
        for form in ("", "x"):
            self.post("staff-reply", text="Anything else?", form_id=form)
        said = self.conversation.events.filter(role=Role.STAFF).values_list("text", flat=True)
        assert list(said) == ["A voucher is on its way.", "Anything else?", "Anything else?"]

    def test_a_proposal_sent_by_a_form_is_still_the_machines(self):
        self.post("take")
        self.post("staff-reply", text="I look.")
        log = self.client.get(self.url("desk")).context["summary"]
        say(self.conversation, "And may I cancel it?")
        self.post("hand-back", summary=f"{log.replace(' ', chr(13) + chr(10), 1)} ")
        assert Handover.objects.get().summary_source == "log"
        assert self.conversation.events.last().data["owes"]

    def test_a_survey_that_nobody_wrote_is_not_asked(self):
        assert self.post("survey-ask").status_code == 404

    def test_who_may_not(self):
        names = ("take", "release", "assign", "staff-reply", "hand-back", "close", "note-add")
        urls = [self.url(name) for name in names]
        urls += [self.url("draft-start", kind) for kind in DraftKind.values]
        for user, status in [
            (make_user("auditor"), 403),
            (make_user("ml_engineer", [self.scene]), 403),
            (make_user("operator", [make_scene()]), 404),
        ]:
            self.client.force_login(user)
            for url in urls:
                with self.subTest(url=url, status=status):
                    assert self.client.post(url).status_code == status
                    assert self.client.get(url).status_code in (405, status)
            assert self.client.get(self.url("desk")).status_code == status
        self.client.logout()
        for url in (*urls, self.url("desk"), reverse("dialogues:inbox")):
            assert self.client.get(url).status_code in (302, 405)
        assert self.fresh().last_seq == 1
        assert not Note.objects.exists()

    def test_the_inbox_is_for_those_who_answer(self):
        for role, status in [("auditor", 403), ("ml_engineer", 403), ("reviewer", 200)]:
            self.client.force_login(make_user(role, [self.scene]))
            assert self.client.get(reverse("dialogues:inbox")).status_code == status


class NoteTests(DeskCase):
    def test_a_note_is_for_colleagues_only(self):
        before = self.fresh().last_seq
        page = self.client.post(self.url("note-add"), {"text": "Was rude before."}, headers=HTMX)
        self.assertContains(page, "Was rude before.")
        self.assertNotContains(page, "<html")
        assert self.fresh().last_seq == before
        assert Note.objects.get().author == self.ana

    def test_an_empty_note_is_refused(self):
        assert self.post("note-add", text=" ").status_code == 422


class DraftPageTests(DeskCase):
    def make(self, text="It comes today.", **fields):
        job = Job.objects.create(
            task="x",
            title="Draft",
            by=fields.pop("by", self.ana),
            state=JobState.DONE,
            finished_at=timezone.now(),
        )
        return Draft.objects.create(
            conversation=self.conversation,
            job=job,
            kind=DraftKind.REPLY,
            after_seq=self.fresh().last_seq,
            text=text,
            source=DraftSource.ENGINE,
            **fields,
        )

    def test_a_draft_is_asked_for_and_watched(self):
        page = self.client.post(self.url("draft-start", "reply"), headers=HTMX)
        self.assertContains(page, "Waits for a worker")
        self.assertContains(page, 'hx-trigger="every 1s"')
        assert Draft.objects.get().job.by == self.ana

    def test_a_finished_draft_can_be_put_into_the_answer(self):
        draft = self.make()
        shown = self.client.get(self.url("draft-show", "reply"))
        self.assertContains(shown, "It comes today.")
        self.assertContains(shown, "Drafted by the engine")
        page = self.client.get(self.url("desk"), {"draft": draft.public_id})
        assert page.context["text"] == "It comes today."

    def test_what_becomes_of_it_is_kept(self):
        for sent, use in [("It comes today.", "accepted"), ("It comes tomorrow.", "edited")]:
            draft = self.make()
            with self.captureOnCommitCallbacks(execute=True):
                self.post("staff-reply", text=sent, draft=str(draft.public_id))
            draft.refresh_from_db()
            assert draft.use == use

    def test_nobody_elses_draft_and_no_old_one_is_shown(self):
        self.make(by=self.ben)
        shown = self.client.get(self.url("draft-show", "reply"))
        self.assertNotContains(shown, "It comes today.")
        mine = self.make()
        say(self.conversation, "And now?")
        shown = self.client.get(self.url("draft-show", "reply"))
        self.assertNotContains(shown, mine.text)

    def test_refusals(self):
        assert self.post("draft-start", "poem").status_code == 404
        assert self.post("draft-start", "summary").status_code == 409
        services.reply_as_staff(conversation=self.conversation, by=self.ana, text="Hi")
        assert self.post("draft-start", "reply").status_code == 409
