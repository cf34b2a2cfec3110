"""A Microsoft world to begin with: some colleagues and a personal account, the same for the same seed."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from simulator.microsoft.moments import windows_name
from simulator.microsoft.world import MicrosoftWorld

PEOPLE = (
    ("barbara@contoso.example", "Europe/Paris"),
    ("leslie@contoso.example", "America/New_York"),
    ("margaret@contoso.example", "UTC"),
    ("karen@outlook.example", "Europe/London"),
)
TOPICS = ("Pipeline review", "Design critique", "Customer call", "Hiring sync", "Budget", "Post-mortem", "Roadmap")
WORKDAYS = ["monday", "tuesday", "wednesday", "thursday", "friday"]


def seeded_microsoft(seed: int = 1, clock: Callable[[], datetime] | None = None) -> MicrosoftWorld:
    """Four accounts under one app registration, each with meetings around now."""
    return MicrosoftWorld(clock, seed, populate)


def populate(world: MicrosoftWorld) -> None:
    client = world.add_client()
    for email, time_zone in PEOPLE:
        world.add_account(email, time_zone=time_zone)
        world.grant(email, client["client_id"])
    for email, _ in PEOPLE:
        _fill_default(world, email)
    team = world.add_calendar(PEOPLE[0][0], "Team")
    world.share_calendar(team, PEOPLE[1][0], "writer")
    world.add_event(team, _timed(world, "Team lunch", PEOPLE[0][1], 1, 12, 60, location={"displayName": "Canteen"}))
    world.reset_counters()


def _fill_default(world: MicrosoftWorld, email: str) -> None:
    zone = world.accounts[email].time_zone
    others = [each for each, _ in PEOPLE if each != email]
    for day in range(-1, 6):
        event = _timed(world, world.random.choice(TOPICS), zone, day, world.random.randint(8, 17), 45)
        event["attendees"] = [
            {
                "emailAddress": {"address": world.random.choice(others)},
                "status": {"response": world.random.choice(["accepted", "none", "tentativelyAccepted"])},
            }
        ]
        if world.random.random() < 0.6:
            event["isOnlineMeeting"] = True
        else:
            event |= _zoom(world)
        world.add_event(email, event)
    standup = _timed(world, "Stand-up", zone, -7, 9, 15, isOnlineMeeting=True)
    standup["recurrence"] = {
        "pattern": {"type": "weekly", "interval": 1, "daysOfWeek": WORKDAYS},
        "range": {"type": "noEnd", "startDate": standup["start"]["dateTime"][:10]},
    }
    world.add_event(email, standup)
    _fill_special(world, email, zone)


def _fill_special(world: MicrosoftWorld, email: str, zone: str) -> None:
    trip = _timed(world, "Conference trip", zone, 3, 0, 2880, isAllDay=True, showAs="free")
    today = world.now().astimezone(ZoneInfo(zone)).date()
    for name, days in (("start", 3), ("end", 5)):
        trip[name]["dateTime"] = f"{(today + timedelta(days=days)).isoformat()}T00:00:00"
    world.add_event(email, trip)
    world.add_invitation(
        email,
        f"{world.make_key(26).lower()}@google.com",
        {**_timed(world, "Vendor demo", zone, 2, 15, 30), **_zoom(world)},
    )
    world.add_event(email, _timed(world, "Dentist", zone, 1, 8, 30, sensitivity="private"))
    world.add_event(email, _timed(world, "Deep work", zone, 1, 13, 120, showAs="workingElsewhere"))


def _zoom(world: MicrosoftWorld) -> dict[str, Any]:
    url = f"https://us02web.zoom.us/j/{world.random.randrange(10**10, 10**11)}?pwd={world.make_key(12)}"
    return {
        "location": {"displayName": url},
        "body": {"contentType": "html", "content": f'<p>Join Zoom Meeting: <a href="{url}">{url}</a></p>'},
    }


def _timed(
    world: MicrosoftWorld, subject: str, zone: str, days: int, hour: int, minutes: int, **more: Any
) -> dict[str, Any]:
    day = world.now().astimezone(ZoneInfo(zone)).date() + timedelta(days=days)
    start = datetime(day.year, day.month, day.day, hour)  # noqa: DTZ001 - wall time, beside the name of its zone
    return {
        "subject": subject,
        "start": {"dateTime": start.isoformat(), "timeZone": windows_name(zone)},
        "end": {"dateTime": (start + timedelta(minutes=minutes)).isoformat(), "timeZone": windows_name(zone)},
        **more,
    }
