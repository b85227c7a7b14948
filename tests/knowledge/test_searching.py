"""Search finds what is live, for whom it is live, and nothing where nothing fits."""

from datetime import timedelta

from django.test import TestCase
from django.utils import timezone

from knowledge import services
from knowledge.searching import search
from tests.factories import make_published_unit, make_scene, make_unit, make_user

SPILLED = {
    "title": "Spilled food",
    "condition": "When a drink or soup arrives spilled in the bag",
    "content": "Send a photo within 24 hours and the spilled item is refunded.",
}
BIRTHDAY = {
    "title": "Birthday voucher",
    "condition": "When a member asks for a birthday present",
    "content": "Members get a $10 voucher in the week of their birthday.",
}


def ids(found):
    return [hit.unit_id for hit in found]


class SearchTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.scene = make_scene(slug="delivery")
        cls.spilled = make_published_unit(scene=cls.scene, **SPILLED)
        cls.birthday = make_published_unit(**BIRTHDAY)

    def ask(self, text, **options):
        return search([text], scene=options.pop("scene", None), **options)[0]

    def test_a_published_rule_is_found_in_other_words(self):
        [best, *_] = self.ask("my soup leaked all over the bag")
        assert (best.unit_id, best.revision_id) == (self.spilled.pk, self.spilled.live_id)
        assert (best.scene, best.vector_rank) == ("delivery", 1)
        assert best.content == SPILLED["content"]

    def test_a_chinese_question_finds_a_chinese_wording_first(self):
        unit = make_published_unit(**SPILLED, questions=["汤洒了怎么办"])
        assert ids(self.ask("汤在袋子里洒了，可以退款吗？"))[0] == unit.pk

    def test_a_chinese_question_is_nearest_to_the_right_english_rule(self):
        asked = "汤在袋子里洒了，可以退款吗？"
        assert ids(self.ask(asked, near_misses=True))[0] == self.spilled.pk

    def test_an_unrelated_question_finds_nothing_but_near_misses(self):
        assert self.ask("who was the thirteenth president") == []
        misses = self.ask("who was the thirteenth president", near_misses=True)
        assert misses
        assert not any(hit.passes for hit in misses)

    def test_most_words_of_the_question_in_one_hook_are_enough(self):
        unit = make_published_unit(
            title="Zorbax K", condition="When asked", content="Zorbax K 900 blue lid"
        )
        best = self.ask("zorbax 900 lid")[0]
        assert (best.unit_id, best.text_rank) == (unit.pk, 1)

    def test_a_batch_is_answered_in_order_by_one_statement(self):
        with self.assertNumQueries(2):  # the other reads which index is live
            results = search(
                ["a present for my birthday?", "the soup is spilled", "!?"], scene=None
            )
        assert [ids(found)[:1] for found in results[:2]] == [[self.birthday.pk], [self.spilled.pk]]
        assert len(results) == 3

    def test_nothing_asked_is_nothing_searched(self):
        with self.assertNumQueries(0):
            assert search([], scene=None) == []

    def test_hostile_text_is_only_text(self):
        for text in ("' | !& <-> :*", "soup' OR 1=1 --", "a\0b", "%s %(k)s", "\\' \\"):
            self.ask(text)

    def test_a_scene_limits_what_is_found(self):
        assert ids(self.ask("a present for my birthday?", scene=self.scene, near_misses=True)) == [
            self.spilled.pk
        ]

    def test_staff_find_rules_of_their_scenes_only(self):
        asked = "a present for my birthday?"
        stranger = make_user("operator", [self.scene])
        assert self.birthday.pk not in ids(self.ask(asked, visible_to=stranger, near_misses=True))
        assert self.birthday.pk in ids(self.ask(asked, visible_to=make_user("auditor")))

    def test_drafts_archived_expired_and_future_rules_are_not_found(self):
        now, day = timezone.now(), timedelta(days=1)
        late = {"title": "Gift wrap", "condition": "When gift wrapping is wished", "content": "$2."}
        make_unit(**late)
        make_published_unit(**late, valid_until=now - day)
        future = make_published_unit(**late, valid_from=now + day)
        archived = make_published_unit(**late)
        services.archive_unit(unit=archived, by=make_user("admin"))
        titles = [hit.title for hit in self.ask("is gift wrapping possible", near_misses=True)]
        assert "Gift wrap" not in titles
        assert ids(self.ask("is gift wrapping possible", at=now + 2 * day))[0] == future.pk

    def test_an_edit_is_found_by_its_new_text_once_published(self):
        admin = make_user("admin")
        edit = {"title": "Penguins", "condition": "When penguins are ordered", "content": "None."}
        unit = services.revise_unit(unit=self.spilled, author=admin, based_on=1, **edit)
        assert ids(self.ask("can i order penguins")) == []
        services.publish_unit(unit=unit, by=admin)
        assert ids(self.ask("can i order penguins"))[0] == unit.pk

    def test_of_two_equal_rules_the_higher_priority_comes_first(self):
        low = make_published_unit(**BIRTHDAY)
        high = make_published_unit(**BIRTHDAY, priority=5)
        assert ids(self.ask("a birthday present"))[:1] == [high.pk]
        assert low.pk in ids(self.ask("a birthday present"))
