"""How often models fail is counted for Prometheus and shown on the overview."""

from datetime import timedelta
from unittest.mock import patch

from django.test import TestCase, override_settings
from django.utils import timezone

from dialogues.models import Turn
from tests.factories import make_conversation, make_release, make_scene, make_turn, make_user
from wowconsole import overview
from wowconsole.probes import metrics_text


class FaultTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.scene = make_scene()
        release = make_release(live=True)
        figures = {"engine_calls": 4, "unreadable_calls": 1, "unbacked_calls": 2, "cost": "0.5"}
        for degraded in ("", "The engine is down."):
            talk = make_conversation(scene=cls.scene)
            make_turn(talk, release=release, degraded=degraded, **figures)

    def test_the_counters(self):
        text = metrics_text().decode()
        for line in (
            "wowconsole_engine_calls_total 8.0",
            "wowconsole_unreadable_calls_total 2.0",
            "wowconsole_unbacked_calls_total 4.0",
            "wowconsole_degraded_turns_total 1.0",
            "wowconsole_cost_dollars_total 1.0",
        ):
            assert line in text, line

    def test_the_overview(self):
        self.client.force_login(make_user("reviewer", [self.scene]))
        page = self.client.get("/").content.decode()
        assert "25.0 % unreadable, 1 degraded" in page


class AlertTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.reviewer = make_user("reviewer", [make_scene()])
        cls.talk = make_conversation(scene=cls.reviewer.scenes.get())
        cls.release = make_release(live=True)
        for number in range(20):
            cls.answer(unreadable_calls=int(number < 2))

    @classmethod
    def answer(cls, **figures):
        return make_turn(cls.talk, release=cls.release, **{"engine_calls": 2, **figures})

    def is_warned(self):
        self.client.force_login(self.reviewer)
        return "for 2 of 20 answers in 24 hours" in self.client.get("/").content.decode()

    def test_too_many_unreadable_answers_are_told(self):
        assert self.is_warned()

    def test_few_are_not(self):
        with override_settings(UNREADABLE_ALERT_PERCENT=10):
            assert not self.is_warned()

    def test_a_share_of_few_answers_says_nothing(self):
        with patch.object(overview, "LEAST_ASKED", 21):
            assert not self.is_warned()

    def test_answers_without_a_model_do_not_count(self):
        self.answer(engine_calls=0)
        assert self.is_warned()

    def test_it_is_over_after_a_day(self):
        Turn.objects.update(created_at=timezone.now() - timedelta(hours=25))
        assert not self.is_warned()

    def test_of_other_scenes_nobody_is_told(self):
        self.reviewer = make_user("reviewer", [make_scene()])
        assert not self.is_warned()
