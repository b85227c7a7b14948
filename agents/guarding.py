"""What stands between a model's action and the customer: sources, and who may word it."""

import re
from dataclasses import replace

from agents import (
    addressing,
    admitting,
    composing,
    courtesies,
    echoing,
    generating,
    languages,
    parroting,
    promising,
    proposing,
    turning,
)
from agents.actions import BUILT_IN, CLARIFY, HANDOFF, REPLY, DialogueAction
from agents.calling import failed
from agents.happenings import Step
from agents.models import Composition, Tool, ToolKind
from agents.prompting import Line, Rule
from agents.sources import Grounds, Source, result_source, source
from agents.turning import Running, told_of, with_sources

UNLISTED = "not in English or Chinese: say a rule as it is written, or hand off"
# What such a tool does is told by its result; many services take their questions as POST.
_LOOKS = re.compile(
    r"(look|find|get|list|search|check|track|show|read|see|view|fetch|calc)[a-z]*(_|-|$)"
)


def checked(turn: Running, action: DialogueAction, step: Step) -> DialogueAction | None:
    """Return what may be said, or None with `step.fault` and `step.problems` set.

    Where the figures of a reply stand in a rule that was found but not cited, it is cited.
    """
    action = admitting.instead(turn, _composed(turn, admitting.staying(turn, action)))
    if missing := _unfilled(turn, action):
        names = ", ".join(missing)
        step.problems = [f"{names}: no tool result gives it; call the tool first, or hand off"]
    else:
        step.problems = problems_of(turn, action)
        if step.problems and (rule := _silent_source(turn, action)):
            action, step.problems = with_sources(turn, action, [rule.id]), []
            action = _composed(turn, action)
    step.fault = "unbacked" if step.problems else ""
    if step.problems:
        return None
    action = replace(action, knowledge=[rule.id for rule in turn.cited(action)])
    step.action = action.as_dict()
    return action


def _unfilled(turn: Running, action: DialogueAction) -> list[str]:
    """Return the fields of cited rules that a reply leaves open, or for which there is none."""
    missing = composing.missing_fields(turn.cited(action), turn.lines)
    is_silent = not action.reply.strip()
    return [name for name in missing if is_silent or f"{{{name}}}" in action.reply]


def _mode(turn: Running, rule: Rule) -> str:
    return turn.context.release.composition_of(rule.risk)


def _composed(turn: Running, action: DialogueAction) -> DialogueAction:
    """Put the rules' own words in place of a model's where their composition wants that."""
    is_bound = bool(turning.bound_by(turn, action))
    action = _bound(turn, action)
    cited, called = turn.cited(action), bool(turn.made)
    told = told_of(turn, cited)
    pairs = [(rule, Composition.STRICT if is_bound else _mode(turn, rule)) for rule in cited]
    if early := composing.composed_early(action, pairs, turn.lines, has_called=called, told=told):
        return early
    if action.name != REPLY:
        return action
    styled = [rule for rule, mode in pairs if mode == Composition.STYLED]
    if styled and not called and not all(composing.is_close(action.reply, r) for r in styled):
        return replace(action, reply=composing.as_written(cited, turn.lines).text)
    return action


def _bound(turn: Running, action: DialogueAction) -> DialogueAction:
    """Return what a strict rule leaves of an action: its own words, a question, or a person.

    Whichever action a model chose, and also where it cites another rule than the strict one that
    says almost what the customer said.
    """
    rules = turning.bound_by(turn, action)
    if not rules:
        return action
    if action.name == HANDOFF:
        return replace(action, reply=turn.say(courtesies.COLLEAGUE))
    lacks = composing.missing_fields(rules, turn.lines)
    if lacks and (asked := proposing.asked_first(turn)):
        return replace(action, name=CLARIFY, reply=asked.reply, knowledge=[])
    return replace(action, name=REPLY, knowledge=[rule.id for rule in rules])


def problems_of(turn: Running, action: DialogueAction) -> list[str]:
    """Return what the reply says without a source; a rule said as written has one."""
    cited = turn.cited(action)
    told = told_of(turn, cited)
    written = [composing.as_written([rule], turn.lines).text for rule in cited]
    known = [*written, "\n".join(written), told, *(f"{told}\n{text}" for text in written)]
    if action.name not in BUILT_IN or (action.reply and action.reply in known):
        return []
    problems = _unsourced(turn, action, cited)
    if not languages.may_be_said(action.reply):
        problems.append(UNLISTED)
    if len(action.reply) > generating.LONGEST_SAID:
        problems.append(generating.TOO_LONG)
    if admitting.asks_nothing(turn, action):
        problems.append(admitting.ASKS_NOTHING)
    if copied := _copied(turn, action):
        problems.append(f"these words, which are not yours to repeat: {copied}")
    return problems


def _copied(turn: Running, action: DialogueAction) -> str:
    """Return what the reply repeats at length of customers' words or of its instructions.

    Words that stand in a rule may be said, whoever said them too.
    """
    said = [line.text for line in turn.lines if line.role == "customer"]
    copied = parroting.repeated(action.reply, [*said, turn.instructions])
    rules = [rule.content for rule in turn.rules]
    return "" if parroting.repeated(copied, rules) else copied


def is_backed(turn: Running, decided: DialogueAction | None, sentence: str) -> bool:
    """Say whether a sentence of a reply under way may be shown already."""
    if decided is None:
        return False
    said = replace(decided, reply=sentence)
    return not problems_of(turn, said) or _silent_source(turn, said) is not None


def _silent_source(turn: Running, action: DialogueAction) -> Rule | None:
    """Return a rule that was shown and not cited, and with which all has a source."""
    cited = turn.cited(action)
    for rule in turn.rules:
        if rule in cited:
            continue
        if not _unsourced(turn, action, [*cited, rule]):
            return rule
    return None


def _unsourced(turn: Running, action: DialogueAction, rules: list[Rule]) -> list[str]:
    grounds = _grounds(turn, action, rules)
    return promising.unbacked(action.reply, grounds) + addressing.unsourced(action.reply, grounds)


def _grounds(turn: Running, action: DialogueAction, rules: list[Rule]) -> Grounds:
    grounds = Grounds(hands_over=action.name == HANDOFF, offers=_offers(turn))
    grounds.rules.extend(source(f"{rule.condition}. {rule.content}") for rule in rules)
    for line in turn.lines:
        if line.role == "tool":
            _kept_of(line, grounds).append(_result(turn, line))
        elif line.role == "agent" and not line.is_staff:
            grounds.stated.append(source(echoing.stated(line.text)))
        else:
            (grounds.staff if line.is_staff else grounds.said).append(source(line.text))
    return grounds


def _kept_of(line: Line, grounds: Grounds) -> list[Source]:
    """Return where a tool's line stands: what a refusal says may be repeated, but proves no deed.

    So may what was read in the customer's own file. A summary of the talk is no more than the
    customer's words.
    """
    if line.is_hearsay:
        return grounds.said
    return grounds.stated if line.is_customers or failed(line.result) else grounds.told


def _offers(turn: Running) -> str:
    """Return in words what the turn's tools do."""
    return "; ".join(filter(None, map(_deed, turn.tools.values())))


def _result(turn: Running, line: Line) -> Source:
    deed = _deed(turn.tools.get(line.name))
    return result_source(line.name, line.arguments, line.result, deed=deed)


def _deed(tool: Tool | None) -> str:
    """Return in words what a call of this tool does, "" if it only looks something up."""
    if tool is None or not _changes(tool):
        return ""
    return f"{tool.name.replace('_', ' ')} {tool.description} {tool.occasions}"


def _changes(tool: Tool) -> bool:
    if tool.is_irreversible or tool.kind == ToolKind.SUBAGENT:
        return True
    annotations = (tool.approved or {}).get("annotations") or {}
    only_reads = tool.kind == ToolKind.HTTP and tool.method == "GET"
    only_reads = only_reads or annotations.get("readOnlyHint") is True
    return not only_reads and not _LOOKS.match(tool.name)
