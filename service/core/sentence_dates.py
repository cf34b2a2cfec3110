"""Dates in a sentence that are read by rule: `2026-03-20`, `20.3.`, `Dec 24-27`, `next Friday`, `on the 1st`.

Whatever dateparser takes for something else, or for nothing. A day that no calendar has is an error, never another day.
"""

import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import Final, NamedTuple

WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH: Final = (
    r"(jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|"
    r"nov(?:ember)?|dec(?:ember)?)\b\.?"
)
_DAY: Final = r"(\d{1,2})(?:st|nd|rd|th)?(?![\d:.]|st|nd|rd|th)"
_YEAR: Final = r"(?:,?\s(\d{4})(?!\d))?"
_TO: Final = r"\s?(?:-|\u2013|\u2014|to|till?|until|through|thru|and)\s?"
_BEFORE: Final = r"\b(?:(?:from|between|on)\s)?(?:the\s)?"

_MONTH_FIRST: Final = re.compile(
    rf"{_BEFORE}{_MONTH}\s?(?:the\s)?{_DAY}(?:{_TO}(?:{_MONTH}\s?)?{_DAY})?{_YEAR}", re.IGNORECASE
)
_DAY_FIRST: Final = re.compile(
    rf"{_BEFORE}{_DAY}(?:\s(?:of\s)?{_MONTH})?{_TO}(?:the\s)?{_DAY}\s(?:of\s)?{_MONTH}{_YEAR}", re.IGNORECASE
)
_ONE_DAY_FIRST: Final = re.compile(rf"{_BEFORE}{_DAY}\s?(?:of\s)?{_MONTH}{_YEAR}", re.IGNORECASE)
_NEXT: Final = re.compile(rf"\b(?:on )?next ({'|'.join(WEEKDAYS)})\b", re.IGNORECASE)
_AFTER_TOMORROW: Final = re.compile(r"\b(?:the )?day after tomorrow\b", re.IGNORECASE)
_OF_MONTH: Final = re.compile(
    r"^on the (\d{1,2})(?:st|nd|rd|th)\b|"
    r"\b(?:on )?the (\d{1,2})(?:st|nd|rd|th)\b(?=\s*(?:$|[,.;:)]|(?:at|from|with|for)\b))",
    re.IGNORECASE,
)
_ISO: Final = re.compile(r"\b(\d{4})-(\d\d)-(\d\d)\b")
_DOTTED: Final = re.compile(
    r"(?<![\w.])(\d{1,2})\.(?:\s?(\d{1,2})\.)?(?:\s?(?:-|\u2013|bis(?: zum)?)\s?(\d{1,2})\.\s?(\d{1,2})\.)?"
    r"(?:\s?(\d{4}))?(?![\d.])"
)


class NoDateFound(ValueError):
    """A sentence that names no time, or one that no calendar has, or is no sentence."""


class Days(NamedTuple):
    """Days in a sentence: where they stand, and the first and the last of them."""

    start: int
    end: int
    first: date
    last: date


def find_days(text: str, today: date, *, is_english: bool) -> Days | None:
    """The days that a sentence names by one of these rules. Raises NoDateFound for one that does not exist."""
    for rule in (_find_iso, _find_dotted, *(_ENGLISH if is_english else ())):
        try:
            found = rule(text, today)
        except (ValueError, OverflowError):
            raise NoDateFound("the sentence names a day that no calendar has") from None
        if found is not None:
            return found
    return None


def _find_iso(text: str, _today: date) -> Days | None:
    match = _ISO.search(text)
    if match is None:
        return None
    return _on(match, date(int(match[1]), int(match[2]), int(match[3])))


def _find_dotted(text: str, today: date) -> Days | None:
    """20.3. and 24.-27.12.2026, as in Germany."""
    for match in _DOTTED.finditer(text):
        day, month, last_day, last_month, year = match.groups()
        if month is None and last_month is None:
            continue
        first, last = _between(
            (int(day), int(month or last_month)),
            (int(last_day or day), int(last_month or month)),
            int(year) if year else None,
            today,
        )
        return Days(match.start(), match.end(), first, last)
    return None


def _find_named(text: str, today: date) -> Days | None:
    """Dec 24, Dec 24-27, 24 Dec, 28 Dec to 2 Jan: the last with its month first, or else the first with its day first."""
    found: Days | None = None
    for match in _MONTH_FIRST.finditer(text):
        month, day, last_month, last_day, year = match.groups()
        found = _named(match, (day, month), (last_day or day, last_month or month), year, today)
    for match in _DAY_FIRST.finditer(text):
        day, month, last_day, last_month, year = match.groups()
        found = found or _named(match, (day, month or last_month), (last_day, last_month), year, today)
    for match in _ONE_DAY_FIRST.finditer(text):
        day, month, year = match.groups()
        found = found or _named(match, (day, month), (day, month), year, today)
    return found


def _named(match: re.Match[str], first: tuple[str, str], last: tuple[str, str], year: str | None, today: date) -> Days:
    pairs = [(int(day), _MONTHS.index(month[:3].lower()) + 1) for day, month in (first, last)]
    return Days(match.start(), match.end(), *_between(pairs[0], pairs[1], int(year) if year else None, today))


def _between(first: tuple[int, int], last: tuple[int, int], year: int | None, today: date) -> tuple[date, date]:
    """From one day and month to another, the next that come; a year is the last one's. Raises ValueError."""
    if year is not None:
        end = date(year, last[1], last[0])
        begin = date(year - (first[1] > last[1]), first[1], first[0])
    else:
        begin = _next_coming(first, today)
        end = _next_coming(last, begin)
    if end < begin:
        raise ValueError("ends before it begins")
    return begin, end


def _next_coming(day_of_month: tuple[int, int], today: date) -> date:
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


def _find_after_tomorrow(text: str, today: date) -> Days | None:
    match = _AFTER_TOMORROW.search(text)
    return _on(match, today + timedelta(days=2)) if match else None


def _find_next(text: str, today: date) -> Days | None:
    match = _NEXT.search(text)
    if match is None:
        return None
    monday = today - timedelta(days=today.weekday()) + timedelta(days=7)
    return _on(match, monday + timedelta(days=WEEKDAYS.index(match[1].lower())))


def _find_of_month(text: str, today: date) -> Days | None:
    match = _OF_MONTH.search(text)
    return _on(match, _next_of_month(int(match[1] or match[2]), today)) if match else None


def _next_of_month(number: int, today: date) -> date:
    """Raises ValueError for a day that no month has."""
    for ahead in range(13):
        month = today.month + ahead
        try:
            day = date(today.year + (month - 1) // 12, (month - 1) % 12 + 1, number)
        except ValueError:
            continue
        if day >= today:
            return day
    raise ValueError("no such day")


def _on(match: re.Match[str], day: date) -> Days:
    return Days(match.start(), match.end(), day, day)


_ENGLISH: Final[tuple[Callable[[str, date], Days | None], ...]] = (
    _find_named,
    _find_after_tomorrow,
    _find_next,
    _find_of_month,
)
