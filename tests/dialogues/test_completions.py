"""The deployed agent behind the OpenAI API, asked by the official client."""

import json

import httpx2
import openai
from asgiref.sync import sync_to_async
from django.core.asgi import get_asgi_application
from django.test import TransactionTestCase

from dialogues.models import Channel, Control, Conversation, Handover, Turn
from tests.engine import EngineMixin, says
from tests.factories import make_release, make_scene, make_user
from wowconsole.apikeys import issue_key

ASKED = [
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "Hello!"},
    {"role": "user", "content": [{"type": "text", "text": "Where is my order?"}]},
]


class CompletionTests(EngineMixin, TransactionTestCase):
    def setUp(self):
        super().setUp()
        self.release = make_release(live=True, name="starter-9")
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
            [system, *ASKED],
            ASKED[:2],
            [{"role": "user", "content": ""}],
            [{"role": "user", "content": None}],
            [{"role": "user", "content": [{"type": "text", "text": " "}]}],
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
