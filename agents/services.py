"""What people do to releases."""

from django.contrib.auth.models import User
from django.db import transaction

from agents.models import ModelVersion, Promotion, Release, Tool, live_release
from wowconsole.errors import Refused


class UnknownTools(Refused):
    code = "unknown_tools"
    status = 422


class AlreadyLive(Refused):
    code = "already_live"


class NothingBefore(Refused):
    code = "nothing_before"


def make_release(
    *,
    by: User,
    name: str,
    version: ModelVersion,
    tools: list[str] | None = None,
    prompt: str = "default",
    quote_rules: bool = False,
) -> Release:
    """Bundle weights, prompt and tools under one name. It never changes afterwards.

    Without `tools` it gets all active ones.

    Raises:
        UnknownTools: a tool does not exist or is switched off.
        ValidationError: the name is taken or not a slug.
    """
    active = list(Tool.objects.filter(is_active=True).values_list("name", flat=True))
    tools = active if tools is None else tools
    if unknown := sorted(set(tools) - set(active)):
        raise UnknownTools(f"No active tool is called {', '.join(unknown)}.")
    release = Release(
        name=name,
        version=version,
        tools=tools,
        prompt=prompt,
        limits={"quote_rules": quote_rules},
        created_by=by,
    )
    release.full_clean(exclude={"tools"})  # checked above; none is a choice too
    release.save()
    return release


@transaction.atomic
def promote(*, release: Release, by: User, reason: str = "") -> Promotion:
    """Let a release answer every conversation that begins from now on.

    Raises:
        AlreadyLive: it does so already.
    """
    _one_at_a_time()
    if live_release() == release:
        raise AlreadyLive(f"{release} is live already.")
    return Promotion.objects.create(release=release, by=by, reason=reason)


@transaction.atomic
def roll_back(*, by: User, reason: str = "") -> Promotion:
    """Put the release back that was live before the present one: one row, at once.

    Raises:
        NothingBefore: only one release has ever been live.
    """
    _one_at_a_time()
    live = live_release()
    before = Promotion.objects.select_related("release").exclude(release=live).first()
    if live is None or before is None:
        raise NothingBefore("No other release has been live before.")
    reason = reason or f"Rolled back from {live}."
    return Promotion.objects.create(release=before.release, by=by, reason=reason)


def _one_at_a_time() -> None:
    """Wait for other promotions, so that each sees which release the last one made live."""
    with transaction.get_connection().cursor() as cursor:
        cursor.execute("LOCK TABLE agents_promotion IN SHARE ROW EXCLUSIVE MODE")
