"""What stands in the demo's CalDAV calendars and feeds: a week of meetings for each person, and the story's invitation."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import uuid4

from icalendar import Calendar, Event, vCalAddress, vRecur

from service.demo.cast import LENGTH, SURPRISE, TITLE, WRITTEN

TOPICS: Final = (
    "Pipeline review",
    "Design critique",
    "Customer call",
    "Hiring sync",
    "Budget",
    "Post-mortem",
    "Roadmap",
)
ROOMS: Final = ("https://us02web.zoom.us/j/85012345678?pwd=RXhhbXBsZQ", "https://meet.google.com/qrs-tuvw-xyz")
DAYS: Final = range(-1, 6)
UID: Final = "b9c7b6f0-kick-off@customer.example"
"""The same on all calendars that have the meeting, as with every invitation that is mailed (RFC 5545, 3.8.4.7)."""


def week(email: str, number: int, now: datetime) -> bytes:
    """A calendar of this name with a meeting on each day, in office hours, other ones for each number."""
    morning = now.astimezone(UTC).replace(hour=8, minute=0, second=0, microsecond=0)
    events = [
        _event(
            str(uuid4()),
            TOPICS[(day + 3 * number) % len(TOPICS)],
            morning + timedelta(days=day, hours=(3 * day + 5 * number) % 9),
            location=ROOMS[(day + number) % len(ROOMS)],
        )
        for day in DAYS
    ]
    standup = _event(str(uuid4()), "Stand-up", morning - timedelta(days=7, minutes=30 * number), location=ROOMS[number])
    standup.add("rrule", vRecur(freq="WEEKLY", byday=["MO", "TU", "WE", "TH", "FR"]))
    return _calendar(*events, standup, name=email)


def invitation(starts_at: datetime, *, host: str, answers: Mapping[str, str], sequence: int) -> bytes:
    """The story's meeting as the guests' calendars have it; `answers` are by their addresses, `sequence` counts moves."""
    return _calendar(
        _event(
            UID,
            TITLE,
            starts_at,
            description="\n".join(WRITTEN),
            organizer=vCalAddress.new(host),
            attendees=[vCalAddress.new(email, partstat=answer) for email, answer in answers.items()],
            sequence=sequence,
        )
    )


def surprise(now: datetime) -> bytes:
    """A meeting in two minutes."""
    return _calendar(_event(str(uuid4()), SURPRISE, now + timedelta(minutes=2), location=ROOMS[0]))


def _event(uid: str, title: str, starts_at: datetime, **more: Any) -> Event:
    return Event.new(uid=uid, summary=title, start=starts_at, end=starts_at + LENGTH, **more)


def _calendar(*events: Event, name: str | None = None) -> bytes:
    text: bytes = Calendar.new(prodid="-//calgate//demo//EN", name=name, subcomponents=events).to_ical()
    return text
