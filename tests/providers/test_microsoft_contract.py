"""Microsoft Graph against the provider contract: over real sockets, to the simulator."""

import asyncio
from datetime import date, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from contracts.provider_contract import (
    NOW,
    ZONE,
    OAuthContract,
    ProviderContract,
    PushContract,
)
from loopback import response, serve_script

from service.core.credentials import OAuthClient
from service.providers.guarded_http import Slots
from service.providers.microsoft.client import MicrosoftCalendar
from service.providers.microsoft.push import MicrosoftPush
from service.providers.protocol import Access, PushNotice
from simulator.microsoft.world import MicrosoftWorld
from simulator.server import serve

ADA = "ada@contoso.example"
OUTAGES = {"error": "service_503", "cut": "lost_answer", "garbage": "html_200", "truncated": "truncated_page"}


class MicrosoftPeer:
    def __init__(self, world: MicrosoftWorld, url: str) -> None:
        self.world = world
        known = world.connect(ADA, time_zone=ZONE)
        self.calendar_id = world.find_calendar(ADA).id
        self.unwatchable_id = world.add_calendar(ADA, "Team")
        self.provider = MicrosoftCalendar(f"{url}/v1.0", url, clock=world.now)
        self.push = MicrosoftPush()
        self.push_address = ""
        self.listed_zone = None
        self.greetings = 0
        self.unknown_id = "AAkALgAAAAAAneverheardof"
        self.client = OAuthClient(client_id=known["client_id"], client_secret=known["client_secret"], tenant="common")
        self.refresh_token = known["refresh_token"]
        self.access: Access
        self.received: asyncio.Queue[PushNotice] = asyncio.Queue()

    async def let_in(self, http) -> None:
        grant = await self.provider.refresh(http, self.client, self.refresh_token, NOW)
        self.access = Access(http=http, token=grant.access_token, client_key="client", user_key="user", email=ADA)

    def add(self, title: str, start: datetime, minutes: int = 60, **more) -> str:
        end = start + timedelta(minutes=minutes)
        times = {
            name: {"dateTime": at.replace(tzinfo=None).isoformat(), "timeZone": "UTC"}
            for name, at in (("start", start), ("end", end))
        }
        return self.world.add_event(ADA, {"subject": title, **times, **more})["id"]

    def add_series(self, title: str, start: datetime, count: int, **more) -> str:
        pattern = {"type": "weekly", "interval": 1, "daysOfWeek": [f"{start:%A}".lower()]}
        span = {"type": "numbered", "numberOfOccurrences": count, "startDate": f"{start:%F}"}
        return self.add(title, start, recurrence={"pattern": pattern, "range": span}, **more)

    def add_days(self, title: str, first: date, last: date, **more) -> str:
        days = {
            name: {"dateTime": f"{day}T00:00:00", "timeZone": "Romance Standard Time"}
            for name, day in (("start", first), ("end", last))
        }
        return self.world.add_event(ADA, {"subject": title, "isAllDay": True, **days, **more})["id"]

    def rename(self, event_id: str, title: str) -> None:
        self.world.edit_event(ADA, event_id, {"subject": title})

    def move(self, event_id: str, minutes: int) -> None:
        self.world.move_event(ADA, event_id, by_minutes=minutes)

    def cancel(self, event_id: str) -> None:
        self.world.cancel_event(ADA, event_id)

    def add_malformed(self, event_id: str) -> None:
        self.world.add_poison(ADA, {"id": event_id, "type": "singleInstance", "start": {"dateTime": "tomorrow"}})

    def make_pages_small(self) -> None:
        self.world.set(largest_page=4, empty_pages=1)

    def forget_cursors(self) -> None:
        self.world.expire_delta_links()

    def remove_calendar(self) -> None:
        self.world.delete_calendar(ADA)

    def expire_access(self) -> None:
        self.world.expire_access_tokens()

    def revoke_grant(self) -> None:
        self.world.revoke_consent(ADA)

    def withhold_scope(self) -> None:
        for access in self.world.access_tokens.values():
            access.scopes = ["User.Read"]

    def break_down(self, how: str) -> None:
        self.world.add_fault(OUTAGES[how], times=None)

    def throttle(self, seconds: int) -> None:
        self.world.add_fault("too_many_requests_429", seconds=seconds)

    def forbid_watching(self) -> None:
        self.world.set(calendar_subscriptions=False)

    async def notices(self, count: int) -> list[PushNotice]:
        """The next `count` notifications that reach us."""
        return [await asyncio.wait_for(self.received.get(), 5) for _ in range(count)]

    async def receive(self, request: bytes, writer: asyncio.StreamWriter) -> None:
        """Answer as our route does."""
        head, _, body = request.partition(b"\r\n\r\n")
        query = parse_qs(urlsplit(head.split()[1].decode()).query)
        if "validationToken" in query:
            writer.write(response(query["validationToken"][0].encode(), content_type="text/plain"))
            return
        for notice in self.push.notices({}, body):
            self.received.put_nowait(notice)
        writer.write(response(b"", 202))


@pytest.fixture
async def peer(anyio_backend):
    world = MicrosoftWorld(lambda: NOW, seed=7)
    world.settings.series_years = 1
    async with serve(world) as url:
        peer = MicrosoftPeer(world, url)
        slots = Slots(1)
        async with serve_script(peer.receive) as receiver, slots.borrow() as http:
            peer.push_address = f"{receiver.url}/push/microsoft"
            await peer.let_in(http)
            yield peer
        await slots.aclose()


class TestMicrosoft(ProviderContract, OAuthContract, PushContract):
    pass
