"""However the output is cut into pieces, exactly the reply comes out."""

import json
import random
from itertools import pairwise

from django.test import SimpleTestCase

from agents.actions import BUILT_IN, DialogueAction, parse_action
from agents.streaming import ReplyStream

ALPHABET = ['"', "\\", "/", "\n", "\t", "\b", "é", "🙂", "\u2028", "{", "}", "a", "u", "d83d", "n"]
NASTY = [
    '"reply": "no", "action": {"name": "reply"',
    '\\"reply\\": \\"',
    "C:\\ud83d\\ude00",
    "\\\\ud83d",
    "🙂🙃",
    "",
    '{"action": {"name": "look_up"',
]


def streamed(text, cuts):
    stream = ReplyStream()
    edges = [0, *sorted(cuts), len(text)]
    return "".join(stream.feed(text[start:end]) for start, end in pairwise(edges))


def written(action, ascii_only):
    return json.dumps(action.as_dict(), ensure_ascii=ascii_only)


def some_actions():
    dice = random.Random(11)  # noqa: S311 (not a secret)
    for _ in range(120):
        thought, reply = ("".join(dice.choices(ALPHABET, k=dice.randrange(12))) for _ in range(2))
        yield DialogueAction(dice.choice(BUILT_IN), reply, thought, [dice.randrange(99)])
    for thought in NASTY:
        for reply in NASTY:
            yield DialogueAction("reply", reply, thought)


class SplitTests(SimpleTestCase):
    def test_every_cut_in_two_yields_the_reply(self):
        for action in some_actions():
            for text in (written(action, True), written(action, False)):
                for cut in range(0, len(text), 3):
                    assert streamed(text, [cut]) == action.reply, (text, cut)

    def test_character_by_character(self):
        for action in some_actions():
            for text in (written(action, True), written(action, False)):
                assert streamed(text, range(len(text))) == action.reply, text

    def test_random_pieces(self):
        dice = random.Random(5)  # noqa: S311 (not a secret)
        for action in some_actions():
            text = written(action, True)
            cuts = dice.sample(range(len(text)), 9)
            assert streamed(text, cuts) == action.reply, (text, cuts)

    def test_every_beginning_of_the_text_yields_a_beginning_of_the_reply(self):
        action = DialogueAction("reply", 'Say "🙂" \\ud83d\n\\')
        text = written(action, True)
        said = [ReplyStream().feed(text[:length]) for length in range(len(text) + 1)]
        assert said[-1] == action.reply
        assert all(action.reply.startswith(part) for part in said)
        assert [len(part) for part in said] == sorted(len(part) for part in said)

    def test_white_space_between_tokens_does_not_matter(self):
        text = json.dumps(DialogueAction("clarify", "Which one?").as_dict(), indent=2)
        assert streamed(text, range(len(text))) == "Which one?"

    def test_halves_of_pairs_are_left_out_as_in_the_stored_reply(self):
        for reply in ("a\ud83d", "\ud83db", "\ud83d\ud83d\ude00", "\ude00x", "\ud83d\n"):
            text = written(DialogueAction("reply", reply), True)
            assert streamed(text, range(len(text))) == parse_action(text).reply


class SilenceTests(SimpleTestCase):
    def test_a_tool_call_says_nothing(self):
        action = DialogueAction("look_up", "One moment.", arguments={"reply": "x"})
        text = action.as_json()
        assert streamed(text, range(len(text))) == ""

    def test_nothing_comes_before_the_name_of_the_action_is_known(self):
        stream = ReplyStream()
        assert stream.feed('{"reply": "Hi", ') == ""
        assert stream.feed('"action": {"name": "rep') == ""
        assert stream.feed('ly", "arguments": {}}}') == "Hi"

    def test_garbage_says_nothing(self):
        for text in ("", "hello", '{"reply": 5}', "\\" * 50, '{"action": {"name": "reply"}}'):
            assert streamed(text, range(len(text))) == ""
