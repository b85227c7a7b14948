import pytest

from knowledge.shares import share_of, wilson


class TestShares:
    def test_wilson_agrees_with_the_published_example(self):
        # Newcombe 1998, table I, method 3: 81 of 263.
        assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)

    def test_wilson_of_all_and_none_stays_inside(self):
        assert wilson(10, 10)[1] == pytest.approx(1)
        assert wilson(0, 10)[0] == pytest.approx(0)
        assert wilson(0, 0) == (0, 1)

    def test_a_mean_of_scores_carries_its_interval_and_count(self):
        share = share_of([1.0, 0.5, 0.0])
        assert (share.share, share.count) == (0.5, 3)
        assert share.low < 0.5 < share.high
