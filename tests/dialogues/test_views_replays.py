"""Pages and endpoints of replays: who sees them, who starts, judges and resumes."""

from unittest import mock

from django.test import TestCase
from django.urls import reverse

from dialogues import tasks
from dialogues.loop import replaying
from dialogues.models import Replay, ReplayVerdict
from knowledge import jobs
from knowledge.models import Job, JobState
from tests.dialogues.replays import COLD, LATE, ReplayMixin, edited
from tests.engine import Answer, says
from tests.factories import make_conversation, make_scene, make_turn, make_unit, make_user

HTMX = {"HTTP_HX_REQUEST": "true"}


class PageMixin(ReplayMixin):
    def setUp(self):
        super().setUp()
        self.enterContext(mock.patch.object(jobs, "send"))
        self.reviewer = make_user("reviewer", [self.scene])
        self.stranger = make_user("operator")
        self.start_url = reverse("dialogues:replay-start", args=[self.unit.pk])
        self.list_url = reverse("dialogues:replay-list", args=[self.unit.pk])
        self.client.force_login(self.by)

    def differing(self):
        """A replay whose two turns have two answers each, to be judged by people."""
        self.engine.will(*(says(text) for text in ("Soup.", "Stew.", "No.", "Yes.")))
        return self.run_replay()


class StartPageTests(PageMixin, TestCase):
    def test_the_rules_author_starts_it(self):
        response = self.client.post(self.start_url)
        replay = Replay.objects.get()
        self.assertRedirects(response, replay.get_absolute_url())
        assert (replay.revision_id, replay.job.by) == (self.unit.latest_id, self.by)
        self.client.post(self.start_url)
        assert Replay.objects.count() == 1
        self.client.post(self.start_url, {"removal": "1"})
        assert Replay.objects.first().is_removal

    def test_a_link_leads_to_where_it_is_started(self):
        self.assertRedirects(self.client.get(self.start_url), self.list_url)

    def test_others_do_not(self):
        self.client.force_login(self.stranger)
        assert self.client.post(self.start_url).status_code == 404
        self.client.force_login(self.reviewer)
        assert self.client.post(self.start_url).status_code == 403
        self.client.logout()
        assert self.client.post(self.start_url).status_code == 302
        assert not Replay.objects.exists()

    def test_nothing_unpublished_is_refused(self):
        url = reverse("dialogues:replay-start", args=[self.other.pk])
        self.assertContains(self.client.post(url), "Edit the rule", status_code=409)


class ListPageTests(PageMixin, TestCase):
    def test_the_box_before_the_first_replay(self):
        self.assertContains(self.client.get(self.list_url), "Not replayed yet")
        box = self.client.get(self.list_url, **HTMX)
        self.assertContains(box, f"Replay revision {self.unit.latest.number}")
        self.assertNotContains(box, "<html")

    def test_the_box_tells_of_the_newest_and_when_it_is_outdated(self):
        self.run_replay()
        page = self.client.get(self.list_url)
        self.assertContains(page, "you can publish it")
        self.assertNotContains(page, "changed after this replay")
        edited(self.unit, self.by, content="We pay $10.")
        self.assertContains(self.client.get(self.list_url), "changed after this replay")

    def test_who_sees_it(self):
        self.client.force_login(self.reviewer)
        self.assertNotContains(self.client.get(self.list_url), '<form method="post" action="/dia')
        self.client.force_login(self.stranger)
        assert self.client.get(self.list_url).status_code == 404
        self.client.logout()
        assert self.client.get(self.list_url).status_code == 302
        assert self.client.post(self.list_url).status_code == 405

    def test_more_replays_take_no_more_queries(self):
        self.run_replay()
        self.client.get(self.list_url)
        with self.assertNumQueries(6):
            self.client.get(self.list_url, **HTMX)
        for _ in range(3):
            self.run_replay()
        with self.assertNumQueries(6):
            self.client.get(self.list_url, **HTMX)


class DetailPageTests(PageMixin, TestCase):
    def test_what_changed_is_shown_word_by_word(self):
        replay = self.differing()
        page = self.client.get(replay.get_absolute_url())
        self.assertContains(page, COLD)
        self.assertContains(page, "<del>Soup</del><ins>Stew</ins>")
        self.assertContains(page, "enters")
        self.assertContains(page, f"?turn={self.cold.public_id}")
        self.assertContains(page, 'data-key="w"', count=1)
        self.assertContains(page, 'data-key="l"', count=1)

    def test_who_sees_it(self):
        url = self.differing().get_absolute_url()
        self.client.force_login(self.reviewer)
        page = self.client.get(url)
        self.assertContains(page, COLD)
        self.assertNotContains(page, 'data-key="w"')
        self.client.force_login(self.stranger)
        assert self.client.get(url).status_code == 404
        self.client.logout()
        assert self.client.get(url).status_code == 302

    def test_it_polls_until_the_first_turns_are_there(self):
        self.client.post(self.start_url)
        replay = Replay.objects.get()
        url = replay.get_absolute_url()
        self.assertContains(self.client.get(url), f'hx-get="{url}"')
        self.assertNotContains(self.client.get(url, **HTMX), "<html")
        tasks.replay(replay.job_id)
        self.assertNotContains(self.client.get(url), f'hx-get="{url}"')

    def test_texts_of_customers_and_engines_stay_text(self):
        turn = make_turn(make_conversation(scene=self.scene), f"<script>x</script> {COLD}")
        turn.release = self.release
        turn.save()
        self.engine.will(*(says(text) for text in ("<b>5</b>", "<b>9</b>") * 3))
        page = self.client.get(self.run_replay().get_absolute_url())
        self.assertContains(page, "&lt;script&gt;")
        self.assertNotContains(page, "<b>")
        self.assertNotContains(page, "<script>x")

    def test_nothing_affected_says_so(self):
        scene = make_scene()
        scene.members.add(self.by)
        self.unit = make_unit(scene=scene, author=self.by)
        replay = self.run_replay()
        page = self.client.get(replay.get_absolute_url())
        self.assertContains(page, "No past turn is affected")
        self.assertContains(page, "No past question finds anything else")

    def test_more_turns_take_no_more_queries(self):
        replay = self.run_replay()
        self.client.get(replay.get_absolute_url())
        with self.assertNumQueries(9):
            self.client.get(replay.get_absolute_url(), **HTMX)
        for text in (COLD, LATE, COLD):
            self.asked(text)
        replay = self.run_replay()
        assert replay.turns.count() == 5
        with self.assertNumQueries(9):
            self.client.get(replay.get_absolute_url(), **HTMX)


class JudgePageTests(PageMixin, TestCase):
    def url(self, replay, turn):
        return reverse("dialogues:replay-judge", args=[replay.public_id, turn.public_id])

    def test_people_judge_by_key_or_click(self):
        replay = self.differing()
        response = self.client.post(
            self.url(replay, self.cold), {"verdict": "loss", "page": "1"}, follow=True
        )
        self.assertContains(response, "Judged: worse.")
        self.assertContains(response, f"Judged by {self.by.username}")
        row = replay.turns.get(turn=self.cold)
        assert (row.verdict, row.judged_by) == (ReplayVerdict.LOSS, self.by.username)
        assert replay.turns.first() == row, "the worst first"

    def test_refusals(self):
        replay = self.differing()
        url = self.url(replay, self.cold)
        assert self.client.post(url, {"verdict": "great"}).status_code == 422
        assert self.client.post(self.url(replay, self.account)).status_code == 404
        assert self.client.get(url).status_code == 405
        self.client.force_login(self.reviewer)
        assert self.client.post(url, {"verdict": "win"}).status_code == 403
        self.client.force_login(self.stranger)
        assert self.client.post(url, {"verdict": "win"}).status_code == 404
        self.client.logout()
        assert self.client.post(url, {"verdict": "win"}).status_code == 302
        assert set(replay.turns.values_list("verdict", flat=True)) == {ReplayVerdict.OPEN}

    def test_equal_answers_are_not_judged(self):
        url = self.url(self.run_replay(), self.cold)
        assert self.client.post(url, {"verdict": "win"}).status_code == 409


class ResumePageTests(PageMixin, TestCase):
    def test_a_failed_one_is_resumed(self):
        self.engine.always = Answer(status=400)
        replay = self.run_replay()
        page = self.client.get(replay.get_absolute_url())
        self.assertContains(page, "The engine does not answer")
        self.assertContains(page, COLD)
        url = reverse("dialogues:replay-resume", args=[replay.public_id])
        self.assertContains(page, url)
        self.client.force_login(self.reviewer)
        assert self.client.post(url).status_code == 403
        self.client.force_login(self.stranger)
        assert self.client.post(url).status_code == 404
        self.client.force_login(self.by)
        self.assertRedirects(self.client.post(url), replay.get_absolute_url())
        assert self.client.post(url).status_code == 409
        replay.refresh_from_db()
        assert replay.job.state == JobState.QUEUED
        assert Job.objects.count() == 2


class ApiTests(PageMixin, TestCase):
    def start_by_api(self, **body):
        body = {"unit": self.unit.pk, **body}
        return self.client.post("/api/replays/", body, content_type="application/json")

    def test_started_and_read(self):
        answer = self.start_by_api()
        assert answer.status_code == 201
        body = answer.json()
        assert (body["unit"], body["state"], body["turns"]) == (self.unit.pk, "queued", [])
        assert self.start_by_api().json()["id"] == body["id"]
        tasks.replay(Replay.objects.get().job_id)
        body = self.client.get(f"/api/replays/{body['id']}/").json()
        assert (body["state"], body["summary"]["affected"]) == ("done", 2)
        assert {turn["turn"] for turn in body["turns"]} == {
            str(self.cold.public_id),
            str(self.late.public_id),
        }

    def test_refusals_are_problems(self):
        answer = self.start_by_api(unit=self.other.pk)
        assert (answer.status_code, answer.json()["code"]) == (409, "nothing_to_replay")
        assert self.start_by_api(unit="x").status_code == 400
        assert self.start_by_api(unit=-1).status_code == 404
        assert self.start_by_api(removal=True).json()["removal"] is True

    def test_who_may(self):
        url = f"/api/replays/{replaying.start_replay(unit=self.unit, by=self.by).public_id}/"
        self.client.force_login(self.reviewer)
        assert self.client.get(url).status_code == 200
        assert self.start_by_api().status_code == 403
        self.client.force_login(self.stranger)
        assert self.client.get(url).status_code == 404
        assert self.start_by_api().status_code == 404
        self.client.logout()
        assert self.client.get(url).status_code in (401, 403)
