"""Times of day and lengths as people write them in a sentence: `1-2pm`, `um 13 Uhr`, `13h30`, `13時`, `for 90 minutes`."""

import re
from datetime import timedelta, timezone
from typing import Final, NamedTuple

from service.core.sentence_day_parts import Part, settle, take_part
from service.core.sentence_days import NoDateFound

DAY: Final = timedelta(days=1)
LONGEST: Final = timedelta(days=31)

_WORDS: Final = {
    **dict.fromkeys(("noon", "midday", "mittag", "midi", "mediodía", "mezzogiorno", "meio-dia"), 12),
    **dict.fromkeys(("midnight", "mitternacht", "minuit", "medianoche", "mezzanotte", "meia-noite"), 24),
}
_UNITS: Final = r"uhr|uur|heures?|hrs?|ore|o'?clock|godz\.?|ч|часа?|часов|годин[иіау]?|h"
_AT: Final = r"at|@|um|à|a\slas?|alle|all'|às|om|o\sgodz\.|в|kl\.?|klo|saat|ore|alle\sore|\u043e|الساعة|בשעה|ב-"
_FROM: Final = r"from|between|von|zwischen|de|dalle|das|van|od|\u0441"
_TO: Final = r"[-\u2013\u2014~〜]|to|till?|until|and|bis|und|à|a\slas?|a|hasta|alle|às|tot|do|до"


def _clock(n: int) -> str:
    return rf"""(?:
        (?P<word{n}>{"|".join(_WORDS)})(?!\w)
        |(?:(?P<pm{n}>午後|下午|오후)|(?P<am{n}>午前|上午|오전))?\s?
         (?P<h{n}>[01]?\d|2[0-4])(?:(?P<sep{n}>[:.h])(?P<m{n}>[0-5]\d)(?!\d))?
         (?:\s?(?P<half{n}>[ap]\.?\s?m)(?!\w)\.?)?
         (?:\s?(?P<unit{n}>(?:{_UNITS})(?!\w)|[時时点點시](?:(?P<cjk{n}>[0-5]?\d)[分분]|半)?))?
    )"""


_FLAGS: Final = re.IGNORECASE | re.VERBOSE
_RANGE: Final = re.compile(
    rf"(?<![\w:/.\-])(?:(?P<intro>{_FROM}|{_AT})\s+)?{_clock(1)}\s*(?:{_TO})\s*{_clock(2)}(?!\w|[:/%.\-]\d)",
    _FLAGS,
)
_SINGLE: Final = re.compile(rf"(?<![\w:/.\-])(?:(?P<intro>{_AT})\s*)?{_clock(1)}(?!\d|[:/%.\-]\d)", _FLAGS)
_CJK: Final = re.compile(rf"{_clock(1)}", _FLAGS)
_WHOLE_DAY: Final = re.compile(
    r"\b(?:all[ -]day|whole day|ganztägig|den ganzen tag|toute la journée|todo el día|tutto il giorno|o dia todo|"
    r"(?:de )?hele dag|cały dzień|весь день)\b|終日|全天|一整天|하루 종일",
    re.IGNORECASE,
)
_NUMBER: Final = r"(?P<number>\d{1,3}(?:[.,]\d{1,2})?|an?|one|two|three|half an?|ein(?:e|er)?|une?|una?)"
_LENGTH_UNIT: Final = (
    r"(?P<unit>minutes?|mins?|minuten?|minut(?:i|os|y|ę)?|минут[ыа]?|hours?|hrs?|stunden?|heures?|horas?|or[ae]|uur|uren|"
    r"godzin[ęy]?|часа?|часов|days?|tage?n?|jours?|días?|dias?|giorn[io]|dag(?:en)?|dni|дн(?:я|ей)|h|m)(?!\w)"
)
_FOR: Final = re.compile(
    rf"\b(?:for|für|pendant|durante|por|per|voor|przez|на)\s+{_NUMBER}\s?{_LENGTH_UNIT}(?:\s?(?P<rest>[0-5]?\d)\s?(?:m|mins?|minutes?)?(?!\w))?",
    re.IGNORECASE,
)
_BARE: Final = re.compile(
    r"(?<!\w)(?<!in )(?<!dans )(?<!en )(?<!fra )(?<!em )(?<!over )(?<!za )(?<!через )(?<!after )"
    r"(?P<number>\d{1,3}(?:[.,]\d{1,2})?)[ -]?(?P<unit>minutes?|mins?|hours?|hrs?|minuten|stunden)(?!\w)(?! (?:from now|later|ago|before|after))",
    re.IGNORECASE,
)
_ZONE: Final = re.compile(r"^\s?\(?(UTC|GMT|EST|EDT|CST|CDT|MST|MDT|PST|PDT|CET|CEST|BST)\b\)?")
_OFFSETS: Final = dict(
    zip(("UTC", "GMT", "BST", "CET", "CEST", "EST", "EDT", "CST", "CDT", "MST", "MDT", "PST", "PDT"),
        (0, 0, 1, 1, 2, -5, -4, -6, -5, -7, -6, -8, -7), strict=True)
)  # fmt: skip


class Told(NamedTuple):
    """What a sentence says of the time of day: since midnight; `zone` where it names one, and the sentence without all that.

    Without a `start` it says nothing, or, with `is_whole_day`, that there is none.
    """

    start: timedelta | None
    end: timedelta | None
    length: timedelta | None
    is_whole_day: bool
    is_tonight: bool
    zone: timezone | None
    rest: str


def read_times(text: str, language: str) -> Told:
    """Take the times out of a sentence. In English an hour from one to six without more is in the afternoon."""
    text, length = _take_length(text)
    whole = _WHOLE_DAY.search(text)
    if whole is not None:
        text = _without(text, whole.start(), whole.end())
    part = take_part(text, language)
    text = part.rest if part is not None else text
    start = end = zone = None
    if whole is None:
        start, end, zone, text = _take_clock(text, part, is_english=language == "en")
    if start is not None and any(_is_written_time(match) for match in _SINGLE.finditer(text)):
        raise NoDateFound("the sentence tells more times than one event has")
    if start is None and part is not None and whole is None:
        if re.search(r"\d\W*\w*$", text[: part.at]):
            raise NoDateFound("the sentence has a number that may be an hour: `um 17 Uhr`, `at 17:00`")
        start = part.usual
    return Told(start, end, length, whole is not None, part is not None and part.is_today, zone, text)


def _take_length(text: str) -> tuple[str, timedelta | None]:
    for pattern in (_FOR, _BARE):
        match = pattern.search(text)
        if match is None:
            continue
        word = match["number"].lower().replace(",", ".")
        number = float(word) if word[0].isdigit() else {"two": 2, "three": 3}.get(word, 0.5 if "half" in word else 1)
        unit = match["unit"].lower()
        if unit.startswith(("m", "мин")):
            length = timedelta(minutes=number)
        elif unit.startswith(("tag", "day", "jour", "d", "giorn", "дн")):
            length = timedelta(days=number)
        else:
            length = timedelta(hours=number)
        if pattern is _FOR and match["rest"]:
            length += timedelta(minutes=int(match["rest"]))
        if timedelta(0) < length <= LONGEST:
            return _without(text, match.start(), match.end()), length
    return text, None


def _take_clock(
    text: str, part: Part | None, *, is_english: bool
) -> tuple[timedelta | None, timedelta | None, timezone | None, str]:
    match = _find_clock(text, part.at if part is not None else None)
    if match is None:
        return None, None, None, text
    is_range = match.re is _RANGE
    start, half = _since_midnight(match, 1), _half(match, 1)
    end, other = (_since_midnight(match, 2), _half(match, 2)) if is_range else (None, None)
    if part is not None and not {half, other} & {"a", "p", "word"}:
        begin, finish = settle(start, end, part, is_beside_end=match.end() == part.at)
    else:
        begin, finish = _settle(start, half, end, other, is_english=is_english)
    zone = _ZONE.match(text[match.end() :])
    last = match.end() + (zone.end() if zone else 0)
    known = timezone(timedelta(hours=_OFFSETS[zone[1].upper()])) if zone else None
    return begin, finish, known, _without(text, match.start(), last)


def _find_clock(text: str, part_at: int | None) -> re.Match[str] | None:
    """The first time of day, of what is surely one or else of what may be one; a part of the day after a number makes it one."""
    for pattern, is_meant in (
        (_RANGE, _is_time),
        (_SINGLE, _is_time),
        (_CJK, _is_cjk_time),
        (_RANGE, _is_dotted_time),
        (_SINGLE, _is_dotted_time),
        (_RANGE, lambda _: part_at is not None),
    ):
        for match in pattern.finditer(text):
            if is_meant(match) or (pattern is not _CJK and match.end() == part_at):
                return match
    return None


def _ends(match: re.Match[str]) -> tuple[int, ...]:
    return (1, 2) if match.re is _RANGE else (1,)


def _is_time(match: re.Match[str]) -> bool:
    """Whether a number is a time rather than any number: by how it is written, or by the word before it."""
    return bool(match["intro"]) or any(
        match[f"word{n}"] or match[f"half{n}"] or match[f"unit{n}"] or match[f"sep{n}"] in {":", "h", "H"}
        for n in _ends(match)
    )


def _is_written_time(match: re.Match[str]) -> bool:
    return bool(match["half1"]) or match["sep1"] == ":"


def _is_cjk_time(match: re.Match[str]) -> bool:
    return bool(match["unit1"]) and match["unit1"][0] in "時时点點시"


def _is_dotted_time(match: re.Match[str]) -> bool:
    """Whether `14.30` is a time: not where it may be a day of a month, nor `3.14`."""
    if any(match[f"sep{n}"] != "." or int(match[f"h{n}"]) > 23 for n in _ends(match)):
        return False
    minutes = [int(match[f"m{n}"]) for n in _ends(match)]
    is_day = all(1 <= each <= 12 for each in minutes)
    return not is_day and (len(match["h1"]) == 2 or all(each % 5 == 0 for each in minutes))


def _since_midnight(match: re.Match[str], n: int) -> timedelta:
    if match[f"word{n}"]:
        return timedelta(hours=_WORDS[match[f"word{n}"].lower()])
    minutes = int(match[f"m{n}"] or match[f"cjk{n}"] or 0)
    if (match[f"unit{n}"] or "").endswith("半"):
        minutes = 30
    return timedelta(hours=int(match[f"h{n}"]), minutes=minutes)


def _half(match: re.Match[str], n: int) -> str | None:
    """`a`, `p`, `word` (for noon), `24` where the hour can only be meant so, or None."""
    if match[f"word{n}"]:
        return "word"
    given = match[f"half{n}"]
    if given or match[f"pm{n}"] or match[f"am{n}"]:
        return given[0].lower() if given else "p" if match[f"pm{n}"] else "a"
    hour = match[f"h{n}"]
    return "24" if len(hour) == 2 and (hour[0] == "0" or int(hour) > 12) else None


def _settle(
    start: timedelta, half: str | None, end: timedelta | None, other: str | None, *, is_english: bool
) -> tuple[timedelta, timedelta | None]:
    noon = timedelta(hours=12)
    if half is None and other in {"a", "p"} and end is not None:
        # 1-2pm are both in the afternoon; in 11-1pm only the second is.
        half = other if start % noon < end % noon else {"a": "p", "p": "a"}[other]
    begin = _on_clock(start, half, is_english=is_english)
    if end is None:
        return begin, None
    finish = _on_clock(end, other, is_english=False)
    while finish <= begin:
        finish += noon if other is None else DAY
    return begin, finish


def _on_clock(at: timedelta, half: str | None, *, is_english: bool) -> timedelta:
    noon = timedelta(hours=12)
    if half in {"a", "p"} and at < timedelta(hours=13):
        return at % noon + (noon if half == "p" else timedelta(0))
    if half is None and is_english and timedelta(hours=1) <= at < timedelta(hours=7):
        return at + noon
    return at


def _without(text: str, start: int, end: int) -> str:
    return f"{text[:start].rstrip()} {text[end:].lstrip()}".strip()
