"""The test search: what it shows to whom, and how thresholds come to be used."""

from datetime import timedelta

from django.db import IntegrityError, transaction
from django.test import TestCase
from django.urls import reverse
from django.utils import timezone

from knowledge import indexing, services
from knowledge.models import RetrievalSettings
from tests.factories import make_published_unit, make_scene, make_unit, make_user

HTMX = {"HX-Request": "true"}
COLD = {"title": "Cold food", "condition": "When the food arrives cold", "content": "Refund $5."}
ASKED = "the food arrives cold"


class SearchPageTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.scene = make_scene(slug="delivery")
        cls.operator = make_user("operator", [cls.scene])
        cls.approver = make_user("approver", [cls.scene])
        cls.unit = make_published_unit(scene=cls.scene, **COLD)

    def setUp(self):
        self.client.force_login(self.operator)

    def get(self, text=ASKED, **fields):
        return self.client.get(reverse("knowledge:search"), {"q": text, **fields})

    def use(self, **fields):
        return self.client.post(reverse("knowledge:search-settings"), fields)


class SearchTestTests(SearchPageTests):
    def test_a_question_shows_its_rule_and_the_scores_of_each_stage(self):
        page = self.get()
        assert [hit.unit_id for hit in page.context["shown"]] == [self.unit.pk]
        self.assertContains(page, "meaning #1 · words #1")
        self.assertContains(page, "Versions of the settings")

    def test_htmx_gets_the_results_alone(self):
        page = self.client.get(reverse("knowledge:search"), {"q": "capital"}, headers=HTMX)
        self.assertNotContains(page, "<html")
        self.assertContains(page, "Near misses")
        assert "HX-Request" in page["Vary"]

    def test_rules_of_other_scenes_are_not_shown_to_a_stranger(self):
        self.client.force_login(make_user("operator", [make_scene()]))
        page = self.get()
        assert (page.context["shown"], page.context["filtered_out"]) == ([], [])

    def test_the_signed_out_are_sent_to_the_login(self):
        self.client.logout()
        assert self.get().status_code == 302

    def test_empty_overlong_and_odd_input_searches_nothing_and_breaks_nothing(self):
        for fields in ({"q": ""}, {"q": "x" * 3000}, {"q": "\0"}, {"min_similarity": "much"}):
            page = self.client.get(reverse("knowledge:search"), fields)
            assert page.status_code == 200
            assert "shown" not in page.context

    def test_thresholds_are_tried_at_once_without_being_stored(self):
        page = self.get(min_similarity="1", min_matched_words="50")
        assert page.context["shown"] == []
        assert [hit.unit_id for hit in page.context["near_misses"]] == [self.unit.pk]
        assert not RetrievalSettings.objects.exists()

    def test_what_passes_beyond_the_rules_shown_is_told_apart(self):
        make_published_unit(scene=self.scene, **COLD)
        page = self.get(rules_shown="1")
        assert [len(page.context[name]) for name in ("shown", "left_out")] == [1, 1]

    def test_a_failing_model_is_told_of(self):
        live = indexing.live_index()
        live.embedder, live.options = "openai", {"url": "http://127.0.0.1:9/v1"}
        live.save()
        page = self.get()
        self.assertContains(page, "The embedding model does not answer")
        assert [hit.unit_id for hit in page.context["shown"]] == [self.unit.pk]

    def test_the_number_of_queries_does_not_grow_with_the_rules(self):
        for _ in range(3):
            make_published_unit(scene=self.scene, **COLD)
            make_unit(scene=self.scene, **COLD)
            make_published_unit(scene=self.scene, **COLD, channels=["web"])
        self.get()  # counts the scope, for a minute
        # Session, user, roles; settings, index, scenes and the search, twice but for the
        # settings; filtered units, drafts; versions, scenes of the form.
        with self.assertNumQueries(14):
            self.get()


class FilteredOutTests(SearchPageTests):
    def reasons(self, **fields):
        return {
            item.unit_id: " ".join(item.reasons)
            for item in self.get(**fields).context["filtered_out"]
        }

    def test_each_filter_is_named(self):
        now, day = timezone.now(), timedelta(days=1)
        other = make_scene(slug="market", name="Market")
        self.operator.scenes.add(other)
        expired = make_published_unit(scene=self.scene, **COLD, valid_until=now - day)
        future = make_published_unit(scene=self.scene, **COLD, valid_from=now + day)
        limited = make_published_unit(scene=self.scene, **COLD, channels=["web"])
        elsewhere = make_published_unit(scene=other, **COLD)
        draft = make_unit(scene=self.scene, **COLD)
        archived = make_published_unit(scene=self.scene, **COLD)
        services.archive_unit(unit=archived, by=make_user("admin"))
        reasons = self.reasons(scene="delivery", channel="Phone")
        assert reasons[expired.pk].startswith("expired on")
        assert reasons[future.pk].startswith("not valid before")
        assert reasons[limited.pk] == "only for the channel web; the customer's is phone"
        assert reasons[elsewhere.pk] == "of another scene, Market"
        assert reasons[draft.pk].startswith("a draft")
        assert reasons[archived.pk] == "archived"
        assert self.unit.pk not in reasons
        assert limited.pk not in self.reasons(channel="web")
        assert "not known" in self.reasons()[limited.pk]

    def test_rules_that_do_not_fit_are_not_among_them(self):
        make_unit(scene=self.scene, title="Penguins", condition="When asked", content="None.")
        assert self.reasons() == {}


class UseSettingsTests(SearchPageTests):
    def test_tried_settings_come_into_use_as_a_version(self):
        self.client.force_login(self.approver)
        self.assertContains(self.get(rules_shown="2"), "Use these settings in production")
        response = self.use(rules_shown="2", min_similarity="0.86", comment="fewer rules")
        self.assertRedirects(response, reverse("knowledge:search"))
        version = RetrievalSettings.objects.get()
        assert (version.rules_shown, version.min_similarity) == (2, 0.86)
        assert (version.min_companion, version.by) == (0.81, self.approver)
        self.assertContains(self.get(), "fewer rules")

    def test_an_earlier_version_can_be_used_again(self):
        self.client.force_login(self.approver)
        self.use(rules_shown="2", comment="two")
        self.use(rules_shown="1", comment="one")
        first = RetrievalSettings.objects.get(rules_shown=2)
        page = self.get()
        self.assertContains(page, "Use again")
        again = reverse("knowledge:search-settings-again", args=[first.pk])
        assert self.client.post(again).status_code == 302
        newest = RetrievalSettings.objects.first()
        assert (newest.rules_shown, newest.comment) == (2, f"Version {first.pk} again. two")
        assert RetrievalSettings.objects.count() == 3

    def test_the_same_settings_again_are_refused(self):
        self.client.force_login(self.approver)
        assert self.use(comment="nothing new").status_code == 409
        assert self.use(rules_shown="3", comment="").status_code == 422

    def test_values_out_of_range_are_refused(self):
        self.client.force_login(self.approver)
        for fields in ({"rules_shown": "0"}, {"min_similarity": "2"}, {"min_coverage": "nan"}):
            assert self.use(**fields, comment="odd").status_code == 422, fields
        assert not RetrievalSettings.objects.exists()

    def test_an_operator_looks_but_does_not_change(self):
        self.assertNotContains(self.get(rules_shown="2"), "Use these settings")
        assert self.use(rules_shown="2", comment="mine").status_code == 403
        version = RetrievalSettings.objects.create(rules_shown=2)
        again = reverse("knowledge:search-settings-again", args=[version.pk])
        assert self.client.post(again).status_code == 403
        assert self.client.get(again).status_code == 405

    def test_a_version_never_changes(self):
        version = RetrievalSettings.objects.create(rules_shown=2)
        version.rules_shown = 3
        with self.assertRaises(IntegrityError), transaction.atomic():
            version.save()
