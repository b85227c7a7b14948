"""Events as they come in: signed or by key, once, and what keeps or breaks a promise."""

import hashlib
import hmac
import json
import time
from datetime import timedelta
from unittest.mock import patch

from django.test import TestCase, override_settings
from django.utils import timezone

from dialogues import services, tasks
from dialogues.chat import identifying
from dialogues.models import (
    BusinessEvent,
    OptOut,
    Site,
)
from dialogues.proactive import policies
from dialogues.proactive.sending import adopt
from tests.dialogues.policies import LATE, handled, make_chat, make_event, make_policy
from tests.dialogues.test_identifying import make_key, make_site, signed
from tests.factories import make_conversation, make_scene, make_user
from wowconsole.apikeys import issue_key

KEY = "the-events-key"
EVENT = {"id": "e-1", "type": "order_late", "customer": "c-1", "data": LATE}
NEVER_QUIET = {"QUIET_FROM_HOUR": 0, "QUIET_UNTIL_HOUR": 0}


@override_settings(EVENTS_KEY=f"older-key,{KEY}")
class WebhookTests(TestCase):
    def post(self, body=None, *, key=KEY, at=None, signed=None, **changes):
        content = body if body is not None else json.dumps(EVENT | changes).encode()
        stamp = str(int(time.time()) if at is None else at)
        signature = hmac.new(
            key.encode(), stamp.encode() + b"." + (signed or content), hashlib.sha256
        ).hexdigest()
        headers = {"X-Events-Timestamp": stamp, "X-Events-Signature": signature}
        return self.client.post(
            "/api/events/", content, content_type="application/json", headers=headers
        )

    def test_a_time_of_no_clock_is_refused(self):
        for at in ("1" * 400, "1" * 5000, "soon", "-1"):
            assert self.post(at=at).status_code == 401
        answer = self.post(occurred_at="0001-01-01T00:00:00Z", time_zone="America/New_York")
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
        assert not BusinessEvent.objects.exists()

    def test_a_signed_event_is_stored_once(self):
        first, again = self.post(), self.post()
        assert (first.status_code, again.status_code) == (202, 200)
        assert first.json() == again.json()
        event = BusinessEvent.objects.get()
        assert (event.type, event.customer_ref, event.data) == ("order_late", "c-1", LATE)

    def test_both_keys_of_a_change_are_good(self):
        assert self.post(key="older-key").status_code == 202

    def test_a_worker_is_asked_once_it_is_stored(self):
        with self.captureOnCommitCallbacks() as callbacks:
            self.post()
        assert len(callbacks) == 1

    def test_a_wrong_signature_is_refused(self):
        for answer in (self.post(key="guess"), self.post(signed=b"other")):
            assert answer.status_code == 401
            assert answer.json()["code"] == "signature_invalid"
        assert not BusinessEvent.objects.exists()

    def test_an_old_delivery_is_refused(self):
        now = int(time.time())
        for at in (now - 301, now + 360, "soon"):
            assert self.post(at=at).status_code == 401

    def test_the_same_id_is_not_another_event(self):
        make_site()
        make_site(slug="club", is_active=False)
        self.post()
        scene = make_scene().slug
        for changes in ({"customer": "c-2"}, {"scene": scene}, {"site": "club"}):
            answer = self.post(**changes)
            assert (answer.status_code, answer.json()["code"]) == (422, "event_id_reused")
        assert self.post(site="shop").status_code == 200  # which was meant

    def test_without_a_site_the_only_one_is_meant(self):
        make_site(slug="club", is_active=False)
        shop = make_site()
        self.post()
        assert BusinessEvent.objects.get().site == shop

    def test_of_several_sites_one_has_to_be_named(self):
        for slug in ("shop", "club"):
            make_site(slug=slug)
        answer = self.post()
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert (answer.status_code, answer.json()["code"]) == (422, "site_needed")
        assert "Name in “site”" in answer.json()["detail"]
        assert not BusinessEvent.objects.exists()
        assert self.post(site="club").status_code == 202
        Site.objects.update(is_active=False)
        assert self.post(id="e-2").status_code == 422

    def test_a_repeated_event_is_known_whatever_sites_came_since(self):
        self.post()
        for slug in ("shop", "club"):
            make_site(slug=slug)
            assert self.post().status_code == 200

    def test_what_is_wrong_is_named(self):
        for changes, status in (
            ({"type": "order late"}, 400),
            ({"data": [1]}, 400),
            ({"customer": ""}, 400),
            ({"scene": "nowhere"}, 400),
            ({"time_zone": "Mars/Base"}, 422),
            ({"data": {str(number): 1 for number in range(101)}}, 400),
        ):
            assert self.post(**changes).status_code == status
        assert self.post(b"{").status_code == 400
        assert self.post(json.dumps(EVENT | {"x": "y" * 70_000}).encode()).status_code == 422

    def test_scene_zone_and_time_are_kept(self):
        scene = make_scene()
        ahead = timezone.now() + timedelta(days=1)
        self.post(scene=scene.slug, time_zone="Asia/Shanghai", occurred_at=ahead.isoformat())
        event = BusinessEvent.objects.get()
        assert (event.scene, event.time_zone) == (scene, "Asia/Shanghai")
        assert event.occurred_at <= timezone.now()


class KeyTests(TestCase):
    """Events with an API key, which tells of no more than its user sees."""

    def post(self, user, *, scopes=("dialogues.reply",), **fields):
        _, secret = issue_key(user=user, name="k", scopes=list(scopes))
        return self.client.post(
            "/api/events/",
            EVENT | fields,
            content_type="application/json",
            headers={"Authorization": f"Bearer {secret}"},
        )

    def test_a_key_with_the_scope_may_too(self):
        admin = make_user("admin")
        assert self.post(admin).status_code == 202
        assert self.post(admin, scopes=["dialogues.read"]).status_code == 403
        assert self.client.post("/api/events/", EVENT).status_code == 401

    def test_it_tells_of_its_users_scenes_only(self):
        mine, other = make_scene(), make_scene()
        ana = make_user("operator", [mine])
        for scene in (None, other.slug):
            answer = self.post(ana, scene=scene)
            assert (answer.status_code, answer.json()["code"]) == (403, "out_of_reach")
        assert not BusinessEvent.objects.exists()
        assert self.post(ana, scene=mine.slug).status_code == 202

    def test_and_of_the_sites_of_those_scenes(self):
        mine = make_scene()
        ana = make_user("operator", [mine])
        site = make_site(slug="club", scene=make_scene())
        for named in ({"site": "club"}, {}):  # the only one is meant, and is not hers either
            answer = self.post(ana, scene=mine.slug, **named)
            assert (answer.status_code, answer.json()["code"]) == (403, "out_of_reach")
        Site.objects.filter(pk=site.pk).update(scene=mine)
        assert self.post(ana, scene=mine.slug, site="club").status_code == 202


class NoNewsTests(TestCase):
    def test_a_customer_says_no_in_the_chat(self):
        conversation, token = services.start_conversation(scene=None)
        url = f"/api/chat/sessions/{conversation.public_id}/no-news/"
        assert self.client.post(url).status_code == 404
        for _ in range(2):
            answer = self.client.post(url, headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == 204
        assert OptOut.objects.get().conversation == conversation

    def test_a_sites_customer_says_no_at_that_site(self):
        site = make_site()
        row = policies.opt_out(make_chat(site=site))
        assert (row.site, row.customer_ref) == (site, "c-1")

    def test_said_before_signing_in_it_holds_for_the_customer(self):
        site = make_site()
        chat = make_conversation()
        policies.opt_out(chat)
        for _ in range(2):
            identifying.identify(conversation=chat, proof=signed(make_key(site), "c-1"))
        assert OptOut.objects.of_customer(site.pk, "c-1").count() == 1

    def test_it_is_of_the_customer_who_signed_in_meanwhile(self):
        site, chat = make_site(), make_conversation()
        identifying.identify(conversation=chat, proof=signed(make_key(site), "c-1"))
        policies.opt_out(chat)  # as it was read before
        assert OptOut.objects.of_customer(site.pk, "c-1").exists()


@override_settings(**NEVER_QUIET)
class AdoptTests(TestCase):
    def test_an_identified_customer_finds_the_chat_that_waits(self):
        site = make_site()
        make_policy()
        decision = handled(make_event())
        tasks.decide_contact(decision.pk)
        decision.refresh_from_db()
        who = identifying.Customer("c-1", site)
        with patch.object(identifying, "verify", return_value=who):
            found, token = identifying.open_chat(proof={"jwt": "x"})
            other, _ = identifying.open_chat(proof={"jwt": "x"})
        assert found == decision.conversation
        found.refresh_from_db()
        assert services.opens(found, token)
        assert other != found

    def waiting(self, site=None):
        """The new chat in which a site's customer c-1 is told that an order is late."""
        make_policy()
        decision = handled(make_event(site=site))
        tasks.decide_contact(decision.pk)
        decision.refresh_from_db()
        return decision.conversation

    def test_another_sites_customer_of_the_same_id_is_another(self):
        shop, club = (make_site(slug=slug) for slug in ("shop", "club"))
        waiting = self.waiting(shop)
        theirs, mine = (signed(make_key(site), "c-1") for site in (club, shop))
        assert identifying.waiting_chat(origin="", proof=theirs) is None
        begun, _ = identifying.open_chat(proof=theirs)
        assert begun != waiting
        found, _ = identifying.waiting_chat(origin="", proof=mine)
        assert found == waiting

    def test_what_waited_before_there_was_a_site_is_the_first_ones(self):
        waiting = self.waiting()
        shop = make_site()
        found, _ = adopt(customer_ref="c-1", site=shop)
        assert (found, found.site) == (waiting, shop)

    def test_with_a_second_site_nobody_knows_whose_it_is(self):
        self.waiting()
        for slug in ("shop", "club"):
            site = make_site(slug=slug)
        Site.objects.filter(slug="shop").update(is_active=False)
        assert adopt(customer_ref="c-1", site=site) is None
