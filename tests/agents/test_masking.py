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
        "+41111 1111 1111 1111",  # a telephone's
        "DE95 4111 1111 1111 1111 00",  # an account, whose middle would pass for a card
        "4111 1111/11 11 11/11",  # short groups beside each other: dates and the like
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


@pytest.mark.parametrize(
    "between",
    [".", "  ", "\u00a0", "–", "\n", "\r\n", "_", "/", "\u200b", " - ", ")(", "\u2060 \u2060"],
)
def test_whatever_is_between_its_groups(between):
    assert masked(between.join(["4111", "1111", "1111", "1111"])) == "•••• 1111"
    assert masked(between.join(["3782", "822463", "10005"])) == "•••• 0005"


def test_marks_that_can_not_be_seen_hide_no_digit():
    assert masked("\u200d".join("4111111111111111")) == "•••• 1111"


@pytest.mark.parametrize(
    "before", ["no.", "#", "card", "卡号", "=", "/", "John,", "-", ":", "(", "NO"]
)
@pytest.mark.parametrize("behind", ["", "x", "_", ",12/27", "."])
def test_whatever_stands_beside_it(before, behind):
    assert masked(f"{before}4111111111111111{behind}") == f"{before}•••• 1111{behind}"


def test_a_web_address_keeps_its_path_and_not_its_query():
    path = "https://shop.example/track/4111111111111111"
    assert masked(f"{path}?card=4111111111111111") == f"{path}?card=•••• 1111"


def test_what_only_looks_like_an_account_is_cut():
    assert masked("MC5555 5555 5555 4444") == "MC•••• 4444"  # Monaco's begin so


def test_two_cards_are_cut_each():
    assert masked("4111111111111111 and 5555555555554444") == "•••• 1111 and •••• 4444"
