"""The deployed agent behind the OpenAI API, asked by the official client."""

import asyncio
import json
from datetime import timedelta
from uuid import uuid4

import httpx2
import openai
from asgiref.sync import sync_to_async
from django.core.asgi import get_asgi_application
from django.db import connection
from django.test import TransactionTestCase
from django.utils import timezone

from dialogues import answering
from dialogues.desk import control
from dialogues.models import Channel, Control, Conversation, Event, Handover, Turn
from tests.dialogues.test_answering import ORDER_ID
from tests.engine import EngineMixin, calls, says
from tests.factories import make_conversation, make_release, make_scene, make_tool, make_user
from tests.toolserver import business
from wowconsole.apikeys import issue_key

ASKED = [
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "Hello!"},
    {"role": "user", "content": [{"type": "text", "text": "Where is my order?"}]},
]


class CompletionCase(EngineMixin, TransactionTestCase):
    tools = ()

    def setUp(self):
        super().setUp()
        self.release = make_release(live=True, name="starter-9", tools=list(self.tools))
        self.user = make_user("operator")
        self.secret = issue_key(user=self.user, name="shop", scopes=["dialogues.reply"])[1]

    def client_of(self, secret=None):
        transport = httpx2.ASGITransport(app=get_asgi_application())
        return openai.AsyncOpenAI(
            base_url="http://testserver/v1",
            api_key=secret or self.secret,
            max_retries=0,
            http_client=httpx2.AsyncClient(transport=transport),
        )

    async def ask(self, secret=None, **fields):
        client = self.client_of(secret)
        return await client.chat.completions.create(
            **{"model": "live", "messages": ASKED, **fields}
        )

    async def refused(self, kind, **fields):
        with self.assertRaises(kind) as caught:
            await self.ask(**fields)
        assert await Turn.objects.acount() == 0
        return caught.exception


class CompletionTests(CompletionCase):
    async def test_a_whole_answer(self):
        answer = await self.ask(model="starter-9", user="Ann")
        assert answer.choices[0].message.content == "Hello from the engine."
        assert answer.choices[0].finish_reason == "stop"
        assert answer.usage.total_tokens == 12
        turn = await Turn.objects.select_related("conversation").aget()
        assert answer.wowconsole["turn"] == str(turn.public_id)
        assert (turn.conversation.channel, turn.conversation.customer) == (Channel.API, "Ann")

    async def test_the_model_sees_the_whole_talk(self):
        await self.ask()
        prompt = self.engine.requests[0]["messages"][-1]["content"]
        assert "customer: Hi\nagent: Hello!\ncustomer: Where is my order?" in prompt

    async def test_where_the_assistant_only_called_a_tool_it_said_nothing(self):
        call = {"name": "look_up", "arguments": "{}"}
        called = {"id": "1", "type": "function", "function": call}
        silent = [
            {"role": "assistant", "content": None, "tool_calls": [called], "refusal": None},
            {"role": "assistant", "tool_calls": [called]},
            {"role": "assistant", "content": ""},
            {"role": "assistant", "content": []},
        ]
        parts = [{"type": "text", "text": "Hello!"}, {"type": "text", "text": "What is it?"}]
        said = {"role": "assistant", "content": parts}
        await self.ask(messages=[ASKED[0], *silent, said, ASKED[2]])
        prompt = self.engine.requests[0]["messages"][-1]["content"]
        assert "customer: Hi\nagent: Hello! What is it?\ncustomer: Where is" in prompt

    async def test_what_tools_of_the_programs_own_told_is_left_out(self):
        told = {"role": "tool", "tool_call_id": "1", "content": "Internal figures"}
        silent = {"role": "assistant", "content": None}
        await self.ask(messages=[ASKED[0], silent, told, *ASKED[1:]])
        prompt = self.engine.requests[0]["messages"][-1]["content"]
        assert "customer: Hi\nagent: Hello!\ncustomer: Where is" in prompt
        assert "Internal figures" not in prompt

    async def test_what_the_agent_said_may_be_long(self):
        rule = {"role": "assistant", "content": "A long rule. " * 300}
        answer = await self.ask(messages=[ASKED[0], rule, ASKED[2]])
        assert answer.choices[0].message.content == "Hello from the engine."

    async def test_what_is_null_or_empty_is_not_given(self):
        null = {"stream": None, "user": None, "metadata": None, "stream_options": None}
        assert (await self.ask(extra_body=null)).choices[0].message.content
        await self.ask(user="", metadata={"scene": "", "other": ""})

    async def test_a_streamed_answer_is_the_stored_one(self):
        pieces = [
            chunk.choices[0].delta.content or "" async for chunk in await self.ask(stream=True)
        ]
        assert "".join(pieces) == "Hello from the engine."
        assert len([piece for piece in pieces if piece]) > 1

    async def test_usage_comes_last_for_who_asks_for_it(self):
        asked = await self.ask(stream=True, stream_options={"include_usage": True})
        *chunks, last = [chunk async for chunk in asked]
        assert (last.choices, last.usage.total_tokens) == ([], 12)
        assert not any(chunk.usage for chunk in chunks)

    async def test_what_was_streamed_and_withdrawn_is_followed_by_what_was_said(self):
        self.engine.will(says("Half of an answer that breaks off here.", cut_after=11))
        text = "".join(
            [chunk.choices[0].delta.content or "" async for chunk in await self.ask(stream=True)]
        )
        stored = await sync_to_async(lambda: Turn.objects.get().events.last().text)()
        assert stored == "Hello from the engine."
        assert text.startswith("Half of an answer")
        assert text.count(stored) == 1
        assert text.endswith(f"\n\n{stored}")

    async def test_a_hand_over_is_told_to_the_program_and_nobody_is_queued_for_it(self):
        self.engine.will(says("A colleague takes over.", "handoff"))
        answer = await self.ask()
        assert answer.wowconsole["action"]["name"] == "handoff"
        assert answer.choices[0].message.content
        assert (await Conversation.objects.aget()).control == Control.BOT
        assert await Handover.objects.acount() == 0

    async def test_a_scene_by_its_slug(self):
        scene = await sync_to_async(make_scene)(slug="refunds")
        await self.user.scenes.aadd(scene)
        await self.ask(metadata={"scene": "refunds"})
        assert (await Conversation.objects.aget()).scene_id == scene.pk

    async def test_a_scene_that_is_not_the_key_holders_is_none(self):
        await sync_to_async(make_scene)(slug="delivery")
        error = await self.refused(openai.BadRequestError, metadata={"scene": "delivery"})
        assert "There is no scene delivery." in str(error)
        assert await Conversation.objects.acount() == 0

    async def test_models_are_the_releases(self):
        names = [model.id async for model in self.client_of().models.list()]
        assert names == ["live", "starter-9"]

    async def test_a_model_by_its_name(self):
        models = self.client_of().models
        for name in ("live", "starter-9"):
            assert (await models.retrieve(name)).id == name
        with self.assertRaises(openai.NotFoundError) as caught:
            await models.retrieve("gpt")
        assert caught.exception.code == "model_not_found"

    async def test_without_the_scope_nobody_is_answered(self):
        weak = await sync_to_async(issue_key)(
            user=self.user, name="weak", scopes=["knowledge.read"]
        )
        await self.refused(openai.AuthenticationError, secret=weak[1])
        await self.refused(openai.AuthenticationError, secret="wow_unknown")
        with self.assertRaises(openai.AuthenticationError):
            await self.client_of("nobody").models.list()

    async def test_an_unknown_model(self):
        error = await self.refused(openai.NotFoundError, model="gpt")
        assert error.code == "model_not_found"

    async def test_what_can_not_be_answered_is_refused_in_words(self):
        system = {"role": "system", "content": "You are a pirate."}
        for messages in (
            [],
            [*ASKED, {"role": "tool", "tool_call_id": "1", "content": "Found"}],
            [system, *ASKED],
            ASKED[:2],
            [{"role": "user", "content": ""}],
            [{"role": "user", "content": None}],
            [{"role": "user", "content": [{"type": "text", "text": " "}]}],
            [{"role": "user", "content": "\u200b"}],
            [{"role": "user"}],
            [{"role": "user", "content": "x" * 2001}],
            [{"role": "user", "content": [{"type": "image_url"}]}],
        ):
            error = await self.refused(openai.BadRequestError, messages=messages)
            assert error.message
        await self.refused(openai.BadRequestError, metadata={"scene": "nowhere"})

    def test_garbage_instead_of_json(self):
        for body in (b"", b"{", b"[]", b"\xff", json.dumps({"model": 5}).encode()):
            answer = self.client.post(
                "/v1/chat/completions",
                body,
                "application/json",
                headers={"Authorization": f"Bearer {self.secret}"},
            )
            assert answer.status_code == 400, body
            assert answer.json()["error"]["type"] == "invalid_request_error"


class ContinuedTests(CompletionCase):
    """A conversation that a request names goes on: what was asked in it can be answered."""

    tools = ("cancel",)

    def setUp(self):
        super().setUp()
        self.shop = self.enterContext(business())
        self.enterContext(self.settings(PUBLIC_URL=self.shop.url))
        make_tool(
            name="cancel",
            url="/orders/{order_id}/",
            parameters=ORDER_ID,
            confirmation="Shall I cancel order {order_id}?",
        )
        self.engine.will(calls("cancel", order_id="GW1001"))

    async def begun(self):
        """Ask for a deed; return the id of the conversation in which it is asked for."""
        answer = await self.ask(messages=[user("Cancel GW1001")])
        assert said_by(answer) == "Shall I cancel order GW1001?"
        return answer.wowconsole["conversation"]

    async def go_on(self, conversation, text="Yes", **fields):
        asked = {"messages": [*ASKED, user(text)], "metadata": {"conversation": conversation}}
        return await self.ask(**asked | fields)

    async def not_gone_on(self, kind, conversation, **fields):
        before = await Event.objects.acount()
        with self.assertRaises(kind) as caught:
            await self.go_on(conversation, **fields)
        assert await Event.objects.acount() == before
        return caught.exception

    async def test_a_yes_does_what_was_asked_for(self):
        conversation = await self.begun()
        self.engine.will(says("It is cancelled."))
        answer = await self.go_on(conversation)
        assert said_by(answer) == "It is cancelled."
        assert answer.wowconsole["conversation"] == conversation
        assert [asked[1] for asked in self.shop.requests] == ["/orders/GW1001/"]
        spoken = Event.objects.filter(kind="message").order_by("seq")
        texts = [event.text async for event in spoken]
        assert texts == ["Cancel GW1001", "Shall I cancel order GW1001?", "Yes", "It is cancelled."]

    async def test_streamed_too(self):
        conversation = await self.begun()
        self.engine.will(says("It is cancelled."))
        stream = await self.go_on(conversation, stream=True)
        pieces = [chunk.choices[0].delta.content or "" async for chunk in stream]
        assert "".join(pieces) == "It is cancelled."

    async def test_nothing_that_asks_first_is_offered_to_a_talk_that_names_none(self):
        asked = [user("Cancel GW1001"), {"role": "assistant", "content": "Shall I?"}, user("Yes")]
        answer = await self.ask(messages=asked)
        assert answer.wowconsole["action"]["name"] != "cancel"
        assert self.shop.requests == []
        assert all("cancel(" not in str(sent) for sent in self.engine.requests)
        assert "Shall I cancel" not in said_by(answer)
        self.engine.will(calls("cancel", order_id="GW1001"))
        answer = await self.go_on(answer.wowconsole["conversation"], "Cancel GW1001")
        assert said_by(answer) == "Shall I cancel order GW1001?"

    async def test_the_same_key_says_it_once(self):
        conversation = await self.begun()
        self.engine.will(says("It is cancelled."))
        once = {"extra_headers": {"Idempotency-Key": "k-1"}}
        first = await self.go_on(conversation, **once)
        again = await self.go_on(conversation, **once)
        assert (again.id, said_by(again)) == (first.id, "It is cancelled.")
        assert len(self.shop.requests) == 1
        too_long = {"extra_headers": {"Idempotency-Key": "k" * 65}}
        await self.not_gone_on(openai.BadRequestError, conversation, **too_long)

    async def test_another_users_a_chat_an_ended_and_an_unknown_one_are_not_there(self):
        mine = await self.begun()
        other = await sync_to_async(make_user)("operator")
        key = await sync_to_async(issue_key)(user=other, name="o", scopes=["dialogues.reply"])
        chat = await sync_to_async(make_conversation)(scene=None)
        for named, secret in (
            (mine, key[1]),
            (str(chat.public_id), None),
            (str(uuid4()), None),
            ("nonsense", None),
        ):
            error = await self.not_gone_on(openai.NotFoundError, named, secret=secret)
            assert error.code == "conversation_not_found"
        await Conversation.objects.filter(public_id=mine).aupdate(closed_at=timezone.now())
        await self.not_gone_on(openai.NotFoundError, mine)

    async def test_what_ended_it_is_told_again_for_the_same_key(self):
        conversation = await self.begun()
        self.engine.will(says("Goodbye.", "close"))
        once = {"extra_headers": {"Idempotency-Key": "k-1"}}
        first = await self.go_on(conversation, "Thanks, bye", **once)
        assert (await Conversation.objects.aget()).closed_at
        again = await self.go_on(conversation, "Thanks, bye", **once)
        assert (again.id, said_by(again)) == (first.id, said_by(first))
        new = {"extra_headers": {"Idempotency-Key": "k-2"}}
        await self.not_gone_on(openai.NotFoundError, conversation, **new)

    async def test_a_key_belongs_to_what_it_was_sent_with(self):
        conversation = await self.begun()
        once = {"extra_headers": {"Idempotency-Key": "k-1"}}
        await self.go_on(conversation, "What is it?", **once)
        error = await self.not_gone_on(openai.BadRequestError, conversation, text="Yes", **once)
        assert "another request" in str(error)

    async def test_it_waits_for_the_answer_under_way_and_for_a_person(self):
        conversation = await self.begun()
        await Turn.objects.aupdate(
            status="running", finished_at=None, leased_until=timezone.now() + timedelta(minutes=1)
        )
        error = await self.not_gone_on(openai.ConflictError, conversation)
        assert error.code == "answer_under_way"
        await Turn.objects.aupdate(status="done", finished_at=timezone.now(), leased_until=None)
        take = sync_to_async(control.take_control)
        await take(conversation=await Conversation.objects.aget(), by=self.user)
        error = await self.not_gone_on(openai.ConflictError, conversation)
        assert error.code == "person_answers"

    async def test_it_keeps_its_release(self):
        conversation = await self.begun()
        await sync_to_async(make_release)(name="starter-10")
        error = await self.not_gone_on(openai.BadRequestError, conversation, model="starter-10")
        assert "starter-9" in str(error)
        await self.go_on(conversation, "No", model="starter-9")


class OnceTests(CompletionCase):
    """A first message has no conversation yet; its key alone tells that it is a repetition."""

    once = {"extra_headers": {"Idempotency-Key": "k-1"}}

    async def test_the_same_key_begins_one_conversation(self):
        answers = [await self.ask(**self.once) for _ in range(2)]
        streamed = [chunk async for chunk in await self.ask(stream=True, **self.once)]
        assert {answer.id for answer in [*answers, *streamed]} == {answers[0].id}
        assert streamed[-1].wowconsole == answers[0].wowconsole
        assert await Conversation.objects.acount() == 1
        assert len(self.engine.requests) == 1

    async def test_another_key_and_none_begin_others(self):
        for headers in ({"Idempotency-Key": "k-2"}, {}, {}):
            await self.ask(extra_headers=headers)
        await self.ask(**self.once)
        assert await Conversation.objects.acount() == 4

    async def test_the_key_of_another_user_is_another(self):
        other = await sync_to_async(make_user)("operator")
        key = await sync_to_async(issue_key)(user=other, name="o", scopes=["dialogues.reply"])
        await self.ask(**self.once)
        await self.ask(secret=key[1], **self.once)
        assert await Conversation.objects.acount() == 2

    async def test_other_words_are_not_answered_for_it(self):
        await self.ask(**self.once)
        with self.assertRaises(openai.BadRequestError) as caught:
            await self.ask(messages=[user("And my refund?")], **self.once)
        assert "another request" in str(caught.exception)
        await self.refuses_long_keys()

    async def refuses_long_keys(self):
        with self.assertRaises(openai.BadRequestError):
            await self.ask(extra_headers={"Idempotency-Key": "k" * 65})
        assert await Conversation.objects.acount() == 1

    async def test_while_it_is_answered_the_same_key_waits(self):
        self.engine.will(says("Half of an answer that is held here.", hold_after=9))
        first = asyncio.create_task(self.ask(**self.once))
        await asyncio.to_thread(self.engine.holding.wait, 10)
        await asyncio.to_thread(apart, self.is_told_to_wait)
        self.engine.go_on.set()
        assert said_by(await first) == said_by(await self.ask(**self.once))
        assert await Turn.objects.acount() == 1

    def is_told_to_wait(self):
        headers = {"Authorization": f"Bearer {self.secret}", "Idempotency-Key": "k-1"}
        asked = {"model": "live", "messages": ASKED}
        answer = self.client.post(
            "/v1/chat/completions", asked, "application/json", headers=headers
        )
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "answer_under_way")
        assert "x-should-retry" not in answer


class TakenTests(CompletionCase):
    """A person takes the conversation while a program waits for the agent's answer."""

    once = {"extra_headers": {"Idempotency-Key": "k-1"}}

    def setUp(self):
        super().setUp()
        self.engine.will(says("Half of an answer that nobody will read.", hold_after=9))

    async def taken(self, do=control.take_control, **fields):
        """Ask, and let somebody do that while the answer is half written."""
        asking = asyncio.create_task(self.collected(**fields))
        await asyncio.to_thread(self.engine.holding.wait, 10)
        await asyncio.to_thread(apart, self.do, do)
        self.engine.go_on.set()
        with self.assertRaises(openai.APIError) as caught:
            await asking
        return caught.exception

    def do(self, what):
        self.conversation = Conversation.objects.get()
        what(conversation=self.conversation, by=self.user)

    async def collected(self, **fields):
        answer = await self.ask(**fields)
        return [chunk async for chunk in answer] if fields.get("stream") else answer

    async def test_no_empty_answer_is_given(self):
        error = await self.taken()
        assert (error.status_code, error.code) == (409, "person_answers")
        assert error.response.headers["x-should-retry"] == "false"
        named = error.body["wowconsole"]["conversation"]
        assert named == str(self.conversation.public_id)
        assert f"/api/dialogues/{named}/events/" in str(error)

    async def test_a_stream_ends_with_an_error(self):
        error = await self.taken(stream=True)
        assert error.code == "person_answers"
        named = error.body["wowconsole"]["conversation"]
        assert named == str(self.conversation.public_id)

    async def test_what_the_colleague_says_can_be_read(self):
        error = await self.taken()
        reply = sync_to_async(control.reply_as_staff)
        await reply(conversation=self.conversation, by=self.user, text="It is in Leeds.")
        named = error.body["wowconsole"]["conversation"]
        key = await sync_to_async(issue_key)(user=self.user, name="r", scopes=["dialogues.read"])
        log = await self.async_client.get(
            f"/api/dialogues/{named}/events/", headers={"Authorization": f"Bearer {key[1]}"}
        )
        said = [row["text"] for row in log.json() if row["role"] == "staff"]
        assert said == ["It is in Leeds."]

    async def test_one_that_was_ended_says_so(self):
        error = await self.taken(control.close)
        assert (error.status_code, error.code) == (409, "conversation_closed")

    async def test_the_same_key_gets_what_the_agent_said_after_it_was_handed_back(self):
        await self.taken(**self.once)
        with self.assertRaises(openai.ConflictError) as caught:
            await self.ask(**self.once)
        assert caught.exception.code == "person_answers"
        hand_back = sync_to_async(control.hand_back)
        await hand_back(conversation=self.conversation, by=self.user)
        await answering.answer_conversation(self.conversation.pk)
        answer = await self.ask(**self.once)
        assert said_by(answer) == "Hello from the engine."
        assert await Turn.objects.acount() == 2

    async def test_what_a_person_answered_is_none_of_the_agents_later_answers(self):
        await self.taken(**self.once)
        named = {"metadata": {"conversation": str(self.conversation.public_id)}}
        reply = sync_to_async(control.reply_as_staff)
        await reply(conversation=self.conversation, by=self.user, text="It is in Leeds.")
        await sync_to_async(control.hand_back)(conversation=self.conversation, by=self.user)
        assert said_by(await self.ask(messages=[user("Thank you")], **named))
        with self.assertRaises(openai.ConflictError) as caught:
            await self.ask(**self.once)
        assert caught.exception.code == "person_answers"


def apart(do, *given):
    """Do it in a thread of its own: a request that is under way may hold that of the tests."""
    try:
        do(*given)
    finally:
        connection.close()


def user(text):
    return {"role": "user", "content": text}


def said_by(answer):
    return answer.choices[0].message.content
