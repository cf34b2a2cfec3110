"""ICS feeds against the provider contract: over real sockets, to a publisher that has one feed and knows no deltas."""

from asyncio import StreamWriter
from datetime import date, datetime, timedelta

import pytest
from contracts.provider_contract import (
    NOW,
    WINDOW,
    ZONE,
    Peer,
    ProviderContract,
    only_event,
    read_pages,
    read_round,
    titles,
)
from feed_server import LOOPBACK, FeedServer, event, feed, serve_feed, spelt
from forked_expander import ForkedExpander
from providers.loopback import response

from service.core.credentials import IcsCredentials, OAuthClient
from service.core.schedule import Window
from service.errors import AddressRefused, CursorExpired, PushUnsupported
from service.providers.guarded_http import Slots
from service.providers.ics.client import FEED, IcsFeed
from service.providers.protocol import Access
from service.providers.vevent.expansion import Expander


class IcsPeer:
    listed_zone = ZONE
    greetings = 0
    push = None
    push_address = ""
    calendar_id = FEED
    unwatchable_id = FEED
    unknown_id = "neverheardof"

    def __init__(self, server: FeedServer, expander: Expander) -> None:
        self.server = server
        self.provider = IcsFeed(expander, LOOPBACK, clock=lambda: NOW)
        credentials = IcsCredentials(url=server.url)
        self.client: OAuthClient = credentials.client
        self.refresh_token = credentials.secret
        self.access: Access
        self.events: dict[str, dict] = {}
        self.publish()

    async def let_in(self, http) -> None:
        grant = await self.provider.refresh(http, self.client, self.refresh_token, NOW)
        self.access = Access(http=http, token=grant.access_token, client_key="client", user_key="user")

    def publish(self) -> None:
        self.server.text = feed(*(text for uid, known in self.events.items() for text in self.components(uid, known)))

    def components(self, uid: str, known: dict):
        yield event(uid, known["title"], known["start"], *known["lines"], minutes=known["minutes"])
        for slot, start in known["moved"].items():
            yield event(uid, known["title"], start, f"RECURRENCE-ID:{spelt(slot)}", minutes=known["minutes"])

    def add(self, title: str, start: datetime | date, minutes: int = 60, *lines: str) -> str:
        uid = f"event-{len(self.events)}@publisher"
        self.events[uid] = {"title": title, "start": start, "minutes": minutes, "lines": list(lines), "moved": {}}
        self.publish()
        return uid

    def add_days(self, title: str, first: date, last: date) -> str:
        return self.add(title, first, 0, f"DTEND;VALUE=DATE:{last:%Y%m%d}")

    def add_series(self, title: str, start: datetime, count: int) -> str:
        return self.add(title, start, 60, f"RRULE:FREQ=WEEKLY;COUNT={count}")

    def rename(self, event_id: str, title: str) -> None:
        self.events[event_id]["title"] = title
        self.publish()

    def move(self, event_id: str, minutes: int) -> None:
        uid, _, slot = event_id.partition("#")
        known = self.events[uid]
        if slot:
            at = datetime.strptime(slot, "%Y%m%dT%H%M%S%z")
            known["moved"][at] = at + timedelta(minutes=minutes)
        else:
            known["start"] += timedelta(minutes=minutes)
        self.publish()

    def cancel(self, event_id: str) -> None:
        uid, _, slot = event_id.partition("#")
        if slot:
            self.events[uid]["lines"].append(f"EXDATE:{slot}")
        else:
            del self.events[uid]
        self.publish()

    def add_malformed(self, event_id: str) -> None:
        self.add("bad", NOW)
        self.events[event_id] = self.events.popitem()[1]
        self.publish()
        good, _, bad = self.server.text.rpartition(b"DTSTART:")
        self.server.text = good + b"DTSTART:tomorrow" + bad[bad.index(b"\r\n") :]

    def remove_calendar(self) -> None:
        self.server.status = 404

    def break_down(self, how: str) -> None:
        async def answer(writer: StreamWriter) -> None:
            if how == "error":
                writer.write(response(b"<html>", 502, content_type="text/html"))
            elif how == "garbage":
                writer.write(response(b"BEGIN:VCALENDAR\r\n\0\1\2"))
            elif how == "truncated":
                writer.write(response(self.server.text)[:-20])
                writer.close()
            else:
                writer.close()

        self.server.script = answer

    def throttle(self, seconds: int) -> None:
        self.server.status = 429
        self.server.headers["retry_after"] = str(seconds)


@pytest.fixture
async def peer(anyio_backend):
    slots = Slots(1, LOOPBACK)
    async with ForkedExpander(size=1) as expander, serve_feed() as server, slots.borrow() as http:
        peer = IcsPeer(server, expander)
        await peer.let_in(http)
        yield peer
    await slots.aclose()


@pytest.mark.anyio
class TestIcs(ProviderContract):
    """Where a feed cannot do what the contract asks of calendars with deltas, what it does instead."""

    async def test_many_small_pages_are_one_round(self, peer: Peer):
        """A feed has one page, however much is in it."""
        for number in range(300):
            peer.add(f"meeting {number:03}", NOW + timedelta(hours=number))
        (page,) = await read_pages(peer)
        assert titles(page.items) == [f"meeting {number:03}" for number in range(300)]

    async def test_a_delta_has_what_changed_and_nothing_else(self, peer: Peer):
        """A feed that has changed is listed whole, and says so; one that has not has nothing."""
        renamed, moved, gone = (peer.add(title, NOW + timedelta(hours=2)) for title in ("a", "b", "c"))
        peer.add("kept", NOW)
        _items, token = await read_round(peer)
        assert (await read_round(peer, token))[0] == []
        peer.rename(renamed, "A")
        peer.move(moved, 30)
        peer.cancel(gone)
        (page,) = await read_pages(peer, token)
        assert titles(page.items) == ["A", "b", "kept"]
        assert page.is_listing
        assert (await read_round(peer, page.token))[0] == []

    async def test_a_series_of_a_calendar_that_is_gone_is_not_an_empty_series(self, peer: Peer):
        series_id = peer.add_series("weekly", NOW, 3)
        peer.remove_calendar()
        with pytest.raises(AddressRefused):
            await self.read_series(peer, series_id)

    async def test_a_stretch_is_listed_without_touching_the_cursor(self, peer: Peer):
        """A feed that has changed in the stretch alone has changed, and is listed."""
        peer.add("inside", NOW)
        _items, token = await read_round(peer)
        peer.add("entering", WINDOW.end + timedelta(hours=2))
        stretch = Window(WINDOW.end, WINDOW.end + timedelta(days=1))
        for _ in range(2):
            listing = peer.provider.stretch(peer.access, FEED, window=stretch, time_zone=ZONE)
            assert titles([item async for item in listing]) == ["entering"]
        (page,) = await read_pages(peer, token)
        assert (page.is_listing, titles(page.items)) == (True, ["inside"])

    async def test_a_worthless_cursor(self, peer: Peer):
        """Nobody but us can make it worthless: a state of another version."""
        _items, token = await read_round(peer)
        with pytest.raises(CursorExpired):
            await read_pages(peer, token.replace("{", '{"version":0,', 1))
        assert (await read_round(peer))[1]

    async def test_a_calendar_that_went_away(self, peer: Peer):
        _items, token = await read_round(peer)
        peer.remove_calendar()
        with pytest.raises(AddressRefused):
            await read_pages(peer, token)
        with pytest.raises(AddressRefused):
            await peer.provider.calendars(peer.access)

    async def test_a_stale_access_token_is_not_a_dead_grant(self, peer: Peer):
        """An address does not go stale: it is refused, which is not yet the end of it."""
        peer.server.status = 401
        with pytest.raises(AddressRefused):
            await read_pages(peer)
        with pytest.raises(AddressRefused):
            await peer.provider.calendars(peer.access)

    async def test_nobody_pushes(self, peer: Peer):
        asked = len(peer.server.asked)
        with pytest.raises(PushUnsupported):
            await peer.provider.open_channel(
                peer.access, FEED, channel_id="c", secret="s", address="https://example.com", now=NOW
            )
        await peer.provider.close_channel(peer.access, channel_id="c", resource_id="r")
        assert len(peer.server.asked) == asked

    async def test_a_refresh_asks_nobody(self, peer: Peer):
        grant = await peer.provider.refresh(peer.access.http, peer.client, peer.refresh_token, NOW)
        assert grant.access_token == peer.server.url
        assert grant.expires_at > NOW + timedelta(days=365)
        assert peer.server.asked == []

    async def test_nobody_answers_for_the_reader_of_a_feed(self, peer: Peer):
        peer.add(
            "standup", NOW, 30, "ORGANIZER:mailto:ada@example.com", "ATTENDEE;PARTSTAT=DECLINED:mailto:ada@example.com"
        )
        read = only_event((await read_round(peer))[0])
        assert read.response_status is None
        assert [(who.email, who.response_status, who.self) for who in read.attendees] == [
            ("ada@example.com", "declined", False)
        ]
