"""English sentences read as events, as `quickAdd` does: "Lunch with Sarah tomorrow at 1pm"."""

import re
from datetime import date, datetime, time, timedelta
from typing import Any

from simulator.google.errors import GoogleError
from simulator.google.moments import load_zone

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
CLOCK = r"(?:(?P<{0}hour>\d{{1,2}})(?::(?P<{0}minute>\d\d))?\s*(?P<{0}half>am|pm)|(?P<{0}long>\d{{1,2}}:\d\d)|(?P<{0}word>noon|midnight))"
TIMES = re.compile(
    r"\b(?:at|from)?\s*\b" + CLOCK.format("a") + r"(?:\s*(?:-|to|until)\s*" + CLOCK.format("b") + r")?\b", re.IGNORECASE
)
LENGTH = re.compile(r"\bfor (\d+|an?) (minute|min|hour|day)s?\b", re.IGNORECASE)
RELATIVE = re.compile(r"\b(today|tonight|tomorrow)\b", re.IGNORECASE)
WEEKDAY = re.compile(rf"\b(?:on |next |this )?({'|'.join(DAYS)})\b", re.IGNORECASE)
MONTH_DAY = re.compile(rf"\b(?:on )?({'|'.join(MONTHS)})[a-z]* (\d{{1,2}})(?:st|nd|rd|th)?\b", re.IGNORECASE)
BLANKS = re.compile(r"\s+")
UNITS = {"minute": 1, "min": 1, "hour": 60, "day": 1440}


def read_sentence(text: str, now: datetime, zone_name: str) -> dict[str, Any]:
    """An event body in the zone: an hour long unless it says otherwise, the whole day when it names no time."""
    if not text.strip():
        raise GoogleError(400, "required", "Required", location="text")
    here = now.astimezone(load_zone(zone_name))
    rest, minutes = _take(LENGTH, text)
    rest, clocks = _take(TIMES, rest)
    rest, day = _read_day(rest, here.date())
    summary = BLANKS.sub(" ", rest).strip(" ,.") or text.strip()
    if clocks is None:
        first = day or here.date()
        last = first + timedelta(days=_minutes(minutes) // 1440 if minutes and _minutes(minutes) >= 1440 else 1)
        return {"summary": summary, "start": {"date": first.isoformat()}, "end": {"date": last.isoformat()}}
    at = _clock(clocks, "a")
    start = datetime.combine(day or here.date(), at, here.tzinfo)
    if day is None and start <= here:
        start += timedelta(days=1)
    until = _clock(clocks, "b") if clocks["bhour"] or clocks["blong"] or clocks["bword"] else None
    end = datetime.combine(start.date(), until, here.tzinfo) if until else start + timedelta(minutes=_minutes(minutes))
    if end <= start:
        end += timedelta(days=1)
    moments = {"start": start, "end": end}
    return {
        "summary": summary,
        **{name: {"dateTime": at.isoformat(), "timeZone": zone_name} for name, at in moments.items()},
    }


def _take(pattern: re.Pattern[str], text: str) -> tuple[str, re.Match[str] | None]:
    found = pattern.search(text)
    return (text, None) if found is None else (text[: found.start()] + " " + text[found.end() :], found)


def _read_day(text: str, today: date) -> tuple[str, date | None]:
    rest, found = _take(RELATIVE, text)
    if found is not None:
        return rest, today + timedelta(days=1 if found[1].lower() == "tomorrow" else 0)
    rest, found = _take(WEEKDAY, text)
    if found is not None:
        ahead = (DAYS.index(found[1].lower()) - today.weekday()) % 7
        return rest, today + timedelta(days=ahead or 7)
    rest, found = _take(MONTH_DAY, text)
    if found is None:
        return text, None
    month = MONTHS.index(found[1].lower()) + 1
    day = date(today.year, month, int(found[2]))
    return rest, day if day >= today else day.replace(year=today.year + 1)


def _clock(found: re.Match[str], which: str) -> time:
    if found[f"{which}word"]:
        return time(12) if found[f"{which}word"].lower() == "noon" else time()
    if found[f"{which}long"]:
        return time.fromisoformat(found[f"{which}long"].zfill(5))
    hour = int(found[f"{which}hour"]) % 12 + (12 if found[f"{which}half"].lower() == "pm" else 0)
    return time(hour, int(found[f"{which}minute"] or 0))


def _minutes(found: re.Match[str] | None) -> int:
    if found is None:
        return 60
    number = 1 if found[1].lower() in {"a", "an"} else int(found[1])
    return number * UNITS[found[2].lower()]
