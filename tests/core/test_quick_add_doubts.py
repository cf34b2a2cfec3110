"""Sentences that might be misread: what is doubtful is refused, and what only looks like a date is a word."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

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
    "Review in December at 3pm",
    "Board meeting in March",
    "Prep for the Dec 3 launch tomorrow 3pm",
    "Review 1/2 tomorrow 4pm",
    "Treffen am 3 um 10 Uhr",
    "Dentist 12/5/31 9am",
    "Passport in 5 years",
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
    ("12月3日15時に会議", "会議", local(3, 15, month=12)),
]
DAYS = [
    ("Review 3/20", "Review", date(2027, 3, 20)),
    ("Review 2027/3/20", "Review", date(2027, 3, 20)),
    ("12月3日 会議", "会議", date(2026, 12, 3)),
    ("Pay $12.50 to Bob on Friday", "Pay $12.50 to Bob", date(2026, 11, 27)),
]


@pytest.mark.parametrize("text", [pytest.param(text, id=text) for text in REFUSED])
def test_what_is_doubtful_is_refused(text: str) -> None:
    with pytest.raises(NoDateFound):
        read_sentence(text, now=NOW, time_zone=ZONE)


@pytest.mark.parametrize(("text", "title", "start"), [pytest.param(*row, id=row[0]) for row in TIMED])
def test_what_only_looks_like_a_date_is_a_word(text: str, title: str, start: datetime) -> None:
    draft = read_sentence(text, now=NOW, time_zone=ZONE)
    assert (draft.title, draft.starts_at, draft.recurrence) == (title, start, [])


@pytest.mark.parametrize(("text", "title", "first"), [pytest.param(*row, id=row[0]) for row in DAYS])
def test_a_day_in_numbers(text: str, title: str, first: date) -> None:
    draft = read_sentence(text, now=NOW, time_zone=ZONE)
    assert (draft.title, draft.start_date, draft.end_date) == (title, first, first + timedelta(days=1))
