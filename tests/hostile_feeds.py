"""Feeds that want to cost a reader much, by name: what they cost, `benchmarks/hostile_icalendar.py` measures."""

import gzip
import io
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

NOW: Final = datetime(2026, 3, 2, 9, tzinfo=UTC)
LARGEST: Final = 20 * 1024 * 1024 - 1024
GOOD: Final = "BEGIN:VEVENT\r\nUID:good\r\nDTSTART:20260303T090000Z\r\nSUMMARY:Good\r\nEND:VEVENT\r\n"
"""Comes with every text that can have it: it is to be listed whatever the rest is, unless the whole is refused."""


def feed(*parts: str) -> bytes:
    return f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{''.join(parts)}{GOOD}END:VCALENDAR\r\n".encode()


def vevent(*lines: str, start: str = "20200101T090000Z", uid: str = "bad") -> str:
    return "".join(f"{line}\r\n" for line in ("BEGIN:VEVENT", f"UID:{uid}", f"DTSTART:{start}", *lines, "END:VEVENT"))


def filled(unit: str, *, before: str = "", after: str = "") -> str:
    """As often as fits into the largest text."""
    return before + unit * ((LARGEST - len(before) - len(after)) // len(unit)) + after


def bomb() -> bytes:
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=9) as file:
        file.write(b"BEGIN:VCALENDAR\r\n")
        for _ in range(512):
            file.write(b"\0" * 2**20)
    return packed.getvalue()


def many(count: int, *lines: str, start: str = "20260303T090000Z") -> str:
    return "".join(vevent("SUMMARY:Many", *lines, start=start, uid=f"many-{number}") for number in range(count))


def rule(text: str, start: str = "20200101T090000Z") -> Callable[[], bytes]:
    return lambda: feed(vevent(f"RRULE:{text}", start=start))


def zones() -> str:
    parts = [
        f"BEGIN:VTIMEZONE\r\nTZID:Z{number}\r\nBEGIN:STANDARD\r\nDTSTART:00010101T000000\r\nRRULE:FREQ=DAILY\r\n"
        f"TZOFFSETFROM:+0{number % 10}00\r\nTZOFFSETTO:+0100\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\n"
        for number in range(3000)
    ]
    parts += [
        vevent(f"DTEND;TZID=Z{number}:20260303T100000", start="20260303T090000Z", uid=f"z{number}")
        for number in range(3000)
    ]
    return "".join(parts)


def overrides() -> str:
    changed = (
        vevent(f"RECURRENCE-ID:{NOW + timedelta(minutes=number):%Y%m%dT%H%M%SZ}", start="20260303T090000Z")
        for number in range(50_000)
    )
    return vevent("RRULE:FREQ=HOURLY", start="20260301T090000Z") + "".join(changed)


DATES: Final = ",".join(f"{NOW + timedelta(minutes=number):%Y%m%dT%H%M%SZ}" for number in range(50_000))

FEEDS: Final[Mapping[str, Callable[[], bytes]]] = {
    "a rule without end": rule("FREQ=DAILY"),
    "every minute": rule("FREQ=MINUTELY"),
    "every second": rule("FREQ=SECONDLY"),
    "every second of the 30th of February": rule("FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30"),
    "a rule that never comes": rule("FREQ=HOURLY;BYMONTH=2,3;BYMONTHDAY=30;BYDAY=2MO;BYWEEKNO=20"),
    "a yearly rule that never comes": rule("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30,31;BYHOUR=1,2,3,4,5;BYMINUTE=1,2,3"),
    "all parts of all rules": rule(
        f"FREQ=YEARLY;BYSETPOS=-1;BYHOUR={','.join(map(str, range(24)))};BYMINUTE={','.join(map(str, range(60)))};"
        f"BYSECOND={','.join(map(str, range(60)))}"
    ),
    "INTERVAL=0": rule("FREQ=DAILY;INTERVAL=0"),
    "a count of a thousand million": rule("FREQ=HOURLY;COUNT=1000000000", "19000101T090000Z"),
    "the year 1": rule("FREQ=DAILY", "00010101T090000Z"),
    "the year 1, every hour": rule("FREQ=HOURLY;BYMINUTE=7", "00010101T090000Z"),
    "the year 9999": rule("FREQ=DAILY", "99991230T090000Z"),
    "a thousand endless rules": lambda: feed(many(1000, "RRULE:FREQ=DAILY", start="20200101T090000Z")),
    "a thousand rules that never come": lambda: feed(
        many(1000, "RRULE:FREQ=HOURLY;BYMONTH=2,3;BYMONTHDAY=30;BYDAY=2MO;BYWEEKNO=20", start="20200101T090000Z")
    ),
    "a million RDATEs in one line": lambda: feed(vevent(f"RDATE:{','.join([DATES] * 20)}")),
    "a million RDATEs in many lines": lambda: feed(vevent(*(f"RDATE:20260303T{n % 24:02}{n % 60:02}00Z" for n in range(700_000)))),
    "fifty thousand EXDATEs": lambda: feed(vevent("RRULE:FREQ=HOURLY", f"EXDATE:{DATES}")),
    "fifty thousand overrides of one UID": lambda: feed(overrides()),
    "one line of 20 MB": lambda: feed(filled("x", before="BEGIN:VEVENT\r\nUID:l\r\nDTSTART:20260303T090000Z\r\nSUMMARY:", after="\r\nEND:VEVENT\r\n")),
    "one name of 20 MB": lambda: feed(filled("X", after="\r\n")),
    "20 MB of parameters": lambda: feed(vevent(filled(';X="a"', before="SUMMARY", after=":x"))),
    "20 MB of quotes": lambda: feed(vevent(filled('"', before="SUMMARY;X=", after=":x"))),
    "nested alarms": lambda: feed(vevent(filled("BEGIN:VALARM\r\n"))),
    "nested calendars": lambda: feed(filled("BEGIN:VCALENDAR\r\n")),
    "nested events": lambda: feed(filled("BEGIN:VEVENT\r\n")),
    "nested unknowns": lambda: feed(filled("BEGIN:X\r\n")),
    "ends without beginnings": lambda: feed(filled("END:VEVENT\r\n")),
    "three thousand zones": lambda: feed(zones()),
    "a gzip bomb": bomb,
    "100,000 UIDs outside the window": lambda: feed(many(99_990, start="20200101T090000Z")),
    "100,000 UIDs inside the window": lambda: feed(many(99_990)),
    "100,001 UIDs": lambda: feed(many(100_001)),
    "every character folded": lambda: feed(vevent(filled("\r\n x", before="SUMMARY:"))),
    "folds of nothing": lambda: feed(vevent(filled("\r\n ", before="SUMMARY:"))),
    "empty lines": lambda: feed(filled("\r\n")),
    "empty lines of CR": lambda: feed(filled("\r")),
    "NULs": lambda: feed(vevent(filled("\0"))),
    "backslashes": lambda: feed(vevent(filled("\\", before="DESCRIPTION:"))),
    "attendees": lambda: feed(vevent(*(f"ATTENDEE;CN=A{n}:mailto:a{n}@example.com" for n in range(200_000)))),
    "links": lambda: feed(vevent(filled("https://x.zoom.us/j/", before="DESCRIPTION:")[:250_000], start="20260303T090000Z")),
    "a day of a century": lambda: feed(many(1000, "DURATION:P99999999W", start="20260303T090000Z")),
}  # fmt: skip
"""Texts as they go over the wire; the bomb is packed."""
