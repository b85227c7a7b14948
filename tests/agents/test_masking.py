"""Numbers of cards are cut; orders, telephones, amounts and dates stay as they are."""

import pytest

from agents.masking import masked

CARDS = [  # the schemes' own test numbers
    *("4111111111111111", "4111 1111 1111 1111", "4111-1111-1111-1111", "5555555555554444"),
    *("2223003122003222", "378282246310005", "3782 822463 10005", "6011111111111117"),
    *("3530111333300000", "6200000000000005", "30569309025904", "４１１１１１１１１１１１１１１１"),
]


@pytest.mark.parametrize("number", CARDS)
def test_the_last_four_digits_of_a_card_stay(number):
    text = masked(f"My card is {number}, charge it.")
    assert text.startswith("My card is •••• ")
    assert sum(sign.isdigit() for sign in text) == 4


@pytest.mark.parametrize(
    "text",
    [
        "4111 1111 1111 1112",  # its check digit is wrong
        "My order GW1001 of 2026-11-23, $1,299.00",
        "call +49 30 901820 or 0049 30 9018 2000",
        "parcel 1Z4111111111111111",
        "https://shop.example/track/4111111111111111/now",
        "9411111111111111",  # no scheme's
        "12345678901234567890123",
        "110101199003074514",  # an identity number
    ],
)
def test_other_numbers_stay(text):
    assert masked(text) == text


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("4111 1111 1111 1111 12/27 123", "•••• 1111 12/27 123"),
        ("zip 10115 4111-1111-1111-1111", "zip 10115 •••• 1111"),
        ("4111111111111111 123.", "•••• 1111 123."),
        ("我的卡号4111111111111111，谢谢", "我的卡号•••• 1111，谢谢"),
    ],
)
def test_a_card_is_found_among_what_is_written_with_it(text, cut):
    assert masked(text) == cut


def test_two_cards_are_cut_each():
    assert masked("4111111111111111 and 5555555555554444") == "•••• 1111 and •••• 4444"
