"""Three calendars that can be written to, of Google, Microsoft and a CalDAV server, and their owner's own hand in them."""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from feed_server import LOOPBACK
from flows.stage import Stage, set_stage
from forked_expander import ForkedExpander
from radicale_server import PASSWORD, USER, RadicaleServer, serve_radicale

from service.flows.sync_calendar import Syncer
from service.providers.guarded_http import Slots
from service.providers.registry import make_hands, make_providers
from service.store.cipher import Cipher
from service.store.database import Database
from simulator.google.world import World
from simulator.microsoft.world import MicrosoftWorld

OWNER = "ada@example.com"
MARY = "mary@example.com"
EVENT = {
    "title": "Review",
    "starts_at": "2026-03-03T12:00:00Z",
    "ends_at": "2026-03-03T13:00:00Z",
    "attendees": [{"email": MARY}],
}
FOLDER = f"/{USER}/work/"


class Site(ABC):
    """One calendar, as its owner sees and edits it. Ids are the provider's, of an event or of a whole series."""

    stage: Stage

    @abstractmethod
    def account(self) -> dict[str, Any]:
        """What connects it."""

    @abstractmethod
    def repeat(self, event_id: str) -> None:
        """The owner has the event come three days in a row."""

    @abstractmethod
    def end_repeating(self, series_id: str) -> None:
        """The owner makes one event of a series."""

    @abstractmethod
    def rename(self, event_id: str, title: str) -> None:
        """The owner gives it another title."""

    @abstractmethod
    def describe(self, event_id: str, text: str) -> None:
        """The owner gives it another text."""

    @abstractmethod
    def spoil(self, event_id: str, guest: str) -> None:
        """The owner invites one other guest instead of those that there are, and calls the time free, and private."""

    @abstractmethod
    def decline(self, event_id: str, guest: str) -> None:
        """A guest says no."""

    @abstractmethod
    def erase(self, event_id: str) -> None:
        """The owner deletes it."""

    @abstractmethod
    def ids(self) -> list[str]:
        """What is in the calendar: events, and series as wholes."""

    def cancellations(self) -> list[str]:
        """Who was mailed that something is called off."""
        return []


class GoogleSite(Site):
    """A fake Google."""

    def __init__(self, stage: Stage) -> None:
        self.stage, self.world = stage, stage.world

    def account(self) -> dict[str, Any]:
        given = self.world.connect(OWNER)
        names = ("client_id", "client_secret", "refresh_token")
        return {"provider": "google", **{name: given[name] for name in names}}

    def repeat(self, event_id: str) -> None:
        self.world.edit_event(OWNER, event_id, {"recurrence": ["RRULE:FREQ=DAILY;COUNT=3"]})

    def end_repeating(self, series_id: str) -> None:
        self.world.edit_event(OWNER, series_id, {"recurrence": None})

    def rename(self, event_id: str, title: str) -> None:
        self.world.edit_event(OWNER, event_id, {"summary": title})

    def describe(self, event_id: str, text: str) -> None:
        self.world.edit_event(OWNER, event_id, {"description": text})

    def spoil(self, event_id: str, guest: str) -> None:
        theirs = {"attendees": [{"email": guest}], "transparency": "transparent", "visibility": "private"}
        self.world.edit_event(OWNER, event_id, theirs)

    def decline(self, event_id: str, guest: str) -> None:
        self.world.respond(OWNER, event_id, guest, "declined")

    def erase(self, event_id: str) -> None:
        self.world.cancel_event(OWNER, event_id)

    def ids(self) -> list[str]:
        return sorted({row.get("recurringEventId", row["id"]) for row in self.world.read_truth(OWNER)})

    def cancellations(self) -> list[str]:
        return [mail["to"] for mail in self.world.read_mails() if mail["kind"] == "cancellation"]


class MicrosoftSite(GoogleSite):
    """A fake Graph."""

    def account(self) -> dict[str, Any]:
        given = self.world.connect(OWNER)
        names = ("client_id", "client_secret", "refresh_token")
        return {
            "provider": "microsoft",
            **{name: given[name] for name in names},
            "tenant_id": given["tenant"],
        }

    def repeat(self, event_id: str) -> None:
        day = self.world.read_event(OWNER, event_id)["start"]["dateTime"][:10]
        pattern = {"type": "daily", "interval": 1}
        span = {"type": "numbered", "startDate": day, "numberOfOccurrences": 3}
        self.world.edit_event(OWNER, event_id, {"recurrence": {"pattern": pattern, "range": span}})

    def rename(self, event_id: str, title: str) -> None:
        self.world.edit_event(OWNER, event_id, {"subject": title})

    def describe(self, event_id: str, text: str) -> None:
        self.world.edit_event(OWNER, event_id, {"body": {"contentType": "text", "content": text}})

    def spoil(self, event_id: str, guest: str) -> None:
        guests = [{"emailAddress": {"address": guest}, "type": "required"}]
        self.world.edit_event(OWNER, event_id, {"attendees": guests, "showAs": "free", "sensitivity": "private"})

    def ids(self) -> list[str]:
        return sorted({row.get("seriesMasterId") or row["id"] for row in self.world.read_truth(OWNER)})


class CaldavSite(Site):
    """A real server, Radicale, which mails nobody."""

    def __init__(self, stage: Stage, server: RadicaleServer) -> None:
        self.stage, self.server = stage, server

    def account(self) -> dict[str, Any]:
        return {"provider": "caldav", "server_url": self.server.url, "username": USER, "password": PASSWORD}

    def repeat(self, event_id: str) -> None:
        self._edit(event_id, "SUMMARY:", "RRULE:FREQ=DAILY;COUNT=3\r\nSUMMARY:")

    def end_repeating(self, series_id: str) -> None:
        text = self.text(series_id)
        rule = next(line for line in text.split("\r\n") if line.startswith("RRULE"))
        self._put(series_id, text.replace(f"{rule}\r\n", ""))

    def rename(self, event_id: str, title: str) -> None:
        self._edit(event_id, "SUMMARY:", f"SUMMARY:{title}\r\nX-WAS:")

    def describe(self, event_id: str, text: str) -> None:
        held = self.text(event_id)
        text = text.replace(",", "\\,")
        lines = [line for line in held.split("\r\n") if not line.startswith("DESCRIPTION")]
        self._put(event_id, "\r\n".join(lines).replace("SUMMARY:", f"DESCRIPTION:{text}\r\nSUMMARY:"))

    def spoil(self, event_id: str, guest: str) -> None:
        lines = [
            line for line in self.text(event_id).split("\r\n") if not line.startswith(("ATTENDEE", "TRANSP", "CLASS"))
        ]
        said = f"ATTENDEE:mailto:{guest}\r\nTRANSP:TRANSPARENT\r\nCLASS:PRIVATE\r\nSUMMARY:"
        self._put(event_id, "\r\n".join(lines).replace("SUMMARY:", said))

    def decline(self, event_id: str, guest: str) -> None:
        lines = self.text(event_id).split("\r\n")
        said = f"ATTENDEE;PARTSTAT=DECLINED:mailto:{guest}"
        self._put(event_id, "\r\n".join(said if guest in line else line for line in lines))

    def erase(self, event_id: str) -> None:
        self.server.done("DELETE", event_id)

    def ids(self) -> list[str]:
        listing = self.server.done("PROPFIND", FOLDER, depth="1")[2].decode()
        parts = listing.split("<href>")
        return sorted(part.partition("</href>")[0].replace("%40", "@") for part in parts if ".ics</href>" in part)

    def text(self, event_id: str) -> str:
        """The resource that the server holds, unfolded."""
        return self.server.done("GET", event_id)[2].decode().replace("\r\n ", "")

    def _edit(self, event_id: str, old: str, new: str) -> None:
        self._put(event_id, self.text(event_id).replace(old, new))

    def _put(self, event_id: str, text: str) -> None:
        self.server.done("PUT", event_id, text, content_type="text/calendar")


@asynccontextmanager
async def open_site(
    provider: str, database: Database, cipher: Cipher, clock: Any, project: UUID, folder: Path
) -> AsyncIterator[Site]:
    """A stage whose gateway can write to one provider, and the calendar there."""
    world = MicrosoftWorld(clock, seed=7) if provider == "microsoft" else World(clock, seed=7)
    networks = LOOPBACK.allow_networks
    async with set_stage(database, cipher, clock, project, world, allow_networks=networks) as stage:
        if provider != "caldav":
            yield MicrosoftSite(stage) if provider == "microsoft" else GoogleSite(stage)
            return
        guarded = Slots(4, LOOPBACK)
        async with ForkedExpander(size=1) as expander, serve_radicale(folder) as server:
            real = make_providers(
                google_api_url="", google_token_url="", clock=clock, policy=LOOPBACK, expander=expander
            )
            stage.gateway.providers.update(caldav=real["caldav"])  # type: ignore[attr-defined]
            writers = make_hands(real).writers
            stage.gateway = dataclasses.replace(stage.gateway, guarded_slots=guarded, writers=writers, quick_adders={})
            stage.syncer = Syncer(stage.gateway)
            server.add_calendar(FOLDER, "Work")
            yield CaldavSite(stage, server)
            await stage.syncer.drain(1)
            await guarded.aclose()
