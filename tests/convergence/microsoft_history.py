"""What people do to Outlook calendars, chosen at random: on a `MicrosoftWorld`, by its control operations alone."""

from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random
from typing import Any

from simulator.microsoft.errors import GraphError
from simulator.microsoft.world import MicrosoftWorld

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday")
ZONES = ("UTC", "Romance Standard Time", "Eastern Standard Time", "India Standard Time")
Event = dict[str, Any]


class OutlookPeople:
    """The users of a world; `act` lets one of them do one thing."""

    def __init__(
        self, world: MicrosoftWorld, random: Random, clock: Callable[[], datetime], calendars: list[str]
    ) -> None:
        self.world = world
        self.random = random
        self.clock = clock
        self.calendars = calendars
        self.acts: list[Callable[[str, Event], None]] = [
            self.edit, self.edit, self.move, self.move, self.move_far, self.cancel, self.cancel, self.relink,
            self.make_all_day, self.edit_series, self.move_series, self.new_rule, self.cancel_series, self.split,
            self.turn, self.invite, self.respond, self.respond, self.touch, self.delete,
        ]  # fmt: skip
        self.guest_acts = [self.respond, self.respond, self.delete, self.touch, self.cancel]

    def act(self) -> str:
        """Do one thing; what it was."""
        calendar = self.random.choice(self.calendars)
        known = self.world.read_truth(calendar, *self.reach())
        if len(known) < 6 or self.random.random() < 0.25:
            return self.add(calendar)
        event = self.random.choice(known)
        act = self.random.choice(self.acts if event["isOrganizer"] else self.guest_acts)
        try:
            act(calendar, event)
        except GraphError as error:
            # What Exchange refuses a person cannot do.
            return f"{act.__name__} {event['id']}: {error}"
        return f"{act.__name__} {event['id']} on {calendar}"

    def reach(self) -> tuple[str, str]:
        now = self.clock()
        return (now - timedelta(days=2)).isoformat(), (now + timedelta(days=45)).isoformat()

    def add(self, calendar: str) -> str:
        event = self._all_day() if self.random.random() < 0.2 else self._timed()
        if self.random.random() < 0.35:
            event["recurrence"] = self._rule(event["start"]["dateTime"][:10])
        if self.random.random() < 0.4:
            event["attendees"] = self._guests(calendar)
        if self.random.random() < 0.5:
            event["isOnlineMeeting"] = True
        elif self.random.random() < 0.5:
            event |= self._link()
        made = self.world.add_event(calendar, event)
        return f"add {made['id']} {event.get('recurrence', '')} to {calendar}"

    def edit(self, calendar: str, event: Event) -> None:
        self.world.edit_event(calendar, event["id"], {"subject": self._word()})

    def touch(self, calendar: str, event: Event) -> None:
        """A change that nobody can see."""
        self.world.edit_event(calendar, event["id"], {"categories": [self._word()]})

    def move(self, calendar: str, event: Event) -> None:
        self.world.move_event(calendar, event["id"], by_minutes=self.random.choice([-1440, -60, -15, 15, 30, 60, 1440]))

    def move_far(self, calendar: str, event: Event) -> None:
        """Out of the window, or into it again."""
        self.world.move_event(calendar, event["id"], by_minutes=1440 * self.random.choice([-60, -20, 20, 40, 60]))

    def cancel(self, calendar: str, event: Event) -> None:
        self.world.cancel_event(calendar, event["id"])

    def delete(self, calendar: str, event: Event) -> None:
        self.world.delete_event(calendar, event["id"])

    def relink(self, calendar: str, event: Event) -> None:
        self.world.edit_event(calendar, event["id"], self._link())

    def make_all_day(self, calendar: str, event: Event) -> None:
        if event["seriesMasterId"]:
            return
        other = self._timed() if event["isAllDay"] else self._all_day()
        times = {name: other[name] for name in ("start", "end")}
        self.world.edit_event(calendar, event["id"], {**times, "isAllDay": not event["isAllDay"]})

    def edit_series(self, calendar: str, event: Event) -> None:
        self.world.edit_event(calendar, _series_of(event), {"subject": self._word()})

    def move_series(self, calendar: str, event: Event) -> None:
        self.world.move_event(calendar, _series_of(event), by_minutes=self.random.choice([-1440, -30, 30, 1440]))

    def new_rule(self, calendar: str, event: Event) -> None:
        if event["seriesMasterId"]:
            self._set_rule(calendar, _series_of(event))

    def cancel_series(self, calendar: str, event: Event) -> None:
        self.world.cancel_event(calendar, _series_of(event))

    def split(self, calendar: str, event: Event) -> None:
        if event["seriesMasterId"]:
            self.world.split_series(calendar, event["id"], {"subject": self._word()})

    def turn(self, calendar: str, event: Event) -> None:
        """A single event becomes a series, a series a single event."""
        if event["seriesMasterId"]:
            self.world.edit_event(calendar, _series_of(event), {"recurrence": None})
        else:
            self._set_rule(calendar, event["id"])

    def invite(self, calendar: str, event: Event) -> None:
        self.world.edit_event(calendar, event["id"], {"attendees": self._guests(calendar)})

    def respond(self, calendar: str, event: Event) -> None:
        for guest in event["attendees"][:1]:
            answer = self.random.choice(["accepted", "declined", "tentativelyAccepted"])
            self.world.respond(calendar, event["id"], guest["emailAddress"]["address"], answer)

    def _set_rule(self, calendar: str, event_id: str) -> None:
        start = self.world.read_event(calendar, event_id)["start"]["dateTime"][:10]
        self.world.edit_event(calendar, event_id, {"recurrence": self._rule(start)})

    def _rule(self, start: str) -> Event:
        pattern = self.random.choice(
            [
                {"type": "daily", "interval": self.random.randint(1, 3)},
                {"type": "weekly", "interval": 1, "daysOfWeek": self.random.sample(DAYS, 2)},
                {"type": "absoluteMonthly", "interval": 1, "dayOfMonth": int(start[8:])},
            ]
        )
        count = self.random.choice([None, 2, 7])
        span = {"type": "numbered", "numberOfOccurrences": count} if count else {"type": "noEnd"}
        return {"pattern": pattern, "range": {**span, "startDate": start}}

    def _timed(self) -> Event:
        start = self.clock() + timedelta(days=self.random.randint(-3, 45), minutes=15 * self.random.randint(0, 60))
        start = start.replace(microsecond=0, tzinfo=None)
        end = start + timedelta(minutes=self.random.choice([15, 30, 60, 60, 4000]))
        zone = self.random.choice(ZONES)
        return {
            "subject": self._word(),
            "start": {"dateTime": start.isoformat(), "timeZone": zone},
            "end": {"dateTime": end.isoformat(), "timeZone": zone},
        }

    def _all_day(self) -> Event:
        day = (self.clock() + timedelta(days=self.random.randint(-3, 40))).date()
        last = day + timedelta(days=self.random.choice([1, 1, 3]))
        start, end = ({"dateTime": f"{each}T00:00:00", "timeZone": "UTC"} for each in (day, last))
        return {"subject": self._word(), "isAllDay": True, "start": start, "end": end}

    def _guests(self, calendar: str) -> list[Event]:
        people = [name for name in self.calendars if "@" in name]
        guests = {*self.random.sample(people, self.random.randint(1, len(people))), "guest@example.org"} - {calendar}
        return [{"emailAddress": {"address": each}} for each in sorted(guests)]

    def _word(self) -> str:
        return f"{self.random.randrange(10**9)} \N{PARTY POPPER}"

    def _link(self) -> Event:
        number = self.random.randrange(10**10, 10**11)
        url = f"https://zoom.us/j/{number}"
        if self.random.random() < 0.2:
            url = f"https://rooms.example.org/{number}"
        body = {"contentType": "html", "content": f'<p>Join: <a href="{url}">{url}</a></p>'}
        return {"location": {"displayName": url}, "body": body}


def _series_of(event: Event) -> str:
    series: str = event["seriesMasterId"] or event["id"]
    return series
