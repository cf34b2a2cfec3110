"""Sentences that might be misread: what is doubtful is refused, and what only looks like a date is a word."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.core.quick_add import read_sentence
from service.core.sentence_days import NoDateFound

ZONE = "Europe/Berlin"
NOW = datetime(2026, 11, 21, 13, 46, tzinfo=UTC)
"""A Saturday, a quarter to three in Berlin."""


def local(day: int, hour: int, minute: int = 0, month: int = 11) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=ZoneInfo(ZONE)).astimezone(UTC)


REFUSED = [
    "Review on 2/30",
    "call on 4/31",
    "Review 13/13",
    "Review 31/4 at 10",
    "Review 13/13/2026",
    "Coffee with Max 10am 11/31",
    "Besprechung am 31.4 um 10",
    "Mtg 9-5 tomorrow",
    "Mtg tomorrow 3-4",
    "meet tomorrow 14.10",
    "meet 14.10-15.10 tomorrow",
    "Urlaub vom 3. bis 5. Dezember",
    "Vacaciones del 3 al 5 de diciembre",
    "half past three tomorrow coffee",
    "call at 9am or 3pm tomorrow",
    "Vacation 9-5 March",
    "Meet Monday 12",
    "Termin morgen um halb 4",
    "Cita mañana a las 5 y media",
    "Party Saturday night at 12",
    "Party tomorrow night at 1",
    "Fiesta mañana a las 12 de la noche",
    "Treffen morgen um 15 Uhr morgens",
    "Review in December at 3pm",
    "Board meeting in March",
    "Prep for the Dec 3 launch tomorrow 3pm",
    "Review 1/2 tomorrow 4pm",
    "Treffen am 3 um 10 Uhr",
    "Dentist 12/5/31 9am",
    "Passport in 5 years",
    "every Monday except holidays at 9",
    "Standup every other day except Friday at 9",
    "every fifth Friday of every month 3pm",
    "fifth Friday of every month 3pm",
    "first and third Monday of every month at 10",
    "second to last Friday of every month at 10",
    "every 2nd and 4th Tuesday at 10",
    "Report every month on Monday at 10",
    "Standup every day this week at 9",
    "Sync every weekend at 9",
    "Meds every hour",
    "Birthday every March 30",
    "Gym twice a week at 7am",
    "Gym Mon and Wed at 7am",
    "Gym mon, wed, fri 7am",
    "Coffee Friday, Dec 3 at 3pm",
    "Coffee Fri, Dec 3 at 3pm",
    "Offsite Monday to Wednesday",
    "Yoga Mondays at 6pm",
    "every month for 2 weeks at 6pm",
    "yoga every 2 weeks for 1 week at 6pm",
    "Gym every day at 7am until March 8 for 3 weeks",
    "last Friday of the month 3pm",
    "Standup jeden Montag um 10",
    "Réunion chaque lundi à 10h",
    "Reunión todos los lunes a las 10",
    "Spotkanie w każdy poniedziałek o 10:00",
    "毎週月曜日10時に会議",
    "Call Bob next week at 3pm",
    "Call Bob Tuesday next week at 3pm",
    "Freitag in einer Woche um 10 Uhr",
    "Treffen nächste Woche um 10 Uhr",
    "Réunion la semaine prochaine à 10h",
    "下周一10点开会",
    "tomorrow at 3pm: plan for Dec 3",
]
TIMED = [
    ("Dentist 12/5 at 3pm", "Dentist", local(5, 15, month=12)),
    ("Dentist 25/12 at 3pm", "Dentist", local(25, 15, month=12)),
    ("Dentist 12/5/26 at 3pm", "Dentist", local(5, 15, month=12)),
    ("Besprechung am 20.12 um 10", "Besprechung", local(20, 10, month=12)),
    ("24/7 support review tomorrow 4pm", "24/7 support review", local(22, 16)),
    ("24/7 support at 4pm", "24/7 support", local(21, 16)),
    ("Demo v3.1 on Thursday at 11", "Demo v3.1", local(26, 11)),
    ("Python 3.13 upgrade tomorrow 4pm", "Python 3.13 upgrade", local(22, 16)),
    ("Discuss the 2-1 vote tomorrow 4pm", "Discuss the 2-1 vote", local(22, 16)),
    ("Score 13/13 tomorrow 4pm", "Score 13/13", local(22, 16)),
    ("Treffen am 3. Dezember um 15:30", "Treffen", local(3, 15, 30, month=12)),
    ("Treffen am 3. April um 3 Uhr", "Treffen", datetime(2027, 4, 3, 1, tzinfo=UTC)),
    ("Reunión pasado mañana a las 15:00", "Reunión", local(23, 15)),
    ("Reunião depois de amanhã às 15h", "Reunião", local(23, 15)),
    ("Coffee Thursday, Dec 3 at 3pm", "Coffee", local(3, 15, month=12)),
    ("Coffee Thu, Dec 3 at 3pm", "Coffee", local(3, 15, month=12)),
    ("meet 14.30-15.15 tomorrow", "meet", local(22, 14, 30)),
    ("meet tomorrow 14.30", "meet", local(22, 14, 30)),
    ("2026-12-03T10:00 review", "review", local(3, 10, month=12)),
    ("Møde den 3. december kl. 15.30", "Møde", local(3, 15, 30, month=12)),
    ("Arzt am 8. Dezember 2026 um 9 Uhr", "Arzt", local(8, 9, month=12)),
    ("12月3日15時に会議", "会議", local(3, 15, month=12)),
]
DAYS = [
    ("Review 3/20", "Review", date(2027, 3, 20)),
    ("Review 2027/3/20", "Review", date(2027, 3, 20)),
    ("12月3日 会議", "会議", date(2026, 12, 3)),
    ("Pay $12.50 to Bob on Friday", "Pay $12.50 to Bob", date(2026, 11, 27)),
]


PARTS = [
    ("Reunión mañana a las 5 de la tarde", "Reunión", 22, 17, 60),
    ("Reunión mañana 5 de la tarde", "Reunión", 22, 17, 60),
    ("Reunión mañana de 10 a 1 de la tarde", "Reunión", 22, 10, 180),
    ("Comida mañana a las 2 del mediodía", "Comida", 22, 14, 60),
    ("Cena mañana a las 9 de la noche", "Cena", 22, 21, 60),
    ("Reunión mañana por la mañana", "Reunión", 22, 9, 60),
    ("Treffen morgen um 8 Uhr abends", "Treffen", 22, 20, 60),
    ("Treffen morgen früh um 8", "Treffen", 22, 8, 60),
    ("Kino Freitagabend um 8", "Kino", 27, 20, 60),
    ("Treffen am Freitag nachmittags um 3", "Treffen", 27, 15, 60),
    ("Réunion demain à 5 heures de l'après-midi", "Réunion", 22, 17, 60),
    ("Réunion demain à 8h du matin", "Réunion", 22, 8, 60),
    ("Dîner ce soir à 8h", "Dîner", 21, 20, 60),
    ("Cena domani alle 8 di sera", "Cena", 22, 20, 60),
    ("Reunião amanhã às 3 da tarde", "Reunião", 22, 15, 60),
    ("Eten morgen om 8 uur 's avonds", "Eten", 22, 20, 60),
    ("Kolacja jutro o 8 wieczorem", "Kolacja", 22, 20, 60),
    ("Möte imorgon kl 3 på eftermiddagen", "Möte", 22, 15, 60),
    ("Møde i morgen kl. 3 om eftermiddagen", "Møde", 22, 15, 60),
    ("Yar\u0131n akşam saat 8 yemek", "yemek", 22, 20, 60),
    ("Встреча завтра в 3 часа дня", "Встреча", 22, 15, 60),
    ("Вечеря завтра о 8 вечора", "Вечеря", 22, 20, 60),  # noqa: RUF001  (Cyrillic)
    ("明日の夜8時に食事", "食事", 22, 20, 60),
    ("今晚8点吃饭", "吃饭", 21, 20, 60),
    ("내일 저녁 8시 식사", "식사", 22, 20, 60),
    ("عشاء غدا الساعة 8 مساء", "عشاء", 22, 20, 60),
    ("ארוחה מחר בשעה 8 בערב", "ארוחה", 22, 20, 60),
    ("tomorrow afternoon 2-4 review", "review", 22, 14, 120),
    ("Saturday evening 8-1 party", "party", 21, 20, 300),
]
REPEATED = [
    ("last friday of every month 3pm", None, local(27, 15), "FREQ=MONTHLY;BYDAY=-1FR"),
    ("Review on the first Monday of every month at 10", "Review", local(7, 10, month=12), "FREQ=MONTHLY;BYDAY=1MO"),
    ("Review every third Tuesday of the month at 10", "Review", local(15, 10, month=12), "FREQ=MONTHLY;BYDAY=3TU"),
    (
        "Review every 2 months on the first Monday at 10",
        "Review",
        local(7, 10, month=12),
        "FREQ=MONTHLY;INTERVAL=2;BYDAY=1MO",
    ),
    ("Payday at 9am on the 15th of every month", "Payday", local(15, 9, month=12), "FREQ=MONTHLY;BYMONTHDAY=15"),
    (
        "Close the books at 4pm on the last day of each month",
        "Close the books",
        local(30, 16),
        "FREQ=MONTHLY;BYMONTHDAY=-1",
    ),
    ("Gym every Mon and Wed at 7am", "Gym", local(23, 7), "FREQ=WEEKLY;BYDAY=MO,WE"),
    ("Gym every tue, thu & sat 7am", "Gym", local(24, 7), "FREQ=WEEKLY;BYDAY=TU,TH,SA"),
    ("Gym every Monday and every Friday 7am", "Gym", local(23, 7), "FREQ=WEEKLY;BYDAY=MO,FR"),
    ("Standup each Mon-Fri 9:15", "Standup", local(23, 9, 15), "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR"),
    ("Standup every day except Saturday at 9", "Standup", local(22, 9), "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR,SU"),
    ("Standup every weekday except Friday at 9", "Standup", local(23, 9), "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH"),
    ("yoga every Tuesday at 6pm for 6 weeks", "yoga", local(24, 18), "FREQ=WEEKLY;BYDAY=TU;COUNT=6"),
    ("yoga every other Tuesday at 6pm for 6 weeks", "yoga", local(24, 18), "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU;COUNT=3"),
    (
        "yoga every Mon and Wed at 6pm for 2 weeks",
        "yoga",
        local(23, 18),
        "FREQ=WEEKLY;BYDAY=MO,WE;UNTIL=20261206T225959Z",
    ),
    ("yoga every Tuesday at 6pm 10 times", "yoga", local(24, 18), "FREQ=WEEKLY;BYDAY=TU;COUNT=10"),
    ("Meds every day at 8pm for 5 days", "Meds", local(21, 20), "FREQ=DAILY;COUNT=5"),
    (
        "Review the first Monday of every month at 10 for 3 months",
        "Review",
        local(7, 10, month=12),
        "FREQ=MONTHLY;BYDAY=1MO;COUNT=3",
    ),
    ("Meds every morning at 8", "Meds", local(22, 8), "FREQ=DAILY"),
    ("Standup daily at 9:15", "Standup", local(22, 9, 15), "FREQ=DAILY"),
    (
        "Standup every Monday until June 1 at 10",
        "Standup",
        local(23, 10),
        "FREQ=WEEKLY;BYDAY=MO;UNTIL=20270601T215959Z",
    ),
    (
        "Shift every Monday 9am until 11am until June 1",
        "Shift",
        local(23, 9),
        "FREQ=WEEKLY;BYDAY=MO;UNTIL=20270601T215959Z",
    ),
    (
        "weekly review every Friday 4-5pm starting Dec 4",
        "weekly review",
        local(4, 16, month=12),
        "FREQ=WEEKLY;BYDAY=FR",
    ),
]


@pytest.mark.parametrize(("text", "title", "start", "line"), [pytest.param(*row, id=row[0]) for row in REPEATED])
def test_a_rule_is_exactly_what_was_said(text: str, title: str | None, start: datetime, line: str) -> None:
    draft = read_sentence(text, now=NOW, time_zone=ZONE)
    assert (draft.title, draft.starts_at, draft.recurrence) == (title, start, [f"RRULE:{line}"])


@pytest.mark.parametrize("text", [pytest.param(text, id=text) for text in REFUSED])
def test_what_is_doubtful_is_refused(text: str) -> None:
    with pytest.raises(NoDateFound):
        read_sentence(text, now=NOW, time_zone=ZONE)


@pytest.mark.parametrize(("text", "title", "start"), [pytest.param(*row, id=row[0]) for row in TIMED])
def test_what_only_looks_like_a_date_is_a_word(text: str, title: str, start: datetime) -> None:
    draft = read_sentence(text, now=NOW, time_zone=ZONE)
    assert (draft.title, draft.starts_at, draft.recurrence) == (title, start, [])


@pytest.mark.parametrize(("text", "title", "day", "hour", "minutes"), [pytest.param(*row, id=row[0]) for row in PARTS])
def test_a_part_of_the_day_says_which_half_is_meant(text: str, title: str, day: int, hour: int, minutes: int) -> None:
    draft = read_sentence(text, now=NOW, time_zone=ZONE)
    start = local(day, hour)
    assert (draft.title, draft.starts_at, draft.ends_at) == (title, start, start + timedelta(minutes=minutes))


@pytest.mark.parametrize(("text", "title", "first"), [pytest.param(*row, id=row[0]) for row in DAYS])
def test_a_day_in_numbers(text: str, title: str, first: date) -> None:
    draft = read_sentence(text, now=NOW, time_zone=ZONE)
    assert (draft.title, draft.start_date, draft.end_date) == (title, first, first + timedelta(days=1))


WORDS = (
    *(
        "tomorrow",
        "today",
        "Monday",
        "Fri",
        "every",
        "each",
        "other",
        "month",
        "weeks",
        "first",
        "last",
        "of",
        "the",
        "except",
    ),
    *(
        "at",
        "on",
        "from",
        "until",
        "for",
        "and",
        "in",
        "am",
        "um",
        "Uhr",
        "de la tarde",
        "abends",
        "le",
        "el",
        "à",
        "9am",
        "noon",
    ),
    *(
        "3/20",
        "2/30",
        "13/13",
        "4.12.",
        "14.30",
        "9-5",
        "24/7",
        "v3.1",
        "31st",
        "7",
        "12",
        "30",
        "3pm",
        "14:15",
        "45 minutes",
    ),
    *("March", "Dezember", "diciembre", "mañana", "morgen", "12月3日", "5 days", "Review", "Anna", ",", "-"),
)


@settings(derandomize=True, max_examples=60, deadline=None, database=None)
@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=8))
def test_whatever_is_said_an_event_is_near_and_of_some_length(words: list[str]) -> None:
    try:
        draft = read_sentence(" ".join(words), now=NOW, time_zone=ZONE)
    except NoDateFound:
        return
    start = draft.starts_at or draft.start_date
    end = draft.ends_at or draft.end_date
    assert start is not None
    assert end is not None
    assert timedelta(0) < end - start < timedelta(days=32)
    assert NOW.year <= start.year <= NOW.year + 2
    if not {"today", "last"} & set(words):
        assert start > NOW if draft.starts_at else start >= NOW.date()
