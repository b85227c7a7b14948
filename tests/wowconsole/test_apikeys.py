"""Keys of programs: limited by their scopes and by their user's role."""

from django.core.exceptions import ValidationError
from django.test import TestCase
from django.utils import timezone

from tests.factories import make_user
from wowconsole.apikeys import issue_key
from wowconsole.models import ApiKey

READ, WRITE = "/api/knowledge/units/", "/api/scenes/"


class KeyTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.admin = make_user("admin")
        cls.key, cls.secret = issue_key(
            user=cls.admin, name="ci", scopes=["knowledge.read", "agents.read"]
        )

    def get(self, authorization=None, url=READ):
        authorization = f"Bearer {self.secret}" if authorization is None else authorization
        return self.client.get(url, headers={"Authorization": authorization}).status_code

    def post(self, secret):
        headers = {"Authorization": f"Bearer {secret}"}
        body = {"slug": "new", "name": "New"}
        return self.client.post(WRITE, body, "application/json", headers=headers).status_code

    def test_only_a_digest_is_stored(self):
        row = str(ApiKey.objects.values().get())
        assert self.secret not in row
        assert self.secret.startswith(self.key.prefix)
        assert len(self.secret) > 40

    def test_it_opens_what_its_scopes_say_and_no_more(self):
        assert self.get() == 200
        assert self.get(url="/api/releases/") == 200
        assert self.get(url="/api/dialogues/") == 403
        assert self.post(self.secret) == 403

    def test_its_users_role_limits_it_too(self):
        scopes = ["knowledge.read", "knowledge.write"]
        auditor = make_user("auditor")
        _, secret = issue_key(user=auditor, name="a", scopes=scopes)
        assert self.get(f"Bearer {secret}") == 200
        assert self.post(secret) == 403
        auditor.groups.clear()
        assert self.get(f"Bearer {secret}") == 403

    def test_revoked_and_unknown_keys_are_refused(self):
        for wrong in ("wow_x", "", self.secret[:-1], self.secret + "x", "\xff", self.key.sha256):
            assert self.get(f"Bearer {wrong}") == 401, wrong
        ApiKey.objects.update(revoked_at=timezone.now())
        assert self.get() == 401

    def test_a_user_who_left_takes_the_keys_along(self):
        self.admin.is_active = False
        self.admin.save()
        assert self.get() == 401

    def test_other_schemes_are_not_ours(self):
        assert self.get(f"Basic {self.secret}") == 401
        assert self.get("") == 401
        assert self.get(f"bearer {self.secret}") == 200

    def test_a_wrong_key_is_not_forgiven_for_a_session(self):
        self.client.force_login(self.admin)
        assert self.get("Bearer wow_x") == 401

    def test_unknown_scopes_are_refused(self):
        for scopes in (["everything"], ["knowledge.read", "x"], []):
            with self.assertRaises(ValidationError):
                issue_key(user=self.admin, name="x", scopes=scopes)

    def test_its_use_is_noted_once_a_minute(self):
        self.get()
        first = ApiKey.objects.get().last_used_at
        assert first is not None
        self.get()
        assert ApiKey.objects.get().last_used_at == first
