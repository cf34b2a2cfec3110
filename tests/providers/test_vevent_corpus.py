"""The calendars that the icalendar library is tested with: none may crash, hang, or lose what others can read of it."""

import contextlib
from datetime import UTC, datetime
from pathlib import Path

import icalendar
import pytest
from vevent_lists import items

from service.core.event import decode_event, encode_event
from service.core.schedule import Window
from service.core.sync import Listed, Malformed, Removed
from service.providers.vevent.reading import read_evidence
from service.providers.vevent.text import scan

FILES = sorted(Path(icalendar.__file__).parent.rglob("*.ics"))
WINDOW = Window(datetime(1990, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC))
ACCEPTABLE = ("no DTSTART", "no date or time", "more than 1000 occurrences", "a rule ", "no time of a day")
"""Why an event of theirs may be set aside: the fault is its own, or there is too much of it in forty years."""


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_calendar_is_read(path):
    for item in items(path.read_bytes(), window=WINDOW, keep_single=True, time_zone="Europe/Paris"):
        if isinstance(item, Malformed):
            assert item.reason.startswith(ACCEPTABLE)
        elif isinstance(item, Listed):
            assert decode_event(encode_event(item.event)) == item.event
            assert item.event.starts_at <= item.event.ends_at
            assert item.event.starts_at.tzinfo is not None
            assert read_evidence(item.raw)
        else:
            assert isinstance(item, Removed)


def test_no_event_is_lost():
    compared = 0
    for path in FILES:
        theirs = []
        with contextlib.suppress(Exception):  # what they refuse as a whole, on purpose
            theirs = [
                event
                for each in icalendar.Calendar.from_ical(path.read_bytes(), multiple=True)
                for event in each.walk("VEVENT")
            ]
        assert len(scan(path.read_bytes()).blocks) >= len(theirs), path
        compared += len(theirs)
    assert compared > 150


def test_there_are_files():
    assert len(FILES) > 100
