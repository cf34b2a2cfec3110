"""Days that a sentence names: where they stand, which they are, and the next coming of one that has no year."""

import re
from datetime import date
from typing import NamedTuple


class NoDateFound(ValueError):
    """A sentence that names no time, or one that no calendar has, or says more than was understood, or is no sentence."""


class NoSuchDay(NoDateFound):
    """A day that one language does not make out; another one may."""


class Days(NamedTuple):
    """Days in a sentence: where they stand, and the first and the last of them."""

    start: int
    end: int
    first: date
    last: date


def on(match: re.Match[str], day: date) -> Days:
    return Days(match.start(), match.end(), day, day)


def between(first: tuple[int, int], last: tuple[int, int], year: int | None, today: date) -> tuple[date, date]:
    """From one day and month to another, the next that come; a year is the last one's. Raises ValueError."""
    if year is not None:
        end = date(year, last[1], last[0])
        begin = date(year - (first[1] > last[1]), first[1], first[0])
    else:
        begin = next_coming(first, today)
        end = next_coming(last, begin)
    if end < begin:
        raise ValueError("ends before it begins")
    return begin, end


def next_coming(day_of_month: tuple[int, int], today: date) -> date:
    """Raises ValueError for a day that no year has; the 29th of February comes every eighth year at the latest."""
    day, month = day_of_month
    for year in range(today.year, today.year + 9):
        try:
            found = date(year, month, day)
        except ValueError:
            continue
        if found >= today:
            return found
    raise ValueError("no such day")
