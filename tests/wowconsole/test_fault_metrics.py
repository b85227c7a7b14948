"""How often models fail is counted for Prometheus and shown on the overview."""

from django.test import TestCase

from tests.factories import make_conversation, make_release, make_scene, make_turn, make_user
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
