"""Who may be telephoned now, and who never again."""

from datetime import datetime, time, timedelta

import pytest
from django.db import IntegrityError, transaction
from django.test import TestCase, override_settings
from django.utils import timezone

from agents.telephone.numbers import Forbidden, target_of
from dialogues.jobs import permitting
from dialogues.models import ContactRules, Dial, DoNotCall
from tests.dialogues.calls import do, make_job, make_plan
from tests.factories import make_conversation, make_scene, make_user

NUMBER = "tel:+44 20 1234 5678"
TELEPHONE = override_settings(
    SIP_TRUNK="trunk.example",
    SIP_ALLOW=["+44", "@pbx.example"],
    QUIET_FROM_HOUR=0,
    QUIET_UNTIL_HOUR=0,
    SPEECH_URL="http://127.0.0.1:9/v1",
    SPEECH_VOICE="any",
)


def make_rules(scene=None, **changed):
    told = {"quiet_from": time(0), "quiet_until": time(0), "most": 5, "days": 7, **changed}
    return ContactRules.objects.create(scene=scene, **told)


@TELEPHONE
class CallCase(TestCase):
    def setUp(self):
        self.scene = make_scene()
        self.conversation = make_conversation(scene=self.scene)
        self.job = make_job(self.conversation)

    def note(self, address=NUMBER):
        return permitting.note_call(self.job.public_id, target_of(address))

    def refused(self, why, address=NUMBER):
        with pytest.raises(Forbidden, match=why):
            self.note(address)


class HoursTests(CallCase):
    def around_now(self, minutes):
        """Return quiet hours that began a minute ago and end in so many."""
        now = timezone.localtime().replace(second=0, microsecond=0)
        ends = (now - timedelta(minutes=1), now + timedelta(minutes=minutes))
        return dict(zip(("quiet_from", "quiet_until"), [end.time() for end in ends], strict=True))

    def test_the_quiet_hours_of_the_scene_hold(self):
        make_rules(self.scene, **self.around_now(30))
        self.refused("want quiet until")
        assert not Dial.objects.exists()

    def test_those_of_another_scene_do_not(self):
        make_rules(make_scene(), **self.around_now(30))
        assert self.note().job == self.job

    def test_those_of_every_other_scene_hold_where_it_has_none_of_its_own(self):
        make_rules(**self.around_now(30))
        self.refused("want quiet until")
        make_rules(self.scene)
        self.note()

    def test_nobody_is_disturbed_before_the_moment_that_the_rules_name(self):
        until = timezone.now() + timedelta(hours=3)
        row = make_rules(self.scene, silent_until=until)
        self.refused(f"nobody be disturbed until {timezone.localtime(until):%Y-%m-%d %H:%M}")
        row.silent_until = timezone.now()
        row.save()
        self.note()

    def test_rules_without_quiet_hours_do_not_lift_those_of_the_installation(self):
        make_rules(self.scene)
        hour = timezone.localtime().hour
        changed = {"QUIET_FROM_HOUR": hour, "QUIET_UNTIL_HOUR": (hour + 1) % 24}
        with self.settings(**changed):
            self.refused("Nobody is called between")

    def test_the_reason_stands_on_the_job(self):
        make_rules(self.scene, silent_until=timezone.now() + timedelta(hours=3))
        make_plan(name="ring", addresses={"*": NUMBER})
        job = do(make_job(self.conversation, name="ring", key="ring"))
        assert job.state == "failed"
        assert job.error.startswith("Nobody was called: The contact rules let nobody be disturbed")
        self.client.force_login(make_user("operator", [self.scene]))
        self.assertContains(self.client.get(job.get_absolute_url()), "let nobody be disturbed")


class OftenTests(CallCase):
    @override_settings(SIP_CALLS_AN_HOUR=2)
    def test_calls_of_every_job_and_worker_are_counted_by_the_number(self):
        self.note()
        other = make_job(make_conversation(), key="other")
        permitting.note_call(other.public_id, target_of("sip:442012345678@pbx.example"))
        self.refused("often enough")
        self.note("sip:kitchen@pbx.example")
        Dial.objects.update(at=timezone.now() - timedelta(minutes=61))
        self.note()


class NeverTests(CallCase):
    def test_whoever_said_so_in_a_call_is_not_called_however_it_is_written(self):
        words = "Do not call me again. My card is 4111 1111 1111 1111."
        for _ in range(2):
            permitting.never_again(self.job.public_id, target_of(NUMBER), words)
        row = DoNotCall.objects.get()
        assert (row.address, row.job, row.by) == ("442012345678", self.job, None)
        assert "4111 1111" not in row.words
        for address in (NUMBER, "tel:00442012345678", "sip:442012345678@pbx.example"):
            with self.settings(SIP_ALLOW=["+44", "0044", "@pbx.example"]):
                self.refused("never to be called again", address)
        self.note("tel:+442012345679")

    def test_the_reason_stands_on_the_job(self):
        permitting.add("+442012345678", by=make_user("operator"))
        make_plan(name="ring", addresses={"*": NUMBER})
        job = do(make_job(self.conversation, name="ring", key="ring"))
        assert job.error == "Nobody was called: They asked never to be called again."
        assert not Dial.objects.exists()

    def test_the_list_outlives_the_conversation(self):
        permitting.never_again(self.job.public_id, target_of(NUMBER), "never again")
        self.job.delete()
        row = DoNotCall.objects.get()
        assert (row.job, row.words) == (None, "never again")

    def test_the_database_refuses_what_nobody_checked(self):
        permitting.add(NUMBER, by=make_user("operator"))

        def refused(name, change):
            with pytest.raises(IntegrityError, match=name), transaction.atomic():
                change()

        rows, by = DoNotCall.objects, make_user("operator")
        address = "442012345678"
        refused("dial_wanted", lambda: Dial.objects.create(job=self.job, address=address))
        refused("do_not_call_address_once", lambda: rows.create(address=address, by=by))
        refused("do_not_call_somebody", lambda: rows.create(address="", by=by))
        refused("do_not_call_told_by_somebody", lambda: rows.create(address="447"))
        refused("do_not_call_told_by_somebody", lambda: rows.create(address="4", by=by, words="x"))
        refused("do_not_call_stays", lambda: rows.all().delete())
        refused("do_not_call_stays", lambda: rows.update(address="441"))
        refused("do_not_call_stays", lambda: rows.update(at=timezone.now()))


class ClockTests(TestCase):
    @override_settings(QUIET_FROM_HOUR=0, QUIET_UNTIL_HOUR=0)
    def test_hours_are_by_the_clock_of_the_installation(self):
        make_rules(quiet_from=time(22, 30), quiet_until=time(7, 15))
        zone = timezone.get_default_timezone()
        permitting._check_time(None, datetime(2026, 5, 1, 22, 29, tzinfo=zone))
        with pytest.raises(Forbidden, match=r"quiet until 07:15"):
            permitting._check_time(None, datetime(2026, 5, 1, 22, 30, tzinfo=zone))
