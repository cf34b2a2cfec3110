"""Dates in a sentence that are written in numbers alone: `2026-03-20`, `3/20`, `20.3.`, `24.-27.12.`, `12月3日`.

Which of two numbers is the month the language says, unless only the other can be it. Two numbers that are no date either way are
no error here, as they may be a score; whoever finds no other date in the sentence has to refuse it. Two digits are a year only
where they stand as the third number, and near the year of today.
"""

import re
from datetime import date
from typing import Final

from service.core.sentence_days import Days, between, on

_MONTH_FIRST: Final = frozenset({"en", "ja", "zh", "ko"})
_BARE_DOTS: Final = frozenset({"en", "ja", "zh", "ko", "fr", "es", "pt"})
"""Where `2.5` is rather a number than a day."""

_FULL: Final = re.compile(r"(?<![\w./\-])(\d{4})([-/.])(\d{1,2})\2(\d{1,2})(?![\w/]|[.\-]\d)")
_ANY_FULL: Final = re.compile(r"\b\d{4}-\d\d-\d\d\b")
_DOTTED: Final = re.compile(
    r"(?<![\w.])(\d{1,2})\.(?:\s?(\d{1,2})\.)?(?:\s?(?:-|\u2013|bis(?: zum)?)\s?(\d{1,2})\.\s?(\d{1,2})\.)?"
    r"(?:\s?(\d{4}))?(?![\d.])"
)
_WITH_YEAR: Final = re.compile(r"(?<![\w./\-])(\d{1,2})([-/.])(\d{1,2})\2(\d{4}|\d{2})(?![\w/]|[.\-]\d)")
_PAIR: Final = re.compile(r"(?<![\w./\-,:])(\d{1,2})([/.])(\d{1,2})(?![\w/:%]|[.,\-]\d)")
_LOOSE: Final = re.compile(
    r"(?<!\w)\d{1,2}(?:[-\u2013/.]\d{1,2})+(?![\w]|\s(?:hours?|hrs?|h|days?|weeks?|stunden?|heures?|horas?|ore)\b)",
    re.IGNORECASE,
)
_SIGNS: Final = re.compile(r"(?:(\d{4})\s?[年년]\s?)?(\d{1,2})\s?[月월]\s?(\d{1,2})\s?[日号號일]?")


def find_numbered(text: str, today: date, language: str) -> Days | None:
    """Raises ValueError for a day that does not exist and that can be nothing else than a day."""
    return (
        _find_full(text)
        or _find_dotted(text, today)
        or _find_with_year(text, today, language)
        or _find_signs(text, today)
    )


def find_pair(text: str, today: date, language: str) -> Days | None:
    """`3/20`, and `20.3` where people write so: the last that is a date."""
    found: Days | None = None
    for match in _PAIR.finditer(text):
        if match[2] == "." and language in _BARE_DOTS:
            continue
        day = _either(int(match[1]), int(match[3]), None, today, language)
        found = on(match, day) if day is not None else found
    return found


def has_loose_numbers(text: str) -> bool:
    """Whether numbers stand in it that look like a date, or like hours, and were taken for neither."""
    return _LOOSE.search(text) is not None


def hide_loose_numbers(text: str) -> str:
    """The sentence, of the same length, without numbers that somebody might make a date of who guesses."""
    return _LOOSE.sub(lambda match: "\ue000" * len(match[0]), text)


def _find_full(text: str) -> Days | None:
    match = _FULL.search(text)
    if match is None and _ANY_FULL.search(text):
        raise ValueError("digits too many")
    return on(match, date(int(match[1]), int(match[3]), int(match[4]))) if match else None


def _find_dotted(text: str, today: date) -> Days | None:
    """20.3. and 24.-27.12.2026, as in Germany."""
    for match in _DOTTED.finditer(text):
        day, month, last_day, last_month, year = match.groups()
        if month is None and last_month is None:
            continue
        first, last = between(
            (int(day), int(month or last_month)),
            (int(last_day or day), int(last_month or month)),
            int(year) if year else None,
            today,
        )
        return Days(match.start(), match.end(), first, last)
    return None


def _find_with_year(text: str, today: date, language: str) -> Days | None:
    for match in _WITH_YEAR.finditer(text):
        year = int(match[4]) if len(match[4]) == 4 else today.year // 100 * 100 + int(match[4])
        if len(match[4]) == 2 and abs(year - today.year) > 2:
            continue
        day = _either(int(match[1]), int(match[3]), year, today, language if match[2] != "." else "")
        if day is None:
            raise ValueError("no such day")
        return on(match, day)
    return None


def _find_signs(text: str, today: date) -> Days | None:
    match = _SIGNS.search(text)
    if match is None:
        return None
    day = int(match[3]), int(match[2])
    return on(match, between(day, day, int(match[1]) if match[1] else None, today)[0])


def _either(one: int, other: int, year: int | None, today: date, language: str) -> date | None:
    """The day that two numbers are, with the month where the language has it if that is a date."""
    pairs = [(one, other), (other, one)]
    for pair in reversed(pairs) if language in _MONTH_FIRST else pairs:
        try:
            return between(pair, pair, year, today)[0]
        except ValueError:
            continue
    return None
