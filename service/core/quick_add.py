"""A sentence as a draft of an event, for calendars that read none themselves: `Lunch with Sarah tomorrow at 1pm`.

Times of day and lengths are read by `sentence_times`, how often it comes by `sentence_repeats`, dates by `sentence_dates`
and then by dateparser in what is left; the title is what remains. A date without a time is a whole day, a time without a
date its next coming, and an event lasts an hour where nothing is said. `next Friday` is the Friday of next week. Neither
the system's clock nor its zone has a say.
"""

import re
import unicodedata
from calendar import month_name
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from service.core.drafts import Draft
from service.core.sentence_dates import WEEKDAYS, NoDateFound, find_days
from service.core.sentence_repeats import Repeats, first_day, read_repeats, rule
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
_YEARS: Final = range(1970, 2201)
"""Those that anybody can mean."""

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

_ENGLISH: Final = re.compile(r"\b(?:at|with|the|every|today|tonight|tomorrow|\d{1,2}\s?[ap]m)\b", re.IGNORECASE)
"""What no other language is taken for: a name in a sentence may be a day of another."""

_EDGES: Final = r"(?:\b(?:on|at|from|by|for|this|am|um|an|von|le|la|el|à|a|de|du|den|il|alle|em|no|na|às|op|om|o|w|we|в|во|kl|の|に|は|@)|[-\u2013\u2014,;:(@・、。])"
_END: Final = re.compile(rf"(?:\s*{_EDGES})+\s*$", re.IGNORECASE)
_BEGIN: Final = re.compile(r"^(?:[\s,;:)\-\u2013\u2014・、。]|(?:に|は|の|から)(?=\S))+")


class _Found(NamedTuple):
    """A date in a sentence: where, and which, or from which to which; with `moment` it says a time, too (`in two hours`)."""

    start: int
    end: int
    day: date
    last: date
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
        repeats = read_repeats(sentence) if each == "en" else None
        told = read_times(repeats.rest if repeats else sentence, is_english=each == "en")
        found = _find_date(told.rest, base, each, is_alone=told.start is None)
        title = _title(told.rest[: found.start], told.rest[found.end :]) if found is not None else _title(told.rest, "")
        if repeats is not None:
            return _repeated(repeats, told, found, title, base, zone, time_zone)
        if found is not None:
            return _draft(told, found, title, base, zone, time_zone)
        if first is None or first[0].start is None:
            first = told, title
    if first is None or (first[0].start is None and not first[0].is_tonight):
        raise NoDateFound("the sentence names no date and no time")
    return _draft(first[0], None, first[1], base, zone, time_zone)


def _repeated(
    repeats: Repeats, told: Told, found: _Found | None, title: str, base: datetime, zone: ZoneInfo, name: str | None
) -> Draft:
    today = base.date()
    last = _find_date(repeats.until, base, "en", is_alone=False) if repeats.until is not None else None
    if repeats.until is not None and last is None:
        raise NoDateFound("the sentence does not say until when")
    day = first_day(repeats, found.day if found is not None else today)
    is_over = told.start is not None and datetime.combine(day, datetime.min.time()) + told.start <= base
    if found is None and is_over:
        day = first_day(repeats, day + DAY)
    once = _draft(told, _Found(0, 0, day, day, None, is_weekday=False), title, base, zone, name)
    lines = [rule(repeats, last.day if last is not None else None, zone if once.starts_at is not None else None)]
    return msgspec.structs.replace(once, recurrence=lines)


def _draft(told: Told, found: _Found | None, title: str, base: datetime, zone: ZoneInfo, name: str | None) -> Draft:
    if found is not None and not {found.day.year, found.last.year} <= set(_YEARS):
        raise NoDateFound("a time that no calendar has")
    if found is not None and found.last != found.day and told.start is not None:
        raise NoDateFound("several days and one time of day: say `every day from … until …`, or leave the time out")
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
        end = max(found.last + DAY if found is not None else day, day + timedelta(days=days))
        return Draft(title=title or None, start_date=day, end_date=end, time_zone=name)
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
    own = find_days(text, base.date(), is_english=language == "en")
    if own is not None:
        return _Found(own.start, own.end, own.first, own.last, None, is_weekday=False)
    best: tuple[int, _Found] | None = None
    at = 0
    for told, moment in _search(text, base, language):
        phrase = _without_number(told, moment, base, language)
        start = text.find(phrase, at)
        if start < 0:
            continue
        at = start + len(phrase)
        _check_day(phrase, text[:start], text[at:], language)
        sureness = 0 if _is_within_word(text, start, at) else _sureness(phrase, text, start)
        if not sureness or (best is not None and best[0] > sureness):
            continue
        is_weekday = phrase.lower().removeprefix("on ") in WEEKDAYS or (
            moment.time() == datetime.min.time() and not re.search(r"\d", phrase)
        )
        apart = moment - base
        is_moment = is_alone and moment.time() != datetime.min.time() and apart % DAY != timedelta(0)
        best = sureness, _Found(start, at, moment.date(), moment.date(), moment if is_moment else None, is_weekday)
    return best[1] if best else None


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


def _without_number(phrase: str, moment: datetime, base: datetime, language: str) -> str:
    """`tomorrow` of `101 tomorrow` and of `tomorrow 14-15`: a number that the date does not need is not part of it."""
    for pattern in (r"[\d\s\-:]+(?=[^\W\d][^\d]*$)", r"(?<=[^\W\d])[\s]+[\d\s\-:]+$"):
        word = re.sub(rf"^{pattern}" if pattern[0] == "[" else pattern, "", phrase)
        if word != phrase and any(found.date() == moment.date() for _, found in _search(word, base, language)):
            return word
    return phrase


def _check_day(phrase: str, before: str, after: str, language: str) -> None:
    """Raises NoDateFound for a month beside the number of a day that it does not have: the 31st of November."""
    is_day = re.search(r"(?<!\d)\d{1,2}(?:\.|º|°|er|e)?\s?(?:de |di |of )?$", before) or re.match(
        r"\s?\d{1,2}(?![\d:])", after
    )
    if is_day and phrase.strip().lower().rstrip(".") in _months(language):
        raise NoDateFound("the sentence names a day that no calendar has")


@cache
def _months(language: str) -> frozenset[str]:
    from dateparser.languages.loader import default_loader  # noqa: PLC0415  (as in _search)

    known = default_loader.get_locale(language).info
    return frozenset(str(name).lower().rstrip(".") for month in month_name[1:] for name in known.get(month.lower(), []))


def _sureness(phrase: str, text: str, start: int) -> int:
    """How sure it is that this is meant as a date: 0 for not at all."""
    word = phrase.strip().lower()
    letters = "".join(each for each in word if each.isalpha())
    if re.search(r"\d", word):
        if (
            re.fullmatch(r"\d+:\d", word)
            or re.fullmatch(r"(?:on )?(?:the )?\d[\d\s]*(?:st|nd|rd|th)?|\d+ (?:on|x|vs\.?|of|in|a|o|и|y|e) \d+", word)
            or (len(letters) == 1 and letters.isascii())
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
    return _BEGIN.sub("", _END.sub("", " ".join(f"{before} {after}".split()))).strip(" \t-\u2013\u2014,;:")


def _clean(text: str) -> str:
    """As it is read: in one form of each character, without those that cannot be seen."""
    composed = unicodedata.normalize("NFKC", text[: LONGEST * 20])
    return "".join(each if unicodedata.category(each) not in {"Cc", "Cf", "Cs", "Co"} else " " for each in composed)
