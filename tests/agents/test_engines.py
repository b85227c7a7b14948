"""Talking to an engine over HTTP."""

import asyncio

from django.test import SimpleTestCase

from agents import engines
from agents.models import ModelVersion, WeightsKind
from tests.engine import Answer, EngineMixin, says

MESSAGES = [{"role": "user", "content": "Hi"}]


def version(**fields):
    return ModelVersion(**{"name": "base", "kind": WeightsKind.BASE, **fields})


async def heard(of, schema=None):
    return [piece async for piece in engines.stream(of, MESSAGES, schema)]


class StreamTests(EngineMixin, SimpleTestCase):
    async def test_pieces_then_the_whole(self):
        self.engine.will(Answer("abcdef", pieces=3))
        *pieces, whole = await heard(version())
        assert pieces == ["ab", "cd", "ef"]
        assert whole.text == "abcdef"
        assert (whole.prompt_tokens, whole.completion_tokens) == (7, 5)
        assert 0 < whole.first_token_ms <= whole.engine_ms

    async def test_what_is_asked(self):
        await heard(version(), {"type": "object"})
        (asked,) = self.engine.requests
        assert asked["model"] == "base"
        assert asked["messages"] == MESSAGES
        assert asked["response_format"]["json_schema"]["schema"] == {"type": "object"}
        assert (asked["temperature"], asked["stream"]) == (0, True)
        assert asked["max_tokens"] == engines.LONGEST_OUTPUT

    async def test_what_can_not_be_stored_is_left_out(self):
        self.engine.will(Answer("a\0b", pieces=1))
        assert (await heard(version()))[-1].text == "ab"

    async def test_every_failure_is_one_exception(self):
        for answer in (
            Answer(status=400),
            Answer(status=401),
            Answer(raw=b"data: {\n\n"),
            Answer(raw=b'data: {"error": {"message": "no memory"}}\n\n'),
        ):
            self.engine.will(answer)
            with self.assertRaises(engines.EngineUnavailable):
                await heard(version())
        with (
            self.settings(ENGINE_URL="http://127.0.0.1:9/v1"),
            self.assertRaises(engines.EngineUnavailable),
        ):
            await asyncio.to_thread(engines.complete_text, version(), MESSAGES, None)

    async def test_a_passing_failure_is_tried_again(self):
        self.engine.will(Answer(status=500), Answer("ok"))
        assert (await heard(version()))[-1].text == "ok"


class AdapterTests(EngineMixin, SimpleTestCase):
    adapter = {"name": "tuned", "kind": WeightsKind.ADAPTER, "folder": "/weights/tuned"}

    def setUp(self):
        super().setUp()
        self.engine.serves = {"base"}

    async def test_it_is_loaded_on_first_use_and_once(self):
        for _ in range(2):
            assert (await heard(version(**self.adapter)))[-1].text
        assert self.engine.loads == [{"lora_name": "tuned", "lora_path": "/weights/tuned"}]

    async def test_an_engine_that_forgot_it_gets_it_again(self):
        await heard(version(**self.adapter))
        self.engine.serves = {"base"}  # it was restarted
        await heard(version(**self.adapter))
        assert len(self.engine.loads) == 2

    async def test_weights_without_a_folder_can_not_be_loaded(self):
        with self.assertRaisesMessage(engines.EngineUnavailable, "does not serve other"):
            await heard(version(name="other"))

    async def test_an_engine_that_can_not_load(self):
        with (
            self.settings(ENGINE_URL=self.engine.url + "/nowhere"),
            self.assertRaisesMessage(engines.EngineUnavailable, "can't load tuned"),
        ):
            await engines.load(version(**self.adapter))

    def test_workers_get_a_whole_answer_as_often_as_they_ask(self):
        self.engine.will(says("One."), says("Two."))
        assert "One." in engines.complete_text(version(), MESSAGES, None)
        assert "Two." in engines.complete_text(version(), MESSAGES, None)
