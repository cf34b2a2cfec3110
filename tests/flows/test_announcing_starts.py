"""`meeting.starting`: once for each meeting and lead time, to the moment, for the start that it has now."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest
from flows.stage import Stage
from sqlalchemy import select, update

from service.core.starting import outlook
from service.flows.housekeeping import tidy
from service.flows.starting import Announcer
from service.store import projects, starts
from service.store.database import Database
from service.store.tables import Table
from webhooks import endpoints, outbox, tables

pytestmark = pytest.mark.anyio
ADA, GRACE, LIN = "ada@example.com", "grace@example.com", "lin@example.com"
EVENTS = Table.metadata.tables["events"]
PROJECTS = Table.metadata.tables["projects"]


@pytest.fixture
async def heard(stage: Stage) -> Stage:
    """A stage on which somebody hears of starts."""
    await stage.subscribe("meeting.starting")
    return stage


async def one_meeting(stage: Stage, in_minutes: float = 60, **event: Any) -> tuple[UUID, str]:
    stage.world.connect(ADA)
    row = stage.world.add_meeting(ADA, "Review", in_minutes=in_minutes, **event)
    calendar_id = await stage.connect(ADA)
    await stage.sync()
    return calendar_id, row["id"]


async def armed(stage: Stage) -> list[float | None]:
    """In how many seconds each live event is to be looked at."""
    query = select(EVENTS.c.announce_at).where(EVENTS.c.deleted_at.is_(None)).order_by(EVENTS.c.starts_at)
    async with stage.gateway.database.read() as conn:
        found = (await conn.execute(query)).scalars()
    return [(at - stage.clock()).total_seconds() if at else None for at in found]


async def set_lead_seconds(stage: Stage, *leads: int) -> None:
    """As PATCH /project does."""
    async with stage.gateway.database.write() as conn:
        mine = update(PROJECTS).where(PROJECTS.c.id == stage.project)
        before = (await projects.settings(conn, stage.project)).starting_lead_seconds
        await conn.execute(mine.values(starting_lead_seconds=list(leads)))
        await starts.rearm(conn, stage.project, stage.clock(), before)


async def test_each_lead_time_is_announced_once_and_never_early(heard: Stage) -> None:
    await one_meeting(heard)
    assert await armed(heard) == [50 * 60]

    assert await heard.announce() == []
    heard.clock.advance(minutes=50, microseconds=-1)
    assert await heard.announce() == []
    heard.clock.advance(microseconds=1)
    assert await heard.announce() == [("Review", 600)]
    assert await heard.announce() == []
    heard.clock.advance(minutes=9)
    assert await heard.announce() == [("Review", 60)]
    assert await armed(heard) == [None]
    heard.clock.advance(minutes=5)
    assert await heard.announce() == []


async def test_an_announcement_says_which_meeting_and_whose(heard: Stage) -> None:
    calendar_id, _ = await one_meeting(heard)
    heard.clock.advance(minutes=50)
    (meeting,) = await heard.meetings()

    await heard.announce()

    ((kind, data),) = await heard.messages()
    assert kind == "meeting.starting"
    assert data["meeting_key"] == meeting.meeting_key
    assert (data["meeting_url"], data["platform"]) == (meeting.meeting_url, "google_meet")
    assert (data["starts_at"], data["lead_seconds"]) == ("2026-03-02T10:00:00Z", 600)
    assert data["event"]["id"] == str(meeting.lead.id)
    assert [each["calendar_id"] for each in data["copies"]] == [str(calendar_id)]
    assert set(data["copies"][0]) == {"event_id", "calendar_id", "calendar_status", "email", "response_status"}


async def test_a_meeting_that_moves_later_is_announced_again_and_not_when_it_moves_back(heard: Stage) -> None:
    calendar_id, event_id = await one_meeting(heard)
    heard.clock.advance(minutes=50)
    assert await heard.announce() == [("Review", 600)]

    heard.world.move_event(ADA, event_id, by_minutes=60)
    await heard.sync_again(calendar_id)
    assert await heard.announce() == []
    heard.world.move_event(ADA, event_id, by_minutes=-60)
    await heard.sync_again(calendar_id)
    assert await heard.announce() == [], "it was said of that start"
    heard.world.move_event(ADA, event_id, by_minutes=60)
    await heard.sync_again(calendar_id)
    heard.clock.advance(minutes=60)
    assert await heard.announce() == [("Review", 600)]


async def test_a_meeting_that_moves_near_is_announced_at_once(heard: Stage) -> None:
    calendar_id, event_id = await one_meeting(heard, in_minutes=120)
    heard.world.move_event(ADA, event_id, by_minutes=-115)
    await heard.sync_again(calendar_id)
    assert await heard.announce() == [("Review", 600)]
    heard.clock.advance(minutes=4)
    assert await heard.announce() == [("Review", 60)]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"status": "cancelled"}, id="cancelled"),
        pytest.param({"conferenceData": None, "hangoutLink": None}, id="link removed"),
        pytest.param({"attendees": [{"email": ADA, "responseStatus": "declined"}]}, id="declined"),
    ],
)
async def test_what_nobody_attends_is_not_announced(heard: Stage, change: dict[str, Any]) -> None:
    calendar_id, event_id = await one_meeting(heard, attendees=[GRACE])
    if change == {"status": "cancelled"}:
        heard.world.cancel_event(ADA, event_id)
    else:
        heard.world.edit_event(ADA, event_id, change)
    await heard.sync_again(calendar_id)
    assert set(await armed(heard)) <= {None}
    heard.clock.advance(minutes=59)
    assert await heard.announce() == []


async def test_accepted_again_it_is_announced(heard: Stage) -> None:
    calendar_id, event_id = await one_meeting(heard, attendees=[GRACE])
    heard.world.respond(ADA, event_id, ADA, "declined")
    await heard.sync_again(calendar_id)
    heard.clock.advance(minutes=55)
    assert await heard.announce() == []
    heard.world.respond(ADA, event_id, ADA, "accepted")
    await heard.sync_again(calendar_id)
    assert await heard.announce() == [("Review", 600)]


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [
        pytest.param(58, [("Review", 600)], id="before the second"),
        pytest.param(75, [("Review", 600), ("Review", 60)], id="late, while it runs"),
        pytest.param(90, [], id="not when it is over"),
    ],
)
async def test_what_was_missed_is_said_late_while_the_meeting_runs(
    heard: Stage, rival: Stage, minutes: int, expected: list[tuple[str, int]]
) -> None:
    await one_meeting(heard)
    heard.clock.advance(minutes=minutes)
    assert await rival.announce() == expected
    assert await heard.announce() == expected, "which both see, and nobody repeats"
    assert (await armed(heard))[0] in (60.0, None)


async def shared_meeting(stage: Stage, guests: Sequence[str]) -> dict[str, UUID]:
    for email in (ADA, *guests):
        stage.world.connect(email)
    row = stage.world.add_meeting(ADA, "Review", in_minutes=60, attendees=list(guests))
    for email in guests:
        stage.world.respond(ADA, row["id"], email, "accepted")
    ids = {email: await stage.connect(email) for email in (ADA, *guests)}
    await stage.sync()
    assert len((await stage.meetings())[0].copies) == len(ids)
    return ids


async def test_ten_copies_are_one_announcement(heard: Stage) -> None:
    ids = await shared_meeting(heard, [f"guest{number}@example.com" for number in range(9)])
    heard.clock.advance(minutes=50)
    assert await heard.announce() == [("Review", 600)]
    ((_, data),) = await heard.messages()
    assert {each["calendar_id"] for each in data["copies"]} == {str(each) for each in ids.values()}
    assert data["event"]["calendar_id"] == str(ids[ADA])
    heard.clock.advance(minutes=9)
    assert await heard.announce() == [("Review", 60)]
    assert set(await armed(heard)) == {None}


async def test_a_copy_that_is_looked_at_alone_speaks_for_the_lead_and_only_once(
    heard: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shared_meeting(heard, [GRACE, LIN])
    heard.clock.advance(minutes=50)
    monkeypatch.setattr("service.flows.starting.AT_ONCE", 1)
    assert await heard.announce() == [("Review", 600)]
    assert await armed(heard) == [540.0] * 3


async def test_when_the_leads_calendar_goes_another_copy_speaks(heard: Stage) -> None:
    ids = await shared_meeting(heard, [GRACE])
    heard.clock.advance(minutes=50)
    assert await heard.announce() == [("Review", 600)]
    await heard.remove(ids[ADA])
    heard.clock.advance(minutes=9)
    assert await heard.announce() == [("Review", 60)]
    assert (await heard.messages())[-1][1]["event"]["calendar_id"] == str(ids[GRACE])


async def test_a_copy_follows_a_lead_that_has_moved_and_leads_itself_when_that_goes(heard: Stage) -> None:
    ids = await shared_meeting(heard, [GRACE])
    row = heard.world.read_truth(ADA)[0]
    heard.world.move_event(ADA, row["id"], by_minutes=120)
    await heard.sync_again(ids[ADA])  # the guest's copy is not read yet
    heard.clock.advance(minutes=50)
    assert await heard.announce() == [], "the lead is not due"
    await heard.remove(ids[ADA])
    heard.clock.advance(minutes=9)
    assert await heard.announce() == [("Review", 600), ("Review", 60)]


async def test_an_endpoint_of_one_calendar_hears_of_a_meeting_that_another_leads(stage: Stage) -> None:
    ids = await shared_meeting(stage, [GRACE, LIN])
    chosen = {}
    for email in (ADA, GRACE, "nobody"):
        draft = endpoints.EndpointDraft(
            url="https://receiver.example.com/hook", calendar_ids=[ids.get(email, UUID(int=1))]
        )
        async with stage.gateway.database.write() as conn:
            made = await endpoints.create(conn, stage.gateway.cipher, stage.project, draft, now=stage.clock())
        chosen[email] = made[0].id
    stage.clock.advance(minutes=50)
    await stage.announce()
    async with stage.gateway.database.read() as conn:
        heard = set((await conn.execute(select(tables.deliveries.c.endpoint_id))).scalars())
    assert heard == {chosen[ADA], chosen[GRACE]}


async def test_new_lead_times_hold_for_every_coming_meeting(heard: Stage) -> None:
    await one_meeting(heard)
    await set_lead_seconds(heard, 3600, 300)
    assert await armed(heard) == [0]
    assert await heard.announce() == [("Review", 3600)]
    assert await armed(heard) == [55 * 60]
    await set_lead_seconds(heard, 1800)
    assert await armed(heard) == [30 * 60]
    await set_lead_seconds(heard)
    assert await armed(heard) == [None]


async def test_a_lead_time_that_comes_too_late_for_a_meeting_was_not_missed(heard: Stage) -> None:
    calendar_id, event_id = await one_meeting(heard)
    heard.clock.advance(minutes=59, seconds=30)
    assert await heard.announce() == [("Review", 600), ("Review", 60)]
    await set_lead_seconds(heard, 3600, 1200, 10)
    assert await heard.announce() == []
    heard.clock.advance(seconds=20)
    assert await heard.announce() == [("Review", 10)], "what is still to come"
    heard.clock.advance(minutes=2)
    await set_lead_seconds(heard, 45, 30)
    assert await heard.announce() == [], "it runs"

    heard.world.move_event(ADA, event_id, by_minutes=120)
    heard.world.add_meeting(ADA, "Now", in_minutes=0)
    await heard.sync_again(calendar_id)
    assert await heard.announce() == [("Now", 45), ("Now", 30)], "it was made too late, and is announced late"
    heard.clock.advance(hours=2)
    assert ("Review", 45) in await heard.announce(), "it was moved, which arms it anew"


async def test_what_was_missed_before_lead_times_changed_is_said_all_the_same(heard: Stage) -> None:
    await one_meeting(heard)
    heard.clock.advance(minutes=55)
    await set_lead_seconds(heard, 600, 60, 1800)
    assert await heard.announce() == [("Review", 600)], "nobody was there at the time"


async def test_an_event_is_armed_by_the_lead_times_of_its_project_whatever_this_process_believed(heard: Stage) -> None:
    await set_lead_seconds(heard, 1200)
    calendar_id, _ = await one_meeting(heard)
    assert await armed(heard) == [40 * 60], "the first time, when nothing was known"
    heard.world.add_meeting(ADA, "Next", in_minutes=120)
    await heard.sync_again(calendar_id)
    assert await armed(heard) == [40 * 60, 100 * 60]
    await set_lead_seconds(heard, 60)
    heard.world.add_meeting(ADA, "Last", in_minutes=180)
    await heard.sync_again(calendar_id)
    assert await armed(heard) == [59 * 60, 119 * 60, 179 * 60]
    await set_lead_seconds(heard)
    heard.world.add_meeting(ADA, "Silent", in_minutes=200)
    await heard.sync_again(calendar_id)
    assert await armed(heard) == [None] * 4


async def test_a_settling_under_way_when_the_lead_times_change_arms_by_the_new_ones(
    heard: Stage, rival: Stage, database_url: str
) -> None:
    if database_url.startswith("sqlite"):
        pytest.skip("one writer at a time")
    calendar_id, event_id = await one_meeting(heard)
    heard.world.edit_event(ADA, event_id, {"summary": "Renamed"})
    async with rival.gateway.database.write() as conn:
        mine = update(PROJECTS).where(PROJECTS.c.id == heard.project)
        await conn.execute(mine.values(starting_lead_seconds=[1800]))
        running = asyncio.create_task(heard.sync_again(calendar_id))
        await until_locked(heard, event_id)
        # The event is the settling's, which waits for the project's row.
        await starts.rearm(conn, heard.project, heard.clock())
    await running
    assert await armed(heard) == [30 * 60]


async def until_locked(stage: Stage, provider_event_id: str) -> None:
    query = select(EVENTS.c.id).where(EVENTS.c.provider_event_id == provider_event_id)
    async with asyncio.timeout(30):
        while True:
            async with stage.gateway.database.write() as conn:
                if not (await conn.execute(query.with_for_update(skip_locked=True))).all():
                    return
            await asyncio.sleep(0.01)


async def test_what_dies_between_claim_and_commit_has_lost_nothing(
    heard: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await one_meeting(heard)
    heard.clock.advance(minutes=50)

    async def die(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as struck:
        struck.setattr(outbox, "put", die)
        with pytest.raises(KeyboardInterrupt):
            await heard.announcer.run_due()
    assert await heard.count("meeting_starts") == 0
    assert await heard.announce() == [("Review", 600)]


async def test_two_replicas_announce_three_hundred_meetings_each_once(heard: Stage, rival: Stage) -> None:
    # Two hundred copies of a hundred meetings, and two hundred that are alone, in batches that part them.
    for email in (ADA, GRACE):
        heard.world.connect(email)
        for number in range(100):
            heard.world.add_meeting(email, f"{email} {number}", in_minutes=60)
    for number in range(100):
        heard.world.add_meeting(ADA, f"both {number}", in_minutes=60, attendees=[GRACE])
    for email in (ADA, GRACE):
        await heard.connect(email)
    await heard.sync()
    heard.clock.advance(minutes=50)
    announcers = [Announcer(stage.gateway) for stage in (heard, rival) for _ in range(2)]
    with pytest.MonkeyPatch.context() as small:
        small.setattr("service.flows.starting.AT_ONCE", 17)
        said = await asyncio.gather(*(announcer.run_due() for announcer in announcers))
    while await heard.announcer.run_due():  # what a replica passed over while another held it
        pass
    for announcer in announcers:
        announcer.drain()
    titles = Counter(data["event"]["title"] for _, data in await heard.messages())
    assert (len(titles), set(titles.values()), sum(said)) == (300, {1}, 300)
    assert set(await armed(heard)) == {540.0}


async def test_announcing_settling_and_new_lead_times_never_wait_in_a_circle(
    heard: Stage, rival: Stage, database: Database
) -> None:
    await shared_meeting(heard, [GRACE, LIN])
    for number in range(30):
        for email in (ADA, GRACE):
            heard.world.add_meeting(email, f"{email} {number}", in_minutes=60)
    await heard.resync_all()
    await heard.sync()

    settle, troubles = heard.syncer._settler._write, []

    async def watched(conn: Any, settlements: Any) -> Any:
        try:
            return await settle(conn, settlements)
        except Exception as error:
            troubles.append(error)  # it would be tried again
            raise

    heard.syncer._settler._write = watched

    async def edit() -> None:
        for turn in range(6):
            for email in (ADA, GRACE):
                for row in heard.world.read_truth(email)[:20]:
                    heard.world.edit_event(email, row["id"], {"location": f"room {turn}"})
            await heard.resync_all()
            await heard.sync()

    async def patch() -> None:
        for turn in range(12):
            await set_lead_seconds(rival, 3600 + turn, 60)
            await asyncio.sleep(0)

    async def announce() -> None:
        announcer = Announcer(rival.gateway)
        for _ in range(20):
            await announcer._announce()  # which does not try again
        announcer.drain()

    await asyncio.gather(edit(), patch(), announce(), announce())
    assert troubles == []
    while await heard.announcer.run_due():
        pass
    leads = (3611, 60)
    async with database.read() as conn:
        rows = (await conn.execute(select(EVENTS.c.starts_at, EVENTS.c.ends_at, EVENTS.c.announce_at))).all()
    assert {row.announce_at for row in rows} == {
        outlook(row.starts_at, row.ends_at, leads, heard.clock()).next_at for row in rows
    }


async def test_an_alarm_comes_to_the_moment_between_two_ticks(heard: Stage) -> None:
    await one_meeting(heard)
    heard.clock.advance(minutes=50, seconds=-0.05)
    with heard.gateway.wake.listen("starting") as news:
        assert await heard.announce() == []
        assert await news.wait(1)
    heard.clock.advance(0.05)
    assert await heard.announce() == [("Review", 600)]


async def test_settling_what_starts_in_a_moment_wakes_the_announcer(heard: Stage) -> None:
    with heard.gateway.wake.listen("starting") as news:
        calendar_id, _ = await one_meeting(heard)
        while await news.wait(0.2):  # whoever comes to hear of other processes is roused once
            pass
        heard.world.add_meeting(ADA, "Now", in_minutes=5)
        await heard.sync_again(calendar_id)
        assert await news.wait(0.01)


async def test_what_was_announced_is_forgotten_a_week_after_the_meeting(heard: Stage) -> None:
    await one_meeting(heard)
    heard.clock.advance(minutes=50)
    await heard.announce()
    heard.clock.advance(days=6)
    await tidy(heard.gateway)
    assert await heard.count("meeting_starts") == 1
    heard.clock.advance(days=2)
    await tidy(heard.gateway)
    assert await heard.count("meeting_starts") == 0
