"""The demo's cast at the simulated Google and the simulated Microsoft, which push."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from service.commands.listening import on_loopback
from service.demo.cast import AHEAD, LENGTH, SURPRISE, TITLE, WRITTEN, Cast, Person
from simulator.app import create_app
from simulator.control import CONTROL_ROOT, MICROSOFT_ROOT
from simulator.google.world import World
from simulator.microsoft.seed import seeded_microsoft
from simulator.microsoft.world import MicrosoftWorld
from simulator.seed import seeded_world

AHEAD_MINUTES: Final = AHEAD.seconds // 60
MINUTES: Final = LENGTH.seconds // 60


@dataclass(kw_only=True)
class Google(Cast):
    """The host is elsewhere: the simulator has the event on the first calendar, and mirrors it to the other guest's."""

    world: World
    event_id: str = ""

    async def add(self) -> None:
        accepts, guest = (person.email for person in self.people)
        added = self.world.add_meeting(
            accepts,
            TITLE,
            in_minutes=AHEAD_MINUTES,
            minutes=MINUTES,
            meet=False,
            attendees=[guest, self.host],
            organizer={"email": self.host},
            description="\n".join(WRITTEN),
        )
        self.event_id = added["id"]

    async def move(self, starts_at: datetime) -> None:
        self.world.move_event(self.people[0].email, self.event_id, start=starts_at.isoformat())

    async def cancel(self) -> None:
        self.world.cancel_event(self.people[0].email, self.event_id)

    def invitation(self) -> list[str]:
        return _invitation(f"{self.url}{CONTROL_ROOT}", self.people[0].email)


@dataclass(kw_only=True)
class Microsoft(Cast):
    """The host is a colleague: Exchange brings his meeting to the calendars of both."""

    world: MicrosoftWorld
    event_id: str = ""

    async def add(self) -> None:
        added = self.world.add_meeting(
            self.host,
            TITLE,
            in_minutes=AHEAD_MINUTES,
            minutes=MINUTES,
            teams=False,
            attendees=[person.email for person in self.people],
            body={"contentType": "text", "content": "\n".join(WRITTEN)},
        )
        self.event_id = added["id"]
        self.world.respond(self.host, self.event_id, self.people[0].email, "accepted")

    async def move(self, starts_at: datetime) -> None:
        self.world.move_event(self.host, self.event_id, start=starts_at.isoformat())

    async def cancel(self) -> None:
        self.world.cancel_event(self.host, self.event_id)

    def invitation(self) -> list[str]:
        return _invitation(f"{self.url}{MICROSOFT_ROOT}", self.people[0].email)


@asynccontextmanager
async def google(_folder: Path) -> AsyncIterator[Google]:
    """Two of four colleagues."""
    world = seeded_world()
    ada, grace, *_ = world.credentials()
    async with on_loopback(create_app(world), lifespan=True) as url:
        yield Google(
            provider="google",
            label="Google",
            kind="simulated",
            url=url,
            settings={"CALGATE_GOOGLE_API_URL": f"{url}/calendar/v3", "CALGATE_GOOGLE_TOKEN_URL": f"{url}/token"},
            people=(_person(ada), _person(grace)),
            host="sales@customer.example",
            given="with an OAuth client and a refresh token",
            hears="push",
            how="Google pushes: the gateway hears of a change at once and need not poll",
            world=world,
        )


@asynccontextmanager
async def microsoft(_folder: Path) -> AsyncIterator[Microsoft]:
    """Two of three colleagues, invited by the third."""
    world = seeded_microsoft()
    barbara, leslie, margaret, *_ = world.credentials()
    async with on_loopback(create_app(world), lifespan=True) as url:
        yield Microsoft(
            provider="microsoft",
            label="Microsoft",
            kind="simulated",
            url=url,
            settings={"CALGATE_MICROSOFT_GRAPH_URL": f"{url}/v1.0", "CALGATE_MICROSOFT_LOGIN_URL": url},
            people=(_person(barbara, tenant_id=barbara["tenant"]), _person(leslie, tenant_id=leslie["tenant"])),
            host=margaret["email"],
            given="with an OAuth client, a refresh token and a tenant",
            hears="push",
            how="Microsoft pushes, as the gateway has answered its handshake: it hears of a change at once and need not poll",
            world=world,
        )


def _person(credentials: dict[str, Any], **more: str) -> Person:
    names = ("client_id", "client_secret", "refresh_token")
    return Person(credentials["email"], {name: credentials[name] for name in names} | more)


def _invitation(root: str, email: str) -> list[str]:
    surprise = json.dumps({"calendar_id": email, "summary": SURPRISE, "in_minutes": 2})
    return [f"curl -s -X POST {root}/add_meeting -d '{surprise}'", f"curl -s {root}"]
