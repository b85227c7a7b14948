"""When people are there: weeks, holidays, clocks that change."""

from datetime import UTC, date, datetime, time, timedelta
from unittest import TestCase
from zoneinfo import ZoneInfo

from dialogues.desk.hours import Hours

BERLIN = ZoneInfo("Europe/Berlin")
WORKDAYS = tuple((day, time(9), time(17)) for day in range(5))
OFFICE = Hours(BERLIN, WORKDAYS, frozenset({date(2026, 12, 25)}))


def at(*parts, zone=BERLIN):
    return datetime(*parts, tzinfo=zone)


class HoursTests(TestCase):
    def test_without_periods_somebody_is_always_there(self):
        always, now = Hours(BERLIN), at(2026, 11, 22, 3)
        assert always.is_open(now)
        assert always.add_minutes(now, 10) == now + timedelta(minutes=10)

    def test_a_day_opens_and_closes_by_its_own_clock(self):
        for hour, minute, is_open in [(8, 59, False), (9, 0, True), (16, 59, True), (17, 0, False)]:
            with self.subTest(hour=hour, minute=minute):
                assert OFFICE.is_open(at(2026, 11, 23, hour, minute)) is is_open
        assert OFFICE.is_open(datetime(2026, 11, 23, 8, 0, tzinfo=UTC))  # 9 in Berlin

    def test_people_are_back_after_night_weekend_and_holiday(self):
        assert OFFICE.next_opening(at(2026, 11, 23, 18)) == at(2026, 11, 24, 9)
        assert OFFICE.next_opening(at(2026, 11, 20, 17)) == at(2026, 11, 23, 9)
        assert OFFICE.next_opening(at(2026, 12, 24, 20)) == at(2026, 12, 28, 9)

    def test_an_answer_is_due_in_open_minutes(self):
        assert OFFICE.add_minutes(at(2026, 11, 23, 10), 10) == at(2026, 11, 23, 10, 10)
        assert OFFICE.add_minutes(at(2026, 11, 23, 16, 55), 10) == at(2026, 11, 24, 9, 5)
        assert OFFICE.add_minutes(at(2026, 11, 21, 12), 10) == at(2026, 11, 23, 9, 10)

    def test_minutes_of_the_night_when_clocks_change_are_real_ones(self):
        night = Hours(BERLIN, ((6, time(0), time(6)),))  # 25 October 2026: 02:30 comes twice
        assert night.add_minutes(at(2026, 10, 25, 0), 300) == at(2026, 10, 25, 4)
        assert night.add_minutes(at(2026, 3, 29, 0), 180) == at(2026, 3, 29, 4)

    def test_minutes_of_overlapping_periods_count_once(self):
        two = Hours(
            BERLIN, ((0, time(9), time(12)), (0, time(10), time(11)), (0, time(11), time(17)))
        )
        assert two.add_minutes(at(2026, 11, 23, 9), 240) == at(2026, 11, 23, 13)
        assert two.add_minutes(at(2026, 11, 23, 10, 30), 120) == at(2026, 11, 23, 12, 30)

    def test_midnight_closes_the_day(self):
        late = Hours(BERLIN, ((0, time(20), time(0)), (1, time(0), time(2))))
        assert late.is_open(at(2026, 11, 23, 23, 59))
        assert late.is_open(at(2026, 11, 24, 0, 0))
        assert late.add_minutes(at(2026, 11, 23, 23, 55), 10) == at(2026, 11, 24, 0, 5)

    def test_a_desk_that_is_shut_for_good_has_no_next_opening(self):
        year = frozenset(date(2026, 11, 23) + timedelta(days=7 * week) for week in range(60))
        mondays = Hours(BERLIN, ((0, time(9), time(17)),), year)
        assert mondays.next_opening(at(2026, 11, 23, 10)) is None
        assert not mondays.is_open(at(2026, 11, 23, 10))
        now = at(2026, 11, 23, 10)
        assert mondays.add_minutes(now, 10) == now + timedelta(minutes=10)
