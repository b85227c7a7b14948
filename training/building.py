"""Training examples out of what the database holds, all through the one prompt builder.

A row that can't be used (an action the agent may not take, an unreadable rewrite) is left
out rather than repaired: what is trained on is what was said.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from django.db.models import Prefetch, Q, QuerySet
from django.db.models.functions import Length

from agents.actions import (
    BUILT_IN,
    LONGEST_REPLY,
    DialogueAction,
    UnreadableAction,
    parse_action,
    read_action,
)
from agents.budgeting import budget_of
from agents.models import Tool, as_json, live_release
from agents.prompting import Line, Message, Rule, build_messages
from dialogues.history import as_line
from dialogues.models import Case, Channel, Event, EventKind, Turn, TurnStatus, Verdict
from knowledge import searching
from knowledge.models import Hook, HookKind, Scene, UnitStatus

PROMPT = "default"  # templates/agents/prompts/<it>/: what releases use unless told otherwise
SEARCH_BATCH = 50  # questions per statement
ORDINARY = 2  # messages of a prompt: system and turn; more follow only where it was asked again
TURNS_AT_ONCE = 200  # in memory, with the logs of their conversations

Data = dict[str, Any]
Step = tuple[list[Message], DialogueAction]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Draft:
    """An example before it has a place in a data set."""

    origin: str  # "conversation:<uuid>" or "unit:<pk>"
    data: Data
    turn_id: int | None = None
    revision_id: int | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose rows: these scenes, and with `unsorted` also conversations of no scene yet."""

    scenes: Sequence[Scene]
    unsorted: bool = False

    @property
    def turns(self) -> Q:
        inside = Q(conversation__scene__in=self.scenes)
        return inside | Q(conversation__scene=None) if self.unsorted else inside


@dataclass(slots=True)
class Toolbox:
    """What turns of a scene are shown today, read once per build."""

    _known: dict[int | None, list[dict[str, Any]]] = field(default_factory=dict)
    _most: dict[int | None, int | None] = field(default_factory=dict)

    def of_scene(self, scene: Scene | None) -> list[dict[str, Any]]:
        pk = scene.pk if scene else None
        if pk not in self._known:
            self._known[pk] = [
                as_json(tool) for tool in Tool.objects.of_scene(scene).order_by("pk")
            ]
        return self._known[pk]

    def most_rules(self, scene: Scene | None) -> int | None:
        """Return how many of the rules found the live release reads, None for all of them."""
        pk = scene.pk if scene else None
        if pk not in self._most:
            release = live_release(scene)
            self._most[pk] = budget_of(release, None).rules if release else None
        return self._most[pk]


# What there is: the same querysets are counted for the preview and read for the build.


def good_turns(scope: Scope) -> QuerySet[Turn]:
    """Turns whose case is good, newest first."""
    return _done(scope).filter(case__label=Verdict.GOOD).order_by("-pk")


def imported_turns(scope: Scope) -> QuerySet[Turn]:
    """Turns of imported dialogues, newest first; not those that somebody found wanting."""
    wanting = [Verdict.BAD, Verdict.WRONG]
    imported = _done(scope).filter(conversation__channel=Channel.IMPORT)
    return imported.exclude(case__label__in=wanting).order_by("-pk")


def paired_cases(scope: Scope) -> QuerySet[Case]:
    """Bad cases with a rewrite, newest first."""
    return Case.objects.pairs().filter(turn__in=_done(scope)).order_by("-pk")


def question_hooks(scope: Scope) -> QuerySet[Hook]:
    """Other wordings of published rules that a reply can hold."""
    published = Hook.objects.alias(length=Length("unit__live__content")).filter(
        kind=HookKind.QUESTION,
        unit__status=UnitStatus.PUBLISHED,
        unit__scene__in=scope.scenes,
        length__lte=LONGEST_REPLY,
    )
    return published.select_related("unit__scene", "unit__live").order_by("unit_id", "pk")


def _done(scope: Scope) -> QuerySet[Turn]:
    return Turn.objects.filter(scope.turns, status=TurnStatus.DONE)


# Rows


def message_drafts(turns: QuerySet[Turn], limit: int | None) -> Iterator[Draft]:
    """Yield an SFT row for each engine call of each of the newest `limit` turns."""
    toolbox = Toolbox()
    for turn in _with_context(turns, limit):
        for messages, action in turn_steps(turn, toolbox):
            data = {"prompt": messages, "completion": [_answer(action)]}
            yield Draft(_origin(turn), data, turn_id=turn.pk)


def pair_drafts(cases: QuerySet[Case], limit: int | None) -> Iterator[Draft]:
    """Yield a preference pair for each case: its rewrite before what was answered."""
    toolbox = Toolbox()
    rewrites = dict(cases.values_list("turn_id", "rewrite")[:limit])
    turns = Turn.objects.filter(pk__in=rewrites).order_by("-pk")
    for turn in _with_context(turns, None):
        if data := pair_data(turn, rewrites[turn.pk], toolbox):
            yield Draft(_origin(turn), data, turn_id=turn.pk)


def unit_drafts(hooks: QuerySet[Hook], limit: int | None) -> Iterator[Draft]:
    """Yield a knowledge-operational row for each wording: it is asked, its rule answers.

    The rules shown are those that search finds for it, so that the model learns to choose
    among neighbours; the rule itself is always among them.
    """
    toolbox, settings = Toolbox(), searching.current_settings()
    for batch in _batches(list(hooks[:limit]), SEARCH_BATCH):
        for scene in {hook.unit.scene for hook in batch}:
            asked = [hook for hook in batch if hook.unit.scene_id == scene.pk]
            texts = [hook.text for hook in asked]
            found = searching.search(texts, scene=scene, settings=settings)
            tools = toolbox.of_scene(scene)
            most = min(toolbox.most_rules(scene) or settings.rules_shown, settings.rules_shown)
            for hook, rules in zip(asked, found, strict=True):
                yield _unit_draft(hook, rules[:most], tools, most)


def _unit_draft(
    hook: Hook,
    found: Sequence[searching.Found],
    tools: Sequence[dict[str, Any]],
    rules_shown: int,
) -> Draft:
    unit, live = hook.unit, hook.unit.live
    assert live is not None  # noqa: S101 - the queryset keeps published units only
    rules = [Rule(rule.unit_id, rule.condition, rule.content) for rule in found]
    if unit.pk not in {rule.id for rule in rules}:
        rules = [*rules[: rules_shown - 1], Rule(unit.pk, live.condition, live.content)]
    action = DialogueAction(
        thought=f"Rule {unit.pk} answers this.",
        knowledge=[unit.pk],
        name="reply",
        reply=live.content,
    )
    lines = [Line("customer", hook.text)]
    messages = build_messages(prompt=PROMPT, tools=tools, rules=rules, lines=lines)
    data = {"prompt": messages, "completion": [_answer(action)]}
    return Draft(f"unit:{unit.pk}", data, revision_id=live.pk)


# Turns


def turn_steps(turn: Turn, toolbox: Toolbox) -> list[Step]:
    """Return each engine call of a turn: what the model was shown and what it should write.

    A served turn has the messages stored, byte for byte. An imported one gets them from
    the prompt builder: the knowledge slot filled with the rules found for it, or empty
    (the report's prompt alignment). Calls of tools we don't have are left out.
    """
    if _is_served(turn):
        return _served_steps(turn, toolbox)
    return _rebuilt_steps(turn, toolbox)


def pair_data(turn: Turn, rewrite: Data, toolbox: Toolbox) -> Data | None:
    """Return a preference row: the turn's last prompt, its rewrite and what was answered."""
    rejected, chosen = _spoken(turn.output), _spoken(rewrite)
    if rejected is None or chosen is None or rejected == chosen:
        return None
    if _is_served(turn) and not turn.is_worded_by_code:
        prompt = turn.steps[-1]["messages"][:ORDINARY]
    else:
        prompt = _rebuilt_prompts(turn, toolbox)[-1]
    return {"prompt": prompt, "chosen": [_answer(chosen)], "rejected": [_answer(rejected)]}


def _is_served(turn: Turn) -> bool:
    return any(step.get("messages") for step in turn.steps)


def _actions(turn: Turn, *, calls: int) -> list[DialogueAction | None]:
    """Return the first `calls` steps' actions and the last one, as it was spoken."""
    outputs = [step.get("output", "") for step in turn.steps[:calls]]
    return [*(_readable(parse_action, text) for text in outputs), _last_action(turn)]


def _last_action(turn: Turn) -> DialogueAction | None:
    """Where the customer was asked to agree to a call, the call is what was decided."""
    pending = turn.output.get("pending")
    if pending and not turn.is_worded_by_code:
        return _readable(parse_action, turn.steps[-1]["output"])
    spoken = _spoken(turn.output)
    return replace(spoken, **pending) if spoken and pending else spoken


def _served_steps(turn: Turn, toolbox: Toolbox) -> list[Step]:
    """Return the stored prompts and what was written; one more where code spoke in the end.

    A reply that tells a call's result follows from that result: the prompt before the call
    would teach to invent it.
    """
    told = turn.is_worded_by_code
    actions = _actions(turn, calls=len(turn.steps) if told else len(turn.steps) - 1)
    # A call that the customer agreed to was made without asking the model: it has no prompt.
    # What was refused and asked for again is no example; what came then answers the first prompt.
    last = len(turn.steps) - 1
    rows = [
        (step["messages"][:ORDINARY], action)
        for number, (step, action) in enumerate(zip(turn.steps, actions, strict=not told))
        if action is not None and step["messages"] and (not step.get("fault") or number == last)
    ]
    if told and (spoken := actions[-1]):
        rows.append((_rebuilt_prompts(turn, toolbox)[-1], spoken))
    return rows


def _rebuilt_steps(turn: Turn, toolbox: Toolbox) -> list[Step]:
    actions = _actions(turn, calls=len(turn.steps))
    pairs = zip(_rebuilt_prompts(turn, toolbox), actions, strict=True)
    tools = toolbox.of_scene(turn.conversation.scene)
    known = {*BUILT_IN, *(tool["name"] for tool in tools)}
    return [
        (prompt, action)
        for prompt, action in pairs
        if action is not None and action.name in known and action.reply
    ]


def _rebuilt_prompts(turn: Turn, toolbox: Toolbox) -> list[list[Message]]:
    """Return the prompt before each tool call of an imported turn, and before its reply.

    Where the live release reads fewer rules than were found, those that were cited come first.
    """
    scene = turn.conversation.scene
    tools, most = toolbox.of_scene(scene), toolbox.most_rules(scene)
    units = list(turn.units.all())
    read = sorted(units, key=lambda found: not found.cited)[:most]
    rules = [
        Rule(found.unit_id, found.revision.condition, found.revision.content)
        for found in units
        if found in read
    ]
    shown = (EventKind.MESSAGE, EventKind.ACTION)
    events = [event for event in turn.conversation.events.all() if event.kind in shown]
    lines = [as_line(event) for event in events if event.seq <= turn.asked_seq]
    prompts = [build_messages(prompt=PROMPT, tools=tools, rules=rules, lines=lines)]
    for step in turn.steps:
        lines += _step_lines(step)
        prompts.append(build_messages(prompt=PROMPT, tools=tools, rules=rules, lines=lines))
    return prompts


def _step_lines(step: Data) -> list[Line]:
    """Return what a tool call adds to the prompt, as the master agent adds it."""
    action = _readable(parse_action, step.get("output", ""))
    if action is None:
        return []
    result = step.get("result") or {}
    return [Line("tool", name=action.name, arguments=action.arguments, result=result)]


def _spoken(data: Data) -> DialogueAction | None:
    return _readable(read_action, data)


def _readable(read: Callable[[T], DialogueAction], raw: T) -> DialogueAction | None:
    try:
        return read(raw)
    except UnreadableAction:
        return None


def _answer(action: DialogueAction) -> Message:
    return {"role": "assistant", "content": action.as_json()}


def _origin(turn: Turn) -> str:
    return f"conversation:{turn.conversation.public_id}"


def _with_context(turns: QuerySet[Turn], limit: int | None) -> Iterator[Turn]:
    """Read turns with all that a prompt needs, some hundred at a time."""
    pks = list(turns.values_list("pk", flat=True)[:limit])
    context = Turn.objects.select_related("conversation__scene").prefetch_related(
        Prefetch("conversation__events", Event.objects.order_by("seq")), "units__revision"
    )
    for batch in _batches(pks, TURNS_AT_ONCE):
        found = context.in_bulk(batch)
        yield from (found[pk] for pk in batch)


def _batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


SOURCES: dict[str, Callable[[Scope], QuerySet[Any]]] = {
    "good_cases": good_turns,
    "imported_dialogues": imported_turns,
    "units": question_hooks,
    "bad_cases": paired_cases,
}
