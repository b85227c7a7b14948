"""Releases: made once, promoted, rolled back."""

import threading
from decimal import Decimal

from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.test import TestCase, TransactionTestCase

from agents import services
from agents.models import Promotion, Release, live_release
from tests.factories import make_release, make_scene, make_tool, make_user, make_version
from wowconsole.errors import Invalid


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


class SceneTests(TestCase):
    """A scene may have a release of its own, and give it back."""

    @classmethod
    def setUpTestData(cls):
        cls.by = make_user("ml_engineer")
        cls.scene, cls.other = make_scene(), make_scene()
        cls.by.scenes.set([cls.scene, cls.other])
        cls.everywhere, cls.special, cls.next = (make_release() for _ in range(3))
        services.promote(release=cls.everywhere, by=cls.by)

    def live(self):
        return live_release(self.scene), live_release(self.other), live_release()

    def test_its_own_answers_there_and_nowhere_else(self):
        services.promote(release=self.special, by=self.by, scene=self.scene)
        assert self.live() == (self.special, self.everywhere, self.everywhere)
        services.promote(release=self.next, by=self.by)
        assert self.live() == (self.special, self.next, self.next)

    def test_going_back_in_a_scene_leaves_the_others(self):
        services.promote(release=self.special, by=self.by, scene=self.scene)
        services.promote(release=self.next, by=self.by, scene=self.scene)
        assert services.roll_back(by=self.by, scene=self.scene).release == self.special
        assert self.live() == (self.special, self.everywhere, self.everywhere)

    def test_one_promotion_rolled_back_follows_the_others(self):
        services.promote(release=self.special, by=self.by, scene=self.scene)
        assert services.roll_back(by=self.by, scene=self.scene).release is None
        assert self.live() == (self.everywhere,) * 3
        with self.assertRaises(services.NothingBefore):
            services.roll_back(by=self.by, scene=self.scene)

    def test_the_same_again_is_refused(self):
        services.promote(release=self.special, by=self.by, scene=self.scene)
        with self.assertRaises(services.AlreadyLive):
            services.promote(release=self.special, by=self.by, scene=self.scene)
        services.promote(release=self.special, by=self.by)

    def test_who_sees_some_scenes_decides_for_these_alone(self):
        services.promote(release=self.next, by=self.by)
        self.by.scenes.set([self.scene])
        services.promote(release=self.special, by=self.by, scene=self.scene)
        for act in (
            lambda **where: services.promote(release=self.special, by=self.by, **where),
            lambda **where: services.roll_back(by=self.by, **where),
        ):
            for where in ({}, {"scene": self.other}):
                with self.assertRaises(services.NotYourScenes):
                    act(**where)
        assert self.live() == (self.special, self.next, self.next)
        services.roll_back(by=make_user("admin"))
        assert self.live() == (self.special, self.everywhere, self.everywhere)

    def test_only_a_scenes_own_can_end(self):
        with (
            self.assertRaisesMessage(IntegrityError, "promotion_ends_only_a_scene_s_own"),
            transaction.atomic(),
        ):
            Promotion.objects.create(release=None, by=self.by)


class LimitTests(TestCase):
    def make(self, **fields):
        by = make_user("ml_engineer")
        return services.make_release(by=by, name="new", version=make_version(), **fields)

    def test_composition_and_budget_are_stored(self):
        budget = {"seconds": 20, "money": Decimal("0.05"), "steps": None}
        release = self.make(composition={"high": "strict"}, budget=budget)
        assert release.limits["budget"] == {"seconds": 20, "money": "0.05"}
        assert release.composition_of("high") == "strict"
        assert release.composition_of("low") == "free"
        quoting = make_release(limits={"quote_rules": True})
        assert quoting.composition_of("low") == "quoted"

    def test_what_means_nothing_is_refused(self):
        for wrong in (
            {"composition": {"high": "loud"}},
            {"composition": {"none": "free"}},
            {"budget": {"seconds": 0}},
            {"budget": {"seconds": "soon"}},
            {"budget": {"apples": 3}},
            {"budget": {"rules": 0.5}},
        ):
            with self.assertRaises(Invalid):
                self.make(**wrong)
