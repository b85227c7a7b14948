"""The pages of rules, for those who keep them, strangers and the signed out."""

import re

from django.test import TestCase
from django.urls import reverse

from knowledge import services
from knowledge.models import KnowledgeUnit, UnitStatus
from tests.factories import make_published_unit, make_scene, make_unit, make_user

HTMX = {"HX-Request": "true"}


class PageTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.scene = make_scene(slug="delivery")
        cls.owner = make_user("operator", [cls.scene])
        cls.stranger = make_user("operator", [make_scene()])
        cls.auditor = make_user("auditor")
        cls.unit = make_unit(scene=cls.scene, title="Late <b>food</b>", author=cls.owner)

    def setUp(self):
        self.client.force_login(self.owner)

    def url(self, name, *args):
        return reverse(f"knowledge:{name}", args=args)

    def form(self, **fields):
        texts = {"title": "Cold", "condition": "When cold", "content": "$3.", "scene": "delivery"}
        return {**texts, "risk": "low", "priority": "0", **fields}


class UnitListTests(PageTests):
    def test_the_page_lists_own_rules_escaped(self):
        make_unit(title="Hidden")
        response = self.client.get(self.url("unit-list"))
        self.assertContains(response, "Late &lt;b&gt;food")
        self.assertNotContains(response, "Hidden")

    def test_htmx_gets_the_table_alone(self):
        response = self.client.get(self.url("unit-list"), {"q": "late"}, headers=HTMX)
        self.assertNotContains(response, "<html")
        self.assertContains(response, 'id="units"')
        assert "HX-Request" in response["Vary"]

    def test_filters_narrow_and_nonsense_does_not_break(self):
        published = make_published_unit(scene=self.scene, title="Sold out")
        services.revise_unit(unit=published, author=self.owner, based_on=1, title="Sold out now")
        for query in (
            {"q": "sold"},
            {"q": f"#{published.pk}"},
            {"status": "published"},
            {"edited": "on"},
        ):
            page = self.client.get(self.url("unit-list"), query).context["page"]
            assert [unit.pk for unit in page] == [published.pk], query
        for query in ({"q": "\0"}, {"scene": "moon"}, {"status": "x"}, {"page": "x"}):
            assert self.client.get(self.url("unit-list"), query).status_code == 200

    def test_the_number_of_queries_does_not_grow_with_the_rules(self):
        for _ in range(3):
            make_unit(scene=self.scene)
        with self.assertNumQueries(8):  # session, user, roles, count, rows, tiles (2), scenes
            self.client.get(self.url("unit-list"))

    def test_the_signed_out_are_sent_to_the_login(self):
        self.client.logout()
        assert self.client.get(self.url("unit-list")).status_code == 302


class UnitDetailTests(PageTests):
    def test_a_stranger_gets_404_everywhere(self):
        self.client.force_login(self.stranger)
        assert self.client.get(self.url("unit-detail", self.unit.pk)).status_code == 404
        for name in ("unit-edit", "unit-publish", "unit-archive", "unit-restore"):
            assert self.client.post(self.url(name, self.unit.pk)).status_code == 404
        assert self.client.post(self.url("revision-restore", self.unit.pk, 1)).status_code == 404

    def test_an_auditor_reads_and_does_not_write(self):
        self.client.force_login(self.auditor)
        response = self.client.get(self.url("unit-detail", self.unit.pk))
        self.assertNotContains(response, "Archive</button>")
        assert self.client.post(self.url("unit-publish", self.unit.pk)).status_code == 403
        assert self.client.get(self.url("unit-create")).status_code == 403

    def test_an_unpublished_edit_is_shown_word_by_word(self):
        unit = make_published_unit(scene=self.scene, content="You get $5 credit.")
        services.revise_unit(unit=unit, author=self.owner, based_on=1, content="You get $6 credit.")
        response = self.client.get(self.url("unit-detail", unit.pk))
        self.assertContains(response, "<del>5</del><ins>6</ins>")
        self.assertContains(response, "Live since")

    def test_the_number_of_queries_does_not_grow_with_the_history(self):
        for number in (1, 2, 3):
            services.revise_unit(
                unit=self.unit, author=self.owner, based_on=number, content=f"Text {number}"
            )
        # session, user, roles, unit, revisions, ledger, its submission, what contradicts it
        with self.assertNumQueries(8):
            self.client.get(self.url("unit-detail", self.unit.pk))

    def test_publish_archive_and_restore_by_their_buttons(self):
        def post(name, **data):
            self.client.post(self.url(name, self.unit.pk), data)
            return KnowledgeUnit.objects.get(pk=self.unit.pk).status

        assert post("unit-publish", revision="1") == UnitStatus.PUBLISHED
        assert post("unit-archive") == UnitStatus.ARCHIVED
        assert post("unit-restore") == UnitStatus.DRAFT

    def test_nobody_publishes_a_text_they_have_not_seen(self):
        url = self.url("unit-publish", self.unit.pk)
        assert self.client.post(url, {"revision": "7"}).status_code == 409

    def test_a_refusal_is_a_notice_for_htmx(self):
        unit = make_unit(scene=self.scene, risk="high", author=self.owner)
        response = self.client.post(
            self.url("unit-publish", unit.pk), {"revision": "1"}, headers=HTMX
        )
        assert (response.status_code, response["HX-Retarget"]) == (409, "#notices")

    def test_an_earlier_text_is_taken_back(self):
        services.revise_unit(unit=self.unit, author=self.owner, based_on=1, title="Other")
        url = self.url("revision-restore", self.unit.pk, 1)
        assert self.client.post(url).status_code == 422
        self.client.post(url, {"based_on": "2"})
        assert KnowledgeUnit.objects.get(pk=self.unit.pk).latest.number == 3

    def test_reading_addresses_refuse_posts_and_the_other_way_round(self):
        assert self.client.post(self.url("unit-detail", self.unit.pk)).status_code == 405
        assert self.client.get(self.url("unit-publish", self.unit.pk)).status_code == 405


class UnitFormTests(PageTests):
    def test_enter_in_a_field_saves_and_does_not_publish(self):
        html = self.client.get(self.url("unit-create")).content.decode()
        form = html[html.index('<form method="post" class="columns') :]
        assert re.search(r'<button type="submit" name="(\w+)"', form)[1] == "draft"

    def test_a_rule_is_written_and_published_on_one_page(self):
        data = self.form(questions="my food is cold\nit is cold", publish="1")
        response = self.client.post(self.url("unit-create"), data, follow=True)
        self.assertContains(response, "the next customer is answered by it")
        unit = KnowledgeUnit.objects.get(latest__title="Cold")
        assert unit.status == UnitStatus.PUBLISHED
        assert unit.live.questions == ["my food is cold", "it is cold"]

    def test_a_high_risk_rule_is_saved_and_says_who_publishes_it(self):
        data = self.form(risk="high", publish="1")
        response = self.client.post(self.url("unit-create"), data, follow=True)
        self.assertContains(response, "published by an approver")
        assert KnowledgeUnit.objects.get(latest__title="Cold").status == UnitStatus.DRAFT

    def test_errors_keep_what_was_typed(self):
        taken = make_unit(scene=self.scene, external_id="a")
        for fields in (
            {"condition": " "},
            {"content": "x" * 4001},
            {"scene": "moon"},
            {"external_id": taken.external_id},
            {"valid_from": "2026-02-02T10:00", "valid_until": "2026-02-01T10:00"},
            {"questions": "\n".join("ab" * n for n in range(1, 60))},
        ):
            response = self.client.post(self.url("unit-create"), self.form(**fields))
            self.assertContains(
                response, "When" if "condition" not in fields else "$3.", status_code=422
            )

    def test_the_second_editor_is_told_and_can_save_again(self):
        url = self.url("unit-edit", self.unit.pk)
        services.revise_unit(unit=self.unit, author=self.auditor, based_on=1, content="Theirs")
        response = self.client.post(url, self.form(based_on="1", content="Mine"))
        self.assertContains(response, "Theirs", status_code=409)
        self.assertContains(response, "Mine", status_code=409)
        assert response.context["form"]["based_on"].value() == "2"
        assert self.client.post(url, self.form(based_on="2", content="Mine")).status_code == 302

    def test_the_edit_page_shows_the_latest_text(self):
        response = self.client.get(self.url("unit-edit", self.unit.pk))
        self.assertContains(response, "Then this is the answer.")

    def test_the_preview_is_what_the_model_is_shown(self):
        data = {"condition": "When <i>", "content": "$3.", "number": "12"}
        response = self.client.post(self.url("unit-preview"), data, headers=HTMX)
        self.assertContains(response, "[12] When &lt;i&gt; -&gt; $3.")


class ExportTests(PageTests):
    def test_the_export_holds_own_rules_only(self):
        make_unit(title="Hidden")
        for query in ({}, {"format": "jsonl"}):
            text = self.client.get(self.url("unit-export"), query).getvalue().decode()
            assert "Late" in text
            assert "Hidden" not in text

    def test_the_links_keep_the_filter_that_the_list_has_now(self):
        response = self.client.get(self.url("unit-list"), {"q": "Late"}, headers=HTMX)
        for kind in ("xlsx", "csv", "jsonl"):
            self.assertContains(response, f"?q=Late&amp;format={kind}")
