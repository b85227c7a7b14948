"""What people do to releases."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from agents.cataloguing import pins
from agents.models import Composition, ModelVersion, Promotion, Release, Tool, own_release
from knowledge.models import Risk, Scene
from wowconsole.errors import Invalid, Refused

BUDGET_PARTS = {"steps", "tokens", "seconds", "money", "rules"}
COUNTED = {"steps", "tokens", "rules"}


class UnknownTools(Refused):
    code = "unknown_tools"
    status = 422


class AlreadyLive(Refused):
    code = "already_live"


class NothingBefore(Refused):
    code = "nothing_before"


class NotYourScenes(Refused):
    code = "not_your_scenes"
    status = 403


def make_release(
    *,
    by: User,
    name: str,
    version: ModelVersion,
    tools: list[str] | None = None,
    prompt: str = "default",
    quote_rules: bool = False,
    composition: Mapping[str, str] | None = None,
    budget: Mapping[str, Any] | None = None,
) -> Release:
    """Bundle weights, prompt and tools under one name. It never changes afterwards.

    Without `tools` it gets all active ones that `by` sees.

    Args:
        quote_rules: short for a composition that is "quoted" for every risk.
        composition: who words a reply, by the risk of the rules it rests on.
        budget: what one turn may take: {"steps", "tokens", "seconds", "money" in dollars,
            "rules": how many of those found the model reads}. A small model chooses badly
            among several rules, and search puts the right one first more often than not.

    Raises:
        UnknownTools: a tool does not exist, is switched off, or is of scenes that `by` doesn't see.
        ValidationError: the name is taken or not a slug.
    """
    seen = Tool.objects.visible_to(by).filter(is_active=True)
    active = list(seen.values_list("name", flat=True))
    tools = active if tools is None else tools
    if unknown := sorted(set(tools) - set(active)):
        raise UnknownTools(f"No active tool is called {', '.join(unknown)}.")
    release = Release(
        name=name,
        version=version,
        tools=tools,
        tool_revisions=pins(tools),
        prompt=prompt,
        limits={"quote_rules": quote_rules} | _limits(composition or {}, budget or {}),
        created_by=by,
    )
    release.full_clean(exclude={"tools"})  # checked above; none is a choice too
    release.save()
    return release


def _limits(composition: Mapping[str, str], budget: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a release stores of both, without what says nothing.

    Raises:
        Invalid: an unknown risk or mode, or a budget that is no number above 0.
    """
    if set(composition) - set(Risk.values) or set(composition.values()) - set(Composition.values):
        raise Invalid("Composition is free, styled, quoted or strict, by low, medium, high risk.")
    wanted = {name: value for name, value in budget.items() if value not in (None, "")}
    try:
        fits = all(_is_amount(name, Decimal(str(value))) for name, value in wanted.items())
    except InvalidOperation:
        fits = False
    if not fits or set(wanted) - BUDGET_PARTS:
        parts = ", ".join(sorted(BUDGET_PARTS))
        raise Invalid(f"A budget is numbers above 0 for {parts}; what is counted is whole.")
    shown = {name: str(value) if name == "money" else value for name, value in wanted.items()}
    limits = {"composition": dict(composition), "budget": shown}
    return {name: value for name, value in limits.items() if value}


def _is_amount(name: str, value: Decimal) -> bool:
    return value > 0 and (name not in COUNTED or value % 1 == 0)


@transaction.atomic
def promote(
    *, release: Release, by: User, reason: str = "", scene: Scene | None = None
) -> Promotion:
    """Let a release answer every conversation that begins from now on.

    Args:
        scene: there alone, whatever is live elsewhere; None: wherever no scene has its own.

    Raises:
        NotYourScenes: customers of scenes that `by` doesn't see would be answered by it.
        AlreadyLive: it does so already.
    """
    _check_scenes(by, scene)
    _one_at_a_time()
    if own_release(scene) == release:
        raise AlreadyLive(f"{release} is live already.")
    return Promotion.objects.create(release=release, by=by, reason=reason, scene=scene)


@transaction.atomic
def roll_back(*, by: User, reason: str = "", scene: Scene | None = None) -> Promotion:
    """Put the release back that was live before the present one: one row, at once.

    A scene that had none of its own before follows the others again.

    Raises:
        NotYourScenes: customers of scenes that `by` doesn't see would be answered by it.
        NothingBefore: only one release has ever been live.
    """
    _check_scenes(by, scene)
    _one_at_a_time()
    live = own_release(scene)
    rows = Promotion.objects.select_related("release").filter(scene=scene)
    before = rows.exclude(release=live).first()
    if live is None or (before is None and scene is None):
        raise NothingBefore("No other release has been live before.")
    reason = reason or f"Rolled back from {live}."
    release = before.release if before else None
    return Promotion.objects.create(release=release, by=by, reason=reason, scene=scene)


def _check_scenes(by: User, scene: Scene | None) -> None:
    hidden = Scene.objects.hidden_from(by)
    if scene is None and hidden.exists():
        raise NotYourScenes("Only who sees all scenes decides for all: choose one of yours.")
    if scene is not None and hidden.filter(pk=scene.pk).exists():
        raise NotYourScenes(f"{scene} is none of your scenes.")


def _one_at_a_time() -> None:
    """Wait for other promotions, so that each sees which release the last one made live."""
    with transaction.get_connection().cursor() as cursor:
        cursor.execute("LOCK TABLE agents_promotion IN SHARE ROW EXCLUSIVE MODE")
