"""Roles grant capabilities; nobody else has any."""

from django.contrib.auth.models import AnonymousUser, Group, User
from django.test import TestCase

from tests.factories import make_user
from wowconsole.roles import ALL_CAPABILITIES, CAPABILITIES, can, roles_of, sees_every_scene


class RoleTests(TestCase):
    def granted(self, user):
        return {capability for capability in ALL_CAPABILITIES if can(user, capability)}

    def test_each_role_is_a_group(self):
        assert set(CAPABILITIES) <= set(Group.objects.values_list("name", flat=True))

    def test_each_role_grants_what_the_table_says(self):
        for role, capabilities in CAPABILITIES.items():
            assert self.granted(make_user(role)) == capabilities

    def test_roles_add_up(self):
        user = make_user("auditor")
        user.groups.add(Group.objects.get(name="operator"))
        assert self.granted(user) == CAPABILITIES["auditor"] | CAPABILITIES["operator"]

    def test_superusers_are_admins(self):
        assert roles_of(make_user(is_superuser=True)) == {"admin"}

    def test_others_have_nothing(self):
        stranger = make_user(is_staff=True)
        stranger.groups.add(Group.objects.create(name="knowledge.write"))
        gone = make_user("admin", is_active=False)
        gone_superuser = make_user(is_superuser=True, is_active=False)
        for user in (AnonymousUser(), stranger, gone, gone_superuser):
            assert self.granted(user) == set()
            assert not sees_every_scene(user)

    def test_only_admins_and_auditors_see_every_scene(self):
        seeing = {role for role in CAPABILITIES if sees_every_scene(make_user(role))}
        assert seeing == {"admin", "auditor"}

    def test_an_unknown_capability_is_granted_to_nobody(self):
        assert not can(make_user("admin"), "everything")

    def test_one_query_for_each_user_object(self):
        user = User.objects.get(pk=make_user("operator").pk)
        with self.assertNumQueries(1):
            can(user, "knowledge.read")
            can(user, "training.write")
