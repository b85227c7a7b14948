"""Search finds what is live, for whom it is live, and nothing where nothing fits."""

from datetime import timedelta
from unittest.mock import patch

from django.db import NotSupportedError, connection, transaction
from django.test import TestCase, TransactionTestCase
from django.utils import timezone

from knowledge import hybrid, indexing, services
from knowledge.models import EmbeddingIndex, HookVector, IndexState, RetrievalSettings
from knowledge.searching import current_settings, search, shown_of
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
        with self.assertNumQueries(4):  # the others read index, settings and how much is in scope
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
            found = self.ask(text, scene=self.scene, near_misses=True)
            assert self.birthday.pk not in ids(found), text
            [best, *_] = self.ask(f"my soup leaked all over the bag {text}")
            assert best.unit_id == self.spilled.pk, text

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


class LettersTests(TestCase):
    """Codes and misspelt names, which neither meaning nor stems find."""

    @classmethod
    def setUpTestData(cls):
        cls.blender = make_published_unit(
            title="Blender recall",
            condition="When a customer has the blender GW-4471",
            content="Send it back at our cost.",
        )
        cls.other = make_published_unit(
            title="Toaster recall",
            condition="When a customer has the toaster GW-4472",
            content="Keep it unplugged.",
        )

    def ask(self, text, **options):
        return search([text], scene=None, **options)[0]

    def test_a_code_finds_its_rule_however_it_is_written(self):
        for text in ("GW-4471", "is gw4471 safe??", "gw-4471 vs xx", "请问GW-4471安全吗"):
            best = self.ask(text)[0]
            assert (best.unit_id, best.letters_rank) == (self.blender.pk, 1), text

    def test_a_code_of_one_other_digit_is_another_code(self):
        assert ids(self.ask("GW-4472"))[0] == self.other.pk
        for text in ("GW-4479", "GW-447", "GW-44711"):
            assert all(hit.letters_rank is None for hit in self.ask(text, near_misses=True)), text

    def test_a_code_that_stands_in_many_rules_singles_out_none(self):
        for number in range(11):
            make_published_unit(title=f"Part {number}", content=f"Fits model QX-900, slot {number}")
        found = self.ask("QX-900", near_misses=True)
        assert all(hit.letters_rank is None for hit in found)

    def test_a_misspelt_name_finds_its_rule(self):
        unit = make_published_unit(
            title="Zorbalux lamp", condition="When a Zorbalux lamp flickers", content="Swap it."
        )
        best = self.ask("my zorballux lamp flickers")[0]
        assert (best.unit_id, best.letters_rank) == (unit.pk, 1)

    def test_a_misspelt_word_of_very_many_hooks_singles_out_none(self):
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE knowledge_hook")
        with patch.object(hybrid, "TYPO_HOOKS", 1):  # "recall" stands in four
            assert self.ask("a reccall there", near_misses=True)[0].letters_rank is None
        assert self.ask("a reccall there", near_misses=True)[0].letters_rank is not None

    def test_letters_alone_do_not_make_an_unrelated_question_pass(self):
        assert self.ask("who painted the blendar of notre dame in the year nine") == []


class ChineseTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.spilled = make_published_unit(
            title="汤洒了", condition="顾客的汤洒在袋子里", content="二十四小时内发照片，全额退款。"
        )
        cls.english = make_published_unit(**SPILLED)
        cls.birthday = make_published_unit(
            title="生日礼券", condition="会员过生日想要礼物", content="生日当周送十元礼券。"
        )

    def ask(self, text):
        return search([text], scene=None)[0]

    def test_chinese_finds_the_chinese_rule_and_english_the_english_one(self):
        assert ids(self.ask("我的汤洒在袋子里了怎么办"))[0] == self.spilled.pk
        assert ids(self.ask("过生日有没有礼物"))[0] == self.birthday.pk
        assert ids(self.ask("my soup arrived spilled in the bag"))[0] == self.english.pk

    def test_chinese_is_found_by_its_words_too(self):
        best = self.ask("汤洒在袋子里")[0]
        assert (best.unit_id, best.text_rank) == (self.spilled.pk, 1)
        assert best.coverage > 0.6

    def test_an_unrelated_chinese_question_finds_nothing(self):
        assert self.ask("法国的首都是哪里") == []


class AudienceTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.unit = make_published_unit(**BIRTHDAY, channels=["web", "app"], regions=["london"])

    def found(self, **audience):
        return ids(search(["a birthday present"], scene=None, audience=audience)[0])

    def test_a_limited_rule_is_found_for_whom_it_is(self):
        assert self.found(channel="APP", region="London", segment="plus") == [self.unit.pk]

    def test_not_for_others_nor_for_whom_too_little_is_known_of(self):
        assert self.found(channel="phone", region="london") == []
        assert self.found(channel="web") == []
        assert ids(search(["a birthday present"], scene=None, near_misses=True)[0]) == []

    def test_a_rule_without_limits_is_for_everybody(self):
        unit = make_published_unit(**SPILLED)
        assert ids(search(["the soup is spilled"], scene=None)[0]) == [unit.pk]


class SettingsTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        for number in range(4):
            make_published_unit(**BIRTHDAY, priority=number)

    def count(self, **options):
        return len(search(["a birthday present"], scene=None, **options)[0])

    def test_the_newest_version_decides(self):
        assert self.count() == 3
        RetrievalSettings.objects.create(rules_shown=1)
        RetrievalSettings.objects.create(rules_shown=2)
        assert (current_settings().rules_shown, self.count()) == (2, 2)

    def test_settings_and_a_limit_can_be_tried_without_storing_them(self):
        assert self.count(settings=RetrievalSettings(rules_shown=1)) == 1
        assert self.count(limit=4) == 4
        assert self.count(settings=RetrievalSettings(min_similarity=1)) == 0

    def test_what_fits_far_worse_than_the_best_is_not_shown(self):
        make_published_unit(
            title="Wedding cake", condition="When a cake for a wedding is ordered", content="$90."
        )
        [found] = search(["a birthday present"], scene=None, near_misses=True, limit=9)
        shown = shown_of(found, RetrievalSettings(far_behind=0.01))
        assert {hit.title for hit in shown} == {"Birthday voucher"}


def plans_used():
    """Return how often this connection's kept plans of the search were used."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(sum(generic_plans), 0) FROM pg_prepared_statements"
            " WHERE position('by_vector' IN statement) > 0"
        )
        return cursor.fetchone()[0]


class ChangedColumnTests(TransactionTestCase):
    """Another session changes a column of which this connection has kept a plan."""

    def setUp(self):
        self.unit = make_published_unit(**BIRTHDAY)
        self.other = connection.copy()
        self.addCleanup(self.other.close)
        self.addCleanup(self.widen_titles, 200)
        self.addCleanup(connection.close)
        self.search()
        self.kept = connection.connection
        self.widen_titles(500)

    def widen_titles(self, length):
        with self.other.cursor() as cursor:
            cursor.execute(
                f"ALTER TABLE knowledge_revision ALTER COLUMN title TYPE varchar({length})"
            )

    def search(self):
        return ids(search(["a birthday present"], scene=None)[0])

    def test_rules_are_found_all_the_same_and_the_plan_is_gone(self):
        assert self.search() == [self.unit.pk]
        assert self.kept.closed
        assert self.search() == [self.unit.pk]
        assert plans_used()

    def test_in_a_transaction_it_breaks_once(self):
        with self.assertRaises(NotSupportedError), transaction.atomic():
            self.search()
        with transaction.atomic():
            assert self.search() == [self.unit.pk]


class IndexTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.unit = make_published_unit(**BIRTHDAY)
        make_published_unit(**SPILLED)

    def ask(self, text="a birthday present", **options):
        return search([text], scene=None, **options)

    def test_the_graph_finds_what_exact_comparison_finds(self):
        exact = self.ask(near_misses=True)[0]
        with patch("knowledge.searching.is_large", return_value=True):
            assert ids(self.ask(near_misses=True)[0]) == ids(exact)
            other = make_scene()
            assert search(["a birthday present"], scene=other, near_misses=True) == [[]]

    def test_the_statement_is_planned_once_unless_the_rules_are_many(self):
        self.ask()
        before = plans_used()
        self.ask("another question")
        assert plans_used() == before + 1
        with patch("knowledge.searching.is_large", return_value=True):
            self.ask()
        assert plans_used() == before + 1

    def test_another_index_is_searched_on_request(self):
        other = EmbeddingIndex.objects.create(
            name="other", embedder="e5", dimensions=384, state=IndexState.READY
        )
        assert self.ask(index=other) == [[]]
        indexing.fill(other, list(indexing.missing(other)))
        assert ids(self.ask(index=other)[0]) == [self.unit.pk]

    def test_a_failing_model_leaves_words_and_codes_and_says_so(self):
        live = indexing.live_index()
        live.embedder = "openai"
        live.options = {"url": "http://127.0.0.1:9/v1"}
        live.save()
        with self.assertLogs("knowledge.searching", "WARNING"):
            results = self.ask("birthday present for a member")
        assert results.degraded
        [hit] = results[0]
        assert (hit.unit_id, hit.vector_rank, hit.similarity) == (self.unit.pk, None, 0)
        assert ids(shown_of(results[0], current_settings())) == [self.unit.pk]
        with self.assertLogs("knowledge.searching", "WARNING"):
            assert self.ask("what do i get when i turn forty") == [[]]

    def test_a_hook_without_a_vector_is_still_found_by_its_words(self):
        HookVector.objects.filter(unit=self.unit).delete()
        results = self.ask("birthday present for a member")
        assert (results.degraded, ids(results[0])) == (False, [self.unit.pk])
