"""What is shown of a reply while it is being written."""

import pytest

from agents.gating import Gate


def shown(text, is_backed):
    """Return what comes out of a text that is written word by word."""
    gate = Gate(lambda sentence: is_backed)
    return "".join(gate.feed(f"{word} ") for word in text.split())


@pytest.mark.parametrize("risky", ["greenway-help.xyz", "help@greenway.dev", "3 days"])
def test_what_needs_a_source_waits_for_the_end_of_its_sentence(risky):
    begun = f"Hello. Look at {risky} for"
    assert shown(begun, is_backed=True) == "Hello. Look at "
    assert shown(f"{begun} it. Bye.", is_backed=False) == "Hello. Look at "
    assert shown(f"{begun} it.", is_backed=True) == f"{begun} it. "


def test_other_words_pass_at_once():
    assert shown("Let me look for your", is_backed=False) == "Let me look for your "


def test_a_deed_of_ours_waits_too():
    assert shown("Hello. I've told the restaurant about", is_backed=True) == "Hello. "
    assert shown("Hello. I've told the restaurant. Bye.", is_backed=False) == "Hello. "
