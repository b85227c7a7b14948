"""Chat sites and their keys: pages of operators, keys of administrators."""

import re
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.db import IntegrityError, transaction
from django.test import TestCase
from django.utils import timezone

from dialogues import arranging
from dialogues.chat import identifying, sites
from dialogues.models import Algorithm, Arrangement, Site, SiteKey
from dialogues.proactive import contact
from tests.dialogues.test_identifying import SECRET, make_key, make_site, signed
from tests.factories import make_conversation, make_scene, make_user

LIST = "/channels/"
NEW = "/channels/new-site/"


class SiteCase(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.scene = make_scene()
        cls.ana = make_user("operator", [cls.scene])
        cls.site = make_site(scene=cls.scene)
        cls.url = cls.site.get_absolute_url()

    def setUp(self):
        self.client.force_login(self.ana)

    def fields(self, **fields):
        return {
            "name": "Shop",
            "scene": self.scene.slug,
            "origins": "https://shop.example\nhttps://app.example:8443",
            "citations": "shown",
            "color": "#123456",
            "position": "left",
            "language": "zh",
            "title": "Ask us",
            "greeting": "",
            "based_on": "0",
            **fields,
        }


class ListTests(SiteCase):
    def test_sites_of_ones_scenes_are_listed_in_few_queries(self):
        for number in range(3):
            make_key(make_site(slug=f"mine-{number}", name=f"Mine {number}", scene=self.scene))
        make_site(slug="theirs", name="Theirs", scene=make_scene())
        with self.assertNumQueries(4):
            page = self.client.get(LIST)
        self.assertContains(page, "Mine 2")
        self.assertContains(page, NEW)
        self.assertNotContains(page, "Theirs")

    def test_it_says_what_to_do_where_there_is_none(self):
        Site.objects.all().delete()
        self.assertContains(self.client.get(LIST), "Register a website")
        self.client.force_login(make_user("auditor"))
        page = self.client.get(LIST)
        self.assertContains(page, "No chat sites yet")
        self.assertNotContains(page, NEW)

    def test_who_may_not(self):
        self.client.logout()
        assert self.client.get(LIST).status_code == 302
        self.client.force_login(make_user("reviewer", [self.scene]))
        assert self.client.get(self.url).status_code == 200
        assert self.client.get(NEW).status_code == 403
        assert self.client.get(f"{self.url}edit/").status_code == 403
        for verb in ("switch", "remove", "keys"):
            assert self.client.post(f"{self.url}{verb}/").status_code == 403
            assert self.client.get(f"{self.url}{verb}/").status_code == 405
        other = make_site(slug="theirs", scene=make_scene())
        self.client.force_login(self.ana)
        assert self.client.get(other.get_absolute_url()).status_code == 404
        assert self.client.post(f"{other.get_absolute_url()}switch/").status_code == 404

    def test_a_site_of_every_scene_is_for_administrators_to_change(self):
        everywhere = make_site(slug="all")
        page = self.client.get(everywhere.get_absolute_url())
        self.assertNotContains(page, "Switch off")
        assert self.client.get(f"{everywhere.get_absolute_url()}edit/").status_code == 404
        assert self.client.post(NEW, self.fields(slug="b", scene="")).status_code == 422
        self.client.force_login(make_user("admin"))
        assert self.client.get(f"{everywhere.get_absolute_url()}edit/").status_code == 200


class EditTests(SiteCase):
    def test_a_new_site_and_its_snippet(self):
        answer = self.client.post(NEW, self.fields(slug="app", greeting='Say "hi" <now>'))
        site = Site.objects.get(slug="app")
        self.assertRedirects(answer, site.get_absolute_url())
        assert site.origins == ["https://shop.example", "https://app.example:8443"]
        snippet = sites.snippet_of(site)
        assert 'data-site="app" data-color="#123456" data-position="left"' in snippet
        assert 'data-greeting="Say &quot;hi&quot; &lt;now&gt;"' in snippet
        page = self.client.get(site.get_absolute_url())
        self.assertContains(page, 'data-copy="#snippet"')
        assert Arrangement.objects.get(kind="site", name="app").by == self.ana

    def test_what_is_no_origin_is_refused_with_what_was_meant(self):
        for origin, meant in {
            "https://Shop.example/cart?x=1": "write https://shop.example.",
            "shop.example": "write https://shop.example.",
            "https://*.example": "is no origin",
            "https://shop.example:99999": "is no origin",
            "https://-shop.example": "is no origin",
            "javascript:alert(1)": "is no origin",
        }.items():
            page = self.client.post(NEW, self.fields(slug="app", origins=origin))
            self.assertContains(page, meant, status_code=422)
        assert not Site.objects.filter(slug="app").exists()

    def test_colours_and_languages_are_known_ones(self):
        for wrong in ({"color": "red"}, {"language": "fr"}, {"position": "top"}):
            assert self.client.post(NEW, self.fields(slug="app", **wrong)).status_code == 422
        assert self.client.post(NEW, self.fields(slug="shop")).status_code == 422  # taken
        with pytest.raises(IntegrityError, match="site_look_known"), transaction.atomic():
            make_site(slug="x", color="red")

    def test_the_slug_never_changes(self):
        self.client.post(f"{self.url}edit/", self.fields(slug="other", name="New name"))
        self.site.refresh_from_db()
        assert (self.site.slug, self.site.name) == ("shop", "New name")

    def test_who_saves_second_sees_the_first_ones_change(self):
        form = f"{self.url}edit/"
        first = make_user("operator", [self.scene], username="berta")
        self.client.force_login(first)
        self.client.post(form, self.fields(name="Bertas shop"))
        self.client.force_login(self.ana)
        page = self.client.post(form, self.fields(name="Anas shop"))
        self.assertContains(page, "What berta changed", status_code=409)
        self.assertContains(page, "Bertas", status_code=409)
        self.assertContains(page, 'value="Anas shop"', status_code=409)
        self.site.refresh_from_db()
        assert self.site.name == "Bertas shop"
        newest = re.search(rb'name="based_on" value="(\d+)"', page.content)[1].decode()
        assert (
            self.client.post(form, self.fields(name="Anas shop", based_on=newest)).status_code
            == 302
        )
        page = self.client.get(self.url)
        self.assertContains(page, "berta")
        assert arranging.revision_of(self.site) == 3  # as it stood, Berta's, Ana's

    def test_saving_what_is_there_is_no_change(self):
        self.client.post(f"{self.url}edit/", self.fields())
        number = arranging.revision_of(self.site)
        self.client.post(f"{self.url}edit/", self.fields(based_on=number))
        assert arranging.revision_of(self.site) == number

    def test_history_never_changes(self):
        self.client.post(f"{self.url}edit/", self.fields())
        with pytest.raises(IntegrityError), transaction.atomic():
            Arrangement.objects.update(note="x")
        with pytest.raises(IntegrityError), transaction.atomic():
            Arrangement.objects.all().delete()


class LookTests(SiteCase):
    def test_the_preview_follows_what_is_typed(self):
        part = self.client.post("/channels/look/", self.fields(color="#ff0000", site="shop"))
        self.assertContains(part, "color=%23ff0000")
        self.assertContains(part, "site=shop")
        self.assertNotContains(part, "<html")

    def test_the_framed_page_shows_the_widget_to_our_pages_only(self):
        page = self.client.get(
            "/channels/preview/",
            {"site": "shop", "color": "#ff0000", "language": "zh", "title": "<b>"},
        )
        self.assertContains(page, 'data-site="shop" data-color="#ff0000" data-lang="zh"')
        self.assertContains(page, "&lt;b&gt;")
        assert page["X-Frame-Options"] == "SAMEORIGIN"
        assert "frame-ancestors 'self'" in page["Content-Security-Policy"]
        odd = self.client.get("/channels/preview/", {"color": "red;", "site": "a\0"})
        self.assertNotContains(odd, "data-color")

    def test_whether_a_page_would_be_let_in(self):
        for address, answer in {
            "https://shop.example/cart": "Yes",
            "https://SHOP.example:443/": "Yes",
            "http://shop.example/": "which is not named",
            "shop": "is no address of a page",
        }.items():
            self.assertContains(self.client.get(self.url, {"page": address}), answer)


class KeyTests(SiteCase):
    def setUp(self):
        self.client.force_login(make_user("admin"))

    def add(self, **fields):
        return self.client.post(f"{self.url}keys/", {"algorithm": "HS256", **fields})

    def test_a_secret_is_shown_once_and_works(self):
        page = self.add()
        key = SiteKey.objects.get()
        self.assertContains(page, key.secret)
        assert "no-store" in page["Cache-Control"]
        self.assertNotContains(self.client.get(self.url), key.secret)
        assert identifying.verify(signed(key, secret=key.secret)).ref == "C-7"
        kept = Arrangement.objects.get(kind="site_keys")
        assert key.secret not in str(kept.data) + kept.note

    def test_a_second_key_counts_until_the_first_is_ended(self):
        first = make_key(self.site)
        self.add()
        assert SiteKey.objects.live().count() == 2
        self.client.post(f"{self.url}keys/{first.key_id}/end/")
        self.client.post(f"{self.url}keys/{first.key_id}/end/")
        assert first not in SiteKey.objects.live()
        with pytest.raises(identifying.NotIdentified):
            identifying.verify(signed(first))
        notes = list(arranging.changes_of("site_keys", "shop").values_list("note", flat=True))
        assert len(notes) == 2
        assert notes[0] == f"{first.key_id} ended"

    def test_its_last_use_is_noted_to_the_minute(self):
        key = make_key(self.site)
        identifying.verify(signed(key))
        key.refresh_from_db()
        used = key.last_used_at
        assert timezone.now() - used < timedelta(minutes=1)
        identifying.verify(signed(key))
        key.refresh_from_db()
        assert key.last_used_at == used
        with pytest.raises(identifying.NotIdentified):
            identifying.verify(signed(key, secret="wrong"))

    def test_public_keys_are_looked_at(self):
        for fields in ({"algorithm": "RS256"}, {"public_key": "x"}, {"algorithm": "none"}):
            assert self.add(**fields).status_code == 422
        public = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
        pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        self.assertContains(self.add(algorithm="RS256", public_key=pem), "is made")
        assert SiteKey.objects.get().algorithm == Algorithm.RS256

    def test_there_are_not_many(self):
        for _ in range(sites.MOST_LIVE_KEYS):
            make_key(self.site)
        assert self.add().status_code == 409

    def test_operators_see_keys_and_make_none(self):
        key = make_key(self.site)
        self.client.force_login(self.ana)
        page = self.client.get(self.url)
        self.assertContains(page, key.key_id)
        self.assertNotContains(page, SECRET)
        assert self.add().status_code == 403
        assert self.client.post(f"{self.url}keys/{key.key_id}/end/").status_code == 403
        other = make_site(slug="other")
        self.client.force_login(make_user("admin"))
        url = f"{other.get_absolute_url()}keys/{key.key_id}/end/"
        assert self.client.post(url).status_code == 404


class EndTests(SiteCase):
    def test_switched_off_no_chat_begins_and_keys_prove_nothing(self):
        key = make_key(self.site)
        self.assertRedirects(self.client.post(f"{self.url}switch/", {"on": "false"}), self.url)
        with pytest.raises(identifying.SiteOff):
            identifying.open_chat(site="shop")
        with pytest.raises(identifying.NotIdentified):
            identifying.verify(signed(key))
        self.client.post(f"{self.url}switch/", {"on": "true"})
        assert identifying.verify(signed(key)).ref == "C-7"

    def test_what_hangs_on_it_is_told_and_keeps_it(self):
        make_conversation(site=self.site)
        self.assertContains(self.client.get(self.url), "1 chat of this site, 1 of them still open")
        assert self.client.post(f"{self.url}remove/").status_code == 409
        assert Site.objects.exists()

    def test_who_wants_no_news_of_it_keeps_it(self):
        contact.opt_out("C-7", by=self.ana, site=self.site)
        self.assertContains(self.client.get(self.url), "1 customer who wants no news")
        assert self.client.post(f"{self.url}remove/").status_code == 409

    def test_an_unused_site_goes_with_its_keys_and_leaves_a_record(self):
        make_key(self.site)
        self.assertRedirects(self.client.post(f"{self.url}remove/"), LIST)
        assert not SiteKey.objects.exists()
        newest = arranging.changes_of("site", "shop")[0]
        assert (newest.note, newest.by, newest.data) == ("Removed", self.ana, {})

    def test_a_site_with_three_keys_and_changes_takes_few_queries(self):
        for number in range(3):
            make_key(self.site)
            self.client.post(
                f"{self.url}edit/",
                self.fields(name=f"Name {number}", based_on=number and number + 1),
            )
        with self.assertNumQueries(13):
            self.client.get(self.url)
