"""What people do to calendars, chosen at random: on a `World`, by its control operations alone."""

from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random
from typing import Any

from simulator.google.bodies import addon_conference
from simulator.google.errors import GoogleError
from simulator.google.world import World

RULES = (
    "FREQ=DAILY;COUNT=9",
    "FREQ=DAILY;INTERVAL=3",
    "FREQ=WEEKLY",
    "FREQ=WEEKLY;BYDAY=MO,FR;COUNT=7",
    "FREQ=WEEKLY;COUNT=2",
    "FREQ=MONTHLY",
)
ZONES = ("UTC", "Europe/Paris", "America/New_York", "Asia/Kolkata")
Event = dict[str, Any]


class People:
    """The users of a world; `act` lets one of them do one thing."""

    def __init__(self, world: World, random: Random, clock: Callable[[], datetime], calendars: list[str]) -> None:
        self.world = world
        self.random = random
        self.clock = clock
        self.calendars = calendars
        self.acts: list[Callable[[str, Event], None]] = [
            self.edit, self.edit, self.move, self.move, self.move_far, self.cancel, self.cancel, self.relink,
            self.make_all_day, self.edit_series, self.move_series, self.new_rule, self.cancel_series, self.split,
            self.turn, self.invite, self.respond, self.respond, self.touch,
        ]  # fmt: skip
        self.guest_acts = [self.respond, self.respond, self.cancel, self.touch]

    def act(self) -> str:
        """Do one thing; what it was."""
        calendar = self.random.choice(self.calendars)
        known = self.world.read_truth(calendar, *self.reach())
        if len(known) < 6 or self.random.random() < 0.25:
            return self.add(calendar)
        event = self.random.choice(known)
        act = self.random.choice(self.acts if event["organizer"].get("self") else self.guest_acts)
        try:
            act(calendar, event)
        except GoogleError as error:
            # What Google refuses a person cannot do: a guest's copy, the first instance of a series to be split off.
            return f"{act.__name__} {event['id']}: {error.reason}"
        return f"{act.__name__} {event['id']} on {calendar}"

    def reach(self) -> tuple[str, str]:
        now = self.clock()
        return (now - timedelta(days=2)).isoformat(), (now + timedelta(days=45)).isoformat()

    def add(self, calendar: str) -> str:
        event = self._all_day() if self.random.random() < 0.2 else self._timed()
        if self.random.random() < 0.35:
            event["recurrence"] = [f"RRULE:{self.random.choice(RULES)}"]
        if self.random.random() < 0.4:
            event["attendees"] = [{"email": email} for email in self._guests(calendar)]
        if self.random.random() < 0.6:
            event["conferenceData"] = self._conference()
        if self.random.random() < 0.3:
            event["description"] = f"Join: https://acme.zoom.us/j/{self.random.randrange(10**10, 10**11)}"
        made = self.world.add_event(calendar, event)
        return f"add {made['id']} {event.get('recurrence', '')} to {calendar}"

    def edit(self, calendar: str, event: Event) -> None:
        self.world.edit_event(calendar, event["id"], {"summary": self._word()})

    def touch(self, calendar: str, event: Event) -> None:
        """A change that nobody can see."""
        self.world.edit_event(calendar, event["id"], {"colorId": str(self.random.randint(1, 11))})

    def move(self, calendar: str, event: Event) -> None:
        self.world.move_event(calendar, event["id"], by_minutes=self.random.choice([-1440, -60, -15, 15, 30, 60, 1440]))

    def move_far(self, calendar: str, event: Event) -> None:
        """Out of the window, or into it again."""
        self.world.move_event(calendar, event["id"], by_minutes=1440 * self.random.choice([-60, -20, 20, 40, 60]))

    def cancel(self, calendar: str, event: Event) -> None:
        self.world.cancel_event(calendar, event["id"])

    def relink(self, calendar: str, event: Event) -> None:
        conference = self._conference() if self.random.random() < 0.7 else None
        self.world.edit_event(calendar, event["id"], {"conferenceData": conference})

    def make_all_day(self, calendar: str, event: Event) -> None:
        if "recurringEventId" in event:
            return
        other = self._timed() if "date" in event["start"] else self._all_day()
        self.world.edit_event(calendar, event["id"], {name: other[name] for name in ("start", "end")})

    def edit_series(self, calendar: str, event: Event) -> None:
        self.world.edit_event(calendar, _series_of(event), {"summary": self._word()})

    def move_series(self, calendar: str, event: Event) -> None:
        self.world.move_event(calendar, _series_of(event), by_minutes=self.random.choice([-1440, -30, 30, 1440]))

    def new_rule(self, calendar: str, event: Event) -> None:
        if "recurringEventId" in event:
            rule = f"RRULE:{self.random.choice(RULES)}"
            self.world.edit_event(calendar, _series_of(event), {"recurrence": [rule]})

    def cancel_series(self, calendar: str, event: Event) -> None:
        self.world.cancel_event(calendar, _series_of(event))

    def split(self, calendar: str, event: Event) -> None:
        if "recurringEventId" in event:
            self.world.split_series(calendar, event["id"], {"summary": self._word()})

    def turn(self, calendar: str, event: Event) -> None:
        """A single event becomes a series, a series a single event."""
        rule = None if "recurringEventId" in event else [f"RRULE:{self.random.choice(RULES)}"]
        self.world.edit_event(calendar, _series_of(event), {"recurrence": rule})

    def invite(self, calendar: str, event: Event) -> None:
        guests = [{"email": email} for email in self._guests(calendar)]
        self.world.edit_event(calendar, event["id"], {"attendees": guests})

    def respond(self, calendar: str, event: Event) -> None:
        for guest in event.get("attendees", [])[:1]:
            answer = self.random.choice(["accepted", "declined", "tentative"])
            self.world.respond(calendar, event["id"], guest["email"], answer)

    def _timed(self) -> Event:
        start = self.clock() + timedelta(days=self.random.randint(-3, 45), minutes=15 * self.random.randint(0, 60))
        end = start + timedelta(minutes=self.random.choice([0, 15, 30, 60, 60, 4000]))
        zone = self.random.choice(ZONES)
        return {
            "summary": self._word(),
            "start": {"dateTime": start.replace(microsecond=0).isoformat(), "timeZone": zone},
            "end": {"dateTime": end.replace(microsecond=0).isoformat(), "timeZone": zone},
        }

    def _all_day(self) -> Event:
        day = (self.clock() + timedelta(days=self.random.randint(-3, 40))).date()
        last = day + timedelta(days=self.random.choice([1, 1, 3]))
        return {"summary": self._word(), "start": {"date": str(day)}, "end": {"date": str(last)}}

    def _guests(self, calendar: str) -> list[str]:
        people = [name for name in self.calendars if not name.startswith("c_")]
        guests = set(self.random.sample(people, self.random.randint(1, len(people)))) | {"guest@example.org"}
        return sorted(guests | ({calendar} if calendar in people else set()))

    def _word(self) -> str:
        return f"{self.random.randrange(10**9)} \N{PARTY POPPER}"

    def _conference(self) -> Event:
        number = str(self.random.randrange(10**10, 10**11))
        if self.random.random() < 0.2:
            return addon_conference(f"https://rooms.example.org/{number}", "Our own room", number)
        return addon_conference(f"https://zoom.us/j/{number}", "Zoom Meeting", number)


def _series_of(event: Event) -> str:
    series: str = event.get("recurringEventId", event["id"])
    return series
