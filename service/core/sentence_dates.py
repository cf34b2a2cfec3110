"""Dates in a sentence that are read by rule: in numbers, and in English `Dec 24-27`, `next Friday`, `on the 1st`.

Whatever dateparser takes for something else, or for nothing. A day that no calendar has is an error, never another day.
"""

import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import Final

from service.core.sentence_days import Days, NoDateFound, between, on
from service.core.sentence_numbers import find_numbered, find_pair

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
_ONE_DAY_FIRST: Final = re.compile(
    rf"(?<![\d.]){_BEFORE}(\d{{1,2}})(?:st|nd|rd|th|\.)?\s?(?:of\s)?{_MONTH}{_YEAR}", re.IGNORECASE
)
_NEXT: Final = re.compile(rf"\b(?:on )?next ({'|'.join(WEEKDAYS)})\b", re.IGNORECASE)
_AFTER_TOMORROW: Final = re.compile(
    r"\b(?:(?:the )?day after tomorrow|übermorgen|après-demain|pasado mañana|depois de amanhã|dopodomani|overmorgen|pojutrze|"
    r"i övermorgon|i overmorgen|öbür gün|послезавтра|післязавтра|بعد غد|מחרתיים)\b|明後日|后天|後天|모레",
    re.IGNORECASE,
)
"""What dateparser takes for tomorrow, or for nothing, in some of the languages."""
_OF_MONTH: Final = re.compile(
    r"^on the (\d{1,2})(?:st|nd|rd|th)\b|"
    r"\b(?:on )?the (\d{1,2})(?:st|nd|rd|th)\b(?=\s*(?:$|[,.;:)]|(?:at|from|with|for)\b))",
    re.IGNORECASE,
)


def find_days(text: str, today: date, language: str) -> Days | None:
    """The days that a sentence names by one of these rules. Raises NoDateFound for one that does not exist."""
    try:
        found = find_numbered(text, today, language)
        for rule in (_find_after_tomorrow, *(_ENGLISH if language == "en" else ())):
            found = found or rule(text, today)
        return found or find_pair(text, today, language)
    except (ValueError, OverflowError):
        raise NoDateFound("the sentence names a day that no calendar has") from None


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
    return Days(match.start(), match.end(), *between(pairs[0], pairs[1], int(year) if year else None, today))


def _find_after_tomorrow(text: str, today: date) -> Days | None:
    match = _AFTER_TOMORROW.search(text)
    return on(match, today + timedelta(days=2)) if match else None


def _find_next(text: str, today: date) -> Days | None:
    match = _NEXT.search(text)
    if match is None:
        return None
    monday = today - timedelta(days=today.weekday()) + timedelta(days=7)
    return on(match, monday + timedelta(days=WEEKDAYS.index(match[1].lower())))


def _find_of_month(text: str, today: date) -> Days | None:
    match = _OF_MONTH.search(text)
    return on(match, _next_of_month(int(match[1] or match[2]), today)) if match else None


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


_ENGLISH: Final[tuple[Callable[[str, date], Days | None], ...]] = (
    _find_named,
    _find_next,
    _find_of_month,
)
