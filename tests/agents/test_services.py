"""Releases: made once, promoted, rolled back."""

import threading

from django.core.exceptions import ValidationError
from django.db import connection
from django.test import TestCase, TransactionTestCase

from agents import services
from agents.models import Promotion, Release, live_release
from tests.factories import make_release, make_tool, make_user, make_version


class MakeTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.by = make_user("ml_engineer")
        cls.version = make_version()
        make_tool(name="look_up")
        make_tool(name="off", is_active=False)

    def make(self, **fields):
        return services.make_release(by=self.by, version=self.version, **{"name": "one", **fields})

    def test_it_gets_all_active_tools_unless_told_otherwise(self):
        assert self.make().tools == ["look_up"]
        assert self.make(name="two", tools=[]).tools == []

    def test_unknown_or_switched_off_tools_are_refused(self):
        for tools in (["nothing"], ["off"], ["look_up", "off"]):
            with self.assertRaises(services.UnknownTools):
                self.make(tools=tools)

    def test_names_are_unique_slugs(self):
        self.make()
        for name in ("one", "", "a b", "../x", "x" * 81):
            with self.assertRaises(ValidationError):
                self.make(name=name)


class PromoteTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.by = make_user("ml_engineer")
        cls.first, cls.second = make_release(), make_release()

    def promote(self, release):
        return services.promote(release=release, by=self.by)

    def test_the_newest_promotion_is_live(self):
        assert live_release() is None
        self.promote(self.first)
        self.promote(self.second)
        assert live_release() == self.second

    def test_what_is_live_is_not_promoted_again(self):
        self.promote(self.first)
        with self.assertRaises(services.AlreadyLive):
            self.promote(self.first)

    def test_rolling_back_adds_a_row(self):
        self.promote(self.first)
        self.promote(self.second)
        promotion = services.roll_back(by=self.by)
        assert live_release() == self.first
        assert promotion.reason == f"Rolled back from {self.second}."
        assert Promotion.objects.count() == 3

    def test_there_must_be_something_to_go_back_to(self):
        for _ in range(2):
            with self.assertRaises(services.NothingBefore):
                services.roll_back(by=self.by)
            if not live_release():
                self.promote(self.first)


class PromotionRaceTests(TransactionTestCase):
    def test_of_several_at_once_one_is_made(self):
        release, by = make_release(), make_user(is_superuser=True)
        refused = []

        def promote():
            try:
                services.promote(release=Release.objects.get(pk=release.pk), by=by)
            except services.AlreadyLive as error:
                refused.append(error)
            finally:
                connection.close()

        threads = [threading.Thread(target=promote) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert Promotion.objects.count() == 1
        assert len(refused) == 3
