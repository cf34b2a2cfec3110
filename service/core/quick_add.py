"""A sentence as a draft of an event, for calendars that read none themselves: `Lunch with Sarah tomorrow at 1pm`.

Times of day and lengths are read by `sentence_times`, dates by dateparser in what is left; the title is what remains. A
date without a time is a whole day, a time without a date its next coming, and an event lasts an hour where nothing is
said. `next Friday` is the Friday of next week. Neither the system's clock nor its zone has a say.
"""

import re
import unicodedata
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from service.core.drafts import Draft
from service.core.sentence_times import DAY, Told, read_times

LONGEST: Final = 500
"""Characters of a sentence."""

HOUR: Final = timedelta(hours=1)
MOST_NUMBERS: Final = 12
"""Beyond these nobody knows which of them is a date."""

LANGUAGES: Final = (
    "en",
    "de",
    "fr",
    "es",
    "it",
    "pt",
    "nl",
    "pl",
    "sv",
    "da",
    "tr",
    "ru",
    "uk",
    "ja",
    "zh",
    "ko",
    "ar",
    "he",
)
"""Those that a sentence may be in when nobody says, in the order in which they are tried."""

_ORDERS: Final = {"en": "MDY", "ja": "YMD", "zh": "YMD", "ko": "YMD", "sv": "YMD"}
_WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_SHORT: Final = frozenset(
    {
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
    }
)
_NEVER_ALONE: Final = frozenset(
    {"may", "march", "august", "second", "minute", "hour", "day", "week", "month", "year", "mit", "im"}
)
"""What is a date in company only."""

_NEXT: Final = re.compile(rf"\b(?:on )?next ({'|'.join(_WEEKDAYS)})\b", re.IGNORECASE)
_AFTER_TOMORROW: Final = re.compile(r"\b(?:the )?day after tomorrow\b", re.IGNORECASE)
_OF_MONTH: Final = re.compile(
    r"^on the (\d{1,2})(?:st|nd|rd|th)\b|"
    r"\b(?:on )?the (\d{1,2})(?:st|nd|rd|th)\b(?=\s*(?:$|[,.;:)]|(?:at|from|with|for)\b))",
    re.IGNORECASE,
)
_ISO: Final = re.compile(r"\b(\d{4})-(\d\d)-(\d\d)\b")
_DOTTED: Final = re.compile(r"(?<![\w.])(\d{1,2})\.\s?(\d{1,2})\.(?:\s?(\d{4}))?(?![\d.])")
_ENGLISH: Final = re.compile(r"\b(?:at|with|the|today|tonight|tomorrow|\d{1,2}\s?[ap]m)\b", re.IGNORECASE)
"""What no other language is taken for: a name in a sentence may be a day of another."""

_EDGES: Final = r"(?:\b(?:on|at|from|by|for|this|am|um|an|von|le|la|el|à|a|de|du|den|il|alle|em|no|na|às|op|om|o|w|we|в|во|kl|の|に|は|@)|[-\u2013\u2014,;:(@・、。])"
_END: Final = re.compile(rf"(?:\s*{_EDGES})+\s*$", re.IGNORECASE)
_BEGIN: Final = re.compile(r"^(?:[\s,;:)\-\u2013\u2014・、。]|(?:に|は|の|から)(?=\S))+")


class NoDateFound(ValueError):
    """A sentence that names no time, or is no sentence."""


class _Found(NamedTuple):
    """A date in a sentence: where, and which; with `moment` it says a time, too (`in two hours`)."""

    start: int
    end: int
    day: date
    moment: datetime | None
    is_weekday: bool


def read_sentence(text: str, *, now: datetime, time_zone: str | None, language: str | None = None) -> Draft:
    """The event that a sentence means, seen from the moment `now` in a zone (IANA; UTC without one).

    `language` is a tag such as `de` or `de-CH`; without one the common ones are tried. Takes a second when first used, as
    dateparser is large, and then milliseconds. Raises NoDateFound.
    """
    sentence = " ".join(_clean(text).split())
    if not sentence or len(sentence) > LONGEST:
        raise NoDateFound(f"no sentence of at most {LONGEST} characters")
    zone = ZoneInfo(time_zone) if time_zone else ZoneInfo("UTC")
    base = now.astimezone(zone).replace(tzinfo=None, second=0, microsecond=0)
    tongue = re.split("[-_]", language)[0].lower() if language else None
    first: tuple[Told, str] | None = None
    for each in [tongue] if tongue else ["en"] if _ENGLISH.search(sentence) else LANGUAGES:
        told = read_times(sentence, is_english=each == "en")
        found = _find_date(told.rest, base, each, is_alone=told.start is None)
        if found is not None:
            title = _title(told.rest[: found.start], told.rest[found.end :])
            return _draft(told, found, title, base, zone, time_zone)
        if first is None or first[0].start is None:
            first = told, _title(told.rest, "")
    if first is None or (first[0].start is None and not first[0].is_tonight):
        raise NoDateFound("the sentence names no date and no time")
    return _draft(first[0], None, first[1], base, zone, time_zone)


def _draft(told: Told, found: _Found | None, title: str, base: datetime, zone: ZoneInfo, name: str | None) -> Draft:
    try:
        return _placed(told, found, title, base, zone, name)
    except OverflowError:
        raise NoDateFound("a time that no calendar has") from None


def _placed(told: Told, found: _Found | None, title: str, base: datetime, zone: ZoneInfo, name: str | None) -> Draft:
    if found is not None and found.moment is not None and told.start is None and not told.is_whole_day:
        return _timed(title, found.moment, told.length or HOUR, zone, name)
    if told.start is None:
        day = found.day if found is not None else base.date()
        days = max(told.length.days, 1) if told.length is not None else 1
        return Draft(title=title or None, start_date=day, end_date=day + timedelta(days=days), time_zone=name)
    day = found.day if found is not None else base.date()
    start = datetime(day.year, day.month, day.day) + told.start  # noqa: DTZ001  (on the wall clock)
    if found is None and start <= base and not told.is_tonight:
        start += DAY
    if (
        found is not None
        and found.is_weekday
        and day - base.date() == timedelta(days=7)
        and start - timedelta(days=7) > base
    ):
        # Said on a Friday morning, `Friday at 3pm` is today.
        start -= timedelta(days=7)
    length = told.end - told.start if told.end is not None else told.length or HOUR
    if told.zone is not None:
        begin = start.replace(tzinfo=told.zone).astimezone(UTC)
        return Draft(title=title or None, starts_at=begin, ends_at=begin + length, time_zone=name)
    return _timed(title, start, length, zone, name)


def _timed(title: str, start: datetime, length: timedelta, zone: ZoneInfo, name: str | None) -> Draft:
    begin = start.replace(tzinfo=zone).astimezone(UTC)
    return Draft(title=title or None, starts_at=begin, ends_at=begin + length, time_zone=name)


def _find_date(text: str, base: datetime, language: str, *, is_alone: bool) -> _Found | None:
    """The date in a sentence: the surest, and of several alike the last."""
    own = _find_own(text, base, is_english=language == "en")
    if own is not None:
        return own
    best: tuple[int, _Found] | None = None
    at = 0
    for phrase, moment in _search(text, base, language):
        start = text.find(phrase, at)
        if start < 0:
            continue
        at = start + len(phrase)
        sureness = 0 if _is_within_word(text, start, at) else _sureness(phrase, text, start)
        if not sureness or (best is not None and best[0] > sureness):
            continue
        is_weekday = phrase.lower().removeprefix("on ") in _WEEKDAYS or (
            moment.time() == datetime.min.time() and not re.search(r"\d", phrase)
        )
        apart = moment - base
        is_moment = is_alone and moment.time() != datetime.min.time() and apart % DAY != timedelta(0)
        best = sureness, _Found(start, at, moment.date(), moment if is_moment else None, is_weekday)
    return best[1] if best else None


def _find_own(text: str, base: datetime, *, is_english: bool) -> _Found | None:
    """What dateparser takes for something else."""
    try:
        return _find_number(text, base.date()) or (_find_english(text, base.date()) if is_english else None)
    except (ValueError, OverflowError):
        return None


def _find_number(text: str, today: date) -> _Found | None:
    """2026-03-20 and 20.3."""
    if match := _ISO.search(text):
        return _on(match, date(int(match[1]), int(match[2]), int(match[3])))
    if match := _DOTTED.search(text):
        day = date(int(match[3] or today.year), int(match[2]), int(match[1]))
        return _on(match, day if match[3] or day >= today else day.replace(year=day.year + 1))
    return None


def _find_english(text: str, today: date) -> _Found | None:
    if match := _AFTER_TOMORROW.search(text):
        return _on(match, today + timedelta(days=2))
    if match := _NEXT.search(text):
        monday = today - timedelta(days=today.weekday()) + timedelta(days=7)
        return _on(match, monday + timedelta(days=_WEEKDAYS.index(match[1].lower())))
    if match := _OF_MONTH.search(text):
        return _on(match, _next_of_month(int(match[1] or match[2]), today))
    return None


def _on(match: re.Match[str], day: date) -> _Found:
    return _Found(match.start(), match.end(), day, None, is_weekday=False)


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


def _search(text: str, base: datetime, language: str) -> Sequence[tuple[str, datetime]]:
    if not text or len(re.findall(r"\d+", text)) > MOST_NUMBERS:
        return []
    # Start-up: it takes a second, and most gateways never need it.
    from dateparser.search import search_dates  # noqa: PLC0415

    settings: Any = {
        "RELATIVE_BASE": base,
        "PREFER_DATES_FROM": "future",
        "DATE_ORDER": _ORDERS.get(language, "DMY"),
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


def _sureness(phrase: str, text: str, start: int) -> int:
    """How sure it is that this is meant as a date: 0 for not at all."""
    word = phrase.strip().lower()
    letters = "".join(each for each in word if each.isalpha())
    if re.search(r"\d", word):
        if re.fullmatch(r"(?:on )?(?:the )?\d[\d\s]*(?:st|nd|rd|th)?|\d+ (?:on|x|vs\.?|of|in|a|o|и|y|e) \d+", word) or (
            len(letters) == 1 and letters.isascii()
        ):
            return 0
        return 3
    if word in _NEVER_ALONE or len(word) > 60:
        return 0
    if word in _SHORT or (len(letters) <= 3 and letters.isascii()):
        before = text[:start].rstrip().lower()
        is_at_end = not text[start + len(phrase) :].strip()
        return 1 if word in _SHORT and (is_at_end or not before or before.endswith((" on", " next", " this"))) else 0
    return 2


def _is_within_word(text: str, start: int, end: int) -> bool:
    """Whether a word goes on beyond what was found in it; scripts without spaces have no such words."""
    edges = (text[start - 1 : start + 1] if start else "", text[end - 1 : end + 1])
    return any(len(edge) == 2 and edge.isascii() and edge.isalnum() for edge in edges)


def _title(before: str, after: str) -> str:
    before = _END.sub("", before)
    after = _BEGIN.sub("", after)
    return _BEGIN.sub("", _END.sub("", f"{before} {after}".strip())).strip(" \t-\u2013\u2014,;:")


def _clean(text: str) -> str:
    """As it is read: in one form of each character, without those that cannot be seen."""
    composed = unicodedata.normalize("NFKC", text[: LONGEST * 20])
    return "".join(each if unicodedata.category(each) not in {"Cc", "Cf", "Cs", "Co"} else " " for each in composed)
