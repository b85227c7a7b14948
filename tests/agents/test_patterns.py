"""What is searched for in customers' words is found, or not, in no time."""

import re
import time

from agents.grounding import identifiers
from agents.patterns import runs_away


def test_a_repeat_in_a_repeat_runs_away():
    for pattern in (
        *("^([A-Z0-9]+-?)+$", "(a+)+", "(a|ab)*", r"(?:\w*\s*)*x", "((a*)b?){20}", "(([a-z])+.)+"),
        *("(-a+a+)*", "(x[A-Z]+)*", "(-[a-z-]+)*", "(-[^a]+)*", "((?=(a+)+)b)"),
    ):
        assert runs_away(pattern), pattern


def test_patterns_of_everyday_do_not():
    for pattern in (
        *("^GW[0-9]{4}$", "^(AB|XY)[0-9]{2}$", "^[a-z0-9]+(-[a-z0-9]+)*$", r"^#W\d+$", "(ab)+"),
        *("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", r"^\d+(\.\d+)?$", r"^(\+\d{1,3} )?\d+$"),
        *(r"^[A-Z]{2}\d{1,9}-\d+$", r"^\d{1,3}(,\d{3})*$", r"[\w.+-]+@[\w-]+\.\w+"),
    ):
        assert not runs_away(pattern), pattern
        re.compile(pattern)


def test_one_that_was_saved_before_finds_nothing_and_long_words_are_no_identifiers():
    started = time.process_time()
    assert list(identifiers("^([A-Z0-9]+-?)+$", "A" * 40 + "_")) == []
    assert list(identifiers(r"^\w*\w*\w*!$", "A" * 4000 + " GW!")) == ["GW!"]
    assert time.process_time() - started < 1
