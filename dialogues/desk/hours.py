"""When people are there, and when an answer is due. Plain data in, moments out; no Django."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

DAYS_AHEAD = 400  # looked at for the next opening; a desk shut for longer is shut for good
MIDNIGHT = time(0)  # as a closing time: the end of the day


@dataclass(frozen=True, slots=True)
class Hours:
    """The open periods of a week, by the clock of a time zone. None at all: always open."""

    zone: ZoneInfo
    periods: tuple[tuple[int, time, time], ...] = ()  # (weekday, 0 is Monday; opens; closes)
    holidays: frozenset[date] = frozenset()

    def is_open(self, at: datetime) -> bool:
        """Say whether somebody is there at an aware moment."""
        return self.next_opening(at) == at.astimezone(UTC)

    def next_opening(self, at: datetime) -> datetime | None:
        """Return the first open moment from `at` on: `at` itself if open now, None if never."""
        at = at.astimezone(UTC)
        return next((max(start, at) for start, _ in self._spans(at)), None)

    def add_minutes(self, at: datetime, minutes: int) -> datetime:
        """Return when `minutes` of open time have passed since `at`.

        Where nobody is ever there, closed minutes count too: a wait without end is late.
        """
        at, left = at.astimezone(UTC), timedelta(minutes=minutes)
        for start, end in self._spans(at):
            start = max(start, at)
            if left <= end - start:
                return start + left
            left -= end - start
        return at + timedelta(minutes=minutes)

    def _spans(self, at: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Yield (start, end) of what is open and not over at `at`, in order; all in UTC."""
        if not self.periods:
            yield at, at + timedelta(days=DAYS_AHEAD)
            return
        today = at.astimezone(self.zone).date()
        for days in range(DAYS_AHEAD):
            day = today + timedelta(days=days)
            for start, end in self._spans_of(day):
                if end > at:
                    yield start, end

    def _spans_of(self, day: date) -> list[tuple[datetime, datetime]]:
        if day in self.holidays:
            return []
        return _merged(
            (self._moment(day, opens), self._moment(_end_day(day, closes), closes))
            for weekday, opens, closes in self.periods
            if weekday == day.weekday()
        )

    def _moment(self, day: date, clock: time) -> datetime:
        # In UTC: differences of two moments of one zone would ignore its change of clocks.
        return datetime.combine(day, clock, self.zone).astimezone(UTC)


def _merged(spans: Iterable[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    """Put spans in order and join those that overlap: no minute counts twice."""
    merged: list[tuple[datetime, datetime]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            start, last_end = merged.pop()
            end = max(end, last_end)
        merged.append((start, end))
    return merged


def _end_day(day: date, closes: time) -> date:
    return day + timedelta(days=1) if closes == MIDNIGHT else day
