import hashlib
import io
import secrets
from datetime import timedelta
from unittest.mock import patch
from uuid import uuid4

import pytest
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import IntegrityError, connection, transaction
from django.test import TestCase, override_settings
from django.utils import timezone

from agents import hearing, speaking
from dialogues import events, services, tasks
from dialogues.models import Attachment, AttachmentKind, DeadFile, SubagentJob
from dialogues.senses import attaching
from tests.dialogues.pictures import draw, encoded, scenery, voice
from tests.factories import make_conversation, make_scene, make_user
from wowconsole.apikeys import issue_key
from wowconsole.errors import Invalid, TooMany


@pytest.fixture(autouse=True)
def stored_apart(settings, tmp_path):
    settings.STORAGES = settings.STORAGES | {
        "default": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": tmp_path},
        }
    }


def make_session(**fields):
    token = secrets.token_urlsafe()
    digest = hashlib.sha256(token.encode()).hexdigest()
    return make_conversation(token_sha256=digest, **fields), token


def upload(conversation, content=None, name="a.jpg"):
    content = content or encoded(draw())
    return attaching.upload(conversation=conversation, name=name, content=content)


def memo(sound):
    """A recording as an iPhone keeps it: AAC in an MP4."""
    import av  # of the extra speech
    import numpy as np

    out = io.BytesIO()
    with av.open(out, "w", format="ipod") as file:
        track = file.add_stream("aac", rate=sound.rate)
        track.layout = "mono"
        samples = np.frombuffer(sound.pcm, "<i2").reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate = sound.rate
        for packet in [*track.encode(frame), *track.encode(None)]:
            file.mux(packet)
    return out.getvalue()


class ApiTests(TestCase):
    def setUp(self):
        self.conversation, self.token = make_session()
        self.url = f"/api/chat/sessions/{self.conversation.public_id}/attachments/"

    def post(self, content, name="file", token=None):
        file = SimpleUploadedFile(name, content, content_type="image/png")
        headers = {"Authorization": f"Bearer {token or self.token}"}
        return self.client.post(self.url, {"file": file}, headers=headers)

    def test_a_picture_is_taken_whatever_it_is_called(self):
        answer = self.post(encoded(draw()), "../../etc/passwd\u202e.exe")

        assert answer.status_code == 201
        told = answer.json()
        assert told["kind"] == "image"
        assert told["content_type"] == "image/jpeg"
        assert told["name"] == "passwd.exe.jpg"
        stored = Attachment.objects.get()
        assert "passwd" not in stored.file.name
        assert stored.file.name.endswith(".jpg")
        assert told["url"] == f"{self.url}{stored.public_id}/"

    def test_voice_and_files_are_known_too(self):
        assert self.post(voice()).json()["kind"] == "voice"
        assert self.post(b"%PDF-1.4\n").json()["content_type"] == "application/pdf"

    def test_a_text_of_chinese_windows_is_kept_in_utf_8(self):
        told = self.post("订单号：GW1002，请退款\r\n".encode("gbk"), "订单.csv").json()
        assert (told["name"], told["content_type"]) == ("订单.csv", "text/plain; charset=utf-8")
        answer = self.client.get(told["url"], {"token": self.token})
        assert answer.content.decode() == "订单号：GW1002，请退款\r\n"

    @pytest.mark.skipif(
        not (hearing.is_embedded() and speaking.is_embedded()), reason="Needs the extra speech"
    )
    @override_settings(SPEECH_URL="", SPEECH_VOICE="")
    def test_a_voice_memo_as_phones_record_it_is_taken_and_heard(self):
        told = self.post(memo(speaking.speak("Where is my order?")), "New Recording 3.m4a").json()
        assert (told["kind"], told["name"]) == ("voice", "New Recording 3.m4a")
        stored = Attachment.objects.get().file
        heard = hearing.hear(stored.read(), stored.name, "en")
        assert "where is my" in heard.text.lower()  # the voice is never twice the same

    def test_a_name_ends_as_the_content_does(self):
        names = ["bill.hta", "bill.bat ", "bill.txt.", "Bill.CSV", "\u202e", ".."]
        shown = [upload(self.conversation, b"Pay 3 dollars", name).name for name in names]
        assert shown == ["bill.hta.txt", "bill.bat.txt", "bill.txt", "Bill.CSV"] + ["file.txt"] * 2
        assert upload(self.conversation, name="a.jpeg").name == "a.jpeg"

    def test_a_name_is_kept_without_the_number_of_a_card(self):
        named = upload(self.conversation, name="Visa_4111 1111\u200b1111 1111.jpg")
        assert named.name == "Visa_•••• 1111.jpg"

    def test_what_a_picture_shows_is_told_without_the_number_of_a_card(self):
        by, told = make_user(), "A card, 4111111111111111"
        picture = attaching.upload(
            conversation=self.conversation,
            name="a.jpg",
            content=encoded(draw()),
            by=by,
            description=told,
        )
        assert picture.description == "A card, •••• 1111"

    def test_an_empty_file_is_refused(self):
        answer = self.post(b"")
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
        assert not DeadFile.objects.exists()

    def test_programs_are_refused_with_a_problem(self):
        answer = self.post(b"MZ\x90\0\3", "photo.jpg")
        assert answer.status_code == 415
        assert answer["Content-Type"] == "application/problem+json"
        assert answer.json()["code"] == "unsupported_file"

    def test_broken_pictures_are_refused(self):
        assert self.post(b"\xff\xd8\xff\xe0broken").status_code == 422

    def test_each_kind_has_its_limit(self):
        with self.settings(VOICE_MEGABYTES=0):
            assert self.post(voice()).json()["code"] == "file_too_large"
            assert self.post(encoded(draw())).status_code == 201

    def test_what_is_larger_than_any_limit_is_not_read(self):
        with self.settings(VOICE_MEGABYTES=0, IMAGE_MEGABYTES=0, FILE_MEGABYTES=0):
            assert self.post(encoded(draw())).status_code == 413

    def test_a_file_must_be_there(self):
        headers = {"Authorization": f"Bearer {self.token}"}
        assert self.client.post(self.url, {"file": "text"}, headers=headers).status_code == 422

    def test_a_wrong_token_opens_nothing(self):
        assert self.post(encoded(draw()), token="another").status_code == 404
        assert self.client.post(self.url).status_code == 404

    def test_a_closed_conversation_takes_nothing(self):
        services.close(conversation=self.conversation)
        assert self.post(encoded(draw())).json()["code"] == "conversation_closed"

    def test_the_customer_sees_it_by_token(self):
        url = self.post(encoded(draw()), "bill.jpg").json()["url"]
        answer = self.client.get(url, {"token": self.token})
        assert answer.status_code == 200
        assert answer["Content-Type"] == "image/jpeg"
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert answer["Content-Security-Policy"] == "sandbox; default-src 'none'"
        assert answer["Content-Disposition"] == 'inline; filename="bill.jpg"'
        assert self.client.get(url, {"token": "another"}).status_code == 404
        assert self.client.get(url).status_code in (401, 403)

    def test_files_are_only_to_be_saved(self):
        url = self.post(b"<script>alert(1)</script>", "page.html").json()["url"]
        answer = self.client.get(url, {"token": self.token})
        assert answer["Content-Type"] == "text/plain; charset=utf-8"
        assert answer["Content-Disposition"].startswith("attachment")

    def test_the_thumbnail_is_a_small_jpeg(self):
        told = self.post(encoded(scenery(), "PNG")).json()
        answer = self.client.get(told["thumbnail"], {"token": self.token})
        assert answer.content.startswith(b"\xff\xd8\xff")
        assert self.post(voice()).json()["thumbnail"] is None
        other = Attachment.objects.get(kind=AttachmentKind.VOICE)
        url = f"{self.url}{other.public_id}/thumbnail/"
        assert self.client.get(url, {"token": self.token}).status_code == 404

    def test_staff_see_those_of_their_scenes(self):
        url = self.post(encoded(draw())).json()["url"]
        for role, scenes, status in (
            ("operator", [self.conversation.scene], 200),
            ("operator", [make_scene()], 404),
            ("auditor", [], 200),
            (None, [], 403),
        ):
            self.client.force_login(make_user(role, scenes))
            assert self.client.get(url).status_code == status

    def test_programs_see_it_with_a_scope(self):
        url = self.post(encoded(draw())).json()["url"]
        user = make_user("auditor")
        for scopes, status in ((["dialogues.read"], 200), (["knowledge.read"], 403)):
            _, secret = issue_key(user=user, name="k", scopes=scopes)
            headers = {"Authorization": f"Bearer {secret}"}
            assert self.client.get(url, headers=headers).status_code == status

    def test_a_lost_file_is_not_found(self):
        url = self.post(encoded(draw())).json()["url"]
        default_storage.delete(Attachment.objects.get().file.name)
        assert self.client.get(url, {"token": self.token}).status_code == 404


class SayTests(TestCase):
    def setUp(self):
        self.conversation, _ = make_session()

    def say(self, ids, text="", client_id="1"):
        return services.say(
            conversation=self.conversation, text=text, client_id=client_id, attachments=ids
        )

    def test_the_message_carries_them(self):
        attachment = upload(self.conversation)
        event = self.say([attachment.public_id])
        [carried] = events.as_json(event)["attachments"]
        assert carried["id"] == str(attachment.public_id)
        assert carried["kind"] == "image"
        assert "token" not in carried["url"]
        attachment.refresh_from_db()
        assert attachment.event == event

    def test_a_picture_is_looked_at_once(self):
        attachment = upload(self.conversation)
        for _ in range(2):
            self.say([attachment.public_id])
        job = SubagentJob.objects.get()
        assert job.name == "look_at_image"
        assert job.arguments == {"attachments": [str(attachment.public_id)]}

    def test_words_or_a_file_must_be_there(self):
        with pytest.raises(Invalid):
            self.say([])

    def test_beside_a_file_words_that_nobody_can_see_are_none(self):
        assert self.say([upload(self.conversation).public_id], "\u200b").text == ""

    def test_others_files_are_refused(self):
        theirs = upload(make_conversation())
        for ids in ([theirs.public_id], [uuid4()]):
            with pytest.raises(Invalid, match="not here any more"):
                self.say(ids)

    def test_a_file_is_sent_once(self):
        attachment = upload(self.conversation)
        self.say([attachment.public_id])
        with pytest.raises(Invalid, match="sent already"):
            self.say([attachment.public_id], client_id="2")

    def test_a_message_carries_so_many(self):
        with pytest.raises(Invalid, match="at most 5"):
            self.say([uuid4() for _ in range(6)])
        one = upload(self.conversation).public_id
        with pytest.raises(Invalid, match="each once"):
            self.say([one, one])


class LimitTests(TestCase):
    def test_so_many_a_minute(self):
        conversation, _ = make_session()
        with patch.object(attaching, "UPLOADS_A_MINUTE", 2):
            for _ in range(2):
                upload(conversation, voice())
            with pytest.raises(TooMany):
                upload(conversation, voice())

    def test_so_many_a_conversation(self):
        conversation, _ = make_session()
        with patch.object(attaching, "UPLOADS_A_CONVERSATION", 1):
            upload(conversation, voice())
            Attachment.objects.update(created_at=timezone.now() - timedelta(hours=1))
            with pytest.raises(TooMany):
                upload(conversation, voice())


class SweepTests(TestCase):
    def setUp(self):
        self.conversation, _ = make_session()

    def sweep_later(self):
        DeadFile.objects.update(at=timezone.now() - timedelta(hours=1))
        tasks.sweep_files()
        tasks.sweep_files()

    def test_what_was_never_sent_goes_after_a_day(self):
        kept, gone = upload(self.conversation), upload(self.conversation)
        Attachment.objects.filter(pk=gone.pk).update(created_at=timezone.now() - timedelta(days=2))
        tasks.sweep_files()
        assert Attachment.objects.get() == kept
        assert default_storage.exists(gone.file.name)  # it may be read just now
        self.sweep_later()
        assert not default_storage.exists(gone.file.name)
        assert not default_storage.exists(gone.thumbnail.name)
        assert default_storage.exists(kept.file.name)

    def test_what_was_sent_stays(self):
        sent = upload(self.conversation)
        services.say(
            conversation=self.conversation,
            text="look",
            client_id="1",
            attachments=[sent.public_id],
        )
        Attachment.objects.update(created_at=timezone.now() - timedelta(days=2))
        self.sweep_later()
        assert default_storage.exists(sent.file.name)

    def test_files_go_with_the_conversation_even_by_sql(self):
        attachment = upload(self.conversation)
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM dialogues_attachment")
        self.sweep_later()
        assert not default_storage.exists(attachment.file.name)
        assert not DeadFile.objects.exists()

    def test_a_file_whose_row_was_never_written_goes(self):
        with (
            patch.object(Attachment.objects, "create", side_effect=IntegrityError),
            pytest.raises(IntegrityError),
        ):
            upload(self.conversation)
        left = list(DeadFile.objects.values_list("name", flat=True))
        assert len(left) == 2
        self.sweep_later()
        assert not any(default_storage.exists(name) for name in left)


class ConstraintTests(TestCase):
    def refuses(self, name, **fields):
        attachment = upload(make_session()[0])
        with (
            self.assertRaisesMessage(IntegrityError, name),
            transaction.atomic(),
        ):
            Attachment.objects.filter(pk=attachment.pk).update(**fields)

    def test_attachment_kind_known(self):
        self.refuses("attachment_", kind="film")

    def test_attachment_picture_is_measured(self):
        self.refuses("attachment_picture_is_measured", width=None)
        self.refuses("attachment_picture_is_measured", kind="file")

    def test_attachment_not_empty(self):
        self.refuses("attachment_not_empty", size=0)

    def test_attachment_described_by_staff(self):
        self.refuses("attachment_described_by_staff", description="A lid")
        self.refuses("attachment_", description="A lid", by=make_user(), kind="file")

    def test_attachment_of_staff_is_no_evidence(self):
        self.refuses("attachment_of_staff_is_no_evidence", by=make_user(), evidence={"text": ""})
