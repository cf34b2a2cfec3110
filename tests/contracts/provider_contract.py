"""What every calendar provider has to do, whatever it speaks; run for each against a peer that behaves like the real one."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Protocol

import msgspec
import pytest

from service.core.schedule import Window
from service.core.sync import Item, Listed, Malformed, Page, Removed
from service.errors import (
    AccessRejected,
    CalendarGone,
    ClientRejected,
    CursorExpired,
    GrantRejected,
    PushUnsupported,
    ScopeMissing,
    Throttled,
    TransientFault,
)
from service.providers.protocol import Access, OAuthClient, Provider, PushKind, PushNotice, PushReader

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
WINDOW = Window(NOW - timedelta(days=1), NOW + timedelta(days=30))
ZONE = "Europe/Paris"


class Peer(Protocol):
    """The other side: a server with one account whose calendar is in ZONE and at first empty, at the time NOW.

    `listed_zone` is what its list of calendars says of that, `greetings` how many notices come through a new channel
    before anything has changed, `unknown_id` what could be the id of an event, and is of none.
    """

    provider: Provider
    push: PushReader
    client: OAuthClient
    refresh_token: str
    access: Access
    calendar_id: str
    unwatchable_id: str
    push_address: str
    listed_zone: str | None
    greetings: int
    unknown_id: str

    def add(self, title: str, start: datetime, minutes: int = 60) -> str: ...
    def add_days(self, title: str, first: date, last: date) -> str: ...
    def add_series(self, title: str, start: datetime, count: int) -> str: ...
    def rename(self, event_id: str, title: str) -> None: ...
    def move(self, event_id: str, minutes: int) -> None: ...
    def cancel(self, event_id: str) -> None: ...
    def add_malformed(self, event_id: str) -> None: ...
    def make_pages_small(self) -> None: ...
    def forget_cursors(self) -> None: ...
    def remove_calendar(self) -> None: ...
    def expire_access(self) -> None: ...
    def revoke_grant(self) -> None: ...
    def withhold_scope(self) -> None: ...
    def break_down(self, how: str) -> None: ...
    def throttle(self, seconds: int) -> None: ...
    def forbid_watching(self) -> None: ...
    async def notices(self, count: int) -> list[PushNotice]: ...


OUTAGES = ("error", "cut", "garbage", "truncated")


async def read_pages(peer: Peer, token: str | None = None, calendar_id: str | None = None) -> list[Page]:
    pages = peer.provider.pages(
        peer.access,
        peer.calendar_id if calendar_id is None else calendar_id,
        token=token,
        window=WINDOW,
        time_zone=ZONE,
    )
    return [page async for page in pages]


async def read_round(peer: Peer, token: str | None = None) -> tuple[list[Item], str]:
    """What a round says, and the next token; series that it leaves unsettled are listed as sets."""
    pages = await read_pages(peer, token)
    assert [page.token is None for page in pages] == [True] * (len(pages) - 1) + [False]
    items = [item for page in pages for item in page.items]
    for series_id in dict.fromkeys(series for page in pages for series in page.unsettled):
        series = peer.provider.series(peer.access, peer.calendar_id, series_id, window=WINDOW, time_zone=ZONE)
        items += [item async for item in series]
    return items, pages[-1].token or ""


def in_window(items: Iterable[Item]) -> list[Item]:
    """A listing may go further than it was asked to."""
    return [
        item for item in items if isinstance(item, Listed) and WINDOW.overlaps(item.event.starts_at, item.event.ends_at)
    ]


def titles(items: Iterable[Item]) -> list[str]:
    return sorted(item.event.title or "" for item in items if isinstance(item, Listed))


def only_event(items: list[Item]):
    (item,) = items
    assert isinstance(item, Listed)
    return item.event


@pytest.mark.anyio
class ProviderContract:
    async def test_the_calendars_of_the_account(self, peer: Peer):
        calendars = await peer.provider.calendars(peer.access)
        primary = [each for each in calendars if each.is_primary]
        assert [(each.id, each.time_zone) for each in primary] == [(peer.calendar_id, peer.listed_zone)]
        assert peer.unwatchable_id in {each.id for each in calendars}
        assert all(each.name for each in calendars)

    async def test_an_empty_calendar_has_a_cursor(self, peer: Peer):
        items, token = await read_round(peer)
        assert items == []
        assert token
        assert (await read_round(peer, token))[0] == []

    async def test_a_full_listing_has_the_window(self, peer: Peer):
        peer.add("before", WINDOW.start - timedelta(hours=3))
        peer.add("over the start", WINDOW.start - timedelta(minutes=30))
        peer.add("inside", NOW)
        peer.add("over the end", WINDOW.end - timedelta(minutes=30))
        peer.add("after", WINDOW.end + timedelta(hours=3))
        items, _token = await read_round(peer)
        assert titles(in_window(items)) == ["inside", "over the end", "over the start"]

    async def test_an_event_in_our_words(self, peer: Peer):
        event_id = peer.add("Planning", NOW, 45)
        event = only_event((await read_round(peer))[0])
        assert (event.provider_event_id, event.title, event.status) == (event_id, "Planning", "confirmed")
        assert (event.starts_at, event.ends_at) == (NOW, NOW + timedelta(minutes=45))
        assert (event.is_all_day, event.series_id, event.is_exception, event.is_busy) == (False, None, False, True)
        assert event.ical_uid

    async def test_days_are_days_and_stand_at_midnight_in_the_calendars_zone(self, peer: Peer):
        peer.add_days("Away", date(2026, 3, 28), date(2026, 3, 30))
        event = only_event((await read_round(peer))[0])
        assert (event.is_all_day, event.start_date, event.end_date) == (True, date(2026, 3, 28), date(2026, 3, 30))
        # The clocks change in the night between.
        assert event.starts_at == datetime(2026, 3, 27, 23, tzinfo=UTC)
        assert event.ends_at == datetime(2026, 3, 29, 22, tzinfo=UTC)

    async def test_many_small_pages_are_one_round(self, peer: Peer):
        wanted = sorted(f"meeting {number:02}" for number in range(17))
        for number, title in enumerate(wanted):
            peer.add(title, NOW + timedelta(hours=number))
        peer.make_pages_small()
        assert len(await read_pages(peer)) > 3
        items, token = await read_round(peer)
        assert titles(items) == wanted
        for number in range(9):
            peer.add(f"later {number}", NOW + timedelta(days=2, hours=number))
        assert len(titles((await read_round(peer, token))[0])) == 9

    async def test_a_delta_has_what_changed_and_nothing_else(self, peer: Peer):
        kept = peer.add("kept", NOW)
        renamed, moved, gone = (peer.add(title, NOW + timedelta(hours=2)) for title in ("a", "b", "c"))
        _items, token = await read_round(peer)
        assert (await read_round(peer, token))[0] == []
        peer.rename(renamed, "A")
        peer.move(moved, 30)
        peer.cancel(gone)
        peer.add("new", NOW + timedelta(hours=5))
        items, token = await read_round(peer, token)
        listed = {item.event.provider_event_id: item.event for item in items if isinstance(item, Listed)}
        assert titles(items) == ["A", "b", "new"]
        assert listed[moved].starts_at == NOW + timedelta(hours=2, minutes=30)
        assert [item.provider_event_id for item in items if isinstance(item, Removed)] == [gone]
        assert kept not in listed
        assert (await read_round(peer, token))[0] == []

    async def test_the_same_delta_can_be_read_twice(self, peer: Peer):
        _items, token = await read_round(peer)
        peer.add("new", NOW)
        first, _ = await read_round(peer, token)
        second, _ = await read_round(peer, token)
        assert first == second
        assert titles(first) == ["new"]

    async def test_the_occurrences_of_a_series_know_it_and_their_slots(self, peer: Peer):
        series_id = peer.add_series("weekly", NOW, 3)
        items, _token = await read_round(peer)
        events = [item.event for item in items if isinstance(item, Listed)]
        slots = [NOW + timedelta(weeks=week) for week in range(3)]
        assert [event.series_id for event in events] == [series_id] * 3
        assert sorted(event.starts_at for event in events) == slots
        assert all(event.original_starts_at == event.starts_at for event in events)
        assert len({event.provider_event_id for event in events}) == 3
        assert len({event.ical_uid for event in events}) == 1

    async def test_a_moved_occurrence_keeps_its_slot(self, peer: Peer):
        series_id = peer.add_series("weekly", NOW, 3)
        items, token = await read_round(peer)
        second = next(
            item.event.provider_event_id
            for item in items
            if isinstance(item, Listed) and item.event.starts_at == NOW + timedelta(weeks=1)
        )
        peer.move(second, 60)
        changed = [item.event for item in (await read_round(peer, token))[0] if isinstance(item, Listed)]
        event = next(event for event in changed if event.provider_event_id == second)
        assert (event.series_id, event.is_exception) == (series_id, True)
        assert event.original_starts_at == NOW + timedelta(weeks=1)
        assert event.starts_at == NOW + timedelta(weeks=1, hours=1)

    async def test_a_series_as_a_set(self, peer: Peer):
        series_id = peer.add_series("weekly", NOW, 10)
        peer.add("other", NOW)
        items = await self.read_series(peer, series_id)
        assert len(items) == 5  # the window has five Mondays
        peer.cancel(items[1].event.provider_event_id)
        left = {item.event.provider_event_id for item in await self.read_series(peer, series_id)}
        assert left == {item.event.provider_event_id for item in items} - {items[1].event.provider_event_id}

    async def test_a_series_and_the_listing_say_the_same(self, peer: Peer):
        series_id = peer.add_series("weekly", NOW, 3)
        items, _token = await read_round(peer)
        listed = {item.event.provider_event_id: item.event for item in items if isinstance(item, Listed)}
        assert listed == {item.event.provider_event_id: item.event for item in await self.read_series(peer, series_id)}

    async def test_a_series_that_is_gone_has_nothing(self, peer: Peer):
        series_id = peer.add_series("weekly", NOW, 3)
        peer.cancel(series_id)
        assert await self.read_series(peer, series_id) == []
        assert await self.read_series(peer, peer.unknown_id) == []

    async def test_a_series_of_a_calendar_that_is_gone_is_not_an_empty_series(self, peer: Peer):
        series_id = peer.add_series("weekly", NOW, 3)
        peer.remove_calendar()
        with pytest.raises(CalendarGone):
            await self.read_series(peer, series_id)

    async def read_series(self, peer: Peer, series_id: str) -> list[Listed]:
        series = peer.provider.series(peer.access, peer.calendar_id, series_id, window=WINDOW, time_zone=ZONE)
        found = []
        async for item in series:
            assert isinstance(item, Listed)
            found.append(item)
        return found

    async def test_a_stretch_is_listed_without_touching_the_cursor(self, peer: Peer):
        peer.add("inside", NOW)
        _items, token = await read_round(peer)
        peer.add("entering", WINDOW.end + timedelta(hours=2))
        stretch = Window(WINDOW.end, WINDOW.end + timedelta(days=1))
        listing = peer.provider.stretch(peer.access, peer.calendar_id, window=stretch, time_zone=ZONE)
        assert titles([item async for item in listing]) == ["entering"]
        assert "inside" not in titles((await read_round(peer, token))[0])

    async def test_a_malformed_row_is_set_aside_and_the_others_go_on(self, peer: Peer):
        peer.add("good", NOW)
        peer.add_malformed("poisoned")
        items, token = await read_round(peer)
        assert titles(items) == ["good"]
        (bad,) = [item for item in items if isinstance(item, Malformed)]
        assert "poisoned" in bad.provider_event_id
        assert bad.reason
        assert bad.raw
        assert token

    async def test_a_worthless_cursor(self, peer: Peer):
        _items, token = await read_round(peer)
        peer.forget_cursors()
        with pytest.raises(CursorExpired):
            await read_pages(peer, token)
        assert (await read_round(peer))[1]

    async def test_a_cursor_that_never_was_one(self, peer: Peer):
        with pytest.raises(CursorExpired):
            await read_pages(peer, "nonsense")

    @pytest.mark.parametrize("calendar_id", ["nobody@example.com", "a/../b#c?d=e%2f", "..", ".", ""])
    async def test_a_calendar_that_is_not_there(self, peer: Peer, calendar_id: str):
        with pytest.raises(CalendarGone):
            await read_pages(peer, calendar_id=calendar_id)

    async def test_a_calendar_that_went_away(self, peer: Peer):
        _items, token = await read_round(peer)
        peer.remove_calendar()
        with pytest.raises(CalendarGone):
            await read_pages(peer, token)
        assert peer.calendar_id not in {each.id for each in await peer.provider.calendars(peer.access)}

    async def test_a_stale_access_token_is_not_a_dead_grant(self, peer: Peer):
        peer.expire_access()
        with pytest.raises(AccessRejected):
            await read_pages(peer)
        with pytest.raises(AccessRejected):
            await peer.provider.calendars(peer.access)

    @pytest.mark.parametrize("how", OUTAGES)
    async def test_an_outage_blames_nobody(self, peer: Peer, how: str):
        peer.add("meeting", NOW)
        peer.break_down(how)
        with pytest.raises(TransientFault):
            await read_pages(peer)
        with pytest.raises(TransientFault):
            await peer.provider.calendars(peer.access)

    async def test_a_throttling_answer_says_until_when(self, peer: Peer):
        peer.throttle(40)
        with pytest.raises(Throttled) as caught:
            await read_pages(peer)
        assert caught.value.retry_at == NOW + timedelta(seconds=40)


@pytest.mark.anyio
class OAuthContract:
    """What a provider with OAuth does besides."""

    async def test_a_refresh(self, peer: Peer):
        grant = await peer.provider.refresh(peer.access.http, peer.client, peer.refresh_token, NOW)
        assert grant.access_token
        assert timedelta(minutes=30) < grant.expires_at - NOW < timedelta(hours=2)

    async def test_a_revoked_grant(self, peer: Peer):
        peer.revoke_grant()
        with pytest.raises(GrantRejected):
            await peer.provider.refresh(peer.access.http, peer.client, peer.refresh_token, NOW)

    async def test_a_token_that_never_was_one(self, peer: Peer):
        with pytest.raises(GrantRejected):
            await peer.provider.refresh(peer.access.http, peer.client, "nonsense", NOW)

    async def test_a_wrong_secret_is_the_clients_fault(self, peer: Peer):
        wrong = msgspec.structs.replace(peer.client, client_secret="wrong")
        with pytest.raises(ClientRejected):
            await peer.provider.refresh(peer.access.http, wrong, peer.refresh_token, NOW)

    async def test_a_withheld_scope(self, peer: Peer):
        peer.withhold_scope()
        with pytest.raises(ScopeMissing):
            await read_pages(peer)

    @pytest.mark.parametrize("how", OUTAGES)
    async def test_an_outage_of_the_token_endpoint_blames_nobody(self, peer: Peer, how: str):
        peer.break_down(how)
        with pytest.raises(TransientFault):
            await peer.provider.refresh(peer.access.http, peer.client, peer.refresh_token, NOW)


@pytest.mark.anyio
class PushContract:
    """What a provider with push does besides."""

    async def open(self, peer: Peer, channel_id: str = "channel-1", calendar_id: str | None = None):
        return await peer.provider.open_channel(
            peer.access,
            calendar_id or peer.calendar_id,
            channel_id=channel_id,
            secret="s3cret",
            address=peer.push_address,
            now=NOW,
        )

    async def test_a_change_is_notified_with_the_secret(self, peer: Peer):
        channel = await self.open(peer)
        assert timedelta(hours=1) < channel.expires_at - NOW <= timedelta(days=7)
        assert [notice.kind for notice in await peer.notices(peer.greetings)] == [PushKind.FIRST] * peer.greetings
        peer.add("new", NOW)
        (notice,) = await peer.notices(1)
        assert notice.kind is PushKind.CHANGED
        assert (notice.channel_id, notice.secret) == ("channel-1", "s3cret")
        assert notice.resource_id == channel.resource_id

    async def test_a_closed_channel_is_silent_and_may_be_closed_again(self, peer: Peer):
        channel = await self.open(peer)
        for _ in range(2):
            await peer.provider.close_channel(peer.access, channel_id="channel-1", resource_id=channel.resource_id)
        await self.open(peer, "witness")
        await peer.notices(2 * peer.greetings)
        peer.add("new", NOW)
        peer.add("newer", NOW)
        heard = await peer.notices(2)
        assert [notice.channel_id for notice in heard] == ["witness"] * 2

    async def test_a_calendar_that_cannot_be_watched(self, peer: Peer):
        peer.forbid_watching()
        with pytest.raises(PushUnsupported):
            await self.open(peer, calendar_id=peer.unwatchable_id)

    async def test_a_calendar_that_is_gone_cannot_be_watched(self, peer: Peer):
        peer.remove_calendar()
        with pytest.raises(CalendarGone):
            await self.open(peer)

    @pytest.mark.parametrize("headers", [{}, {"content-type": "application/json"}])
    async def test_what_is_no_notification(self, peer: Peer, headers: dict[str, str]):
        assert peer.push.notices(headers, b"") == []
