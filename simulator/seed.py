"""A world to begin with: some colleagues, their calendars and a lifelike week, the same for the same seed."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from simulator.google.bodies import addon_conference, meet_conference
from simulator.google.world import World

DOMAIN = "example.com"
PEOPLE = (("ada", "Europe/Paris"), ("grace", "America/New_York"), ("edsger", "Europe/Amsterdam"), ("mary", "UTC"))
TOPICS = ("Pipeline review", "Design critique", "Customer call", "Hiring sync", "Budget", "Post-mortem", "Roadmap")


def seeded_world(seed: int = 1, clock: Callable[[], datetime] | None = None) -> World:
    """Four accounts under one OAuth client, each with meetings around now."""
    return World(clock, seed, populate)


def populate(world: World) -> None:
    client = world.add_client(f"demo-{world.seed}.apps.googleusercontent.com", f"GOCSPX-demo-secret-{world.seed}")
    for name, time_zone in PEOPLE:
        email = f"{name}@{DOMAIN}"
        world.add_account(email, time_zone=time_zone)
        world.grant(email, client["client_id"])
    for name, _ in PEOPLE:
        _fill_primary(world, f"{name}@{DOMAIN}")
    team = world.add_calendar(f"ada@{DOMAIN}", "Team", "Europe/Paris")
    world.share_calendar(team, f"grace@{DOMAIN}", "writer")
    world.share_calendar(team, f"edsger@{DOMAIN}", "reader")
    world.add_event(team, _timed(world, "Team lunch", "Europe/Paris", 1, 12, 60, location="Canteen"))
    world.add_calendar(f"ada@{DOMAIN}", "Holidays", "UTC", "holiday", "en.usa#holiday@group.v.calendar.google.com")
    world.reset_counters()


def _fill_primary(world: World, email: str) -> None:
    zone = world.accounts[email].time_zone
    others = [f"{name}@{DOMAIN}" for name, _ in PEOPLE if f"{name}@{DOMAIN}" != email]
    for day in range(-1, 6):
        hour = world.random.randint(8, 17)
        event = _timed(world, world.random.choice(TOPICS), zone, day, hour, 45)
        guest = world.random.choice(others)
        event["attendees"] = [
            {"email": email, "responseStatus": "accepted"},
            {"email": guest, "responseStatus": world.random.choice(["accepted", "needsAction", "declined"])},
        ]
        event["conferenceData"] = _conference(world)
        world.add_event(email, event)
    standup = _timed(world, "Stand-up", zone, -7, 9, 15, recurrence=["RRULE:FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR"])
    standup["conferenceData"] = meet_conference(world)
    world.add_event(email, standup)
    _fill_special(world, email, zone)


def _fill_special(world: World, email: str, zone: str) -> None:
    today = world.now().astimezone(ZoneInfo(zone)).date()
    world.add_event(
        email,
        {
            "summary": "Conference trip",
            "start": {"date": (today + timedelta(days=3)).isoformat()},
            "end": {"date": (today + timedelta(days=5)).isoformat()},
            "transparency": "transparent",
        },
    )
    link = f"https://us02web.zoom.us/j/{world.random.randrange(10**10, 10**11)}?pwd={world.make_id(12)}"
    world.add_event(
        email,
        _timed(
            world, "Vendor demo", zone, 2, 15, 30,
            description=f'Join: <a href="{link}">{link}</a>',
            organizer={"email": "sales@vendor.example"},
            creator={"email": "sales@vendor.example"},
            attendees=[{"email": email, "responseStatus": "declined"}, {"email": "sales@vendor.example"}],
        ),
    )  # fmt: skip
    world.add_event(email, _timed(world, "Dentist", zone, 1, 8, 30, visibility="private"))
    world.add_event(email, _timed(world, "Deep work", zone, 1, 13, 120, eventType="focusTime"))


def _conference(world: World) -> dict[str, Any]:
    if world.random.random() < 0.6:
        return meet_conference(world)
    meeting_id = str(world.random.randrange(10**10, 10**11))
    return addon_conference(f"https://us02web.zoom.us/j/{meeting_id}", "Zoom Meeting", meeting_id)


def _timed(world: World, summary: str, zone: str, days: int, hour: int, minutes: int, **more: Any) -> dict[str, Any]:
    today = world.now().astimezone(ZoneInfo(zone))
    start = (today + timedelta(days=days)).replace(hour=hour, minute=0, second=0, microsecond=0)
    end = start + timedelta(minutes=minutes)
    return {
        "summary": summary,
        "start": {"dateTime": start.isoformat(), "timeZone": zone},
        "end": {"dateTime": end.isoformat(), "timeZone": zone},
        **more,
    }
