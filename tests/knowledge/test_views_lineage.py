"""The pages and addresses that merge and split rules."""

from knowledge.models import UnitStatus
from tests.factories import make_unit
from tests.knowledge.test_views_conflicts import HTMX, ConflictPages


class LineagePageTests(ConflictPages):
    def texts(self, **fields):
        return {"title": "One", "condition": "When", "content": "Then.", "based_on": "1", **fields}

    def parts(self, *contents, **fields):
        data = {"form-TOTAL_FORMS": len(contents), "form-INITIAL_FORMS": 0, "based_on": "1"}
        for number, content in enumerate(contents):
            for name in ("title", "condition", "content"):
                data[f"form-{number}-{name}"] = content
        return data | fields

    def test_the_merge_page_shows_suggestions_and_the_others_texts(self):
        page = self.client.get(self.url("unit-merge", self.unit.pk))
        self.assertContains(page, f"?others={self.other.pk}")
        page = self.client.get(self.url("unit-merge", self.unit.pk), {"others": self.other.pk})
        self.assertContains(page, "&lt;script&gt;go&lt;/script&gt; back within 14 days")
        assert page.context["form"].initial["questions"] == "<b>Shoes"

    def test_merging(self):
        data = self.texts(others=f"#{self.other.pk}", questions="how long?\n")
        response = self.client.post(self.url("unit-merge", self.unit.pk), data)
        self.assertRedirects(response, self.url("unit-detail", self.unit.pk))
        self.other.refresh_from_db()
        assert self.other.status == UnitStatus.ARCHIVED
        for unit, words in ((self.unit, "Took in"), (self.other, "Merged into")):
            box = self.client.get(self.url("unit-lineage", unit.pk), headers=HTMX)
            self.assertContains(box, words)
        self.assertContains(
            self.client.get(self.url("unit-lineage", self.unit.pk)), "1 earlier rule count"
        )

    def test_refused_merges_keep_what_was_typed(self):
        hidden = make_unit()
        for others, status, words in (
            (hidden.pk, 422, f"no rule {hidden.pk}"),
            (self.unit.pk, 409, "into itself"),
            ("none", 409, "at least one"),
            ("9" * 30, 409, "at least one"),
            ("", 422, "required"),
        ):
            data = self.texts(others=others, title="Typed")
            response = self.client.post(self.url("unit-merge", self.unit.pk), data)
            assert response.status_code == status, others
            self.assertContains(response, words, status_code=status)
            self.assertContains(response, "Typed", status_code=status)
        stale = self.texts(others=self.other.pk, based_on="7")
        assert self.client.post(self.url("unit-merge", self.unit.pk), stale).status_code == 409

    def test_splitting(self):
        page = self.client.get(self.url("unit-split", self.unit.pk))
        assert page.context["parts"].total_form_count() == 2
        data = self.parts("First.", "Second.", "")
        response = self.client.post(self.url("unit-split", self.unit.pk), data)
        assert response.status_code == 302
        self.unit.refresh_from_db()
        assert self.unit.status == UnitStatus.ARCHIVED
        assert self.unit.became.count() == 2

    def test_a_part_that_was_emptied_is_left_out(self):
        data = self.parts("First.", "", "Third.", **{"form-INITIAL_FORMS": 3, "keep": "on"})
        assert self.client.post(self.url("unit-split", self.unit.pk), data).status_code == 302
        self.unit.refresh_from_db()
        assert self.unit.latest.content == "First."
        assert [row.target.latest.content for row in self.unit.became.all()] == ["Third."]

    def test_refused_splits(self):
        for data, status in (
            (self.parts("Only one."), 409),
            (self.parts("First.", "Second.", based_on="7"), 409),
            (self.parts("First.", "Second.", based_on=""), 422),
            (self.parts("Same.", "Same."), 422),
            ({**self.parts("First.", "Second."), "form-1-content": ""}, 422),
            ({"based_on": "1"}, 422),
        ):
            response = self.client.post(self.url("unit-split", self.unit.pk), data)
            assert response.status_code == status, data
        assert not self.unit.became.exists()

    def test_who_may(self):
        for user, status in ((self.stranger, 404), (self.auditor, 403)):
            self.client.force_login(user)
            for name in ("unit-merge", "unit-split"):
                assert self.client.get(self.url(name, self.unit.pk)).status_code == status
                assert self.client.post(self.url(name, self.unit.pk)).status_code == status
        assert self.client.get(self.url("unit-lineage", self.unit.pk)).status_code == 200

    def test_the_api_merges_and_splits(self):
        def post(action, unit, **body):
            url = f"/api/knowledge/units/{unit.pk}/{action}/"
            return self.client.post(url, body, content_type="application/json")

        merged = post("merge", self.unit, others=[self.other.pk], based_on=1, title="Both").json()
        assert merged["revision"]["title"] == "Both"
        text = {"title": "A", "condition": "When", "content": "Then."}
        parts = [text, {**text, "content": "Else."}]
        made = post("split", self.unit, parts=parts, based_on=2, keep=True)
        assert made.status_code == 201
        assert made.json()[0]["id"] == self.unit.pk
        again = post("merge", self.unit, others=[self.other.pk], based_on=3)
        assert (again.status_code, again.json()["code"]) == (409, "not_to_merge")
        assert post("merge", self.unit, others=[], based_on=3).status_code == 400
        assert post("split", self.unit, parts=[text], based_on=3).status_code == 400
        assert post("merge", self.unit, others=[make_unit().pk], based_on=3).status_code == 404
        self.client.force_login(self.auditor)
        assert post("merge", self.unit, others=[self.other.pk], based_on=3).status_code == 403
