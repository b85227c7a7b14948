"""Groups of vectors, and which texts are questions."""

import numpy as np
from django.test import SimpleTestCase

from dialogues.loop.clustering import average_linkage, typicality
from dialogues.texts import distinct, is_small_talk, names_somebody


def around(directions, each, seed=1):
    """Return unit vectors near each direction, one direction after the other."""
    noise = np.random.default_rng(seed).normal(scale=0.05, size=(len(directions) * each, 8))
    rows = np.repeat(np.eye(8)[directions], each, axis=0) + noise
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def merged_nearest_first(vectors, threshold):
    """The definition, slowly: merge the two groups nearest on average until none are near."""
    groups = [[row] for row in range(len(vectors))]
    while len(groups) > 1:
        pairs = [
            (float((vectors[one] @ vectors[other].T).mean()), i, j)
            for i, one in enumerate(groups)
            for j, other in enumerate(groups[:i])
        ]
        best, i, j = max(pairs)
        if best < threshold:
            break
        groups[j] = sorted(groups[j] + groups[i])
        del groups[i]
    return sorted(groups)


class AverageLinkageTests(SimpleTestCase):
    def test_what_lies_together_is_one_group(self):
        groups = average_linkage(around([0, 3, 5], each=4), 0.9)
        assert groups == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]

    def test_groups_are_those_of_merging_the_nearest_first(self):
        vectors = np.random.default_rng(3).normal(size=(40, 8)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        for threshold in (0.2, 0.5, 0.8):
            groups = average_linkage(vectors, threshold)
            assert groups == merged_nearest_first(vectors, threshold)

    def test_the_same_rows_give_the_same_groups(self):
        vectors = around([0, 0, 1, 2], each=5)
        assert average_linkage(vectors, 0.95) == average_linkage(vectors.copy(), 0.95)

    def test_one_row_or_none_is_no_matter(self):
        assert average_linkage(around([0], each=1), 0.9) == [[0]]
        assert average_linkage(np.zeros((0, 8), dtype=np.float32), 0.9) == []

    def test_equal_rows_come_together(self):
        assert average_linkage(np.repeat(around([2], each=1), 3, axis=0), 0.9) == [[0, 1, 2]]

    def test_the_middle_is_the_most_typical(self):
        vectors = np.array([[1, 0], [0.8, 0.6], [0.6, 0.8]], dtype=np.float32)
        values = typicality(vectors)
        assert max(values) == values[1]


class TextTests(SimpleTestCase):
    def test_greetings_thanks_and_calls_for_a_person_ask_nothing(self):
        for text in (
            "hi there!",
            "ok, thanks a lot",
            "Let me talk to a real human please",
            "GW1050",
            "yes it's GW1050",
            "你好",
            "谢谢，再见",
        ):
            assert is_small_talk(text), text

    def test_a_question_is_no_small_talk(self):
        for text in ("Do you deliver to the airport?", "Hi, refund late?", "请问可以送到机场吗"):
            assert not is_small_talk(text), text

    def test_addresses_and_numbers_name_somebody(self):
        for text in ("mail me at ann@example.com", "order GW1050 is late", "call 555 010-2020"):
            assert names_somebody(text), text

    def test_amounts_and_times_name_nobody(self):
        for text in ("is it $25 or 30 minutes?", "the 2nd one came at 19:30", "送到机场吗"):
            assert not names_somebody(text), text

    def test_near_repetitions_are_dropped(self):
        texts = ["Do you deliver to the airport?", "do you deliver to the airport", "How late?"]
        assert distinct(texts) == [texts[0], texts[2]]
        assert distinct(texts, known=["how LATE"]) == [texts[0]]
