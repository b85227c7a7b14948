"""Word diffs, and who wrote which words."""

from time import process_time

from django.test import SimpleTestCase

from knowledge.differing import blame, pieces
from knowledge.models import Revision


def told(old, new):
    return [(piece.kind, piece.text) for piece in pieces(old, new)]


class PieceTests(SimpleTestCase):
    def test_words_are_the_smallest_unit(self):
        assert told("You get $5 credit.", "You get $6 credit.") == [
            ("same", "You get $"),
            ("removed", "5"),
            ("added", "6"),
            ("same", " credit."),
        ]

    def test_chinese_is_compared_by_character(self):
        assert told("赔付五元。", "赔付六元。") == [
            ("same", "赔付"),
            ("removed", "五"),
            ("added", "六"),
            ("same", "元。"),
        ]

    def test_the_pieces_add_up_to_both_texts(self):
        for old, new in (("", "a b"), ("a b", ""), ("a a a", "a a"), ("x y", "y x"), ("s", "s")):
            parts = told(old, new)
            assert "".join(text for kind, text in parts if kind != "added") == old
            assert "".join(text for kind, text in parts if kind != "removed") == new

    def test_the_longest_texts_take_less_than_a_page_may(self):
        started = process_time()
        for period in (2, 3, 700):
            old = " ".join(f"{number % period:x}" for number in range(1300))
            new = " ".join(f"{number * 7 % (period + 1):x}" for number in range(1300))
            told(old, new)
        assert process_time() - started < 1


class BlameTests(SimpleTestCase):
    def revisions(self, *texts):
        return [Revision(pk=n, number=n, content=text) for n, text in enumerate(texts, start=1)]

    def test_each_stretch_is_ascribed_to_the_revision_that_brought_it(self):
        revisions = self.revisions(
            "You get $5 credit.", "You get $6 credit.", "You always get $6 credit."
        )
        origins = [(origin.text, origin.revision.number) for origin in blame(revisions, "content")]
        assert "".join(text for text, _ in origins) == "You always get $6 credit."
        assert ("6", 2) in origins
        assert {text.strip() for text, number in origins if number == 3} == {"always"}

    def test_a_word_that_left_and_came_back_is_the_later_ones(self):
        revisions = self.revisions("a b", "a", "a b")
        assert [origin.revision.number for origin in blame(revisions, "content")] == [1, 3]

    def test_an_empty_text_has_no_origin(self):
        assert blame(self.revisions("a", ""), "content") == []
