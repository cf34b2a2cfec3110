"""Two who keep a copy of everybody's calendars, one by `GET /changes` and one by webhooks, and whether both are right."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from convergence.receivers import LogReader, WebhookReceiver, differences
from flows.casts import GoogleCast, kept
from simulation.city import City
from simulation.receiver import Receiver

from service.core.announcements import Change
from service.core.event import EventView
from service.core.meeting_links.evidence import DEFAULT_RULES
from service.core.meeting_links.finding import find
from service.core.schedule import window_at
from service.providers.registry import make_providers

Seen = tuple[Any, ...]


class Audience:
    """Reads through the API as integrators do. `calendars` are the calendars' names at Google and their ids here."""

    def __init__(self, city: City, receiver: Receiver) -> None:
        self.city = city
        self.receiver = receiver
        self.calendars: dict[str, UUID] = {}
        self.log = LogReader()
        self.hooked = WebhookReceiver()
        self.logged: dict[int, Change] = {}
        self._taken = 0
        self._cast = GoogleCast(city.world, judged=False)
        self._google = make_providers(google_api_url="", google_token_url="", clock=city.now)["google"]

    async def look(self) -> None:
        """Keep up. Raises AssertionError for what no reader of the log should see."""
        stage: Any = self  # of a stage they need no more than what is here
        for change in await self.log.pull(stage):
            self.logged[change.seq] = change
        arrivals = list(self.receiver.accepted.values())
        for arrival in arrivals[self._taken :]:
            if arrival.type.startswith("event."):
                self.hooked._take(msgspec.convert(arrival.data, Change))
            elif arrival.type == "calendar.sync_events" and arrival.data["initial"]:
                await self.hooked._read_all(stage, UUID(arrival.data["calendar_id"]))
        self._taken = len(arrivals)

    async def changes(self, after: int) -> list[Change]:
        found: list[Change] = []
        while True:
            page = await self.city.ask("GET", "/changes", params={"after": after + len(found), "limit": 250})
            if not page["data"]:
                return found
            found += [msgspec.convert(each, Change) for each in page["data"]]

    async def events(self, calendar_id: UUID) -> list[EventView]:
        rows = await self.city.page_through(f"/calendars/{calendar_id}/events")
        return [event for row in rows if (event := msgspec.convert(row, EventView)).status != "cancelled"]

    async def compare(self) -> list[str]:
        """What is not as it should be, in words."""
        await self.look()
        said: list[str] = []
        store: dict[UUID, EventView] = {}
        for name, calendar_id in self.calendars.items():
            shown = await self.city.ask("GET", f"/calendars/{calendar_id}")
            if shown["status"] != "active" or shown["error_code"]:
                said.append(f"{name} is {shown['status']}: {shown['error_message']}")
            events = await self.events(calendar_id)
            said += self._compare_with_google(name, events)
            store |= {event.id: event for event in events}
        said += differences("the reader of the log", self.log.copy, store)
        said += differences("the receiver of webhooks", self.hooked.copy, store)
        return said + self._compare_with_log()

    def _compare_with_google(self, name: str, events: list[EventView]) -> list[str]:
        window = window_at(self.city.now(), 30)
        truth: dict[str, Seen] = {}
        for row in self._cast.truth(name, window):
            start, end, title, _, attendees = self._cast.seen(row)
            link = find(self._google.evidence(msgspec.json.encode(row)), DEFAULT_RULES)
            truth[row["id"]] = (start, end, title, link.meeting and link.meeting.url, attendees)
        stored = {event.provider_event_id: kept(event) for event in events if window.overlaps(*_times(event))}
        return [
            f"{name}: {key} is {truth.get(key)} at Google, {stored.get(key)} in the store"
            for key in sorted(truth.keys() | stored.keys())
            if truth.get(key) != stored.get(key)
        ]

    def _compare_with_log(self) -> list[str]:
        """Whether each change that is news came as a webhook, under one id alone."""
        said: list[str] = []
        told: dict[int, set[str]] = {}
        for arrival in self.receiver.told("event.created", "event.updated", "event.cancelled"):
            told.setdefault(arrival.data["seq"], set()).add(arrival.id)
        for seq, change in self.logged.items():
            if seq not in told and change.cause != "initial":
                said.append(f"{seq} was not told: {change.kind} by {change.cause} of {change.event.title}")
        said += [f"{seq} was told under {sorted(ids)}" for seq, ids in told.items() if len(ids) > 1]
        said += [f"{seq} was told and is in no log" for seq in told.keys() - self.logged.keys()]
        return said


def _times(event: EventView) -> tuple[datetime, datetime]:
    return event.starts_at, event.ends_at
