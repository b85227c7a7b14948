"""What customers see: the page, who may embed it, the widget, and who is writing."""

import re
from pathlib import Path
from unittest.mock import patch

from channels.layers import get_channel_layer
from django.conf import settings
from django.contrib.staticfiles import finders
from django.test import TestCase, override_settings
from redis.exceptions import RedisError

from dialogues.answering import PATIENCE
from dialogues.chat import frames, writing
from dialogues.chat.words import EN, WORDS, ZH, language_of
from dialogues.desk import control
from dialogues.models import Role
from tests.dialogues.test_identifying import SHOP, make_site
from tests.factories import make_conversation, make_scene, make_user

WIDGET_BYTES = 30_000
SOURCES = [
    settings.BASE_DIR / "wowconsole" / "errors.py",
    *(settings.BASE_DIR / "dialogues").rglob("*.py"),
]


def directives(response):
    """The policy's directives by name."""
    parts = response["Content-Security-Policy"].split(";")
    return {part.split()[0]: part.split()[1:] for part in parts}


class ChatTests(TestCase):
    def test_anybody_sees_it(self):
        with self.assertNumQueries(0):
            response = self.client.get("/chat/")
        assert response.status_code == 200
        self.assertContains(response, "Talk to a person")
        assert self.client.post("/chat/").status_code == 405

    def test_it_speaks_the_customers_language(self):
        for query, accepted, language in (
            ("", "", "en"),
            ("", "fr, zh-CN;q=0.8, en", "zh"),
            ("?lang=en", "zh-CN", "en"),
            ("?lang=zh", "en", "zh"),
            ("?lang=auto", "zh-TW", "zh"),
            ("?lang=%00", "zh", "zh"),
        ):
            response = self.client.get(f"/chat/{query}", headers={"Accept-Language": accepted})
            self.assertContains(response, f'<html lang="{language}"')
            self.assertContains(response, WORDS[language]["person"])
            assert "Accept-Language" in response["Vary"]

    def test_only_our_own_pages_embed_it(self):
        response = self.client.get("/chat/?embed=1")
        assert directives(response)["frame-ancestors"] == ["'self'"]
        assert "X-Frame-Options" not in response
        assert directives(self.client.get("/accounts/login/"))["frame-ancestors"] == ["'none'"]
        assert self.client.get("/accounts/login/")["X-Frame-Options"] == "DENY"

    def test_a_sites_pages_embed_it_in_its_name(self):
        make_site()
        make_site(slug="other", origins=["https://other.example"])
        with self.assertNumQueries(1):
            response = self.client.get("/chat/?embed=1&site=shop")
        assert directives(response)["frame-ancestors"] == ["'self'", SHOP]
        self.assertContains(response, f'data-origins="{SHOP}"')
        for slug in ("nowhere", "%00", "x" * 500):
            unknown = self.client.get(f"/chat/?embed=1&site={slug}")
            assert directives(unknown)["frame-ancestors"] == ["'self'"]

    @override_settings(CHAT_ORIGINS=["https://intranet.example"])
    def test_a_setting_lets_others_embed_it(self):
        ancestors = directives(self.client.get("/chat/"))["frame-ancestors"]
        assert ancestors == ["'self'", "https://intranet.example"]

    def test_no_script_stands_in_the_page(self):
        response = self.client.get("/chat/?embed=1")
        assert directives(response)["style-src"] == ["'self'"]
        body = response.content.decode()
        assert "style=" not in body
        assert "onclick" not in body
        assert body.count("<script") == 2  # the words, as data, and the module


class WordTests(TestCase):
    def keys(self, words):
        """The names of all words; those of errors are as the server says them, if none are ours."""
        return {
            name: sorted(value) if isinstance(value, dict) else type(value).__name__
            for name, value in words.items()
            if name != "errors"
        }

    def test_both_languages_say_everything(self):
        assert self.keys(EN) == self.keys(ZH)
        assert len(EN["ratings"]) == len(ZH["ratings"]) == 5

    def test_what_is_said_of_a_long_wait_is_known(self):
        assert {said for _, said in PATIENCE} == set(EN["patience"])

    def test_errors_are_named_by_codes_that_the_server_has(self):
        code = "".join(path.read_text() for path in SOURCES)
        for name in set(ZH["errors"]) - {"throttled"}:  # which is the API library's
            assert f'code = "{name}"' in code, name

    def test_every_name_that_the_scripts_use_is_there(self):
        folder = Path(finders.find("wowconsole/chat.js")).parent
        for script in folder.glob("chat*.js"):
            for name in re.findall(r"(?<![-\w])words\.(\w+)", script.read_text()):
                assert name in EN, (script.name, name)

    def test_a_language_nobody_knows_is_english(self):
        assert language_of("de", "de, fr;q=0.5") == "en"


class WidgetTests(TestCase):
    def test_it_is_small_and_loads_from_anywhere(self):
        response = self.client.get("/widget.js")
        assert response["Content-Type"].startswith("text/javascript")
        assert response["Access-Control-Allow-Origin"] == "*"
        assert response["Cross-Origin-Resource-Policy"] == "cross-origin"
        assert len(response.content) < WIDGET_BYTES
        assert b"innerHTML" not in response.content
        assert b"eval(" not in response.content

    def test_browsers_ask_whether_it_changed(self):
        tag = self.client.get("/widget.js")["ETag"]
        again = self.client.get("/widget.js", headers={"If-None-Match": tag})
        assert (again.status_code, again.content) == (304, b"")


class TypingTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.scene = make_scene()
        cls.conversation = make_conversation(scene=cls.scene)

    def setUp(self):
        frames._allowances_of.cache_clear()

    def path(self, name):
        return f"/dialogues/{self.conversation.public_id}/{name}/"

    def test_staff_tell_that_they_write_once_they_have_taken_over(self):
        ana = make_user("operator", [self.scene])
        self.client.force_login(ana)
        assert self.client.post(self.path("typing")).status_code == 204
        assert not writing.is_writing(self.conversation.public_id, Role.STAFF)
        control.take_control(conversation=self.conversation, by=ana)
        assert self.client.post(self.path("typing")).status_code == 204
        assert writing.is_writing(self.conversation.public_id, Role.STAFF)
        assert self.client.get(self.path("typing")).status_code == 405

    def test_only_who_holds_it_is_seen_writing(self):
        control.take_control(conversation=self.conversation, by=make_user("admin"))
        self.client.force_login(make_user("operator", [self.scene]))
        assert self.client.post(self.path("typing")).status_code == 204
        assert not writing.is_writing(self.conversation.public_id, Role.STAFF)

    def test_nobody_is_seen_writing_where_the_talk_has_ended(self):
        ana = make_user("operator", [self.scene])
        control.take_control(conversation=self.conversation, by=ana)
        control.close(conversation=self.conversation)
        self.client.force_login(ana)
        assert self.client.post(self.path("typing")).status_code == 204
        assert not writing.is_writing(self.conversation.public_id, Role.STAFF)

    def test_without_redis_it_is_not_shown_and_nothing_fails(self):
        ana = make_user("operator", [self.scene])
        control.take_control(conversation=self.conversation, by=ana)
        self.client.force_login(ana)
        layer = get_channel_layer()
        with (
            patch.object(type(layer), "group_send", side_effect=RedisError),
            self.assertLogs("dialogues.events", "WARNING"),
        ):
            assert self.client.post(self.path("typing")).status_code == 204

    def test_it_is_told_no_more_often_than_a_window_does(self):
        self.client.force_login(make_user("operator", [self.scene]))
        most, _ = frames.ALLOWANCES["staff_typing"]
        codes = [self.client.post(self.path("typing")).status_code for _ in range(most + 3)]
        assert codes[:most] == [204] * most
        assert codes[-1] == 429

    def test_staff_see_that_the_customer_writes(self):
        self.client.force_login(make_user("operator", [self.scene]))
        self.assertNotContains(self.client.get(self.path("customer-typing")), "writing")
        writing.note_sync(self.conversation.public_id, Role.CUSTOMER)
        self.assertContains(self.client.get(self.path("customer-typing")), "writing")
        assert self.client.get(f"{self.path('customer-typing')}?shown=yes").status_code == 204
        assert self.client.get(f"{self.path('customer-typing')}?shown=no").status_code == 200

    def test_strangers_and_signed_out_people_do_neither(self):
        assert self.client.post(self.path("typing")).status_code == 302
        assert self.client.get(self.path("customer-typing")).status_code == 302
        self.client.force_login(make_user("operator", [make_scene()]))
        assert self.client.post(self.path("typing")).status_code == 404
        assert self.client.get(self.path("customer-typing")).status_code == 404
        self.client.force_login(make_user("auditor", [self.scene]))
        assert self.client.post(self.path("typing")).status_code == 403
