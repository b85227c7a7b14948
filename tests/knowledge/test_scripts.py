"""Where words end, and how many there are, in scripts that set no spaces."""

from django.test import SimpleTestCase

from knowledge.scripts import count_words


class CountTests(SimpleTestCase):
    def test_two_letters_without_spaces_make_a_word(self):
        assert count_words("and groceries?") == 2
        assert count_words("多少钱") == 1.5
        assert count_words("GW1003 退款要多久才能到账") == 5.5
        assert count_words("") == 0
