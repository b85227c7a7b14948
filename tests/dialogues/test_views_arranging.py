"""Hours and canned replies: pages of operators, for their scenes."""

from django.urls import reverse

from dialogues.models import CannedReply, Desk
from tests.dialogues.test_views_desk import DeskCase
from tests.factories import make_scene, make_user


class CannedTests(DeskCase):
    def make(self, shortcut, text, scene=None):
        return CannedReply.objects.create(
            scene=scene, shortcut=shortcut, text=text, updated_by=self.ana
        )

    def test_a_scenes_own_words_come_before_those_of_every_scene(self):
        self.make("sorry", "We are sorry.")
        self.make("sorry", "So sorry about your food.", self.scene)
        self.make("other", "Elsewhere.", make_scene())
        page = self.client.get(self.url("desk"), {"canned": "sorry"})
        assert [reply.shortcut for reply in page.context["canned"]] == ["sorry"]
        assert page.context["text"] == "So sorry about your food."

    def test_operators_keep_those_of_their_scenes(self):
        url = reverse("dialogues:canned-list")
        fields = {"scene": self.scene.slug, "shortcut": "late", "text": "It is late."}
        self.assertRedirects(self.client.post(url, fields), url)
        reply = CannedReply.objects.get()
        assert self.client.post(url, fields).status_code == 422
        assert self.client.post(url, {**fields, "scene": ""}).status_code == 422
        edit = reverse("dialogues:canned-edit", args=[reply.public_id])
        self.client.post(edit, {**fields, "text": "It is rather late."})
        reply.refresh_from_db()
        assert reply.text == "It is rather late."
        self.client.post(reverse("dialogues:canned-remove", args=[reply.public_id]))
        assert not CannedReply.objects.exists()

    def test_who_may_not(self):
        everywhere = self.make("sorry", "We are sorry.")
        edit = reverse("dialogues:canned-edit", args=[everywhere.public_id])
        assert self.client.get(edit).status_code == 404
        self.client.force_login(self.ben)
        assert self.client.get(reverse("dialogues:canned-list")).status_code == 403
        assert self.client.get(edit).status_code == 403


class HoursPageTests(DeskCase):
    def test_a_week_and_its_holidays(self):
        answer = self.client.post(
            reverse("dialogues:desk-list"),
            {"scene": self.scene.slug, "time_zone": "Asia/Shanghai", "answer_minutes": 5},
        )
        desk = self.scene.desks.get()
        self.assertRedirects(answer, desk.get_absolute_url())
        add = reverse("dialogues:period-add", args=[desk.public_id])
        period = {"weekday": 0, "opens": "09:00", "closes": "17:00"}
        assert self.client.post(add, period).status_code == 302
        assert self.client.post(add, period).status_code == 422
        assert self.client.post(add, {**period, "closes": "08:00"}).status_code == 422
        day = {"day": "2026-12-25", "name": "Christmas"}
        holidays = reverse("dialogues:holiday-add", args=[desk.public_id])
        assert self.client.post(holidays, day).status_code == 302
        assert self.client.post(holidays, {"day": "soon"}).status_code == 422
        page = self.client.get(desk.get_absolute_url())
        self.assertContains(page, f'<option value="{self.scene.slug}" selected>')
        self.assertContains(page, "Monday 09:00–17:00")
        self.assertContains(page, "25 December 2026 Christmas")
        self.assertContains(self.client.get(reverse("dialogues:desk-list")), "Asia/Shanghai")
        for name, row in [
            ("period-remove", desk.periods.get()),
            ("holiday-remove", desk.holidays.get()),
        ]:
            self.client.post(reverse(f"dialogues:{name}", args=[desk.public_id, row.pk]))
        assert not desk.periods.exists()
        assert not desk.holidays.exists()
        self.client.post(
            desk.get_absolute_url(),
            {"scene": self.scene.slug, "time_zone": "UTC", "answer_minutes": 7},
        )
        desk.refresh_from_db()
        assert (desk.time_zone, desk.answer_minutes) == ("UTC", 7)
        self.client.post(reverse("dialogues:desk-remove", args=[desk.public_id]))
        assert not self.scene.desks.exists()

    def test_what_applies_everywhere_is_shown_but_for_admins_to_change(self):
        everywhere = Desk.objects.create(scene=None)
        page = self.client.get(reverse("dialogues:desk-list"))
        self.assertContains(page, "Every other scene")
        self.assertNotContains(page, everywhere.get_absolute_url())
        assert self.client.get(everywhere.get_absolute_url()).status_code == 404
        self.client.force_login(make_user("admin"))
        assert self.client.get(everywhere.get_absolute_url()).status_code == 200

    def test_nonsense_is_shown_with_the_form(self):
        url = reverse("dialogues:desk-list")
        fields = {"scene": self.scene.slug, "time_zone": "Mars/Olympus", "answer_minutes": 0}
        assert self.client.post(url, fields).status_code == 422

    def test_who_may_not(self):
        other = make_scene().desks.create()
        assert self.client.get(other.get_absolute_url()).status_code == 404
        self.client.force_login(self.ben)
        assert self.client.get(other.get_absolute_url()).status_code == 403
        assert self.client.get(reverse("dialogues:desk-list")).status_code == 403
