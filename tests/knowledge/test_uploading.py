"""Uploads: small ones at once, large ones by a worker that may die, be doubled or cancelled."""

import csv
import io
import json
from datetime import timedelta
from unittest import mock

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import TestCase
from django.urls import reverse
from django.utils import timezone

from knowledge import jobs, services, tasks, uploading
from knowledge.importing import Import
from knowledge.indexing import EmbeddingUnavailable
from knowledge.models import ImportFile, Job, JobState, KnowledgeUnit
from tests.factories import make_scene, make_user
from wowconsole.errors import Invalid

ROW = {"scene": "shop", "title": "T", "condition": "C", "content": "A"}
MANY = 10  # more than is done at once here


def lines(count, **fields):
    rows = ({**ROW, "external_id": f"r{n}", **fields} for n in range(count))
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


class UploadTestCase(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.scene = make_scene(slug="shop")
        cls.author = make_user("operator", [cls.scene])

    def setUp(self):
        self.sent = self.enterContext(mock.patch.object(jobs, "send"))
        self.enterContext(mock.patch.object(uploading, "AT_ONCE_ROWS", 5))
        self.enterContext(mock.patch.object(uploading, "CHUNK_ROWS", 4))

    def upload(self, content, name="rules.jsonl", **options):
        options = {"scene": None, "publish": False, "dry_run": False, **options}
        with self.captureOnCommitCallbacks(execute=True):
            file = uploading.upload(by=self.author, name=name, content=content, **options)
        return self.fresh(file)

    def fresh(self, file):
        return ImportFile.objects.select_related("job").get(pk=file.pk)


class WorkTests(UploadTestCase):
    def test_a_small_file_is_done_at_once(self):
        file = self.upload(lines(3))
        assert (file.job.state, file.job.done, file.job.total) == (JobState.DONE, 3, 3)
        assert uploading.summary(file.report) == {"created": 3}
        assert not self.sent.called
        assert not bytes(file.content)  # what is imported is no longer kept

    def test_a_large_file_waits_for_a_worker(self):
        file = self.upload(lines(MANY))
        assert file.job.state == JobState.QUEUED
        assert self.sent.call_args_list == [mock.call(file.job)]
        tasks.import_file(file.job.pk)
        tasks.import_file(file.job.pk)  # delivered twice
        assert KnowledgeUnit.objects.count() == MANY
        assert len(self.fresh(file).report) == MANY

    def test_a_killed_worker_is_succeeded_where_it_stopped(self):
        file = self.upload(lines(MANY) + lines(1))
        write = Import.write
        calls = []

        def die_on_the_third(work, rows):
            calls.append(len(rows))
            if len(calls) == 3:
                raise SystemExit
            return write(work, rows)

        with mock.patch.object(Import, "write", die_on_the_third), pytest.raises(SystemExit):
            tasks.import_file(file.job.pk)
        half = self.fresh(file)
        assert (half.job.state, half.job.done) == (JobState.RUNNING, 8)
        assert KnowledgeUnit.objects.count() == len(half.report) == 8
        Job.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
        tasks.import_file(file.job.pk)
        whole = self.fresh(file)
        assert whole.job.state == JobState.DONE
        assert uploading.summary(whole.report) == {"created": MANY, "refused": 1}
        assert [line["line"] for line in whole.report] == list(range(1, MANY + 2))
        assert "Line 1 has the same" in whole.report[-1]["error"]  # known to the successor, too

    def test_a_cancelled_import_keeps_what_was_done(self):
        file = self.upload(lines(MANY))
        write = Import.write

        def cancel(work, rows):
            jobs.cancel(file.job)
            return write(work, rows)

        with mock.patch.object(Import, "write", cancel):
            tasks.import_file(file.job.pk)
        file = self.fresh(file)
        assert (file.job.state, file.job.done) == (JobState.CANCELLED, 4)
        assert KnowledgeUnit.objects.count() == len(file.report) == 4

    def test_a_fault_late_in_a_file_changes_nothing(self):
        file = self.upload(lines(MANY) + b"nonsense")
        tasks.import_file(file.job.pk)
        file = self.fresh(file)
        assert file.job.state == JobState.FAILED
        assert f"Line {MANY + 1}" in file.job.error
        assert not KnowledgeUnit.objects.exists()

    def test_files_that_cannot_be_read_are_refused_at_once(self):
        for content, name in ((b"", "a.csv"), (b"x", "a.pdf"), (b"PK", "a.xlsx")):
            with pytest.raises(Invalid):
                self.upload(content, name)
        with mock.patch.object(uploading, "MAX_FILE_BYTES", 5), pytest.raises(Invalid):
            self.upload(b"123456")
        assert not Job.objects.exists()

    def test_a_bad_cell_spoils_its_line_alone(self):
        texts = ["a" * 100_000, "nul \0", "spoilt \ufffd", " "]
        rows = [{**ROW, "external_id": f"x{n}\0", "content": t} for n, t in enumerate(texts)]
        rows.append({**ROW, "external_id": "good"})
        file = self.upload("".join(json.dumps(row) + "\n" for row in rows).encode())
        assert [line["action"] for line in file.report] == ["refused"] * 4 + ["created"]

    def test_a_dry_run_saves_nothing_and_its_file_is_imported_once(self):
        file = self.upload(lines(3), dry_run=True)
        assert uploading.summary(file.report) == {"created": 3}
        assert {line["unit"] for line in file.report} == {None}
        assert not KnowledgeUnit.objects.exists()
        uploading.import_checked(file, self.author)
        assert KnowledgeUnit.objects.count() == 3
        with pytest.raises(Invalid):
            uploading.import_checked(file, self.author)

    def test_publishing_leaves_high_risk_rules_to_an_approver(self):
        content = lines(2) + lines(1, external_id="h", risk="high")
        file = self.upload(content, publish=True)
        assert [line["action"] for line in file.report] == ["created", "created", "drafted"]
        assert "Waits for approval" in file.report[2]["error"]
        assert KnowledgeUnit.objects.filter(live__isnull=False).count() == 2
        assert (file.job.done, file.job.total) == (6, 6)

    def test_what_is_refused_while_publishing_is_told(self):
        with mock.patch.object(services, "publish_many", side_effect=services.StaleEdit("Late.")):
            file = self.upload(lines(2), publish=True)
        assert [(line["action"], line["error"]) for line in file.report] == [
            ("drafted", "Late.")
        ] * 2

    def test_only_the_texts_of_the_file_are_published(self):
        publish = uploading.publish

        def after_an_edit(written, by):
            unit = KnowledgeUnit.objects.get(external_id="r0")
            services.revise_unit(unit=unit, author=self.author, based_on=1, content="A draft.")
            return publish(written, by)

        with mock.patch.object(uploading, "publish", side_effect=after_an_edit):
            file = self.upload(lines(2), publish=True)
        edited, untouched = KnowledgeUnit.objects.order_by("external_id")
        assert (edited.live, untouched.live.number) == (None, 1)
        assert uploading.summary(file.report) == {"drafted": 1, "created": 1}
        assert "edited meanwhile" in file.report[0]["error"]

    def test_a_failing_embedder_fails_the_job_and_keeps_the_drafts(self):
        broken = mock.patch.object(
            services, "publish_many", side_effect=EmbeddingUnavailable("No model.")
        )
        with broken:
            file = self.upload(lines(2), publish=True)
        assert (file.job.state, file.job.error) == (JobState.FAILED, "No model.")
        assert KnowledgeUnit.objects.count() == 2

    def test_who_may_no_longer_write_imports_nothing(self):
        file = self.upload(lines(MANY))
        self.author.groups.clear()
        tasks.import_file(file.job.pk)
        assert self.fresh(file).job.state == JobState.FAILED
        assert not KnowledgeUnit.objects.exists()


class PageTests(UploadTestCase):
    def setUp(self):
        super().setUp()
        self.client.force_login(self.author)
        self.url = reverse("knowledge:import-list")

    def post(self, content, name="rules.jsonl", **data):
        file = SimpleUploadedFile(name, content)
        return self.client.post(self.url, {"file": file, **data}, follow=True)

    def test_check_then_import_without_a_second_upload(self):
        page = self.post(lines(2) + lines(1), check="1")
        self.assertContains(page, "nothing was saved")
        self.assertContains(page, "Line 1 has the same external id")
        file = ImportFile.objects.get()
        url = reverse("knowledge:import-now", args=[file.job.public_id])
        self.assertContains(page, url)
        page = self.client.post(url, follow=True)
        self.assertContains(page, "rules.jsonl")
        assert KnowledgeUnit.objects.count() == 2

    def test_the_report_shows_only_problems_when_asked(self):
        self.post(lines(2) + lines(1), check="1")
        url = reverse("knowledge:import-detail", args=[Job.objects.get().public_id])
        page = self.client.get(url, {"problems": "on"}, headers={"HX-Request": "true"})
        assert [line["action"] for line in page.context["page"]] == ["refused"]
        self.assertNotContains(page, "<html")

    def test_a_bad_file_is_refused_at_its_field(self):
        file = SimpleUploadedFile("rules.csv", b"a,b\n1,2")
        page = self.client.post(self.url, {"file": file})
        self.assertContains(page, "missing", status_code=422)
        self.assertContains(self.client.post(self.url), "required", status_code=422)

    def test_others_find_nothing(self):
        self.post(lines(1), check="1")
        detail = reverse("knowledge:import-detail", args=[Job.objects.get().public_id])
        self.client.force_login(make_user("operator", [self.scene]))
        assert self.client.get(detail).status_code == 404
        assert self.client.post(f"{detail}import/").status_code == 404
        self.client.force_login(make_user("auditor"))
        assert self.client.get(self.url).status_code == 403
        self.client.logout()
        assert self.client.get(self.url).status_code == 302

    def test_a_scene_one_does_not_work_in_is_refused(self):
        make_scene(slug="moon")
        page = self.post(lines(1, scene="moon"), check="1")
        self.assertContains(page, "There is no scene “moon” you work in.")

    def test_the_number_of_queries_does_not_grow(self):
        for _ in range(3):
            self.upload(lines(3), dry_run=True)
        with self.assertNumQueries(6):  # session, user, roles, scenes, count, rows
            self.client.get(self.url)
        url = reverse("knowledge:import-detail", args=[Job.objects.first().public_id])
        with self.assertNumQueries(4):  # session, user, roles, file
            self.client.get(url)

    def test_the_old_address_leads_here(self):
        assert self.client.get(reverse("knowledge:unit-import")).url == self.url

    def test_export_follows_the_filter_in_three_formats(self):
        self.upload(lines(2))
        url = reverse("knowledge:unit-export")
        for kind in ("csv", "jsonl", "xlsx"):
            response = self.client.get(url, {"format": kind, "q": "r1"})
            data = b"".join(response.streaming_content)
            assert f"rules.{kind}" in response["Content-Disposition"]
            assert (kind == "csv") == data.startswith(b"\xef\xbb\xbf")  # for Excel
            if kind == "csv":
                [row] = csv.DictReader(io.StringIO(data.decode("utf-8-sig")))
                assert row["external_id"] == "r1"
        assert self.client.get(url, {"format": "exe"}).status_code == 422


class ApiTests(UploadTestCase):
    def setUp(self):
        super().setUp()
        self.client.force_login(self.author)

    def post(self, content, **data):
        file = SimpleUploadedFile("rules.jsonl", content)
        with self.captureOnCommitCallbacks(execute=True):
            return self.client.post("/api/knowledge/import/", {"file": file, **data})

    def test_a_small_file_is_answered_with_its_report(self):
        response = self.post(lines(2), publish=True)
        assert response.status_code == 200
        body = response.json()
        assert (body["state"], body["counts"]) == ("done", {"created": 2})
        assert body["lines"][0]["unit"] == KnowledgeUnit.objects.get(external_id="r0").pk

    def test_a_large_one_with_the_address_of_its_job(self):
        response = self.post(lines(MANY), dry_run=True)
        assert response.status_code == 202
        job = Job.objects.get()
        assert response.json()["job"].endswith(f"/api/knowledge/import/{job.public_id}/")
        tasks.import_file(job.pk)
        body = self.client.get(response.json()["job"]).json()
        assert (body["state"], body["counts"]) == ("done", {"created": MANY})
        self.client.force_login(make_user("operator", [self.scene]))
        assert self.client.get(response.json()["job"]).status_code == 404

    def test_refusals_are_problems(self):
        response = self.post(b"nonsense")
        assert response.status_code == 422
        assert response["Content-Type"] == "application/problem+json"
        self.client.force_login(make_user("auditor"))
        assert self.post(lines(1)).status_code == 403

    def test_export_by_scene_status_and_format(self):
        self.upload(lines(3))
        url = "/api/knowledge/export/"
        for kind in ("csv", "jsonl", "xlsx"):
            response = self.client.get(url, {"format": kind, "scene": "shop", "status": "draft"})
            assert len(b"".join(response.streaming_content)) > 100
        response = self.client.get(url, {"format": "jsonl", "status": "archived"})
        assert not b"".join(response.streaming_content)
        assert self.client.get(url, {"format": "exe"}).status_code == 422
        self.client.force_login(make_user("operator"))
        response = self.client.get(url, {"format": "jsonl"})
        assert not b"".join(response.streaming_content)
