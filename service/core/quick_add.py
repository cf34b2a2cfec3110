"""A sentence as a draft of an event, for calendars that read none themselves: `Lunch with Sarah tomorrow at 1pm`.

Times of day and lengths are read by `sentence_times`, how often it comes by `sentence_repeats`, dates by `sentence_dates`
and then by dateparser in what is left; the title is what remains. A date without a time is a whole day, a time without a
date its next coming, and an event lasts an hour where nothing is said. `next Friday` is the Friday of next week. Neither
the system's clock nor its zone has a say.
"""

import re
import unicodedata
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from service.core.drafts import Draft
from service.core.sentence_day_parts import languages_of_parts
from service.core.sentence_days import NoDateFound, NoSuchDay
from service.core.sentence_leftovers import refuse_numbers, refuse_repeats, refuse_stretches
from service.core.sentence_names import hide_names, show_names
from service.core.sentence_repeats import Repeats, first_day, read_repeats, rule
from service.core.sentence_search import Found, find_date
from service.core.sentence_times import DAY, Told, read_times
from service.core.sentence_times import LONGEST as LONGEST_STAY

LONGEST: Final = 500
"""Characters of a sentence."""

HOUR: Final = timedelta(hours=1)
LANGUAGES: Final = (
    *("en", "de", "fr", "es", "it", "pt", "nl", "pl", "sv"),
    *("da", "tr", "ru", "uk", "ja", "zh", "ko", "ar", "he"),
)
"""Those that a sentence may be in when nobody says, in the order in which they are tried."""

_YEARS: Final = range(1970, 2201)
"""Those that anybody can mean."""

YEARS_AHEAD: Final = 2
"""Beyond these nobody means a year that they do not write."""

_ENGLISH: Final = re.compile(r"\b(?:at|with|the|every|today|tonight|tomorrow|\d{1,2}\s?[ap]m)\b", re.IGNORECASE)
"""What no other language is taken for: a name in a sentence may be a day of another."""

_FOREIGN: Final = re.compile(
    r"\b(?:um|uhr|uur|om|kl|alle|às|à|a\slas?|o\sgodz|godz|saat)\b|\d\.\s(?=[^\W\d])", re.IGNORECASE
)
"""What English does not say: it is tried last then."""

_EDGES: Final = r"(?:\b(?:on|at|from|starting|beginning|by|for|this|am|um|an|von|le|la|el|à|a|de|du|den|il|alle|em|no|na|às|op|om|o|w|we|в|во|kl|の|に|は|@)|[-\u2013\u2014,;:(@・、。])"
_END: Final = re.compile(rf"(?:\s*{_EDGES})+\s*$", re.IGNORECASE)
_BEGIN: Final = re.compile(r"^(?:[\s,;:)\-\u2013\u2014・、。]|(?:に|は|の|から)(?=\S))+")


_ISO_TIME: Final = re.compile(r"(?<=\d{4}-\d\d-\d\d)T(?=\d\d:\d\d(?:\s|$))")
_UNTIL: Final = re.compile(r"\b(?:until|till?|through|thru)\b", re.IGNORECASE)


class _Seen(NamedTuple):
    """From where a sentence is read: the wall clock there, its zone, and the zone's name if somebody gave one."""

    base: datetime
    zone: ZoneInfo
    name: str | None


class _Read(NamedTuple):
    told: Told
    found: Found | None
    title: str


def read_sentence(text: str, *, now: datetime, time_zone: str | None, language: str | None = None) -> Draft:
    """The event that a sentence means, seen from the moment `now` in a zone (IANA; UTC without one).

    `language` is a tag such as `de` or `de-CH`; without one the common ones are tried. Takes a second when first used, as
    dateparser is large, and then milliseconds. Raises NoDateFound for a sentence that was not understood whole.
    """
    sentence = hide_names(_ISO_TIME.sub(" ", " ".join(_clean(text).split())))
    if not sentence or len(sentence) > LONGEST:
        raise NoDateFound(f"no sentence of at most {LONGEST} characters")
    zone = ZoneInfo(time_zone) if time_zone else ZoneInfo("UTC")
    seen = _Seen(now.astimezone(zone).replace(tzinfo=None, second=0, microsecond=0), zone, time_zone)
    first: _Read | None = None
    unclear: NoSuchDay | None = None
    for each in _languages(sentence, language):
        repeats = read_repeats(sentence) if each == "en" else None
        if repeats is not None:
            return _repeated(repeats, seen)
        try:
            read = _read(sentence, seen.base, each)
        except NoSuchDay as error:
            unclear = unclear or error
            continue
        if read.found is not None or read.told.is_tonight:
            return _draft(read, seen)
        if first is None or first.told.start is None:
            first = read
    if unclear is not None:
        raise unclear
    if first is None or first.told.start is None:
        raise NoDateFound("the sentence names no date and no time")
    return _draft(first, seen)


def _languages(sentence: str, language: str | None) -> Sequence[str]:
    if language:
        return [re.split("[-_]", language)[0].lower()]
    of_parts = languages_of_parts(sentence)
    if _FOREIGN.search(sentence) or (of_parts and "en" not in of_parts):
        return sorted([*LANGUAGES[1:], "en"], key=lambda each: each not in of_parts)
    return ["en"] if _ENGLISH.search(sentence) else LANGUAGES


def _read(text: str, base: datetime, language: str) -> _Read:
    told = read_times(text, language)
    found = find_date(told.rest, base, language, is_alone=told.start is None)
    title = _title(told.rest[: found.start], told.rest[found.end :]) if found is not None else _title(told.rest, "")
    return _Read(told, found, title)


def _repeated(repeats: Repeats, seen: _Seen) -> Draft:
    last, read = _read_until(repeats.rest, seen.base)
    base, told = seen.base, read.told
    day = first_day(repeats, read.found.day if read.found is not None else base.date())
    is_over = told.start is not None and datetime.combine(day, datetime.min.time()) + told.start <= base
    if read.found is None and is_over:
        day = first_day(repeats, day + DAY)
    if last is not None and (last < day or repeats.times or repeats.days or repeats.months):
        raise NoDateFound("the sentence does not say until when")
    if read.found is not None and not _may_begin(repeats, read.found):
        raise NoDateFound("the sentence names a day that its rule does not have")
    once = _draft(read._replace(found=Found(0, 0, day, day)), seen, repeats=True)
    line = rule(repeats, day, last, seen.zone if once.starts_at is not None else None)
    return msgspec.structs.replace(once, recurrence=[line])


def _may_begin(repeats: Repeats, found: Found) -> bool:
    """Whether a rule can begin on a day that is named beside it: no Monday begins `every month`, nor `every Tuesday`."""
    if found.is_weekday and repeats.weekdays:
        return found.day.weekday() in repeats.weekdays
    return found.last == found.day and not (found.is_weekday and repeats.frequency in {"MONTHLY", "YEARLY"})


def _read_until(text: str, base: datetime) -> tuple[date | None, _Read]:
    """The last day that a repeating sentence names, and what the rest of it says; `until 5pm` names none."""
    for match in reversed(list(_UNTIL.finditer(text))):
        after = _read(text[match.end() :], base, "en")
        if after.found is None:
            continue
        before = _read(text[: match.start()].strip(), base, "en")
        if before.told.start is None:
            before = before._replace(told=after.told)
        length = before.told.length or after.told.length
        before = before._replace(told=before.told._replace(length=length))
        return after.found.last, before._replace(title=f"{before.title} {after.title}".strip())
    return None, _read(text, base, "en")


def _draft(read: _Read, seen: _Seen, *, repeats: bool = False) -> Draft:
    """The event that was read, if nothing else was said. Raises NoDateFound."""
    told, found = read.told, read.found
    has_time = told.start is not None or told.is_whole_day or (found is not None and found.moment is not None)
    refuse_repeats(read.title if repeats else told.rest, is_repeating=repeats)
    at = (found.start, found.end) if found is not None and not repeats else (0, 0)
    refuse_stretches(told.rest, told.rest[: at[0]], told.rest[at[0] : at[1]])
    refuse_numbers(read.title, has_day=found is not None, has_time=has_time)
    if found is not None and not {found.day.year, found.last.year} <= set(_YEARS):
        raise NoDateFound("a time that no calendar has")
    if found is not None and found.last.year > seen.base.year + YEARS_AHEAD and str(found.last.year) not in told.rest:
        raise NoDateFound("a year beyond the next two has to be written with its four digits")
    if found is not None and found.last - found.day >= LONGEST_STAY:
        raise NoDateFound("an event of more than 31 days")
    if found is not None and found.last != found.day and told.start is not None:
        raise NoDateFound("several days and one time of day: say `every day from … until …`, or leave the time out")
    try:
        draft = _placed(told, found, seen)
    except OverflowError:
        raise NoDateFound("a time that no calendar has") from None
    return msgspec.structs.replace(draft, title=show_names(read.title) or None)


def _placed(told: Told, found: Found | None, seen: _Seen) -> Draft:
    base = seen.base
    if found is not None and found.moment is not None and told.start is None and not told.is_whole_day:
        return _timed(found.moment, told.length or HOUR, seen)
    if told.start is None:
        day = found.day if found is not None else base.date()
        days = max(told.length.days, 1) if told.length is not None else 1
        end = max(found.last + DAY if found is not None else day, day + timedelta(days=days))
        return Draft(start_date=day, end_date=end, time_zone=seen.name)
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
        return Draft(starts_at=begin, ends_at=begin + length, time_zone=seen.name)
    return _timed(start, length, seen)


def _timed(start: datetime, length: timedelta, seen: _Seen) -> Draft:
    begin = start.replace(tzinfo=seen.zone).astimezone(UTC)
    return Draft(starts_at=begin, ends_at=begin + length, time_zone=seen.name)


def _title(before: str, after: str) -> str:
    before = _END.sub("", before)
    after = _BEGIN.sub("", after)
    return _BEGIN.sub("", _END.sub("", " ".join(f"{before} {after}".split()))).strip(" \t-\u2013\u2014,;:")


def _clean(text: str) -> str:
    """As it is read: in one form of each character, without those that cannot be seen."""
    composed = unicodedata.normalize("NFKC", text[: LONGEST * 20])
    return "".join(each if unicodedata.category(each) not in {"Cc", "Cf", "Cs", "Co"} else " " for each in composed)
