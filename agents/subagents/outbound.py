"""The calling agent: leads a call by a goal card and brings back what it found out.

Code leads (agents.subagents.flow): which fact is asked for next, when to stop, what is read
back. The model words the questions and reports what it heard; a model as small as the
embedded one often does neither usably, then the template's words are said and only the typed
readers are believed (agents.subagents.wording, readers). Each line of the transcript keeps
which it was. Every exchange is stored as it happens: another process goes on from there.
"""

from collections.abc import Mapping
from copy import deepcopy
from decimal import Decimal
from typing import Any

from asgiref.sync import sync_to_async
from django.utils import timezone

from agents.calling import call_tool, failed
from agents.models import Tool
from agents.subagents import (
    CostClass,
    Data,
    GaveUp,
    Outcome,
    Overtaken,
    Said,
    SubAgent,
    TryAgain,
    Work,
    flow,
    register,
    reporting,
    taking,
)
from agents.subagents.cards import CARD, Card, blanks, fill, read_card
from agents.subagents.flow import Move, State
from agents.subagents.transports import Ear, Heard, Opened, Transport, transport_for
from agents.subagents.wording import template_words, words_for

CALL = "outbound_call"
HEAR_SECONDS = 60.0  # of silence on a spoken line; who types is given longer by their line
TIMEOUT_SECONDS = 6 * 3600
REDIAL_SECONDS = 300.0
UNWANTED = "They may not want to be called again. Please decide."


async def call(work: Work) -> Outcome:
    """Make the call of a job as far as it goes now, and say what came of it.

    Raises:
        Parked: the callee has to act first.
        TryAgain: nobody answered; GaveUp: there is nobody to call.
    """
    card = read_card(await _card_data(work))
    state = _stored_state(work)
    line = transport_for(work, card)
    try:
        return await _lead(work, card, state, line)
    finally:
        await line.release()


def _stored_state(work: Work) -> State:
    """Return where the call stands; a release without `heard` stored what tells it."""
    stored = work.memory.get("state", {})
    state = State(**stored)
    if stored and "heard" not in stored:
        said = [line.number for line in work.lines if line.speaker == "agent"]
        taken = [line.number for line in work.lines if line.speaker == "callee"]
        if state.awaiting and said:  # what came after it was not taken yet
            taken = [number for number in taken if number < said[-1]]
        state.heard = max(taken, default=0)
    return state


async def _card_data(work: Work) -> Data:
    """Return the card; a plan's is filled once, and then kept with the job."""
    if "card" in work.memory:
        return dict(work.memory["card"])
    plan = work.memory.get("plan")
    card = await _fill_plan(work, plan) if plan else work.arguments
    await work.keep(memory=work.memory | {"card": card})
    return card


async def _fill_plan(work: Work, plan: Mapping[str, Any]) -> Data:
    told, record = dict(work.arguments), {}
    if name := plan["look_up"]:
        tool = await Tool.objects.filter(name=name, is_active=True).afirst()
        if tool is None:
            raise GaveUp(f"The tool {name} is not there.")
        await _check_price(work, tool)
        wanted = tool.parameters.get("properties", {})
        asked = {key: value for key, value in work.arguments.items() if key in wanted}
        key = f"{work.key}-look-up"
        answer = await call_tool(tool, asked, key=key, identified=True, customer=work.customer)
        if answer.is_priced:
            await work.keep(memory=work.memory, paid=Decimal(tool.cost_per_call))
        if failed(answer.data):
            raise GaveUp(f"Nobody was called: {answer.data['error']}.")
        record = answer.data
        told = record | told
    card = fill(plan["card"], told)
    address = _address(plan["addresses"], card["whom"]["name"], record)
    return card | {"whom": {**card["whom"], "address": address}}


async def _check_price(work: Work, tool: Tool) -> None:
    left = await work.money_left()
    if left is not None and not tool.uses_fixtures and tool.cost_per_call > left:
        raise GaveUp(f"Nobody was called: {tool.name} costs more than the caps leave.")


def _address(addresses: Mapping[str, str], name: str, record: Data) -> str:
    """Return the plan's address for a name; "tel:{phone}" takes the phone of the record.

    Of the record alone, never of the arguments: those are words of a model or a customer.

    Raises:
        GaveUp: the record does not say.
    """
    address = addresses.get(name) or addresses.get("*", "")
    if lacking := sorted(blanks(address) - {key for key, value in record.items() if value}):
        raise GaveUp(f"Nobody was called: the record of {name} has no {', '.join(lacking)}.")
    return str(fill({"address": address}, record)["address"])


async def _lead(work: Work, card: Card, state: State, line: Transport) -> Outcome:
    opened = await line.open()
    if opened != Opened.ANSWERED:
        return await _unanswered(work, card, state, line, opened)
    if state.move and not line.outlives_process:
        await _speak_again(work, card, state, line)
    while not state.over:
        if not state.awaiting:
            state = await _speak(work, card, state, line)
        else:
            await _listen(work, card, state, line)
    await line.hang_up()
    if _calls_back(work, state):
        await _keep(work, _anew(state), Said("note", "They asked to be called back."))
        raise TryAgain(f"{card.whom} asked to be called back.", seconds=REDIAL_SECONDS)
    return await _outcome(card, state, work.lines)


def _calls_back(work: Work, state: State) -> bool:
    """Say whether to call again, as they asked; in doubt whether they want that, not."""
    wanted = state.ended == flow.CALL_BACK and not state.unwanted
    return wanted and work.attempt < work.most_attempts


def _anew(state: State) -> State:
    """Return the state for another try: what is known stays known."""
    return State(facts=state.facts, offered=state.offered, heard=state.heard)


async def _unanswered(
    work: Work, card: Card, state: State, line: Transport, opened: Opened
) -> Outcome:
    """Leave a message where a machine listens; else try again, and in the end say so."""
    if opened == Opened.VOICEMAIL:
        words = template_words(card, state, Move("voicemail"))
        await _keep(work, state, Said("agent", words, {"by": "template"}))
        await line.say(words)
    await line.hang_up()
    await _keep(work, state, Said("note", opened.value.replace("_", " ").capitalize()))
    if work.attempt < work.most_attempts:
        raise TryAgain(f"{card.whom} does not answer.", seconds=REDIAL_SECONDS)
    voicemail = opened == Opened.VOICEMAIL
    state.ended = flow.VOICEMAIL if voicemail else flow.NO_ANSWER
    return await _outcome(card, state, work.lines)


async def _speak(work: Work, card: Card, state: State, line: Transport) -> State:
    """Choose, word, store and say one move. Stored first: what is said stands in the log.

    Returns where the call stands: with a line that came in while this one was worded, it stands
    where it stood, and that line is to be heard before anything is said.
    """
    before = deepcopy(state)
    move = flow.next_move(card, state)
    words = await words_for(work, card, state, move, by_voice=not line.outlives_process)
    _believe(work, card, state, words.facts)
    if move.kind in ("ask", "ask_again") and move.about in state.facts:
        await _keep(work, state, tokens=words.tokens)
        return state  # the model heard what the readers missed: this need not be asked
    flow.note_said(state, move)
    said = Said("agent", words.say, words.data | {"move": move.kind, "about": move.about})
    progress = _progress(card, move)
    try:
        await _keep(work, state, said, progress=progress, tokens=words.tokens, heard=state.heard)
    except Overtaken:
        before.awaiting, before.withheld = True, state.withheld
        await _keep(work, before, tokens=words.tokens)
        return before
    spoken = await line.say(words.say)
    if spoken.interrupted:
        flow.note_cut_off(state, move, len(spoken.said) / max(len(words.say), 1))
        await _keep(work, state, Said("note", f"Interrupted after: {spoken.said}"))
    return state


async def _speak_again(work: Work, card: Card, state: State, line: Transport) -> None:
    """Say who is there again on a line that a dead process has dropped; then go on."""
    state.awaiting = False
    words = template_words(card, state, Move("again"))
    said = Said("agent", words, {"by": "template", "move": "again"})
    await _keep(work, state, Said("note", "The line was cut off."), said)
    await line.say(words)


def _believe(work: Work, card: Card, state: State, claimed: Data) -> None:
    """Take what the model heard in the callee's last words, unless they answer a reading back."""
    heard = [line for line in work.lines if line.speaker == "callee"]
    if not heard or not claimed or state.last.kind == "confirm":
        return
    last, today = heard[-1], timezone.localdate()
    if last.data.get("confidence", 1.0) >= taking.CLEAR:
        taking.accept(card, state, claimed, last.text, line=last.number, today=today)


def _progress(card: Card, move: Move) -> str | None:
    if move.kind == "greet":
        return f"Talking with {card.whom}"
    return "Reading back what was said" if move.kind == "confirm" else None


async def _listen(work: Work, card: Card, state: State, line: Transport) -> None:
    heard = await line.hear(HEAR_SECONDS, state.heard)
    new = [] if heard.number else [_heard_line(heard)]
    number = heard.number or (work.lines[-1].number if work.lines else 0) + 1
    was_unwanted = state.unwanted
    taking.take(card, state, heard, line=number, today=timezone.localdate())
    if state.ended == flow.NEVER and not await line.never_again(heard.text):
        state.ended, state.unwanted = flow.REFUSED, True  # nothing to promise: no list knows them
    if state.unwanted and not was_unwanted:
        new.append(Said("note", UNWANTED))
    await _keep(work, state, *new)
    if heard.number:  # the line stored it; this process is to know it too
        work.lines.append(Said("callee", heard.text, {}, heard.number))


def _heard_line(heard: Heard) -> Said:
    match heard.ear:
        case Ear.SPEECH:
            return Said("callee", heard.text, {"confidence": heard.confidence})
        case Ear.SILENCE:
            return Said("note", "Silence")
    return Said("note", "They hung up")


async def _keep(
    work: Work,
    state: State,
    *lines: Said,
    progress: str | None = None,
    tokens: tuple[int, int] = (0, 0),
    heard: int | None = None,
) -> None:
    memory = work.memory | {"state": state.as_dict()}
    await work.keep(memory=memory, lines=lines, progress=progress, tokens=tokens, heard=heard)


async def _outcome(card: Card, state: State, lines: list[Said]) -> Outcome:
    return await sync_to_async(reporting.outcome, thread_sensitive=False)(
        card, state, lines
    )  # asks a judge


register(
    SubAgent(
        name=CALL,
        version=1,
        description="call somebody and find something out",
        inputs=CARD,
        outputs=reporting.RESULT,
        timeout_seconds=TIMEOUT_SECONDS,
        cost_class=CostClass.HIGH,
        run=call,
        most_attempts=3,
        is_tool=False,
        tell=reporting.tell,
    )
)
