"""What staff do about speaking first: policies and their versions; and a customer's no."""

from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Max

from dialogues.models import Conversation, OptOut, ProactivePolicy, ProactiveVersion
from dialogues.proactive import conditions as proactive_conditions
from wowconsole.errors import Refused


class VersionOutdated(Refused):
    code = "version_outdated"


@transaction.atomic
def save_policy(
    *,
    by: User,
    name: str,
    policy: ProactivePolicy | None = None,
    expected: int | None = None,
    **fields: Any,
) -> ProactivePolicy:
    """Add a policy, paused, or a version of one that is in force from now on.

    What waits already is decided by the version that it was matched with.

    Args:
        expected: the version's number that was edited.

    Raises:
        VersionOutdated: somebody saved another one meanwhile.
        ValidationError: a field is wrong.
    """
    if policy is None:
        policy = ProactivePolicy(name=name)
        policy.full_clean(exclude=["version"])
        policy.save()
    policy = ProactivePolicy.objects.select_for_update().get(pk=policy.pk)
    newest = policy.versions.aggregate(number=Max("number"))["number"] or 0
    if expected is not None and expected != newest:
        raise VersionOutdated("Somebody saved another version meanwhile. Look at it first.")
    version = ProactiveVersion(policy=policy, number=newest + 1, created_by=by, **fields)
    check(version)
    version.save()
    policy.name, policy.version = name, version
    policy.full_clean(exclude=["version"])
    policy.save(update_fields=["name", "version"])
    return policy


def check(version: ProactiveVersion) -> None:
    """Say what is wrong with a version that is not saved yet.

    Raises:
        ValidationError: a field is wrong.
    """
    version.full_clean(exclude=["policy", "created_by"])
    if wrong := proactive_conditions.wrong(version.conditions):
        raise ValidationError({"conditions": wrong})
    for name in ("template", "promise"):
        try:
            proactive_conditions.blanks_of(getattr(version, name))
        except ValueError as error:
            raise ValidationError({name: str(error)}) from None


def set_active(policy: ProactivePolicy, *, active: bool) -> None:
    """Let a policy speak, or pause it: what waits is then decided against."""
    ProactivePolicy.objects.filter(pk=policy.pk).update(is_active=active)


@transaction.atomic
def opt_out(conversation: Conversation) -> OptOut:
    """Never speak first to this customer again, in no chat; again changes nothing."""
    # They may be signing in at this moment: whoever is second sees what the first one stored.
    conversation = Conversation.objects.select_for_update(of=("self",)).get(pk=conversation.pk)
    if conversation.customer_ref:
        row, _ = OptOut.objects.get_or_create(
            site=conversation.site, customer_ref=conversation.customer_ref
        )
    else:
        row, _ = OptOut.objects.get_or_create(conversation=conversation)
    return row
