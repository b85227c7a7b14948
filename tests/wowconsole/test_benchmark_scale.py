"""Synthetic rules are found as real ones are, and BM25 ranks as its formula says."""

from collections import Counter
from unittest.mock import patch

from django.core.management import CommandError, call_command
from django.test import TestCase

from knowledge.models import Scene
from tests.factories import make_user
from wowconsole.benchmark_quality import bm25
from wowconsole.benchmark_scale import served
from wowconsole.synthetic import fill


class ScaleTests(TestCase):
    def test_the_search_finds_among_synthetic_rules_what_exact_comparison_finds(self):
        index, questions = fill(60, 20, make_user())
        scene = Scene.objects.get(slug="rest")
        asked = questions["rest"]
        exact = [served(index, question, scene) for question in asked]
        with patch("knowledge.searching.is_large", return_value=True):
            assert [served(index, question, scene) for question in asked] == exact
        assert asked
        assert all(exact)


class Bm25Tests(TestCase):
    def test_rare_words_weigh_more_and_long_texts_less(self):
        documents = [Counter("abc"), Counter("aab" + "z" * 9), Counter("a")]
        [scores] = bm25([Counter("c")], documents)
        assert scores[0] > 0
        assert list(scores[1:]) == [0, 0]
        [scores] = bm25([Counter("b")], documents)
        assert scores[0] > scores[1] > scores[2]


class CommandTests(TestCase):
    def test_quality_needs_a_folder_and_skips_one_without_sets(self):
        with self.assertRaises(CommandError):
            call_command("bench", "quality")
