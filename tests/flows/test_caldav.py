"""CalDAV through the flows, over a real server: connected, kept in step, refused, and brought back."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from flows.stage import Stage
from forked_expander import ForkedExpander
from providers.loopback import response
from radicale_server import LOOPBACK, PASSWORD, USER, Hand, RadicaleServer, drop_sync_tokens, serve_radicale
from uuid_utils.compat import uuid7

from service.core.credentials import CaldavCredentials
from service.core.schedule import window_at
from service.core.sync import Listed
from service.errors import GatewayError
from service.flows import connect
from service.flows.gateway import Gateway
from service.providers.caldav import rounds
from service.providers.guarded_http import Slots
from service.providers.protocol import Access
from service.providers.quotas import Quotas
from service.providers.registry import make_providers, make_push_readers
from service.providers.tokens import Tokens
from service.settings import Settings
from service.store.cipher import Cipher
from service.store.connections import ConnectionTokens
from service.store.database import Database
from service.store.wake import Wake
from webhooks.local_desk import LocalDesk

pytestmark = pytest.mark.anyio

LINK = "https://meet.google.com/abc-defg-hij"
WITH_LINK = {"lines": [f"LOCATION:{LINK}"]}


class CaldavStage(Stage):
    """A gateway over a CalDAV server, and a hand that writes into its calendar."""

    server: RadicaleServer
    hand: Hand
    storage: Path

    def login(self, password: str = PASSWORD, username: str = USER) -> CaldavCredentials:
        return CaldavCredentials(server_url=self.server.url, username=username, password=password)

    async def add(self, **wish: Any) -> UUID:
        new = connect.NewCalendar(credentials=self.login(), **wish)
        row, _ = await connect.add(self.gateway, self.project, new, uuid7())
        return row.id

    async def requests(self, calendar_id: UUID) -> list[str]:
        """The methods of what one poll asks for."""
        self.server.asked.clear()
        await self.sync_again(calendar_id)
        return [method for method, _ in self.server.asked]

    async def told(self) -> list[tuple[str, str]]:
        """Type and title of everything announced of events."""
        return [(kind, data["event"]["title"]) for kind, data in await self.messages() if kind.startswith("event.")]

    async def listed(self, calendar_id: UUID) -> dict[str, tuple[Any, ...]]:
        """What a listing that knows nothing, and trusts no filter of the server, finds in the window."""
        row = await self.calendar(calendar_id)
        provider = self.gateway.providers["caldav"]
        async with self.gateway.guarded_slots.borrow() as http:
            access = Access(http=http, token=self.login().secret, client_key="", user_key="", email=row.email)
            window = window_at(self.clock(), 30)
            pages = provider.pages(access, row.raw_calendar_id, token=None, window=window, time_zone=row.time_zone)
            few, rounds.FETCHED_WHOLE = rounds.FETCHED_WHOLE, 10**6
            items = [item async for page in pages for item in page.items]
            rounds.FETCHED_WHOLE = few
        return {each.event.provider_event_id: shown(each.event) for each in items if isinstance(each, Listed)}

    async def kept(self, calendar_id: UUID) -> dict[str, tuple[Any, ...]]:
        window = window_at(self.clock(), 30)
        return {
            event.provider_event_id: shown(event)
            for event in await self.events(calendar_id)
            if window.overlaps(event.starts_at, event.ends_at)
        }


def shown(event: Any) -> tuple[Any, ...]:
    return event.starts_at, event.ends_at, event.title, event.series_id, event.original_starts_at, event.is_exception


@asynccontextmanager
async def set_caldav_stage(
    database: Database, cipher: Cipher, clock: Any, project: UUID, folder: Path
) -> AsyncIterator[CaldavStage]:
    slots, token_slots = Slots(4, LOOPBACK), Slots(2)
    urls = {"google_api_url": "http://google.test", "google_token_url": "http://google.test"}
    async with (
        serve_radicale(folder) as server,
        ForkedExpander(size=1) as expander,
        Wake(database) as wake,
    ):
        providers = make_providers(**urls, clock=clock, policy=LOOPBACK, expander=expander)
        tokens = Tokens(ConnectionTokens(database, cipher), providers, token_slots)
        gateway = Gateway(
            settings=Settings(public_url="http://127.0.0.1:9"),
            database=database,
            cipher=cipher,
            providers=providers,
            push_readers=make_push_readers(),
            tokens=tokens,
            slots=token_slots,
            guarded_slots=slots,
            quotas=Quotas(),
            wake=wake,
            clock=clock,
            draw=lambda: 0.5,
            desk=LocalDesk(database, cipher, None, announce=wake.after),
        )
        stage = CaldavStage(gateway, SimpleNamespace(world=None, name="caldav"), project, clock)
        stage.server, stage.storage = server, folder
        stage.hand = Hand(server, f"/{USER}/work/")
        server.add_calendar(stage.hand.folder, "Work")
        try:
            yield stage
        finally:
            await stage.syncer.drain(1)
            await tokens.drain()
            await slots.aclose()
            await token_slots.aclose()


@pytest.fixture
async def stage(
    database: Database, cipher: Cipher, clock: Any, project: UUID, tmp_path: Path
) -> AsyncIterator[CaldavStage]:
    async with set_caldav_stage(database, cipher, clock, project, tmp_path) as stage:
        yield stage


async def test_from_a_password_to_meetings_and_webhooks(stage: CaldavStage, clock: Any):
    start = clock() + timedelta(hours=2)
    path = stage.hand.add("Planning", start, **WITH_LINK)
    await stage.subscribe("event.updated", "event.cancelled")
    calendar_id = await stage.add()
    assert (await stage.calendar(calendar_id)).status == "syncing"
    await stage.sync()
    row = await stage.calendar(calendar_id)
    assert (row.status, row.calendar_name, row.email, row.time_zone) == ("active", "Work", USER, "Europe/Paris")
    assert row.account == f"{USER}@127.0.0.1"
    (meeting,) = await stage.meetings()
    assert (meeting.title, meeting.meeting_url) == ("Planning", LINK)
    stage.hand.move(path, 30)
    await stage.sync_again(calendar_id)
    (changed,) = [data for kind, data in await stage.messages() if kind == "event.updated"]
    assert changed["action"] == "move"
    (meeting,) = await stage.meetings()
    assert meeting.starts_at == start + timedelta(minutes=30)
    stage.hand.cancel(path)
    await stage.sync_again(calendar_id)
    assert await stage.meetings() == []
    assert (await stage.told())[-1] == ("event.cancelled", "Planning")


async def test_an_unchanged_calendar_costs_one_request(stage: CaldavStage):
    stage.hand.add("Planning", stage.clock() + timedelta(hours=2))
    calendar_id = await stage.add()
    await stage.sync()
    for _ in range(3):
        assert await stage.requests(calendar_id) == ["REPORT"]
    stage.hand.rename(f"{stage.hand.folder}1.ics", "Plan")
    assert await stage.requests(calendar_id) == ["REPORT", "REPORT"]


async def test_a_series_from_its_making_to_its_end(stage: CaldavStage, clock: Any):
    start = clock() + timedelta(hours=2)
    calendar_id = await stage.add()
    await stage.sync()
    path = stage.hand.add_series("Daily", start, 10, "DAILY")
    await stage.sync_again(calendar_id)
    assert len(await stage.kept(calendar_id)) == 10
    second, third, fourth = (f"{path}#{start + timedelta(days=day):%Y%m%dT%H%M%SZ}" for day in (1, 2, 3))
    stage.hand.move(second, 45)
    stage.hand.rename(third, "Special")
    stage.hand.cancel(fourth)
    await stage.sync_again(calendar_id)
    kept = await stage.kept(calendar_id)
    assert len(kept) == 9
    assert kept[second][0] == start + timedelta(days=1, minutes=45)
    assert kept[third][2] == "Special"
    assert fourth not in kept
    # The whole series later: every slot is another.
    stage.hand.move(path, 60)
    await stage.sync_again(calendar_id)
    assert sorted(event[0] for event in (await stage.kept(calendar_id)).values()) == [
        start + timedelta(days=day, hours=1) for day in range(10)
    ]
    stage.hand.kept[path]["rule"] = None
    stage.hand.save(path)
    await stage.sync_again(calendar_id)
    assert list(await stage.kept(calendar_id)) == [path]
    stage.hand.cancel(path)
    await stage.sync_again(calendar_id)
    assert await stage.kept(calendar_id) == {}


async def test_a_lost_token_costs_a_listing_and_announces_nothing(stage: CaldavStage):
    stage.hand.add_series("Weekly", stage.clock() + timedelta(hours=1), 5)
    calendar_id = await stage.add()
    await stage.sync()
    before = await stage.last_seq()
    drop_sync_tokens(stage.storage)
    stage.hand.add("far away", stage.clock() + timedelta(days=300))
    assert (await stage.requests(calendar_id))[0] == "REPORT"
    assert await stage.last_seq() == before
    assert await stage.kept(calendar_id) == await stage.listed(calendar_id)


async def test_the_window_is_listed_again_every_few_hours_and_finds_what_no_report_told(stage: CaldavStage, clock: Any):
    """A server that was restored takes tokens from its future, and says that nothing changed."""
    gone = stage.hand.add("gone", clock() + timedelta(days=2))
    calendar_id = await stage.add()
    await stage.sync()
    stage.hand.cancel(gone)
    stage.hand.add("new", clock() + timedelta(days=3))

    def deny(method: str, path: str, body: bytes, writer: Any) -> bool:
        if b"sync-collection" not in body or b"<D:sync-token></D:sync-token>" in body:
            return False
        token = body.partition(b"<D:sync-token>")[2].partition(b"<")[0]
        told = b'<d:multistatus xmlns:d="DAV:"><d:sync-token>' + token + b"</d:sync-token></d:multistatus>"
        writer.write(response(told, 207))
        return True

    stage.server.faults.append(deny)
    await stage.sync_again(calendar_id)
    assert [event[2] for event in (await stage.kept(calendar_id)).values()] == ["gone"]
    clock.advance(hours=7)
    await stage.sync_again(calendar_id)
    assert [event[2] for event in (await stage.kept(calendar_id)).values()] == ["new"]


async def test_the_window_rolls_on(stage: CaldavStage, clock: Any):
    stage.hand.add("later", clock() + timedelta(days=30, hours=2))
    stage.hand.add_series("Weekly", clock() + timedelta(hours=1), 20)
    calendar_id = await stage.add()
    await stage.sync()
    assert "later" not in {event[2] for event in (await stage.kept(calendar_id)).values()}
    for _ in range(5):
        clock.advance(hours=1)
        await stage.sync_again(calendar_id)
        assert await stage.kept(calendar_id) == await stage.listed(calendar_id)
    assert "later" in {event[2] for event in (await stage.kept(calendar_id)).values()}


async def test_a_refused_password_is_tried_twice_and_brought_back_by_a_new_one(stage: CaldavStage, clock: Any):
    stage.hand.add("Planning", clock() + timedelta(hours=2))
    calendar_id = await stage.add()
    await stage.sync()
    stage.server.users.write_text(f"{USER}:changed\n")
    assert await stage.requests(calendar_id) == ["REPORT"]
    row = await stage.calendar(calendar_id)
    assert (row.status, row.error_code) == ("error", "credentials_rejected")
    clock.advance(seconds=70)
    stage.server.asked.clear()
    await stage.sync()
    assert len(stage.server.asked) == 1
    assert (await stage.calendar(calendar_id)).status == "disconnected"
    clock.advance(days=2)
    await stage.sync()
    assert len(stage.server.asked) == 1
    assert len(await stage.events(calendar_id)) == 1
    with pytest.raises(GatewayError) as caught:
        await connect.change(
            stage.gateway, stage.project, calendar_id, connect.CalendarPatch(credentials=connect.NewSecret("wrong"))
        )
    assert (caught.value.status, caught.value.code) == (422, "credentials_rejected")
    patch = connect.CalendarPatch(credentials=connect.NewSecret("changed"))
    await connect.change(stage.gateway, stage.project, calendar_id, patch)
    await stage.sync()
    assert (await stage.calendar(calendar_id)).status == "active"


async def test_a_calendar_that_was_deleted(stage: CaldavStage, clock: Any):
    calendar_id = await stage.add()
    await stage.sync()
    stage.server.add_calendar(f"/{USER}/other/", "Other")
    stage.server.done("DELETE", stage.hand.folder)
    await stage.sync_again(calendar_id)
    assert (await stage.calendar(calendar_id)).error_code == "calendar_not_found"
    clock.advance(seconds=70)
    await stage.sync()
    assert (await stage.calendar(calendar_id)).status == "disconnected"


@pytest.mark.parametrize(
    ("url", "code"),
    [
        pytest.param("http://127.0.0.1:1", "provider_unavailable", id="nobody-there"),
        pytest.param("http://10.0.0.1/dav", "blocked_url", id="a-private-network"),
        pytest.param("ftp://dav.example.com", "blocked_url", id="not-http"),
    ],
)
async def test_an_address_that_leads_nowhere(stage: CaldavStage, url: str, code: str):
    credentials = CaldavCredentials(server_url=url, username=USER, password=PASSWORD)
    with pytest.raises(GatewayError) as caught:
        await connect.look(stage.gateway, credentials)
    assert caught.value.code == code


async def test_a_series_that_cannot_be_read_any_more_keeps_what_was_known_of_it(stage: CaldavStage, clock: Any):
    path = stage.hand.add_series("Weekly", datetime(2026, 3, 3, 10, 11, 12, tzinfo=UTC), 3)
    stage.hand.add("other", clock() + timedelta(hours=3))
    calendar_id = await stage.add()
    await stage.sync()
    before = await stage.kept(calendar_id)
    assert len(before) == 4
    stage.server.rewritten[b"DTSTART:20260303T101112Z"] = b"DTSTART:tomorrow"
    stage.hand.rename(path, "Unreadable")
    await stage.sync_again(calendar_id)
    assert await stage.quarantined(calendar_id) == 1
    clock.advance(hours=8)
    await stage.sync_again(calendar_id)
    assert await stage.kept(calendar_id) == before
    stage.server.rewritten.clear()
    stage.hand.rename(path, "Weekly again")
    await stage.sync_again(calendar_id)
    assert await stage.quarantined(calendar_id) == 0
    assert {event[2] for event in (await stage.kept(calendar_id)).values()} == {"Weekly again", "other"}


def take_away(stage: CaldavStage, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """Leave only one way to see what changed."""
    if how == "filtered":
        monkeypatch.setattr(rounds, "FETCHED_WHOLE", 2)
        return
    if how == "query":
        stage.server.rewritten |= {b"getctag": b"notag", b"sync-token": b"notoken"}

    def refuse(method: str, path: str, body: bytes, writer: Any) -> bool:
        if how == "sync" or b"sync-collection" not in body:
            return False
        writer.write(response(b"", 405))
        return True

    stage.server.faults.append(refuse)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("how", ["sync", "ctag", "query", "filtered"])
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_whatever_is_edited_the_store_is_as_the_server(
    stage: CaldavStage, clock: Any, monkeypatch: pytest.MonkeyPatch, how: str, seed: int
):
    random = Random(seed)
    take_away(stage, monkeypatch, how)
    calendar_id = await stage.add()
    await stage.sync()
    for _ in range(25):
        edits, before = random.randint(0, 3), await stage.last_seq()
        for _ in range(edits):
            edit(stage.hand, random, clock())
        if random.random() < 0.1:
            drop_sync_tokens(stage.storage)
        clock.advance(minutes=random.choice([2, 2, 50, 60, 400]))
        await stage.sync_again(calendar_id)
        assert await stage.kept(calendar_id) == await stage.listed(calendar_id)
        if not edits:
            assert {change.kind for change in await stage.changes(before)} <= {"created"}  # the window went on
    assert len(await stage.events(calendar_id, live=False)) > 10


def edit(hand: Hand, random: Random, now: datetime) -> None:
    """One thing that a client may do."""
    start = now + timedelta(hours=random.randint(-20, 24 * 35))
    path = random.choice([*hand.kept, ""])
    event = hand.kept.get(path)
    kind = random.choice(["single", "series", "rename", "move", "cancel", "slot", "slot", "turn"])
    if event is None or kind == "single":
        hand.add(f"single {random.random():.3f}", start)
    elif kind == "series":
        hand.add_series(
            f"series {random.random():.3f}", start, random.randint(1, 12), random.choice(["DAILY", "WEEKLY"])
        )
    elif kind == "rename":
        hand.rename(path, f"renamed {random.random():.3f}")
    elif kind == "move":
        hand.move(path, random.choice([-60, 30, 60 * 24 * 40]))
    elif kind == "cancel":
        hand.cancel(path)
    elif kind == "turn":
        event["rule"] = None if event["rule"] else "FREQ=DAILY;COUNT=4"
        event["changed"], event["out"] = {}, []
        hand.save(path)
    elif event["rule"]:
        step = timedelta(days=1 if "DAILY" in event["rule"] else 7)
        slot = event["start"] + step * random.randint(0, int(event["rule"].rpartition("=")[2]) - 1)
        change = random.choice([hand.cancel, lambda name: hand.move(name, 90), lambda name: hand.rename(name, "other")])
        change(f"{path}#{slot.astimezone(UTC):%Y%m%dT%H%M%SZ}")
