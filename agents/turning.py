"""One turn under way: what it remembers, and what follows from that."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import takewhile
from typing import Any

from asgiref.sync import sync_to_async

from agents import budgeting, composing, occasions
from agents.actions import CLOSE, HANDOFF, DialogueAction
from agents.budgeting import Budget, Spent
from agents.calling import failed
from agents.finding import said_by_customer, unanswered
from agents.grounding import mistyped
from agents.happenings import Step, TurnContext
from agents.models import Composition, Tool, released
from agents.phrases import Phrase
from agents.prompting import LINES_SHOWN, Line, Rule
from agents.schemas import patterns_of
from knowledge.models import Revision
from knowledge.searching import Found


@dataclass(slots=True)
class Running:
    """What one run of the loop remembers."""

    context: TurnContext
    tools: dict[str, Tool]
    lines: list[Line]
    budget: Budget
    rules: list[Rule] = field(default_factory=list)
    spent: Spent = field(default_factory=Spent)
    best: Found | None = None  # the rule that fits best, if any was found
    made: dict[str, list[dict[str, Any]]] = field(default_factory=dict)  # arguments, by tool
    allowed: dict[str, dict[str, Any]] = field(default_factory=dict)  # tools callable now
    refused: Step | None = None  # what has to be said otherwise
    instructions: str = ""  # the prompt's static part, which is the same for every turn
    shown: str = ""  # of the reply, so far
    retried: set[str] = field(default_factory=set)  # faults after which it was asked again

    def say(self, phrase: Phrase) -> str:
        """Return a sentence of ours in the language that the customer writes."""
        return phrase.to(said_by_customer(self.lines))

    def cited(self, action: DialogueAction) -> list[Rule]:
        """Return the rules that an action cites, in its order; others can't be cited."""
        known = {rule.id: rule for rule in self.rules}
        return [known[pk] for pk in dict.fromkeys(action.knowledge) if pk in known]


async def begin(context: TurnContext) -> Running:
    """Return a turn that has read no rule yet: what it needs besides is fetched.

    What a turn called that a person then silenced counts as called in the one that takes its
    place: it is told, and not done again.
    """
    budget = budgeting.budget_of(context.release, context.money_left)
    turn = Running(context, await _tools_of(context), list(context.lines), budget)
    for line in _called_since(turn):
        turn.made.setdefault(line.name, []).append(line.arguments)
    return turn


def _called_since(turn: Running) -> list[Line]:
    """Return the calls with which the dialogue ends, behind what the customer wrote last."""
    last = takewhile(lambda line: _is_call(turn, line), reversed(turn.lines))
    return list(last)[::-1]


def _is_call(turn: Running, line: Line) -> bool:
    return line.role == "tool" and line.name in turn.tools and not line.is_jobs


def is_under_way(turn: Running, call: DialogueAction) -> bool:
    """Say whether this very thing was agreed to before and nobody knows yet what came of it."""
    about = _subject(call.name, call.arguments)
    return about in [_subject(each.name, each.arguments) for each in turn.context.under_way]


def _subject(name: str, arguments: dict[str, Any]) -> tuple[str, set[str]]:
    return name, composing.subject(Line("tool", arguments=arguments))


async def show_found(turn: Running, found: Sequence[Found]) -> None:
    show(turn, await sync_to_async(_as_rules)(turn.context, found))
    turn.best = max(found, key=lambda item: item.similarity, default=None)


def show(turn: Running, rules: Sequence[Rule]) -> None:
    """Let the turn read these rules, or the first of them if its release reads fewer."""
    turn.rules = list(rules[: turn.budget.rules])


def _as_rules(context: TurnContext, found: Sequence[Found]) -> list[Rule]:
    known: dict[int, Revision] = {}
    if context.release.quotes or context.release.limits.get("composition"):
        known = Revision.objects.in_bulk([item.revision_id for item in found])
    return [_as_rule(item, known.get(item.revision_id)) for item in found]


def _as_rule(found: Found, known: Revision | None) -> Rule:
    if known is None:
        return Rule(found.unit_id, found.condition, found.content, similarity=found.similarity)
    return rule_of(known, found.similarity)


def rule_of(revision: Revision, similarity: float = 0.0) -> Rule:
    """Return a revision as a turn reads it."""
    texts = (revision.condition, revision.content, revision.risk)
    return Rule(revision.unit_id, *texts, similarity, tuple(revision.questions))


async def _tools_of(context: TurnContext) -> dict[str, Tool]:
    tools = await sync_to_async(released)(context.release, context.scene)
    may_ask = context.may_ask
    return {name: tool for name, tool in tools.items() if may_ask or not tool.is_irreversible}


def words_itself(turn: Running, action: DialogueAction | None) -> bool:
    """Say whether a model words a reply that may be replaced: it is not shown yet.

    A small model's on no rule, and any where a strict rule is to be said.
    """
    if action is None or action.calls_a_tool:
        return False
    if bound_by(turn, action):
        return True
    rests_on_none = action.name != CLOSE and not turn.cited(action)
    return turn.context.release.quotes and (action.name == HANDOFF or rests_on_none)


def bound_by(turn: Running, action: DialogueAction) -> list[Rule]:
    """Return the rules beside which no model may word its answer: a strict one is among them.

    Cited, or found first: then what is cited instead is said as written, too. A question is no
    way round it, "Did you know that it is harmless?": what a tool lacks, code asks for.
    """
    cited, first = turn.cited(action), turn.rules[:1]
    if any(_is_strict(turn, rule) for rule in cited):
        return cited
    if not any(_is_strict(turn, rule) for rule in first):
        return []
    return first if first[0].similarity >= occasions.SPEAKS else cited or first


def _is_strict(turn: Running, rule: Rule) -> bool:
    mode = turn.context.release.composition_of(rule.risk)
    return mode == str(Composition.STRICT)


def told_of(turn: Running, rules: Sequence[Rule] = ()) -> str:
    """Return what this turn's calls told, by their templates, where the release speaks so.

    Or where one of these `rules` is strict: then no model words results either. Of several calls
    about the same thing the last one tells.
    """
    last, tool = last_call(turn)
    speaks = turn.context.release.quotes or any(_is_strict(turn, rule) for rule in rules)
    if last is None or tool is None or tool.name not in turn.made:
        return ""
    if failed(last.result) or not speaks:
        return ""
    calls = turn.lines[-sum(map(len, turn.made.values())) :]
    told = {frozenset(composing.subject(call)): _in_words(turn, call) for call in calls}
    return "\n".join(filter(None, told.values()))


def _in_words(turn: Running, call: Line) -> str:
    tool = turn.tools.get(call.name)
    if tool is None or failed(call.result):
        return ""
    return composing.filled(turn.say(tool.tells), call.result)


def last_call(turn: Running) -> tuple[Line | None, Tool | None]:
    """Return the dialogue's last line and its tool, if that is what a call or a job brought."""
    last = turn.lines[-1] if turn.lines else None
    if last is None or last.role != "tool":
        return None, None
    return last, turn.tools.get(last.name)


def pay(turn: Running, step: Step, cost: Decimal) -> None:
    turn.spent.money += cost
    step.cost = round(step.cost + float(cost), 8)


def named(turn: Running) -> str:
    """Return what customers said and tools told: what the agent made up grounds nothing."""
    return "\n".join(str(line) for line in turn.lines[-LINES_SHOWN:] if line.role != "agent")


def waiting(turn: Running) -> str:
    """Return what the customer wrote since the agent spoke last."""
    return " ".join(unanswered(turn.lines))


def patterns(turn: Running) -> list[str]:
    """Return the patterns of all identifiers that the turn's tools take."""
    return list(patterns_of([tool.parameters for tool in turn.tools.values()]))


def is_mistyped(turn: Running) -> bool:
    """Say whether a number that waits for an answer is none that a tool could take."""
    return mistyped(waiting(turn), patterns(turn))


def named_now(turn: Running) -> str:
    """Return what `named` does; where a number is mistyped, nothing that was named before it."""
    return waiting(turn) if is_mistyped(turn) else named(turn)


def with_sources(turn: Running, action: DialogueAction, unit_ids: Sequence[int]) -> DialogueAction:
    """Return the action citing these rules as well."""
    return replace(action, knowledge=list(dict.fromkeys([*action.knowledge, *unit_ids])))
