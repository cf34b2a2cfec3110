"""Microsoft Graph against the provider contract: over real sockets, to the simulator."""

import asyncio
import json
from datetime import date, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import msgspec
import pytest
from contracts.provider_contract import (
    NOW,
    WINDOW,
    ZONE,
    OAuthContract,
    ProviderContract,
    PushContract,
    read_pages,
    read_round,
    titles,
)
from loopback import response, serve_script

from service.core.credentials import OAuthClient
from service.core.schedule import Window
from service.core.sync import Listed, Removed
from service.errors import CursorExpired, GrantRejected, TransientFault
from service.providers.guarded_http import Slots
from service.providers.microsoft.client import MicrosoftCalendar
from service.providers.microsoft.push import MicrosoftPush
from service.providers.protocol import Access, Account, OpenedChannel, PushNotice
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
        return [await asyncio.wait_for(self.received.get(), 30) for _ in range(count)]

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


@pytest.mark.anyio
class TestRequests:
    """What Graph alone has, beyond the contract."""

    async def test_every_page_prefers_the_same(self, peer):
        for number in range(9):
            peer.add(f"meeting {number}", NOW + timedelta(hours=number))
        peer.add_series("weekly", NOW, 3)
        seen = record(peer)
        peer.make_pages_small()
        pages = await read_pages(peer)
        await read_pages(peer, pages[-1].token)
        assert len(seen) > 4
        assert {request.headers["prefer"] for request in seen} == {
            'odata.maxpagesize=200, outlook.timezone="UTC", IdType="ImmutableId"'
        }
        assert not any(name in str(request.url) for request in seen for name in ("select", "filter", "top="))

    @pytest.mark.parametrize(
        "link",
        [
            "https://graph.microsoft.com.evil.example/v1.0/x",
            "https://user@evil.example/v1.0/x",
            "https://graph.microsoft.com@evil.example/v1.0/x",
            "//evil.example/x",
            "http://127.0.0.1:1/v1.0/x",
            "https://[",
            "/v1.0/x",
            "",
        ],
    )
    async def test_the_access_token_goes_nowhere_else(self, peer, link):
        seen = record(peer)
        body = {"value": [], "@odata.nextLink": link}
        peer.world.add_fault("custom", endpoint="calendarView.delta", status=200, body=body)
        with pytest.raises(CursorExpired):
            await read_pages(peer)
        end = WINDOW.end.isoformat()
        if link:
            with pytest.raises(CursorExpired):
                await read_pages(peer, json.dumps({"link": link, "start": end, "end": end}))
        assert {request.url.host for request in seen} == {"127.0.0.1"}
        assert len(seen) == 1

    async def test_a_mailbox_is_asked_twice_at_once_and_others_meanwhile(self, peer):
        under_way, most = 0, 0

        async def answer(_: httpx.Request) -> httpx.Response:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0.01)
            under_way -= 1
            return httpx.Response(200, stream=httpx.ByteStream(b'{"value": []}'))

        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
            one = msgspec.structs.replace(peer.access, http=http)
            await asyncio.gather(*(peer.provider.calendars(one) for _ in range(6)))
            assert most == 2
            several = [msgspec.structs.replace(one, user_key=f"user {number}") for number in range(3)]
            new = [msgspec.structs.replace(one, user_key="", token=f"token {number}") for number in range(3)]
            await asyncio.gather(*(peer.provider.calendars(access) for access in [*several, *new] * 3))
            assert most == 12

    async def test_an_occurrence_without_its_master_is_asked_for(self, peer):
        series_id = peer.add_series("weekly", NOW, 3)
        full, token = await read_round(peer)
        rows = [item for item in full if isinstance(item, Listed)]
        sparse = [
            {
                "id": row.event.provider_event_id,
                "type": "occurrence",
                "seriesMasterId": series_id,
                **{
                    name: {"dateTime": f"{at:%FT%T}.0000000", "timeZone": "UTC"}
                    for name, at in (("start", row.event.starts_at), ("end", row.event.ends_at))
                },
            }
            for row in rows
        ]
        link = json.loads(token)["link"]
        body = {"value": sparse, "@odata.deltaLink": link}
        peer.world.add_fault("custom", endpoint="calendarView.delta", status=200, body=body)
        peer.world.reset_counters()
        items, _ = await read_round(peer)
        assert [item.event for item in items if isinstance(item, Listed)] == [row.event for row in rows]
        assert peer.world.read_counters()["events.get"] == 1

    async def test_a_master_that_cannot_be_had_makes_the_round_a_plain_view(self, peer):
        peer.add("kept", NOW)
        orphan = {
            "id": "AAkALgAAAAAAorphan",
            "type": "occurrence",
            "seriesMasterId": "AAkALgAAAAAAnone",
            "start": {"dateTime": "2026-03-02T09:00:00.0000000", "timeZone": "UTC"},
        }
        peer.world.add_poison(ADA, orphan)
        items, token = await read_round(peer)
        assert set(titles(items)) == {"kept"}, "once by the delta, and once by the view"
        peer.add("more", NOW)
        pages = await read_pages(peer, token)
        assert all(page.is_listing for page in pages)
        assert titles(item for page in pages for item in page.items) == ["kept", "more"]

    async def test_an_event_that_became_a_series_a_page_later_is_one(self, peer):
        _, token = await read_round(peer)
        series_id = peer.add_series("weekly", NOW, 3)
        single = {"id": series_id, "type": "singleInstance", "start": {"dateTime": "2026-03-02T09:00:00.0000000"}}
        link = json.loads(token)["link"]
        body = {"value": [single, {**single, "type": "seriesMaster"}], "@odata.deltaLink": link}
        peer.world.add_fault("custom", endpoint="calendarView.delta", status=200, body=body)
        (page,) = await read_pages(peer, token)
        assert [type(item) for item in page.items] == [Listed, Removed]
        assert list(page.unsettled) == [series_id]

    async def test_a_series_of_a_shared_calendar(self, peer):
        peer.world.add_account("bob@contoso.example")
        shared = peer.world.add_calendar("bob@contoso.example", "Bob's")
        peer.world.share_calendar(shared, ADA, "reader")
        start = {"dateTime": "2026-03-02T09:00:00", "timeZone": "UTC"}
        rule = {
            "pattern": {"type": "daily", "interval": 1},
            "range": {"type": "numbered", "numberOfOccurrences": 3, "startDate": "2026-03-02"},
        }
        series = peer.world.add_event(shared, {"subject": "x", "start": start, "end": start, "recurrence": rule})
        listing = peer.provider.series(peer.access, shared, series["id"], window=WINDOW, time_zone=None)
        assert titles([item async for item in listing]) == ["x"] * 3

    async def test_a_cancelled_occurrence_unsettles_its_series(self, peer):
        series_id = peer.add_series("weekly", NOW, 3)
        items, token = await read_round(peer)
        gone = next(item.event.provider_event_id for item in items if isinstance(item, Listed))
        peer.cancel(gone)
        (page,) = await read_pages(peer, token)
        assert list(page.unsettled) == [series_id]
        assert not any(isinstance(item, Listed) for item in page.items)

    async def test_a_window_beyond_the_links_is_listed_anew(self, peer):
        peer.add("kept", NOW)
        _, token = await read_round(peer)
        later = Window(WINDOW.start + timedelta(days=8), WINDOW.end + timedelta(days=8))
        pages = [
            page
            async for page in peer.provider.pages(
                peer.access, peer.calendar_id, token=token, window=later, time_zone=None
            )
        ]
        assert all(page.is_listing for page in pages)
        ends = [json.loads(each)["end"] for each in (token, pages[-1].token)]
        assert ends[0] < ends[1]

    async def test_a_delta_that_goes_round_in_circles_is_worthless(self, peer):
        _, token = await read_round(peer)
        peer.world.add_fault("looping_next_link", endpoint="calendarView.delta", times=None)
        with pytest.raises(CursorExpired):
            await read_pages(peer, token)

    @pytest.mark.parametrize("body", [{}, {"value": None}, {"value": 7}, [], {"value": []}])
    async def test_a_page_without_rows_or_without_a_link_is_not_believed(self, peer, body):
        peer.world.add_fault("custom", endpoint="calendarView.delta", status=200, body=body)
        with pytest.raises(TransientFault):
            await read_pages(peer)

    async def test_a_zone_of_a_day_does_not_hide_it(self, peer):
        """Where our day and the mailbox's do not begin together, the listing is wide enough for both."""
        edge = WINDOW.start.date()
        peer.add_days("yesterday", edge - timedelta(days=1), edge)
        items, _ = await read_round(peer)
        assert titles(items) == ["yesterday"]

    async def test_the_account_is_the_signed_in_user(self, peer):
        account = await peer.provider.account(peer.access, [])
        assert account == Account(id=peer.world.accounts[ADA].id, email=ADA)

    @pytest.mark.parametrize(
        ("user", "email"),
        [
            ({"mail": None, "userPrincipalName": "Ada@X.example"}, "ada@x.example"),
            ({"mail": None, "userPrincipalName": "ada"}, None),
            ({"mail": "Ada@X.example", "userPrincipalName": "a@y.example"}, "ada@x.example"),
        ],
    )
    async def test_the_address_of_an_account(self, peer, user, email):
        peer.world.add_fault("custom", endpoint="me.get", status=200, body={"id": "7", **user})
        assert await peer.provider.account(peer.access, []) == Account(id="7", email=email)

    async def test_the_calendars_of_others_are_listed_too(self, peer):
        peer.world.add_account("bob@contoso.example")
        shared = peer.world.add_calendar("bob@contoso.example", "Bob's")
        peer.world.share_calendar(shared, ADA, "reader")
        found = {each.id: each for each in await peer.provider.calendars(peer.access)}
        assert (found[shared].name, found[shared].access_role, found[shared].is_primary) == ("Bob's", "reader", False)

    @pytest.mark.parametrize("tenant", ["common", "organizations"])
    async def test_the_tenant_is_in_the_path_and_the_token_rotates(self, peer, tenant):
        client = msgspec.structs.replace(peer.client, tenant=tenant)
        peer.world.set(rotation="strict")
        grant = await peer.provider.refresh(peer.access.http, client, peer.refresh_token, NOW)
        assert grant.refresh_token not in {None, peer.refresh_token}
        with pytest.raises(GrantRejected):
            await peer.provider.refresh(peer.access.http, client, peer.refresh_token, NOW)
        assert (await peer.provider.refresh(peer.access.http, client, grant.refresh_token, NOW)).access_token

    async def test_a_tenant_that_is_not_the_users(self, peer):
        wrong = msgspec.structs.replace(peer.client, tenant="consumers")
        with pytest.raises(GrantRejected):
            await peer.provider.refresh(peer.access.http, wrong, peer.refresh_token, NOW)

    @pytest.mark.parametrize(
        ("text", "life"),
        [
            ("2026-03-09T08:00:00.0000000Z", timedelta(days=6, hours=23)),
            ("2026-03-09T08:00:00Z", timedelta(days=6, hours=23)),
            ("2026-03-09T08:00:00", timedelta(days=6, hours=23)),
            ("soon", timedelta(minutes=45)),
            (None, timedelta(minutes=45)),
            ("2020-01-01T00:00:00Z", timedelta(minutes=45)),
        ],
    )
    async def test_the_life_of_a_subscription_is_what_graph_grants(self, peer, text, life):
        body = {"id": "s", "expirationDateTime": text}
        peer.world.add_fault("custom", endpoint="subscriptions.create", status=201, body=body)
        channel = await peer.provider.open_channel(
            peer.access, peer.calendar_id, channel_id="c", secret="s", address=peer.push_address, now=NOW
        )
        assert channel == OpenedChannel(resource_id="s", expires_at=NOW + life)


def record(peer) -> list[httpx.Request]:
    """The requests that go out from now on."""
    seen: list[httpx.Request] = []

    async def note(request: httpx.Request) -> None:
        seen.append(request)

    peer.access.http.event_hooks = {"request": [note], "response": []}
    return seen
