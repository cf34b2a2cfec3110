"""The date in a sentence: by rule, or else the surest and last of those that dateparser finds in what is left.

dateparser guesses; so what it says is taken only where the words leave no choice. Numbers that may be a date or hours are hidden
from it, a month alone is no day, and of a number in short words (`am 3`) nobody knows what it counts.
"""

import re
from calendar import month_name
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any, Final, NamedTuple

from service.core.sentence_dates import WEEKDAYS, find_days
from service.core.sentence_days import NoDateFound, NoSuchDay
from service.core.sentence_numbers import hide_loose_numbers

MOST_NUMBERS: Final = 12
"""Beyond these nobody knows which of them is a date."""

_DAY: Final = timedelta(days=1)
_SHORT: Final = frozenset(
    (
        "mon",
        "tue",
        "tues",
        "wed",
        "thu",
        "thur",
        "thurs",
        "fri",
        "sat",
        "sun",
        "now",
        "dom",
        "lun",
        "mar",
        "sam",
        "zo",
        "ma",
    )
)
_NEVER_ALONE: Final = frozenset(("second", "minute", "hour", "day", "week", "month", "year", "mit", "im"))
"""What is a date in company only."""
_PAST: Final = re.compile(
    r"\b(?:yesterday|ago|last|gestern|vorgestern|vor|hier|avant-hier|il y a|ayer|anteayer|hace|ieri|fa|ontem|há|gisteren|"
    r"geleden|wczoraj|temu|igår|i går|sedan|siden|dün|önce|вчера|назад|вчора|тому|أمس|אתמול)\b|昨|前|어제|전",
    re.IGNORECASE,
)
_COMING_BEFORE: Final = re.compile(r"\b(?:(?:el|na|no|o|a|la|il)\s)?(?:próxim[oa]|prossim[oa])\s$", re.IGNORECASE)
_COMING_AFTER: Final = re.compile(r"\s(?:prochaine?|próxim[oa]|prossim[oa]|que viene|que vem)\b", re.IGNORECASE)
_ALSO_NAMES: Final = frozenset(("may", "march", "mar", "april", "june", "august", "mai", "mart"))
"""Months that are words, or people, too."""

_COUNTS: Final = re.compile(
    r"\d+:\d"
    r"|(?:[^\W\d]{1,3}\s)*\d[\d\s]*(?:st|nd|rd|th|\.|er|º|ª)?(?:\s(?:of|de|del|di|von|van))?"
    r"|\d+ (?:on|x|vs\.?|of|in|a|o|и|y|e) \d+",
    re.IGNORECASE,
)
"""Numbers that say nothing of days."""


class Found(NamedTuple):
    """A date in a sentence: where, and which, or from which to which; with `moment` it says a time, too (`in two hours`)."""

    start: int
    end: int
    day: date
    last: date
    moment: datetime | None = None
    is_weekday: bool = False


def find_date(text: str, base: datetime, language: str, *, is_alone: bool) -> Found | None:
    """The date of a sentence, seen from `base` (a wall clock without zone); `is_alone` where no time of day is told.

    Raises NoDateFound for a day that does not exist, and for two that contradict each other.
    """
    own = find_days(text, base.date(), language)
    if own is not None:
        found = Found(own.start, own.end, own.first, own.last)
        blanked = text[: own.start] + " " * (own.end - own.start) + text[own.end :]
        return _with_weekday(
            text, found, _guesses(_search(blanked, base, language), blanked, base, language, is_alone=False)
        )
    searched = _search(text, base, language)
    guesses = _guesses(searched, text, base, language, is_alone=is_alone)
    if not guesses:
        _check_months(searched, language)
        return None
    surest = max(sureness for sureness, _ in guesses)
    found = [each for sureness, each in guesses if sureness == surest][-1]
    phrase = text[found.start : found.end]
    if found.day < base.date() and str(found.day.year) not in phrase and not _PAST.search(phrase):
        raise NoDateFound("the sentence names a day that is over")
    return _with_coming(text, _with_weekday(text, found, guesses))


def _check_months(searched: Sequence[tuple[str, datetime]], language: str) -> None:
    """Raises NoDateFound for a month whose day nobody says: `Review in December`."""
    for phrase, _ in searched:
        month = _month_alone(phrase, language)
        if month is not None and (phrase.lower() != month or month not in _ALSO_NAMES):
            raise NoDateFound("the sentence names a month and no day")


def _month_alone(phrase: str, language: str) -> str | None:
    """`december` of `in December`, `im Dezember 2026`; None of anything else."""
    match = re.fullmatch(r"(?:[^\W\d]{1,3}\s)?([^\W\d]+)\.?(?:\s(?:de\s)?\d{4})?", phrase.strip().lower())
    return match[1] if match and match[1] in _months(language) else None


def _guesses(
    searched: Sequence[tuple[str, datetime]], text: str, base: datetime, language: str, *, is_alone: bool
) -> list[tuple[int, Found]]:
    """What dateparser finds, each with how sure it is."""
    guesses = []
    at = 0
    for told, moment in searched:
        phrase = _without_number(told, moment, base, language)
        start = text.find(phrase, at)
        if start < 0:
            continue
        at = start + len(phrase)
        _check_day(phrase, text[:start], text[at:], language)
        sureness = 0 if _is_within_word(text, start, at) else _sureness(phrase, text, start, language)
        found = _placed(start, at, phrase, moment, base)
        if sureness and (is_alone or found.moment is None or found.day != base.date()):
            guesses.append((sureness, found))
    return guesses


def _placed(start: int, end: int, phrase: str, moment: datetime, base: datetime) -> Found:
    is_midnight = moment.time() == datetime.min.time()
    is_weekday = phrase.lower().removeprefix("on ") in WEEKDAYS or (is_midnight and not re.search(r"\d", phrase))
    is_moment = not is_midnight and (moment - base) % _DAY != timedelta(0)
    return Found(start, end, moment.date(), moment.date(), moment if is_moment else None, is_weekday)


def _with_coming(text: str, found: Found) -> Found:
    """A weekday with the word of Romance languages that says that it is not today: `vendredi prochain`."""
    before, after = _COMING_BEFORE.search(text[: found.start]), _COMING_AFTER.match(text[found.end :])
    if not found.is_weekday or not (before or after):
        return found
    start = before.start() if before else found.start
    return found._replace(start=start, end=found.end + (after.end() if after else 0), is_weekday=False)


def _with_weekday(text: str, found: Found, guesses: Sequence[tuple[int, Found]]) -> Found:
    """The date with its weekday: `Thursday, Dec 3`. Raises NoDateFound where another day is named: `Friday in a week`.

    Elsewhere than beside the date a weekday may be what is talked about.
    """
    for sureness, other in guesses:
        is_beside = not (text[found.end : other.start] + text[other.end : found.start]).strip(" ,.")
        if (other.is_weekday and not is_beside) or (not other.is_weekday and sureness < 2):
            continue
        by_name = other.is_weekday and not found.is_weekday
        if found.day.weekday() != other.day.weekday() if by_name else not found.day <= other.day <= found.last:
            raise NoDateFound("the sentence names two days")
        if by_name:
            found = found._replace(start=min(found.start, other.start), end=max(found.end, other.end))
    return found


def _search(text: str, base: datetime, language: str) -> Sequence[tuple[str, datetime]]:
    text = hide_loose_numbers(text)
    if not text or len(re.findall(r"\d+", text)) > MOST_NUMBERS:
        return []
    # Start-up: it takes a second, and most gateways never need it.
    from dateparser.search import search_dates  # noqa: PLC0415

    settings: Any = {
        "RELATIVE_BASE": base,
        "PREFER_DATES_FROM": "future",
        "DATE_ORDER": "DMY",
        "TIMEZONE": "UTC",
        "RETURN_AS_TIMEZONE_AWARE": False,
    }
    try:
        return [
            (phrase, moment.replace(tzinfo=None))
            for phrase, moment in search_dates(text, languages=[language], settings=settings) or []
        ]
    except Exception:  # noqa: BLE001  (whatever a sentence does to it, it then has no date)
        return []


def _without_number(phrase: str, moment: datetime, base: datetime, language: str) -> str:
    """`tomorrow` of `101 tomorrow` and of `tomorrow 14-15`: a number that the date does not need is not part of it."""
    for pattern in (r"[\d\s\-:]+(?=[^\W\d][^\d]*$)", r"(?<=[^\W\d])[\s]+(?!\d{4}$)[\d\s\-:]+$"):
        word = re.sub(rf"^{pattern}" if pattern[0] == "[" else pattern, "", phrase)
        if word != phrase and any(found.date() == moment.date() for _, found in _search(word, base, language)):
            return word
    return phrase


def _check_day(phrase: str, before: str, after: str, language: str) -> None:
    """Raises NoDateFound for a month beside the number of a day that it does not have: the 31st of November."""
    is_day = re.search(r"(?<!\d)\d{1,2}(?:\.|º|°|er|e)?\s?(?:de |di |of )?$", before) or re.match(
        r"\s?\d{1,2}(?![\d:])", after
    )
    number = re.fullmatch(r"([^\W\d]{4,}),?\s\d{1,2}(?:st|nd|rd|th|\.)?", phrase.strip().lower())
    if number is not None and number[1] in WEEKDAYS:
        raise NoDateFound("the sentence has a number beside a weekday that may be a day or an hour")
    if is_day and phrase.strip().lower().rstrip(".") in _months(language):
        raise NoSuchDay("the sentence names a day that no calendar has")


@cache
def _months(language: str) -> frozenset[str]:
    from dateparser.languages.loader import default_loader  # noqa: PLC0415  (as in _search)

    known = default_loader.get_locale(language).info
    return frozenset(str(name).lower().rstrip(".") for month in month_name[1:] for name in known.get(month.lower(), []))


def _sureness(phrase: str, text: str, start: int, language: str) -> int:
    """How sure it is that this is meant as a date: 0 for not at all."""
    word = phrase.strip().lower()
    letters = "".join(each for each in word if each.isalpha())
    if re.search(r"\d", word):
        return 0 if _COUNTS.fullmatch(word) or (len(letters) == 1 and letters.isascii()) else 3
    if word in _NEVER_ALONE or len(word) > 60 or _month_alone(word, language):
        return 0
    if word in _SHORT or (len(letters) <= 3 and letters.isascii()):
        before = text[:start].rstrip().lower()
        is_at_end = not text[start + len(phrase) :].strip(" ,.")
        return 1 if word in _SHORT and (is_at_end or not before or before.endswith((" on", " next", " this"))) else 0
    return 2


def _is_within_word(text: str, start: int, end: int) -> bool:
    """Whether a word goes on beyond what was found in it; scripts without spaces have no such words."""
    edges = (text[start - 1 : start + 1] if start else "", text[end - 1 : end + 1])
    return any(len(edge) == 2 and edge.isascii() and edge.isalnum() for edge in edges)
