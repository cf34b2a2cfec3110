"""New rules for links reach what is stored: as ordinary changes, once, whatever else happens, and without the provider."""

import asyncio
import json
from contextlib import suppress
from typing import Any
from uuid import UUID

import pytest
from convergence.flaky import FlakyDatabase
from flows.stage import Stage, set_stage
from flows.test_workers import Held
from sqlalchemy import event, update

from service.core.meeting_links import evidence
from service.core.meeting_links.evidence import Evidence, LinkRules, MeetingHost, StructuredLink
from service.flows import housekeeping
from service.flows.sync_calendar import examination
from service.flows.sync_calendar.syncer import LEASE
from service.store import calendars, channels, examinations
from service.store.database import DatabaseUnavailable
from service.store.tables import Table

pytestmark = pytest.mark.anyio
ADA, GRACE = "ada@example.com", "grace@example.com"
TYPED = "https://zoom.us/j/99988877766"


class Eyes:
    """What a stage sees in rows that were stored: from `open` on, the link that somebody typed. Counts the looks."""

    def __init__(self, *stages: Stage) -> None:
        self.looks: list[str] = []
        self._providers: list[Any] = [stage.gateway.providers["google"] for stage in stages]

    def open(self) -> None:
        for provider in self._providers:
            provider.evidence = self._see

    def _see(self, raw: bytes) -> Evidence:
        row = json.loads(raw)
        self.looks.append(row["summary"])
        return Evidence(links=[StructuredLink(url=TYPED, found_in="description")])


class Statements:
    """Every statement that a stage's database is given."""

    def __init__(self, stage: Stage) -> None:
        self.seen: list[str] = []
        database: Any = stage.gateway.database
        engines = {id(each): each for each in (database._writer.sync_engine, database._reader.sync_engine)}
        for engine in engines.values():
            event.listen(engine, "before_cursor_execute", self._saw)

    def _saw(self, _conn: object, _cursor: object, statement: str, *_: object) -> None:
        self.seen.append(statement)


async def settled(stage: Stage, *titles: str, email: str = ADA) -> UUID:
    """A synced calendar with a meeting of each title, which has a link of the provider's."""
    calendar_id = await stage.connect(email)
    for number, title in enumerate(titles or ("a",)):
        stage.world.add_meeting(email, title, in_minutes=60 + number)
    await stage.sync()
    return calendar_id


async def links(stage: Stage, calendar_id: UUID) -> dict[str, str | None]:
    return {str(each.title): each.meeting and each.meeting.url for each in await stage.events(calendar_id)}


async def lose_grant(stage: Stage, calendar_id: UUID, email: str = ADA) -> None:
    stage.world.revoke_consent(email)
    await stage.sync_again(calendar_id)
    stage.clock.advance(hours=1)
    await stage.sync()
    assert (await stage.calendar(calendar_id)).status == "disconnected"


async def test_a_projects_new_choice_reaches_stored_events_without_another_listing(stage: Stage) -> None:
    calendar_id = await settled(stage, "a", "b")
    await stage.subscribe("event.*", "calendar.sync_events")
    eyes, seq = Eyes(stage), await stage.last_seq()
    eyes.open()
    stage.world.reset_counters()

    await stage.decide(link_preference="typed")
    assert await stage.sync() == 1

    (call,) = stage.world.read_calls("events.list")
    assert "syncToken" in call["query"]
    assert await links(stage, calendar_id) == {"a": TYPED, "b": TYPED}
    news = await stage.changes(seq)
    assert [(each.kind, each.cause, each.action, list(each.fields)) for each in news] == [
        ("updated", "resync", "relink", ["meeting"])
    ] * 2
    assert sorted(kind for kind, _ in await stage.messages()) == ["calendar.sync_events", *["event.updated"] * 2]
    assert {meeting.meeting_url for meeting in await stage.meetings()} == {TYPED}

    row = await stage.calendar(calendar_id)
    assert (row.link_epoch, row.examined_epoch, row.examined_version) == (1, 1, evidence.RULES_VERSION)
    eyes.looks.clear()
    await stage.sync_again(calendar_id)
    assert (eyes.looks, await stage.last_seq()) == ([], seq + 2)


async def test_a_calendars_own_choice_is_its_own(stage: Stage) -> None:
    ada, grace = await settled(stage), await settled(stage, email=GRACE)
    before = await links(stage, grace)
    Eyes(stage).open()

    await stage.patch(ada, link_preference="typed")
    assert await stage.sync() == 1

    assert (await links(stage, ada), await links(stage, grace)) == ({"a": TYPED}, before)
    await stage.decide(link_preference="typed")
    assert await stage.sync() == 1, "ada's has decided that itself"
    assert (await links(stage, grace)) == {"a": TYPED}


async def test_a_choice_that_changes_no_rule_reads_nothing(stage: Stage) -> None:
    calendar_id = await settled(stage)
    await stage.decide(link_preference="structured", meeting_hosts=[], name="renamed")
    await stage.patch(calendar_id, link_preference="structured")
    assert await stage.sync() == 0


async def test_what_was_typed_wins_where_the_project_says_so(stage: Stage) -> None:
    calendar_id = await stage.connect()
    text = f"My room as ever: <a href='{TYPED}'>join</a>"
    stage.world.add_meeting(ADA, "both", in_minutes=60, description=text)
    stage.world.add_meeting(ADA, "given alone", in_minutes=70)
    stage.world.add_meeting(ADA, "typed alone", in_minutes=80, meet=False, location=TYPED)
    stage.world.add_meeting(ADA, "own room", in_minutes=90, meet=False, location="https://rooms.example.org/AdaDaily")
    await stage.sync()
    given, seq = await links(stage, calendar_id), await stage.last_seq()
    assert (given["typed alone"], given["own room"]) == (TYPED, None)

    await stage.decide(link_preference="typed", meeting_hosts=[{"host": "Rooms.example.org", "platform": "jitsi"}])
    await stage.sync()

    assert await links(stage, calendar_id) == given | {
        "both": TYPED,
        "own room": "https://rooms.example.org/AdaDaily",
    }
    said = {each.event.title: (each.action, each.cause) for each in await stage.changes(seq)}
    assert said == {"both": ("relink", "resync"), "own room": ("schedule", "resync")}
    await stage.resync(calendar_id, full=True)
    await stage.sync()
    assert await stage.last_seq() == seq + 2, "a full listing reads the same"

    await stage.patch(calendar_id, link_preference="structured", meeting_hosts=[])
    await stage.sync()
    assert await links(stage, calendar_id) == given
    assert sorted(each.action for each in await stage.changes(seq + 2)) == ["cancel", "relink"]


class Rules:
    """Notes by which rules a stage's provider is read."""

    def __init__(self, stage: Stage) -> None:
        self.seen: list[tuple[str, LinkRules]] = []
        provider: Any = stage.gateway.providers["google"]
        for name in ("pages", "stretch", "series"):
            setattr(provider, name, self._noted(name, getattr(provider, name)))

    def _noted(self, name: str, call: Any) -> Any:
        def noting(*args: Any, rules: LinkRules, **more: Any) -> Any:
            self.seen.append((name, rules))
            return call(*args, rules=rules, **more)

        return noting


async def test_every_reading_goes_by_the_calendars_rules(stage: Stage) -> None:
    await stage.decide(link_preference="typed", meeting_hosts=["Meet.example.org"])
    seen = Rules(stage).seen
    calendar_id = await stage.connect()
    series = stage.world.add_meeting(ADA, "daily", recurrence=["RRULE:FREQ=DAILY"])
    await stage.sync()
    await stage.patch(calendar_id, meeting_hosts=[{"host": "rooms.example.org", "platform": "jitsi"}])
    stage.world.edit_event(ADA, series["id"], {"recurrence": ["RRULE:FREQ=DAILY;INTERVAL=2"]})
    stage.clock.advance(days=2)
    await stage.sync()

    ours = LinkRules("typed", (MeetingHost(host="meet.example.org"),))
    own = LinkRules("typed", (MeetingHost(host="rooms.example.org", platform="jitsi"),))
    assert seen[0] == ("pages", ours)
    assert dict(seen[1:]) == dict.fromkeys(("pages", "stretch", "series"), own)


async def test_connecting_again_may_bring_other_choices(stage: Stage) -> None:
    calendar_id = await settled(stage)
    Eyes(stage).open()
    await stage.post(stage.world.connect(ADA), link_preference="typed", meeting_hosts=["meet.example.org"])
    row = await stage.calendar(calendar_id)
    assert (row.link_preference, row.meeting_hosts, row.link_epoch) == ("typed", ["meet.example.org"], 1)
    await stage.post(stage.world.connect(ADA))
    assert (await stage.calendar(calendar_id)).link_rules == row.link_rules


async def test_events_that_left_the_window_are_examined_page_by_page(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examination, "AT_ONCE", 3)
    monkeypatch.setattr(examination, "AT_A_TURN", 2)
    titles = [f"{number}" for number in range(7)]
    calendar_id = await settled(stage, *titles, "gone")
    gone = next(each for each in await stage.events(calendar_id) if each.title == "gone")
    stage.world.cancel_event(ADA, gone.provider_event_id)
    await stage.sync_again(calendar_id)
    stage.clock.advance(days=5)
    await stage.sync_again(calendar_id)
    eyes = Eyes(stage)
    eyes.open()

    await stage.decide(link_preference="typed")
    await stage.sync()

    assert sorted(eyes.looks) == titles, "each once, and nothing that is cancelled"
    assert set((await links(stage, calendar_id)).values()) == {TYPED}


async def test_what_changed_at_the_provider_is_told_once(stage: Stage) -> None:
    calendar_id = await settled(stage, "edited", "cancelled", "left alone")
    known = {each.title: each.provider_event_id for each in await stage.events(calendar_id)}
    seq = await stage.last_seq()
    Eyes(stage).open()
    stage.world.edit_event(ADA, known["edited"], {"summary": "new"})
    stage.world.cancel_event(ADA, known["cancelled"])
    await stage.decide(link_preference="typed")
    stage.world.invalidate_sync_tokens(ADA)
    await stage.sync()

    said = sorted((each.event.title, each.kind) for each in await stage.changes(seq))
    assert said[:2] == [("cancelled", "cancelled"), ("new", "updated")]
    assert len(said) == 2, "a full listing shows what was left alone, and the provider's reading stands"


async def test_a_row_that_does_not_read_keeps_its_link(stage: Stage) -> None:
    calendar_id = await settled(stage)
    before = await links(stage, calendar_id)
    seq = await stage.last_seq()
    for raw in (b"not compressed", b"x\x9c\x03\x00\x00\x00\x00\x01"):
        async with stage.gateway.database.write() as conn:
            await conn.execute(update(Table.metadata.tables["event_sources"]).values(raw=raw))
        await stage.patch(calendar_id, meeting_hosts=[f"{len(raw)}.example.org"])
        assert await stage.sync() == 1
    row = await stage.calendar(calendar_id)
    assert (row.status, row.examined_epoch) == ("active", 2)
    assert (await links(stage, calendar_id), await stage.last_seq()) == (before, seq)


@pytest.mark.parametrize("preset", ["backend_500", "429_retry_after", "api_disabled_403"])
async def test_a_provider_that_cannot_be_read_does_not_keep_the_old_links(stage: Stage, preset: str) -> None:
    calendar_id = await settled(stage)
    Eyes(stage).open()
    stage.world.add_fault(preset, endpoint="events.list")
    before = await stage.calendar(calendar_id)
    await stage.decide(link_preference="typed")
    await stage.sync()

    assert await links(stage, calendar_id) == {"a": TYPED}
    row = await stage.calendar(calendar_id)
    assert (row.cursor, row.last_synced_at) == (before.cursor, before.last_synced_at)
    assert row.retry_at is not None
    assert row.due_at == row.retry_at


async def test_a_pause_is_not_ended_by_new_rules_but_by_whoever_asks(stage: Stage) -> None:
    calendar_id = await settled(stage)
    Eyes(stage).open()
    stage.world.add_fault("429_retry_after", endpoint="events.list", times=1)
    await stage.sync_again(calendar_id)
    paused = await stage.calendar(calendar_id)
    stage.world.reset_counters()

    await stage.decide(link_preference="typed")
    assert await stage.sync() == 1

    row = await stage.calendar(calendar_id)
    assert (row.retry_at, row.due_at, row.throttles) == (paused.retry_at, paused.retry_at, paused.throttles)
    assert await links(stage, calendar_id) == {"a": TYPED}
    assert stage.world.read_counters()["total"] == 0
    await stage.decide(link_preference="structured")
    await stage.resync(calendar_id)
    await stage.sync()
    row = await stage.calendar(calendar_id)
    assert (row.throttles, row.examined_epoch) == (paused.throttles + 1, 2)


@pytest.mark.parametrize("whose", ["project", "calendar"])
async def test_a_disconnected_calendar_is_examined_and_left_alone(stage: Stage, whose: str) -> None:
    calendar_id = await settled(stage)
    await stage.renew_channels()
    await lose_grant(stage, calendar_id)
    await stage.subscribe()
    before, seq = await stage.calendar(calendar_id), await stage.last_seq()
    Eyes(stage).open()
    stage.world.reset_counters()

    if whose == "project":
        await stage.decide(link_preference="typed")
    else:
        await stage.patch(calendar_id, link_preference="typed")
    assert await stage.sync() == 1

    assert await links(stage, calendar_id) == {"a": TYPED}
    row = await stage.calendar(calendar_id)
    assert (row.status, row.error_code, row.failures) == (before.status, before.error_code, before.failures)
    assert (row.due_at, row.retry_at, row.cursor) == (None, None, before.cursor)
    assert [each.action for each in await stage.changes(seq)] == ["relink"]
    assert [kind for kind, _ in await stage.messages()] == ["calendar.sync_events"]
    assert stage.world.read_counters()["total"] == 0
    assert await stage.sync() == 0


async def test_a_disconnected_calendar_that_is_due_is_asked_for_nothing_else(stage: Stage) -> None:
    calendar_id = await settled(stage)
    await stage.renew_channels()
    stage.clock.advance(60)
    stage.world.add_meeting(ADA, "pushed")
    (owed, *_) = stage.world.take_pushes()
    await lose_grant(stage, calendar_id)
    await stage.decide(link_preference="typed")
    before = await stage.calendar(calendar_id)
    stage.clock.advance(60)

    await stage.receive(owed.headers)
    async with stage.gateway.database.write() as conn:
        await channels.mark_notified(conn, calendar_id, stage.clock(), stage.clock(), postpone=True)
        await calendars.make_due(conn, calendar_id, stage.clock(), "resync")
    assert await stage.resync_all(full=True) == 0
    await housekeeping.tidy(stage.gateway)

    assert await stage.calendar(calendar_id) == before
    assert stage.gateway.sharers == {}


async def test_a_raised_version_of_the_rules_is_found_out_by_everybody(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, grace = await settled(stage), await settled(stage, email=GRACE)
    await lose_grant(stage, ada)
    Eyes(stage).open()
    monkeypatch.setattr(evidence, "RULES_VERSION", evidence.RULES_VERSION + 1)

    await stage.sync_again(grace)
    assert (await links(stage, grace), TYPED in (await links(stage, ada)).values()) == ({"a": TYPED}, False)
    await housekeeping.tidy(stage.gateway)
    assert await stage.sync() == 1
    assert await links(stage, ada) == {"a": TYPED}
    await housekeeping.tidy(stage.gateway)
    assert await stage.sync() == 0
    assert (await stage.calendar(ada)).due_at is None


@pytest.mark.parametrize("end", ["active", "disconnected"])
async def test_a_choice_during_a_sync_is_not_lost(stage: Stage, rival: Stage, end: str) -> None:
    calendar_id = await settled(stage)
    eyes = Eyes(stage, rival)
    if end == "disconnected":
        stage.world.revoke_consent(ADA)
        await stage.sync_again(calendar_id)
        stage.clock.now = (await stage.calendar(calendar_id)).due_at
        provider: Any = stage.gateway.providers["google"]
        refresh, go, asked = provider.refresh, asyncio.Event(), asyncio.Event()

        async def slow(*args: Any) -> Any:
            asked.set()
            await go.wait()
            return await refresh(*args)

        provider.refresh = slow
        running = asyncio.create_task(stage.sync())
        await asked.wait()
        await rival.decide(link_preference="typed")
        go.set()
    else:
        stage.clock.advance(hours=1)
        held = Held(stage)
        running = asyncio.create_task(stage.sync())
        await held.listed.wait()
        await rival.decide(link_preference="typed")
        held.release()
    await running
    row = await stage.calendar(calendar_id)
    assert (row.status, row.link_epoch, row.examined_epoch, row.due_at) == (end, 1, 0, stage.clock())

    eyes.open()
    assert await rival.sync() == 1
    assert await links(stage, calendar_id) == {"a": TYPED}
    assert await rival.sync() == 0


@pytest.mark.parametrize("is_disconnected", [False, True], ids=["active", "disconnected"])
@pytest.mark.parametrize("after", range(7))
async def test_a_database_that_goes_away_between_tells_each_change_once(
    stage: Stage, database_url: str, after: int, is_disconnected: bool
) -> None:
    calendar_id = await settled(stage, "a", "b")
    if is_disconnected:
        await lose_grant(stage, calendar_id)
    await stage.subscribe("event.*")
    seq = await stage.last_seq()
    gateway = stage.gateway
    async with (
        FlakyDatabase.connect(database_url) as database,
        set_stage(database, gateway.cipher, stage.clock, stage.project, stage.world) as shaky,
    ):
        Eyes(shaky).open()
        await stage.decide(link_preference="typed")
        database.strike_after(after)
        with suppress(DatabaseUnavailable):
            await shaky.sync()
        database.strike_after(None)
        stage.clock.advance(2 * LEASE.total_seconds() + 1)
        await shaky.sync()

    assert await links(stage, calendar_id) == {"a": TYPED, "b": TYPED}
    assert len(await stage.changes(seq)) == len(await stage.messages()) == 2
    row = await stage.calendar(calendar_id)
    assert (row.lease, row.examined_epoch) == (None, 1)


async def test_a_fault_of_ours_in_an_examination_does_not_hide_how_a_calendar_stands(stage: Stage) -> None:
    calendar_id = await settled(stage)
    await lose_grant(stage, calendar_id)

    def fail(_raw: bytes) -> Evidence:
        raise KeyError("a bug")

    provider: Any = stage.gateway.providers["google"]
    provider.evidence = fail
    await stage.decide(link_preference="typed")
    assert await stage.sync() == 1
    row = await stage.calendar(calendar_id)
    assert (row.status, row.lease, row.due_at, row.examined_epoch) == ("disconnected", None, None, 0)
    Eyes(stage).open()
    await housekeeping.tidy(stage.gateway)
    await stage.sync()
    assert await links(stage, calendar_id) == {"a": TYPED}


async def test_where_nothing_is_to_be_examined_nothing_is_asked(stage: Stage) -> None:
    first = Statements(stage)
    calendar_id = await settled(stage)
    assert not any("JOIN event_sources" in each for each in first.seen), "a first sync has nothing to examine"
    statements = Statements(stage)

    await stage.sync_again(calendar_id)

    asked = [each.split()[0:2] for each in statements.seen if not each.startswith(("BEGIN", "PRAGMA"))]
    assert not any("event_sources" in each or "projects" in each for each in statements.seen)
    assert [kind for kind, _ in asked].count("UPDATE") == 3, "made due, claimed, settled"
    assert len(asked) <= 6, asked


async def test_who_takes_a_projects_choices_on_is_waited_for(stage: Stage, rival: Stage) -> None:
    calendar_id = await settled(stage)
    await stage.patch(calendar_id, link_preference="structured", meeting_hosts=[])
    async with stage.gateway.database.write() as conn:
        await examinations.hold_choices(conn, stage.project, alone=False)
        choosing = asyncio.create_task(rival.decide(link_preference="typed"))
        await asyncio.sleep(0.1)
        assert not choosing.done()
        await calendars.change(conn, calendar_id, {"link_preference": None}, stage.clock())
    await choosing
    assert (await stage.calendar(calendar_id)).link_rules["preference"] == "typed"


async def test_choices_connections_and_syncs_at_once_wait_for_each_other_in_no_circle(
    stage: Stage, rival: Stage
) -> None:
    people = [f"user{number}@example.com" for number in range(6)]
    for email in people[:3]:
        await settled(stage, email=email)
    ids = []

    async def choose() -> None:
        for number in range(6):
            await stage.decide(link_preference=("typed", "structured")[number % 2], meeting_hosts=[f"{number}.example"])

    async def connect() -> None:
        for email in people:
            ids.append(await rival.connect(email))
            await rival.patch(ids[-1], link_preference="typed")
            await rival.patch(ids[-1], link_preference=None)

    async def sync() -> None:
        for _ in range(8):
            await rival.sync()

    await asyncio.gather(choose(), connect(), sync(), stage.sync())
    await stage.sync()
    for calendar_id in ids:
        row = await stage.calendar(calendar_id)
        assert row.link_rules == {"preference": "structured", "hosts": [{"host": "5.example", "platform": None}]}
        assert (row.examined_epoch, row.status) == (row.link_epoch, "active")
