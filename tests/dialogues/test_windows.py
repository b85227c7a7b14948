"""What a window shows of an answer being written, and when that is over."""

from asgiref.sync import sync_to_async
from django.test import TransactionTestCase

from dialogues import services
from dialogues.chat.windows import Window
from dialogues.desk import control
from dialogues.models import CitationPolicy, Conversation, Role, Site
from tests.factories import make_conversation, make_user, say

FIRST, SECOND = "turn-1", "turn-2"


def status(turn, state="thinking"):
    return {"type": "status", "state": state, "detail": "", "turn": turn}


def delta(turn):
    return {"type": "delta", "turn": turn, "text": "It"}


class WindowCase(TransactionTestCase):
    def setUp(self):
        self.conversation = make_conversation()
        self.window = Window(self.conversation, 0)

    async def shown(self, *news):
        """Leave word of all this at once, and return in short what the window gives."""
        for each in news:
            self.window.listener.tell(each)
        given = [event async for event in self.window.news()]
        return [event.get("seq") or event.get("state") or event["type"] for event in given]

    async def answered(self, turn):
        said = sync_to_async(say)
        return (await said(self.conversation, "Yes.", Role.AGENT, data={"turn": turn})).seq


class CitationTests(WindowCase):
    async def test_a_site_that_is_known_half_way_hides_them_from_then_on(self):
        cited = {"citations": [{"unit": 1, "title": "Late delivery"}]}
        for _ in range(2):
            await sync_to_async(say)(self.conversation, "Yes.", Role.AGENT, data=cited)
        first = [event async for event in self.window.newer(upto=1)]
        site = await Site.objects.acreate(slug="shop", name="Shop", citations=CitationPolicy.HIDDEN)
        await Conversation.objects.aupdate(site=site)
        second = [event async for event in self.window.newer()]
        assert [event["citations"] for event in first + second] == [cited["citations"], []]


class OrderTests(WindowCase):
    async def test_what_passed_before_a_message_comes_before_it(self):
        await sync_to_async(say)(self.conversation, "Hi")
        await self.answered(FIRST)
        shown = await self.shown(1, status(FIRST), delta(FIRST), 2)
        assert shown == [1, "thinking", "delta", 2]

    async def test_nothing_of_an_answer_comes_after_its_message(self):
        await self.answered(FIRST)
        assert [event["seq"] async for event in self.window.newer()] == [1]
        assert await self.shown(delta(FIRST), status(FIRST), 1, status(SECOND)) == ["thinking"]

    async def test_nothing_of_it_comes_after_it_was_stopped(self):
        stopped = status(FIRST, "stopped")
        shown = await self.shown(delta(FIRST), stopped, delta(FIRST), status(FIRST))
        assert shown == ["delta", "stopped"]
        assert await self.shown(delta(FIRST), delta(SECOND)) == ["delta"]

    async def test_nothing_of_it_comes_once_the_next_one_has_begun(self):
        shown = await self.shown(delta(FIRST), status(SECOND), delta(FIRST), delta(SECOND))
        assert shown == ["delta", "thinking", "delta"]

    async def test_nothing_of_it_comes_after_a_person_came_not_even_after_the_hand_back(self):
        take, back = sync_to_async(control.take_control), sync_to_async(services.hand_back)
        person = await sync_to_async(make_user)()
        await take(conversation=self.conversation, by=person)
        assert await self.shown(delta(FIRST), 1, delta(FIRST)) == ["delta", 1]
        await back(conversation=self.conversation, by=person)
        assert await self.shown(2, delta(FIRST), delta(SECOND)) == [2, "delta"]

    async def test_nothing_of_it_comes_after_the_end(self):
        await sync_to_async(services.close)(conversation=self.conversation)
        assert await self.shown(delta(FIRST), 1, status(FIRST)) == ["delta", 1]

    async def test_what_belongs_to_no_answer_always_comes(self):
        queued = {"type": "status", "state": "queued", "detail": "You are next."}
        assert await self.shown(queued, delta(FIRST), queued) == ["queued", "delta", "queued"]
