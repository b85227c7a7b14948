"""Files that colleagues send to the customer: by page and API, as customers get them; refusals."""

import io

from asgiref.sync import sync_to_async
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import TestCase
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from PIL import Image

from dialogues import events, history, services
from dialogues.desk import control
from dialogues.models import Attachment, EventKind, Role, SubagentJob
from dialogues.senses import attaching, suspecting
from tests.dialogues.documents import INVOICE, text_pdf
from tests.dialogues.pictures import draw, encoded, scenery
from tests.dialogues.test_attaching import make_session, stored_apart  # noqa: F401 (a fixture)
from tests.dialogues.test_polling import PollTestCase
from tests.factories import make_conversation, make_scene, make_user
from wowconsole.apikeys import issue_key


def file_of(content, name="guide.pdf"):
    return SimpleUploadedFile(name, content)


class HandingCase(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.scene = make_scene()
        cls.conversation, cls.token = make_session(scene=cls.scene)
        cls.ana = make_user("operator", [cls.scene], first_name="Ana")
        cls.ben = make_user("reviewer", [cls.scene])

    def hold(self, by=None):
        control.take_control(conversation=self.conversation, by=by or self.ana)

    def messages(self):
        return self.conversation.events.filter(kind=EventKind.MESSAGE)


class ApiTests(HandingCase):
    def setUp(self):
        _, self.key = issue_key(user=self.ana, name="desk", scopes=["dialogues.reply"])
        self.path = f"/api/desk/{self.conversation.public_id}/"

    def upload(self, content, key=None, path=None, **fields):
        headers = {"Authorization": f"Bearer {key or self.key}"}
        data = {"file": file_of(content), **fields}
        return self.client.post(f"{path or self.path}attachments/", data, headers=headers)

    def reply(self, ids, text="", path=None):
        headers = {"Authorization": f"Bearer {self.key}"}
        body = {"text": text, "attachments": ids}
        kind = "application/json"
        return self.client.post(
            f"{path or self.path}reply/", body, content_type=kind, headers=headers
        )

    def test_a_picture_is_sent_without_its_metadata(self):
        self.hold()
        exif = Image.Exif()
        exif[0x0131] = "Ana's camera"
        content = encoded(scenery(), exif=exif)
        told = self.upload(content, description="The lid, closed").json()
        assert (told["kind"], told["description"]) == ("image", "The lid, closed")
        assert self.reply([told["id"]]).status_code == 201
        event = self.messages().get()
        assert (event.role, event.text) == (Role.STAFF, "")
        [carried] = events.as_json(event)["attachments"]
        assert carried["description"] == "The lid, closed"
        kept = self.client.get(carried["url"], {"token": self.token})
        assert b"camera" not in kept.content
        assert not Image.open(io.BytesIO(kept.content)).getexif()
        assert self.client.get(carried["thumbnail"], {"token": self.token}).status_code == 200

    def test_a_pdf_goes_with_words_and_only_to_be_saved(self):
        self.hold()
        told = self.upload(text_pdf(INVOICE)).json()
        assert self.reply([told["id"]], "Here it is.").status_code == 201
        got = self.client.get(told["url"], {"token": self.token})
        assert got["Content-Disposition"] == 'attachment; filename="guide.pdf"'
        assert got.content == text_pdf(INVOICE)

    def test_nothing_is_looked_into_and_the_agent_is_told_what_was_sent(self):
        self.hold()
        ids = [
            self.upload(encoded(scenery()), description="the closed lid").json()["id"],
            self.upload(text_pdf(INVOICE), description="not of files").json()["id"],
        ]
        self.reply(ids, "Look:")
        assert not SubagentJob.objects.exists()
        line = history.as_line(self.messages().get())
        assert str(line) == "agent: Look: (picture of the closed lid, file)"

    def test_the_customer_sees_it_once_it_is_sent(self):
        self.hold()
        told = self.upload(text_pdf(INVOICE)).json()
        assert self.client.get(told["url"], {"token": self.token}).status_code == 404
        self.reply([told["id"]])
        assert self.client.get(told["url"], {"token": self.token}).status_code == 200

    def test_who_does_not_hold_it_sends_nothing(self):
        assert self.upload(text_pdf(INVOICE)).json()["code"] == "not_held"
        self.hold(self.ben)
        refused = self.upload(text_pdf(INVOICE))
        assert (refused.status_code, refused.json()["code"]) == (409, "held_by_other")
        assert not Attachment.objects.exists()

    def test_control_that_was_lost_meanwhile_is_seen(self):
        self.hold()
        told = self.upload(text_pdf(INVOICE)).json()
        control.assign(conversation=self.conversation, to=self.ben, by=self.ana)
        assert self.reply([told["id"]]).json()["code"] == "held_by_other"
        control.release(conversation=self.conversation, by=self.ben)
        assert self.reply([told["id"]]).json()["code"] == "not_held"
        assert not self.messages().exists()

    def test_an_ended_conversation_takes_nothing(self):
        self.hold()
        told = self.upload(text_pdf(INVOICE)).json()
        control.close(conversation=self.conversation)
        assert self.upload(text_pdf(INVOICE)).json()["code"] == "conversation_closed"
        assert self.reply([told["id"]]).json()["code"] == "conversation_closed"

    def test_another_s_file_is_not_taken(self):
        self.hold(self.ben)
        bens = attaching.upload(
            conversation=self.conversation, name="a", content=text_pdf(INVOICE), by=self.ben
        )
        control.take_control(conversation=self.conversation, by=self.ana, force=True)
        customers = attaching.upload(
            conversation=self.conversation, name="a", content=text_pdf(INVOICE)
        )
        other = make_conversation(scene=self.scene)
        control.take_control(conversation=other, by=self.ana)
        elsewhere = attaching.upload(
            conversation=other, name="a", content=text_pdf(INVOICE), by=self.ana
        )
        for row in (bens, customers, elsewhere):
            refused = self.reply([str(row.public_id)])
            assert (refused.status_code, refused.json()["code"]) == (422, "invalid")
        assert not self.messages().exists()

    def test_the_customer_does_not_send_a_colleague_s(self):
        self.hold()
        told = self.upload(text_pdf(INVOICE)).json()
        said = {"conversation": self.conversation, "text": "", "client_id": "1"}
        with self.assertRaisesMessage(attaching.Invalid, "not here any more"):
            services.say(**said, attachments=[Attachment.objects.get().public_id])
        assert self.reply([told["id"]]).status_code == 201

    def test_strangers_and_other_scenes(self):
        self.hold()
        elsewhere = make_conversation()
        path = f"/api/desk/{elsewhere.public_id}/"
        assert self.upload(text_pdf(INVOICE), path=path).status_code == 404
        auditor = make_user("auditor", [self.scene])
        _, key = issue_key(user=auditor, name="k", scopes=["dialogues.read"])
        assert self.upload(text_pdf(INVOICE), key=key).status_code == 403
        _, key = issue_key(user=self.ana, name="k", scopes=["dialogues.read"])
        assert self.upload(text_pdf(INVOICE), key=key).status_code == 403
        data = {"file": file_of(text_pdf(INVOICE))}
        assert self.client.post(f"{self.path}attachments/", data).status_code in (401, 403)

    def test_what_it_is_its_content_says(self):
        self.hold()
        assert self.upload(b"MZ\x90\0\3").json()["code"] == "unsupported_file"
        assert self.upload(b"\xff\xd8\xff\xe0broken").status_code == 422
        with self.settings(FILE_MEGABYTES=0):
            assert self.upload(text_pdf(INVOICE)).json()["code"] == "file_too_large"
        headers = {"Authorization": f"Bearer {self.key}"}
        assert self.client.post(f"{self.path}attachments/", headers=headers).status_code == 422

    def test_each_side_has_an_allowance_of_its_own(self):
        self.hold()
        for _ in range(attaching.UPLOADS_A_MINUTE):
            assert self.upload(b"plain text").status_code == 201
        assert self.upload(b"plain text").json()["code"] == "rate_limited"
        assert attaching.upload(conversation=self.conversation, name="a", content=b"mine")

    def test_typing_is_told_by_who_holds_it(self):
        headers = {"Authorization": f"Bearer {self.key}"}
        assert self.client.post(f"{self.path}typing/", headers=headers).status_code == 204
        elsewhere = f"/api/desk/{make_conversation().public_id}/typing/"
        assert self.client.post(elsewhere, headers=headers).status_code == 404
        assert self.client.post(f"{self.path}typing/").status_code in (401, 403)


class PageTests(HandingCase):
    def setUp(self):
        self.client.force_login(self.ana)

    def post(self, **fields):
        url = reverse("dialogues:staff-reply", args=[self.conversation.public_id])
        return self.client.post(url, fields)

    def page(self):
        return self.client.get(reverse("dialogues:desk", args=[self.conversation.public_id]))

    def test_one_form_sends_words_and_a_file(self):
        self.hold()
        self.assertContains(self.page(), "What the picture shows")
        sent = self.post(
            text="Like this:", file=file_of(encoded(draw()), "a.jpg"), description="A receipt"
        )
        assert sent.status_code == 302
        event = self.messages().get()
        assert event.text == "Like this:"
        assert event.data["attachments"][0]["description"] == "A receipt"
        self.assertContains(self.page(), 'alt="A receipt"')

    def test_a_file_needs_no_words_and_words_no_file(self):
        self.hold()
        self.post(text="", file=file_of(text_pdf(INVOICE)))
        self.post(text="Here.")
        assert [len(event.data.get("attachments", [])) for event in self.messages()] == [1, 0]
        assert self.post(text="").status_code == 422

    def test_only_who_holds_it_is_offered_to(self):
        self.assertNotContains(self.page(), 'type="file"')
        assert self.post(text="Hi", file=file_of(text_pdf(INVOICE))).status_code == 409
        self.hold(self.ben)
        self.assertNotContains(self.page(), 'type="file"')
        assert self.post(text="Hi", file=file_of(text_pdf(INVOICE))).status_code == 409
        assert not Attachment.objects.exists()
        assert not self.messages().exists()

    def test_the_number_of_queries_does_not_grow_with_files(self):
        self.hold()
        self.post(text="1", file=file_of(text_pdf(INVOICE)))
        self.page()
        with CaptureQueriesContext(connection) as before:
            self.page()
        usual = len(before)
        for _ in range(3):
            self.post(text="more", file=file_of(b"plain text"))
        with self.assertNumQueries(usual):
            self.page()


class ElsewhereTests(HandingCase):
    def test_a_colleague_s_picture_is_no_sign_against_a_customer(self):
        self.hold()
        attaching.upload(
            conversation=self.conversation, name="a", content=encoded(scenery()), by=self.ana
        )
        other = make_conversation()
        sent = attaching.upload(conversation=other, name="a", content=encoded(scenery()))
        assert suspecting.sent_elsewhere(sent) == 0


class LongPollTests(PollTestCase):
    async def test_a_customer_without_a_socket_gets_it_too(self):
        def send():
            ana = make_user("admin")
            control.take_control(conversation=self.conversation, by=ana)
            file = attaching.upload(
                conversation=self.conversation, name="a.txt", content=b"how to", by=ana
            )
            ids = [file.public_id]
            control.reply_as_staff(conversation=self.conversation, by=ana, text="", attachments=ids)

        await sync_to_async(send)()
        got = (await self.events())["events"]
        [message] = [event for event in got if event["type"] == "message"]
        assert message["role"] == "staff"
        assert [file["name"] for file in message["attachments"]] == ["a.txt"]
