"""Who a customer is: proofs of sites, what is wrong with them, and that nothing is made then."""

import hashlib
import hmac
import time
from concurrent.futures import ThreadPoolExecutor

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from django.core.cache import cache
from django.db import connections
from django.test import TestCase, TransactionTestCase, override_settings
from django.utils import timezone

from dialogues import services
from dialogues.chat import identifying
from dialogues.models import Algorithm, Conversation, Site, SiteKey, SpentProof
from tests.factories import make_conversation, make_scene
from wowconsole import sealing

SECRET = "s" * 43
SHOP = "https://shop.example"


def make_site(**fields):
    return Site.objects.create(**{"slug": "shop", "name": "Shop", "origins": [SHOP], **fields})


def make_key(site, secret=SECRET, **fields):
    return SiteKey.objects.create(site=site, sealed_secret=sealing.seal(secret), **fields)


def signed(key, ref="C-7", secret=SECRET, expires=None):
    """A proof for sites without a JWT library."""
    expires = int(time.time()) + 600 if expires is None else expires
    digest = hmac.new(secret.encode(), f"{expires}.{ref}".encode(), hashlib.sha256)
    return {
        "key": key.key_id,
        "customer": ref,
        "expires": expires,
        "signature": digest.hexdigest(),
    }


def token(key, secret=SECRET, algorithm="HS256", headers=None, **claims):
    claims = {"sub": "C-7", "exp": int(time.time()) + 600, **claims}
    claims = {name: value for name, value in claims.items() if value is not None}
    return {
        "jwt": jwt.encode(claims, secret, algorithm, headers={"kid": key.key_id} | (headers or {}))
    }


class SiteTestCase(TestCase):
    def setUp(self):
        cache.clear()
        self.site = make_site()
        self.key = make_key(self.site)

    def post(self, origin=None, **body):
        headers = {"Origin": origin} if origin else {}
        return self.client.post(
            "/api/chat/sessions/", body, content_type="application/json", headers=headers
        )

    def refused(self, code, **body):
        cache.clear()  # attempts are counted
        answer = self.post(**body)
        assert answer.status_code == 403, answer.content
        assert answer["Content-Type"] == "application/problem+json"
        assert answer.json()["code"] == code, answer.content
        assert answer.json()["detail"]
        assert not Conversation.objects.exists()
        assert not SpentProof.objects.exists()


class OpenTests(SiteTestCase):
    def test_a_signature_identifies_the_customer(self):
        before = timezone.now()
        answer = self.post(identity=signed(self.key))
        assert answer.status_code == 201
        assert answer.json()["identified"] is True
        conversation = Conversation.objects.get()
        assert (conversation.customer_ref, conversation.site) == ("C-7", self.site)
        assert conversation.identified_at >= before

    def test_a_jwt_identifies_and_says_more(self):
        proof = token(self.key, name="Maya", segment="Gold", region="north", aud="shop")
        answer = self.post(
            identity=proof, customer="Somebody", audience={"segment": "claimed", "channel": "app"}
        )
        assert answer.status_code == 201
        conversation = Conversation.objects.get()
        assert (conversation.customer, conversation.customer_ref) == ("Maya", "C-7")
        assert conversation.audience == {"channel": "app", "segment": "gold", "region": "north"}

    def test_a_name_is_kept_without_the_number_of_a_card_and_the_id_as_it_is(self):
        number = "4111111111111111"
        self.post(identity=token(self.key, sub=number, name=f"Maya {number}"))
        conversation = Conversation.objects.get()
        assert (conversation.customer, conversation.customer_ref) == ("Maya •••• 1111", number)

    def test_a_claimed_name_is_not_kept_beside_a_proof(self):
        for proof in (signed(self.key), token(self.key)):
            self.post(identity=proof, customer="Somebody else")
            conversation = Conversation.objects.first()
            assert (conversation.customer, conversation.customer_ref) == ("", "C-7")

    def test_what_can_not_be_stored_is_left_out(self):
        broken = "Ma\ud800ya\0"
        proof = token(self.key, name=broken, segment=broken, region=broken)
        assert self.post(identity=proof).status_code == 201
        conversation = Conversation.objects.get()
        assert conversation.customer == "Maya"
        assert conversation.audience == {"channel": "web", "segment": "maya", "region": "maya"}

    def test_a_public_key_will_do(self):
        private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        key = SiteKey.objects.create(
            site=self.site, algorithm=Algorithm.RS256, public_key=public.decode()
        )
        pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        assert self.post(identity=token(key, pem, "RS256")).status_code == 201
        # The public key is known to everybody: as an HMAC secret it proves nothing.
        forged = token(self.key, headers={"kid": key.key_id})
        Conversation.objects.all().delete()
        self.refused("identity_invalid", identity=forged)

    def test_without_a_proof_nobody_is_identified(self):
        answer = self.post(site="shop", customer="Maya")
        assert answer.json()["identified"] is False
        conversation = Conversation.objects.get()
        assert (conversation.customer_ref, conversation.identified_at) == ("", None)

    def test_the_site_decides_where_the_talk_begins(self):
        self.site.scene = make_scene()
        self.site.save()
        assert self.post(site="shop").status_code == 201
        assert Conversation.objects.get().scene == self.site.scene

    def test_two_keys_count_at_once_until_one_is_ended(self):
        second = make_key(self.site, "t" * 43)
        assert self.post(identity=signed(self.key)).status_code == 201
        assert self.post(identity=signed(second, secret="t" * 43)).status_code == 201
        SiteKey.objects.filter(pk=self.key.pk).update(expires_at=timezone.now())
        Conversation.objects.all().delete()
        self.refused("identity_invalid", identity=signed(self.key))
        assert self.post(identity=signed(second, secret="t" * 43)).status_code == 201


class WrongProofTests(SiteTestCase):
    def test_wrong_signatures_prove_nothing(self):
        good = signed(self.key)
        for proof in (
            signed(self.key, secret="x" * 43),
            good | {"customer": "C-8"},
            good | {"expires": good["expires"] + 1},
            good | {"signature": ""},
            good | {"signature": None},
            good | {"signature": "ü"},
            good | {"key": "key_unknown"},
            good | {"key": None},
            good | {"key": "\0"},
            good | {"key": "\ud800"},
            good | {"expires": "soon"},
            good | {"expires": True},
            good | {"customer": 7},
            {"jwt": "a.b.c"},
            {"jwt": "\ud800.a.b"},
            {"jwt": "ü.a.b"},
            {"jwt": ""},
            {"jwt": "x" * 9000},
            {"jwt": {"sub": "C-7"}},
            {"jwt": None},
            token(self.key, "x" * 43),
            token(self.key, headers={"kid": "key_unknown"}),
            token(self.key, headers={"kid": "\ud800\0"}),
            token(self.key, sub=None),
            token(self.key, exp=None),
            token(self.key, exp=float("inf")),
            token(self.key, iat=float("inf")),
            token(self.key, exp=float("nan")),
            token(self.key, sub="x" * 121),
            token(self.key, aud="another-shop"),
            token(self.key, exp=int(time.time()) + 90_000),
            token(self.key, nbf=int(time.time()) + 600),
            token(self.key, iat=int(time.time()) + 600),
            {"jwt": jwt.encode({"sub": "C-7", "exp": 2**31}, "", "none")},
            {"jwt": jwt.encode({"sub": "C-7", "exp": 2**31}, SECRET)},
            signed(self.key, expires=int(time.time()) + 90_000),
            signed(self.key, expires=10**40),
            signed(self.key, ref=""),
            signed(self.key, ref="a\nb"),
            {},
            "",
            "C-7",
            ["jwt"],
        ):
            self.refused("identity_invalid", identity=proof)

    def test_expired(self):
        old = int(time.time()) - 120
        self.refused("identity_expired", identity=signed(self.key, expires=old))
        self.refused("identity_expired", identity=token(self.key, exp=old))

    def test_a_token_with_an_id_is_good_once(self):
        proof = token(self.key, jti="only-once")
        assert self.post(identity=proof).status_code == 201
        answer = self.post(identity=proof)
        assert (answer.status_code, answer.json()["code"]) == (403, "identity_spent")
        assert Conversation.objects.count() == 1

    def test_another_sites_proof(self):
        other = make_key(make_site(slug="other"))
        self.refused("identity_invalid", identity=signed(other), site="shop")

    def test_a_site_may_want_to_know_everybody(self):
        Site.objects.update(identity_required=True)
        self.refused("identity_required", site="shop")
        assert self.post(site="shop", identity=signed(self.key)).status_code == 201

    def test_only_the_sites_own_pages(self):
        self.refused("origin_not_allowed", site="shop", origin="https://evil.example")
        self.refused("origin_not_allowed", identity=signed(self.key), origin="null")
        for origin in (SHOP, "http://testserver", None):
            assert self.post(site="shop", origin=origin).status_code == 201

    def test_an_unknown_site(self):
        answer = self.post(site="nowhere")
        assert (answer.status_code, answer.json()["code"]) == (422, "no_such_site")

    def test_a_changed_secret_key_is_told(self):
        with override_settings(SECRET_KEY="another"), self.assertLogs("dialogues.chat.identifying"):
            self.refused("identity_invalid", identity=signed(self.key))
        with override_settings(SECRET_KEY="another", SECRET_KEY_FALLBACKS=[]):
            sealed = sealing.seal("x")
        with override_settings(SECRET_KEY="third", SECRET_KEY_FALLBACKS=["another"]):
            assert sealing.unseal(sealed) == "x"


class MidwayTests(SiteTestCase):
    def setUp(self):
        super().setUp()
        self.conversation, _ = services.start_conversation(scene=None)

    def test_somebody_signs_in(self):
        proof = token(self.key, name="Maya", segment="gold")
        identifying.identify(conversation=self.conversation, proof=proof)
        self.conversation.refresh_from_db()
        assert (self.conversation.customer_ref, self.conversation.customer) == ("C-7", "Maya")
        assert self.conversation.audience["segment"] == "gold"
        first = self.conversation.identified_at
        identifying.identify(conversation=self.conversation, proof=signed(self.key))
        self.conversation.refresh_from_db()
        assert self.conversation.identified_at == first

    def test_what_they_called_themselves_before_is_not_kept(self):
        chat, _ = services.start_conversation(scene=None, customer="Somebody else")
        for proof, name in (
            (signed(self.key), ""),
            (token(self.key, name="Ma\ud800ya\0"), "Maya"),
            (signed(self.key), "Maya"),  # as a proof has said
        ):
            identifying.identify(conversation=chat, proof=proof)
            chat.refresh_from_db()
            assert chat.customer == name

    def test_a_name_told_later_is_kept_without_the_number_of_a_card(self):
        proof = token(self.key, name="4111111111111111")
        identifying.identify(conversation=self.conversation, proof=proof)
        self.conversation.refresh_from_db()
        assert self.conversation.customer == "•••• 1111"

    def test_a_proof_that_comes_again_because_its_answer_was_lost_is_no_error(self):
        proof = token(self.key, name="Maya", jti="only-once")
        for _ in range(2):
            who = identifying.identify(conversation=self.conversation, proof=proof)
            assert (who.ref, who.site) == ("C-7", self.site)
        self.conversation.refresh_from_db()
        assert (self.conversation.customer_ref, self.conversation.customer) == ("C-7", "Maya")

    def test_but_it_proves_nothing_elsewhere_and_changes_nothing(self):
        spent = token(self.key, name="Maya", jti="only-once")
        identifying.identify(conversation=self.conversation, proof=spent)
        newer = token(self.key, name="Maya Lin")
        for proof in (newer, spent):
            identifying.identify(conversation=self.conversation, proof=proof)
        self.conversation.refresh_from_db()
        assert self.conversation.customer == "Maya Lin"
        new, _ = services.start_conversation(scene=None)
        others = [
            make_conversation(site=site, customer_ref=ref, identified_at=timezone.now())
            for site, ref in ((self.site, "C-8"), (make_site(slug="other"), "C-7"))
        ]
        for chat in (new, *others):
            with pytest.raises(identifying.IdentitySpent):
                identifying.identify(conversation=chat, proof=spent)

    def test_a_chat_never_changes_hands(self):
        identifying.identify(conversation=self.conversation, proof=signed(self.key))
        with pytest.raises(identifying.OtherCustomer):
            identifying.identify(conversation=self.conversation, proof=signed(self.key, "C-8"))
        other = make_key(make_site(slug="other"))
        with pytest.raises(identifying.NotIdentified):
            identifying.identify(conversation=self.conversation, proof=signed(other))
        self.conversation.refresh_from_db()
        assert self.conversation.customer_ref == "C-7"


class WaitingTests(SiteTestCase):
    def wait_for(self, ref):
        """A chat in which we spoke first: nobody has its token yet."""
        return make_conversation(
            site=self.site, customer_ref=ref, identified_at=timezone.now(), customer=""
        )

    def test_it_is_given_to_the_customer_it_waits_for_and_once(self):
        chat = self.wait_for("C-7")
        proof = token(self.key, name="Maya", jti="only-once")
        answer = self.post(identity=proof, waiting=True)
        assert (answer.status_code, answer.json()["id"]) == (201, str(chat.public_id))
        assert answer.json()["identified"] is True
        answer = self.post(identity=signed(self.key), waiting=True)
        assert (answer.status_code, answer.content) == (204, b"")
        assert Conversation.objects.count() == 1

    def test_looking_in_vain_leaves_the_proof_good(self):
        self.wait_for("C-8")
        proof = token(self.key, jti="only-once")
        assert self.post(identity=proof, waiting=True).status_code == 204
        assert self.post(identity=proof).status_code == 201

    def test_nobody_else_gets_it(self):
        self.wait_for("C-7")
        for body in (
            {"identity": signed(self.key, secret="x" * 43)},
            {"identity": None},
            {"identity": signed(self.key), "origin": "https://evil.example"},
        ):
            cache.clear()
            assert self.post(waiting=True, **body).status_code == 403
        assert Conversation.objects.get().token_sha256 == ""


class AttemptTests(SiteTestCase):
    """The answer was lost, and the page asks again."""

    ATTEMPT = "4f1f7a3e-6a52-4a1c-9c1e-8f5d0c3b2a10"

    def asked_twice(self, **body):
        first, again = (self.post(attempt=self.ATTEMPT, **body) for _ in range(2))
        assert (first.status_code, again.json()) == (201, first.json())
        chat = Conversation.objects.get()
        assert services.opens(chat, first.json()["token"])
        assert self.ATTEMPT not in first.json()["token"]
        return chat

    def test_a_proof_that_is_good_once_is_not_lost(self):
        assert self.asked_twice(identity=token(self.key, jti="once")).customer_ref == "C-7"

    def test_nor_is_a_chat_in_which_we_spoke_first(self):
        waiting = make_conversation(
            site=self.site, customer_ref="C-7", identified_at=timezone.now(), customer=""
        )
        assert self.asked_twice(identity=token(self.key, jti="once"), waiting=True) == waiting

    def test_nobody_has_two_chats_by_it(self):
        self.asked_twice()

    def test_another_attempt_is_another_chat_and_a_short_one_is_refused(self):
        proof = token(self.key, jti="once")
        assert self.post(attempt=self.ATTEMPT, identity=proof).status_code == 201
        answer = self.post(attempt=self.ATTEMPT.replace("4", "5"), identity=proof)
        assert (answer.status_code, answer.json()["code"]) == (403, "identity_spent")
        assert self.post(attempt="1").status_code == 400


class HastyAttemptTests(TransactionTestCase):
    """The page asks again while the first request is still under way."""

    def test_all_get_one_chat(self):
        key = make_key(make_site())
        for number, proof in enumerate((None, token(key, jti="once"))):
            body = {"attempt": f"{AttemptTests.ATTEMPT}{number}", "identity": proof}

            def ask(_, body=body):
                answer = self.client.post("/api/chat/sessions/", body, "application/json")
                connections.close_all()
                return answer.json()["id"]

            cache.clear()
            with ThreadPoolExecutor(4) as pool:
                assert len(set(pool.map(ask, range(4)))) == 1
