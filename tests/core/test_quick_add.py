"""Sentences as drafts of events: titles, times, lengths, days, in several languages, and what is no sentence."""

import contextlib
import os
import random
import time
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import time_machine

from service.core.quick_add import LONGEST, NoDateFound, read_sentence

ZONE = "Europe/Paris"
NOW = datetime(2026, 3, 4, 9, tzinfo=UTC)
"""A Wednesday, ten o'clock in Paris."""


def local(day: int, hour: int, minute: int = 0, month: int = 3) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=ZoneInfo(ZONE)).astimezone(UTC)


TIMED = [
    ("Lunch with Sarah tomorrow at 1pm", "Lunch with Sarah", local(5, 13), 60),
    ("tomorrow at 1pm: Lunch with Sarah", "Lunch with Sarah", local(5, 13), 60),
    ("Tomorrow at 1pm lunch with Sarah", "lunch with Sarah", local(5, 13), 60),
    ("tomorrow 1pm", None, local(5, 13), 60),
    ("Meet Bob on Friday at 10", "Meet Bob", local(6, 10), 60),
    ("Meet Bob next Friday at 10", "Meet Bob", local(13, 10), 60),
    ("Meet Bob next Monday at 10am", "Meet Bob", local(9, 10), 60),
    ("Dentist March 14 at 3:30pm", "Dentist", local(14, 15, 30), 60),
    ("Dentist 14 March 15:30", "Dentist", local(14, 15, 30), 60),
    ("Call mum in 2 hours", "Call mum", local(4, 12), 60),
    ("Lunch in an hour", "Lunch", local(4, 11), 60),
    ("Call mum in 30 minutes for 15 minutes", "Call mum", local(4, 10, 30), 15),
    ("Review 2026-03-20 09:00", "Review", local(20, 9), 60),
    ("Review 3/20 9am", "Review", local(20, 9), 60),
    ("Team sync Monday 9am", "Team sync", local(9, 9), 60),
    ("Coffee Mon 9am", "Coffee", local(9, 9), 60),
    ("Standup today at noon", "Standup", local(4, 12), 60),
    ("Party Saturday night at 8", "Party", local(7, 20), 60),
    ("May meeting with Sun Li tomorrow 10am", "May meeting with Sun Li", local(5, 10), 60),
    ("Dinner at 7pm", "Dinner", local(4, 19), 60),
    ("Breakfast at 8am", "Breakfast", local(5, 8), 60),
    ("Dinner tonight at 7", "Dinner", local(4, 19), 60),
    ("Drinks tonight", "Drinks", local(4, 20), 60),
    ("Flight on 5th of April at 06:45", "Flight", local(5, 6, 45, month=4), 60),
    ("1 on 1 with Ann tomorrow at 14:00", "1 on 1 with Ann", local(5, 14), 60),
    ("Project X kickoff day after tomorrow at 11am", "Project X kickoff", local(6, 11), 60),
    ("Meeting at 3", "Meeting", local(4, 15), 60),
    ("Workshop in 3 days at 10:00", "Workshop", local(7, 10), 60),
    ("Q3 review on September 3rd 2026 at 4 PM", "Q3 review", local(3, 16, month=9), 60),
    ("Design review tomorrow 1-2pm", "Design review", local(5, 13), 60),
    ("Design review tomorrow 1\u20132:30 pm", "Design review", local(5, 13), 90),
    ("Design review tomorrow from 9 to 10:30", "Design review", local(5, 9), 90),
    ("Sync Thursday 11-1pm", "Sync", local(5, 11), 120),
    ("Sync Thursday 10pm-1am", "Sync", local(5, 22), 180),
    ("Sync 2pm to 4pm tomorrow", "Sync", local(5, 14), 120),
    ("call plumber between 2 and 3pm tomorrow", "call plumber", local(5, 14), 60),
    ("Standup tomorrow 9:15 for 15 minutes", "Standup", local(5, 9, 15), 15),
    ("Workshop tomorrow at 10 for 1.5 hours", "Workshop", local(5, 10), 90),
    ("Workshop tomorrow at 10 for 2h", "Workshop", local(5, 10), 120),
    ("Workshop tomorrow at 10 for half an hour", "Workshop", local(5, 10), 30),
    ("Workshop tomorrow 10am 90 minutes", "Workshop", local(5, 10), 90),
    ("Call tomorrow at 3pm EST", "Call", datetime(2026, 3, 5, 20, tzinfo=UTC), 60),
    ("Wednesday at 3pm retro", "retro", local(4, 15), 60),
    ("Wednesday at 9am retro", "retro", local(11, 9), 60),
    ("Coffee this afternoon", "Coffee", local(4, 15), 60),
    ("Coffee tomorrow morning", "Coffee", local(5, 9), 60),
    ("Room 12 meeting Friday 16:00", "Room 12 meeting", local(6, 16), 60),
    ("3 amigos meeting Friday at 3", "3 amigos meeting", local(6, 15), 60),
    ("Meet on the 2nd floor tomorrow at 3", "Meet on the 2nd floor", local(5, 15), 60),
    ("On the 15th call the 3rd supplier at 9am", "call the 3rd supplier", local(15, 9), 60),
    ("1:1 with Tom Friday 3pm", "1:1 with Tom", local(6, 15), 60),
    ("Room 101 at 4pm tomorrow", "Room 101", local(5, 16), 60),
    ("Lunch with May on May 5 at noon", "Lunch with May", local(5, 12, month=5), 60),
    ("LUNCH TOMORROW AT 1PM", "LUNCH", local(5, 13), 60),
    ("  Lunch\n\ttomorrow   at\u00a01pm ", "Lunch", local(5, 13), 60),
    ("Lunch tomorrow at 1\uff50\uff4d", "Lunch", local(5, 13), 60),
    ("After the clocks change: 30 March at 9am", "After the clocks change", local(30, 9), 60),
    ("Mittagessen mit Anna morgen um 13 Uhr", "Mittagessen mit Anna", local(5, 13), 60),
    ("Zahnarzt am Freitag um 9:30 Uhr für 45 Minuten", "Zahnarzt", local(6, 9, 30), 45),
    ("Besprechung am 20.03. von 14 bis 15 Uhr", "Besprechung", local(20, 14), 60),
    ("Déjeuner avec Paul demain à 13h", "Déjeuner avec Paul", local(5, 13), 60),
    ("Réunion vendredi à 14h30 pendant 45 minutes", "Réunion", local(6, 14, 30), 45),
    ("Almuerzo con Ana mañana a las 13:00", "Almuerzo con Ana", local(5, 13), 60),
    ("Comida con Ana mañana a las 14", "Comida con Ana", local(5, 14), 60),
    ("Kolacja jutro o godz. 19", "Kolacja", local(5, 19), 60),
    ("Pranzo con Luca domani alle 13", "Pranzo con Luca", local(5, 13), 60),
    ("Almoço com Rui amanhã às 13h", "Almoço com Rui", local(5, 13), 60),
    ("Lunch met Jan morgen om 13:00", "Lunch met Jan", local(5, 13), 60),
    ("Obiad z Anną jutro o 13:00", "Obiad z Anną", local(5, 13), 60),
    ("明日13時に会議", "会議", local(5, 13), 60),
    ("明天下午1点开会", "开会", local(5, 13), 60),
    ("내일 오후 3시 회의", "회의", local(5, 15), 60),
    ("Обед \u0441 Анной завтра в 13:00", "Обед \u0441 Анной", local(5, 13), 60),
]
DAYS = [
    ("Meet Bob on Friday", "Meet Bob", date(2026, 3, 6), 1),
    ("Pay rent on the 1st", "Pay rent", date(2026, 4, 1), 1),
    ("Offsite March 20 all day", "Offsite", date(2026, 3, 20), 1),
    ("Vacation all day tomorrow for 3 days", "Vacation", date(2026, 3, 5), 3),
    ("Deadline Dec 24", "Deadline", date(2026, 12, 24), 1),
    ("Birthday party 12 April", "Birthday party", date(2026, 4, 12), 1),
    ("New Year 2027-01-01", "New Year", date(2027, 1, 1), 1),
    ("Version 2.5 release on Friday", "Version 2.5 release", date(2026, 3, 6), 1),
    ("Vacation December 24-27", "Vacation", date(2026, 12, 24), 4),
    ("Vacation 24\u201327 December", "Vacation", date(2026, 12, 24), 4),
    ("Holiday from Dec 24 to Dec 27", "Holiday", date(2026, 12, 24), 4),
    ("Holiday from 28 Dec until 2 January", "Holiday", date(2026, 12, 28), 6),
    ("Offsite Jan 12-14, 2028", "Offsite", date(2028, 1, 12), 3),
    ("Leap party Feb 29", "Leap party", date(2028, 2, 29), 1),
    ("Urlaub 24.-27.12.", "Urlaub", date(2026, 12, 24), 4),
    ("Urlaub 28.12. bis 2.1.2027", "Urlaub", date(2026, 12, 28), 6),
    ("Urlaub morgen ganztägig", "Urlaub", date(2026, 3, 5), 1),
]
NOTHING = [
    "hello world",
    "lunch",
    "",
    "   ",
    "Buy 3 apples",
    "Call 555 1234",
    "2026-13-45",
    "the 32nd floor",
    "version 1.2.3",
    "Meeting on 31 November",
    "Meeting on November 31st at 3pm",
    "Dentist Feb 30 at 9am",
    "Abendessen am 31. November um 19 Uhr",
    "Dîner le 31 novembre à 19h",
    "0001-01-01 at 3pm",
    "Offsite Dec 24-27 at 9am",
    "Offsite December 27-24, 2026",
    "Standup every Monday at 10 until somebody cries",
]
REPEATED = [
    ("Standup every Monday at 10", "Standup", local(9, 10), "FREQ=WEEKLY;BYDAY=MO"),
    ("Retro every Wednesday at 9am", "Retro", local(11, 9), "FREQ=WEEKLY;BYDAY=WE"),
    ("Retro every Wednesday at 11am", "Retro", local(4, 11), "FREQ=WEEKLY;BYDAY=WE"),
    ("every weekday at 9:30am standup", "standup", local(5, 9, 30), "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR"),
    ("Review every Tuesday and Thursday 2-3pm", "Review", local(5, 14), "FREQ=WEEKLY;BYDAY=TU,TH"),
    ("Sync every other Friday at 3pm", "Sync", local(6, 15), "FREQ=WEEKLY;INTERVAL=2;BYDAY=FR"),
    ("Gym every day at 7am from tomorrow", "Gym", local(5, 7), "FREQ=DAILY"),
    ("Planning every 3 weeks on Monday at 1pm", "Planning", local(9, 13), "FREQ=WEEKLY;INTERVAL=3;BYDAY=MO"),
    ("Gym every day at 7am until March 8", "Gym", local(5, 7), "FREQ=DAILY;UNTIL=20260308T225959Z"),
    ("Report every month on the 1st at noon", "Report", local(1, 12, month=4), "FREQ=MONTHLY"),
]


@pytest.mark.parametrize(("text", "title", "start", "minutes"), [pytest.param(*row, id=row[0]) for row in TIMED])
def test_a_sentence_with_a_time(text: str, title: str | None, start: datetime, minutes: int) -> None:
    draft = read_sentence(text, now=NOW, time_zone=ZONE)
    assert (draft.title, draft.starts_at, draft.time_zone) == (title, start, ZONE)
    assert draft.ends_at == start + timedelta(minutes=minutes)


@pytest.mark.parametrize(("text", "title", "first", "days"), [pytest.param(*row, id=row[0]) for row in DAYS])
def test_a_sentence_with_a_day(text: str, title: str, first: date, days: int) -> None:
    draft = read_sentence(text, now=NOW, time_zone=ZONE)
    assert (draft.title, draft.start_date, draft.starts_at) == (title, first, None)
    assert draft.end_date == first + timedelta(days=days)


@pytest.mark.parametrize(("text", "title", "start", "line"), [pytest.param(*row, id=row[0]) for row in REPEATED])
def test_a_sentence_that_says_how_often(text: str, title: str, start: datetime, line: str) -> None:
    draft = read_sentence(text, now=NOW, time_zone=ZONE)
    assert (draft.title, draft.starts_at, draft.recurrence) == (title, start, [f"RRULE:{line}"])


def test_a_day_that_comes_each_year() -> None:
    draft = read_sentence("Birthday every year on March 30", now=NOW, time_zone=ZONE)
    assert (draft.title, draft.start_date, draft.recurrence) == ("Birthday", date(2026, 3, 30), ["RRULE:FREQ=YEARLY"])


@pytest.mark.parametrize("text", [pytest.param(text, id=text or "empty") for text in NOTHING])
def test_a_sentence_without_a_time_is_refused(text: str) -> None:
    with pytest.raises(NoDateFound):
        read_sentence(text, now=NOW, time_zone=ZONE)


@pytest.mark.parametrize(
    ("text", "language", "start"),
    [
        pytest.param("Lunch 03/04/2026 13:00", "en", local(4, 13), id="months-first"),
        pytest.param("Déjeuner 03/04/2026 13:00", "fr", local(3, 13, month=4), id="days-first"),
        pytest.param("Lunch morgen 13 Uhr", "de-CH", local(5, 13), id="tag-with-a-region"),
        pytest.param("Lunch morgen um 3", "de", local(5, 3), id="only-english-guesses-the-half"),
    ],
)
def test_the_language_decides(text: str, language: str, start: datetime) -> None:
    assert read_sentence(text, now=NOW, time_zone=ZONE, language=language).starts_at == start


@pytest.mark.parametrize("language", ["xx", "../en", "e" * 100, ""])
def test_a_language_that_nobody_knows_finds_what_needs_none(language: str) -> None:
    assert read_sentence("Lunch 2026-03-05 13:00", now=NOW, time_zone=ZONE, language=language).starts_at == local(5, 13)


@pytest.mark.parametrize(
    ("zone", "start"),
    [
        pytest.param("America/Los_Angeles", datetime(2026, 3, 5, 21, tzinfo=UTC), id="behind"),
        pytest.param("Pacific/Kiritimati", datetime(2026, 3, 4, 23, tzinfo=UTC), id="where-it-is-later"),
        pytest.param(None, datetime(2026, 3, 5, 13, tzinfo=UTC), id="utc"),
    ],
)
def test_tomorrow_is_where_the_calendar_is(zone: str | None, start: datetime) -> None:
    assert read_sentence("Lunch tomorrow at 1pm", now=NOW, time_zone=zone).starts_at == start


def test_neither_the_systems_clock_nor_its_zone_has_a_say(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [row[0] for row in (*TIMED, *DAYS)]
    usual = [read_sentence(text, now=NOW, time_zone=ZONE) for text in texts]
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    try:
        time.tzset()
        with time_machine.travel(datetime(2031, 7, 9, 23, 59, tzinfo=UTC)):
            assert [read_sentence(text, now=NOW, time_zone=ZONE) for text in texts] == usual
    finally:
        os.environ.pop("TZ", None)
        time.tzset()


HOSTILE = [
    pytest.param("1" * LONGEST, id="digits"),
    pytest.param("1 " * (LONGEST // 2), id="digits-apart"),
    pytest.param("1:" * (LONGEST // 2), id="colons"),
    pytest.param("1-" * (LONGEST // 2), id="dashes"),
    pytest.param("at 1 to " * (LONGEST // 8), id="ranges"),
    pytest.param("tomorrow " * (LONGEST // 9), id="dates"),
    pytest.param("monday 1pm " * (LONGEST // 11), id="moments"),
    pytest.param("\u202e\u0627\u0644\u064a\u0648\u0645 " * 70, id="right-to-left"),
    pytest.param("明日13時" * 100, id="without-spaces"),
    pytest.param("for 99 hours " * 38, id="lengths"),
    pytest.param("\0\ud800\ufffe tomorrow at 1pm", id="no-characters"),
    pytest.param("9999-12-31 23:59 for 31 days", id="the-end-of-time"),
    pytest.param("in 99999999999999 years", id="far-away"),
    pytest.param("(((((((((((((((((((((((((" * 20, id="brackets"),
]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("text", HOSTILE)
def test_no_sentence_takes_long(text: str) -> None:
    with contextlib.suppress(NoDateFound):
        read_sentence(text, now=NOW, time_zone=ZONE)


@pytest.mark.timeout(60)
def test_what_is_too_long_is_no_sentence() -> None:
    for text in ("lunch tomorrow at 1pm " * 500, "1" * 10_000, "a" * 1_000_000):
        with pytest.raises(NoDateFound):
            read_sentence(text, now=NOW, time_zone=ZONE)


def test_no_mixture_of_words_is_a_fault() -> None:
    chance = random.Random(7)
    hours = ("at", "1", "2pm", "to", "-", "for", "noon", "24:00", "12am", "h", "um", "13", "uhr", ":", ".", "/", "(")
    words = (
        *hours,
        "tomorrow",
        "monday",
        "every",
        "until",
        "week",
        "the",
        "31st",
        "of",
        "feb",
        "29",
        "day",
        "in",
        "3",
        "hours",
        "all",
    )
    for _ in range(150):
        text = " ".join(chance.choices(words, k=chance.randint(1, 9)))
        try:
            draft = read_sentence(text, now=NOW, time_zone=ZONE)
        except NoDateFound:
            continue
        if draft.starts_at is not None and draft.ends_at is not None:
            assert timedelta(0) < draft.ends_at - draft.starts_at <= timedelta(days=31)
        else:
            assert draft.start_date < draft.end_date
