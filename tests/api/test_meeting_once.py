"""One meeting is one row, whoever has it: its key, its lead and every hand-over, through the real API."""

import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from flows.stage import Stage
from sqlalchemy import select

from service.store import events
from service.store.tables import EventRow, Table
from simulator.google.world import World

pytestmark = pytest.mark.anyio
ANN, BOB, CYD, ROOM = "ann@example.com", "bob@example.com", "cyd@example.com", "room@resource.example.com"
ZOOM = "https://zoom.us/j/12345678901"
MEET = "https://meet.google.com/abc-defg-hij"
UID = "4k8n3q7r2m@google.com"
OUTLOOK = (
    "040000008200E00074C5B7101A82E00800000000E040C9C12685C4010000000000000000100000000BF0ED4B6E4EE94E9E39E3867B378EF3"
)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


async def join(call: httpx.AsyncClient, stage: Stage, *emails: str, **account: Any) -> list[str]:
    """Connect the calendars of these users, in this order; their ids."""
    return [(await post(call, stage, email, **account)).json()["id"] for email in emails]


async def post(call: httpx.AsyncClient, stage: Stage, email: str, **account: Any) -> httpx.Response:
    answer = await call.post("/calendars", json=credentials_of(stage, email, **account))
    assert answer.status_code in {200, 201}, answer.text
    return answer


def credentials_of(stage: Stage, email: str, **account: Any) -> dict[str, Any]:
    given = stage.world.connect(email, **account)
    return {"provider": "google"} | {name: given[name] for name in ("client_id", "client_secret", "refresh_token")}


async def read_all(call: httpx.AsyncClient, stage: Stage) -> None:
    assert (await call.post("/calendars/resync")).status_code == 202
    await stage.sync()


async def coming(call: httpx.AsyncClient, **query: Any) -> list[dict[str, Any]]:
    answer = await call.get("/meetings", params=query)
    assert answer.status_code == 200, answer.text
    rows: list[dict[str, Any]] = answer.json()["data"]
    for row in rows:
        assert row["lead"]["meeting_key"] == row["meeting_key"]
        assert row["lead"]["starts_at"] == row["starts_at"]
        assert (row["lead"]["id"], row["lead"]["calendar_id"]) == (
            row["copies"][0]["event_id"],
            row["copies"][0]["calendar_id"],
        ), "the lead is the first of the copies"
    return rows


async def only(call: httpx.AsyncClient, **query: Any) -> tuple[dict[str, Any], list[str]]:
    """The one meeting that is coming, and whose copies there are, the lead first."""
    (row,) = await coming(call, **query)
    return row, [copy["email"] for copy in row["copies"]]


def add_copy(world: World, email: str, response: str = "needsAction", uid: str = UID, **event: Any) -> dict[str, Any]:
    """A copy of Ann's meeting that lives by itself, as those of guests at other providers do."""
    for each in (ANN, email):
        world.connect(each)
    made = world.add_meeting(email, "plan", **{"zoom": ZOOM, "iCalUID": uid, "organizer": {"email": ANN}, **event})
    if email == ANN:
        return made
    own = {"email": email, "responseStatus": response, "resource": email == ROOM}
    organiser = {"email": ANN, "organizer": True, "responseStatus": "accepted"}
    return world.edit_event(email, made["id"], {"attendees": [organiser, own]})


async def test_an_invitation_is_one_row_with_every_copy(call: httpx.AsyncClient, stage: Stage) -> None:
    ids = await join(call, stage, BOB, ANN, CYD)
    stage.world.add_meeting(ANN, "plan", attendees=[BOB, CYD])
    await stage.sync()

    row, emails = await only(call)
    assert emails == [ANN, BOB, CYD]
    assert row["attendee_count"] == 3
    assert {copy["calendar_status"] for copy in row["copies"]} == {"active"}
    for copy in row["copies"]:
        event = (await call.get(f"/events/{copy['event_id']}")).json()
        assert (event["meeting_key"], event["calendar_id"]) == (row["meeting_key"], copy["calendar_id"])
    for calendar_id in ids:
        assert await coming(call, calendar_id=calendar_id) == [row]


async def test_two_meetings_in_one_standing_room_are_two(call: httpx.AsyncClient, stage: Stage) -> None:
    await join(call, stage, ANN, BOB)
    for minutes in (30, 90):
        stage.world.add_meeting(ANN, f"in {minutes}", in_minutes=minutes, zoom=ZOOM, attendees=[BOB])
    await stage.sync()

    rows = await coming(call)
    assert [row["title"] for row in rows] == ["in 30", "in 90"]
    assert len({row["meeting_key"] for row in rows}) == 2
    assert {row["meeting_url"] for row in rows} == {ZOOM}
    assert [len(row["copies"]) for row in rows] == [2, 2]


@pytest.mark.parametrize(
    ("uids", "count"),
    [
        pytest.param((OUTLOOK, OUTLOOK.lower()), 1, id="case of Outlook's hex"),
        pytest.param((UID, UID), 1, id="the same"),
        pytest.param((UID, "other7r2m@google.com"), 2, id="another"),
        pytest.param(("1", "1"), 2, id="no UID worth the name"),
    ],
)
async def test_what_is_one_meeting_is_told_by_the_uid(
    call: httpx.AsyncClient, stage: Stage, uids: tuple[str, str], count: int
) -> None:
    for email, uid in zip((ANN, BOB), uids, strict=True):
        add_copy(stage.world, email, uid=uid)
    await join(call, stage, ANN, BOB)
    await stage.sync()

    assert len(await coming(call)) == count


@pytest.mark.parametrize("letters", ["abcdefghijklmnopqrstuvwxyz", "".join(map(chr, range(0x1F600, 0x1F640)))])
async def test_ids_of_any_length_that_providers_allow(call: httpx.AsyncClient, stage: Stage, letters: str) -> None:
    drawn = random.Random(7)
    uid = "".join(drawn.choices(letters, k=1024))
    event_id = "".join(drawn.choices("abcdefghijklmnopqrstuv0123456789", k=1024))
    for email in (ANN, BOB):
        add_copy(stage.world, email, uid=uid, id=event_id)
    await join(call, stage, ANN, BOB)
    await stage.sync()

    row, emails = await only(call)
    assert emails == [ANN, BOB]
    assert (row["lead"]["ical_uid"], row["lead"]["provider_event_id"]) == (uid, event_id)
    assert len(row["meeting_key"]) <= 200


def decline(stage: Stage, copies: dict[str, str]) -> None:
    people = [{"email": ANN, "organizer": True, "responseStatus": "declined"}]
    stage.world.edit_event(ANN, copies[ANN], {"attendees": people})


def cancel(stage: Stage, copies: dict[str, str]) -> None:
    stage.world.cancel_event(ANN, copies[ANN])


def lose_link(stage: Stage, copies: dict[str, str]) -> None:
    stage.world.edit_event(ANN, copies[ANN], {"conferenceData": None, "hangoutLink": None})


@pytest.mark.parametrize("hand_over", [decline, cancel, lose_link])
async def test_the_lead_passes_to_who_comes(
    call: httpx.AsyncClient, stage: Stage, hand_over: Callable[[Stage, dict[str, str]], None]
) -> None:
    answers = {ROOM: "accepted", BOB: "needsAction", CYD: "accepted", ANN: ""}
    copies = {email: add_copy(stage.world, email, answer)["id"] for email, answer in answers.items()}
    await join(call, stage, *answers)
    await stage.sync()
    before, emails = await only(call)
    assert emails == [ANN, CYD, BOB, ROOM]

    hand_over(stage, copies)
    await read_all(call, stage)

    row, emails = await only(call)
    assert emails == [CYD, BOB, ROOM]
    assert row["meeting_key"] == before["meeting_key"]
    assert row["lead"]["id"] == before["copies"][1]["event_id"]


async def test_the_lead_passes_on_with_each_calendar_that_is_deleted(call: httpx.AsyncClient, stage: Stage) -> None:
    emails = [BOB, CYD, ANN]
    for email in emails:
        add_copy(stage.world, email)
    ids = dict(zip(emails, await join(call, stage, *emails), strict=True))
    await stage.sync()

    for left in ([ANN, BOB, CYD], [BOB, CYD], [CYD]):
        _, found = await only(call)
        assert found == left
        assert (await call.delete(f"/calendars/{ids[left[0]]}")).status_code == 204
    assert await coming(call) == []


async def test_a_guest_with_a_link_leads_where_the_organiser_has_none(call: httpx.AsyncClient, stage: Stage) -> None:
    add_copy(stage.world, ANN, zoom=None, meet=False)
    add_copy(stage.world, BOB)
    ann, bob = await join(call, stage, ANN, BOB)
    await stage.sync()

    _, emails = await only(call)
    assert emails == [BOB]
    assert await coming(call, calendar_id=ann) == []
    assert len(await coming(call, calendar_id=bob)) == 1


async def lose_grant(call: httpx.AsyncClient, stage: Stage, calendar_id: str, email: str) -> None:
    """The user takes the grant back, and it is looked at twice."""
    stage.world.revoke_consent(email)
    stage.world.expire_access_tokens(email)
    for _ in range(2):
        await stage.resync(UUID(calendar_id))
        await stage.sync()
        stage.clock.advance(seconds=70)
    assert (await call.get(f"/calendars/{calendar_id}")).json()["status"] == "disconnected"


@pytest.mark.parametrize("again", ["patch", "post"])
async def test_a_copy_that_nobody_reads_does_not_lead(call: httpx.AsyncClient, stage: Stage, again: str) -> None:
    copies = {email: add_copy(stage.world, email)["id"] for email in (ANN, BOB)}
    ann, _ = await join(call, stage, ANN, BOB)
    await stage.sync()
    await lose_grant(call, stage, ann, ANN)

    row, emails = await only(call)
    assert emails == [BOB, ANN]
    assert [copy["calendar_status"] for copy in row["copies"]] == ["active", "disconnected"]
    for email, event_id in copies.items():
        stage.world.move_event(email, event_id, by_minutes=15)
    await read_all(call, stage)
    moved, emails = await only(call)
    assert emails == [BOB, ANN]
    assert moved["starts_at"] > row["starts_at"], "Ann's copy would send the bot to the old time"

    await rewrite(stage, ann)
    assert (await only(call))[1] == [BOB, ANN], "what is examined again is not read again"

    if again == "post":
        await post(call, stage, ANN)
    else:
        patched = await call.patch(f"/calendars/{ann}", json=credentials_of(stage, ANN))
        assert patched.status_code == 200, patched.text
    assert (await only(call))[1] == [BOB, ANN], "not before it was read"
    stage.world.add_fault("backend_503", endpoint="events.list", account=ANN, times=100)
    for _ in range(3):
        await stage.resync(UUID(ann))
        await stage.sync()
    assert (await call.get(f"/calendars/{ann}")).json()["status"] == "error"
    assert (await only(call))[1] == [BOB, ANN], "nor by failing to"
    stage.world.clear_faults()
    await read_all(call, stage)
    row, emails = await only(call)
    assert emails == [ANN, BOB]
    assert row["starts_at"] == moved["starts_at"]


async def rewrite(stage: Stage, calendar_id: str) -> None:
    """Write the events of a calendar once more, as they would be written from what the provider said."""
    table = Table.metadata.tables[str(EventRow.__tablename__)]
    async with stage.gateway.database.write() as conn:
        found = await conn.execute(select(table).where(table.c.calendar_id == UUID(calendar_id)))
        await events.write(conn, [dict(row._mapping) | {"rank": 0} for row in found], [])


async def test_a_meeting_is_listed_as_long_as_somebody_comes(call: httpx.AsyncClient, stage: Stage) -> None:
    for email in (ANN, BOB):
        add_copy(stage.world, email, "declined")
    ann, bob = await join(call, stage, ANN, BOB)
    await stage.sync()
    assert (await only(call))[1] == [ANN]
    assert await coming(call, calendar_id=bob) == []
    assert (await only(call, include_declined=True))[1] == [ANN, BOB]
    assert (await only(call, include_declined=True, calendar_id=bob))[1] == [ANN, BOB]

    await lose_grant(call, stage, ann, ANN)

    assert (await only(call))[1] == [ANN], "nobody who said no leads before a copy that is out of date"


async def test_what_everybody_declined_is_no_meeting(call: httpx.AsyncClient, stage: Stage) -> None:
    for email in (BOB, CYD):
        add_copy(stage.world, email, "declined")
    bob, _ = await join(call, stage, BOB, CYD)
    await stage.sync()

    assert await coming(call) == await coming(call, calendar_id=bob) == []
    assert (await only(call, include_declined=True))[1] == [BOB, CYD]


async def test_where_copies_disagree_the_lead_is_told_and_filtered_by(call: httpx.AsyncClient, stage: Stage) -> None:
    add_copy(stage.world, ANN, in_minutes=60)
    add_copy(stage.world, BOB, zoom=None, conferenceData=None, hangoutLink=MEET, meet=False, in_minutes=30)
    _, bob = await join(call, stage, ANN, BOB)
    await stage.sync()

    row, emails = await only(call)
    assert (row["platform"], row["meeting_url"], emails) == ("zoom", ZOOM, [ANN, BOB])
    assert await coming(call, platform="zoom", calendar_id=bob) == [row]
    assert await coming(call, platform="google_meet") == []
    assert await coming(call, platform="google_meet", calendar_id=bob) == []
    assert await coming(call, within="45m") == [], "the lead starts later"


async def test_pages_hold_while_leads_pass_on(call: httpx.AsyncClient, stage: Stage) -> None:
    uids = [f"uid-{number}@example.com" for number in range(9)]
    for number, uid in enumerate(uids):
        for email in (ANN, BOB):
            add_copy(stage.world, email, uid=uid, in_minutes=30 + number // 3)
    ann, _ = await join(call, stage, ANN, BOB)
    await stage.sync()

    seen: list[str] = []
    query: dict[str, Any] = {"limit": 2}
    while True:
        page = (await call.get("/meetings", params=query)).json()
        seen += [row["meeting_key"] for row in page["data"]]
        if len(seen) == 4:
            await call.delete(f"/calendars/{ann}")
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert seen == sorted(uids)


async def test_an_occurrence_that_moves_is_the_same_meeting(call: httpx.AsyncClient, stage: Stage) -> None:
    await join(call, stage, ANN, BOB)
    event = stage.world.add_meeting(
        ANN, "daily", in_minutes=60, attendees=[BOB], recurrence=["RRULE:FREQ=DAILY;COUNT=3"]
    )
    await stage.sync()
    before = await coming(call, within="7d")
    assert [len(row["copies"]) for row in before] == [2, 2, 2]
    keys = [row["meeting_key"] for row in before]
    assert len(set(keys)) == 3
    second = before[1]["lead"]["provider_event_id"]
    assert second.startswith(event["id"])

    stage.world.move_event(ANN, second, by_minutes=60 * 36)
    await stage.resync(UUID(before[1]["lead"]["calendar_id"]))
    await stage.sync()

    for _ in range(2):
        after = await coming(call, within="7d")
        assert [row["meeting_key"] for row in after] == [keys[0], keys[2], keys[1]]
        assert [len(row["copies"]) for row in after] == [2, 2, 2]
        await read_all(call, stage)


async def test_a_day_is_one_meeting_in_every_time_zone(call: httpx.AsyncClient, stage: Stage) -> None:
    await join(call, stage, ANN, time_zone="Pacific/Honolulu")
    await join(call, stage, BOB, time_zone="Pacific/Auckland")
    first = (stage.clock() + timedelta(days=2)).date()
    body: dict[str, Any] = {"start": {"date": f"{first}"}, "end": {"date": f"{first + timedelta(days=1)}"}}
    stage.world.add_meeting(ANN, "on call", attendees=[BOB], recurrence=["RRULE:FREQ=DAILY;COUNT=3"], **body)
    await stage.sync()

    before = await coming(call, within="10d")
    assert [(row["lead"]["start_date"], len(row["copies"])) for row in before] == [
        (f"{first + timedelta(days=number)}", 2) for number in range(3)
    ]
    at = f"{first + timedelta(days=1)}T20:00:00Z"
    moment = {"start": {"dateTime": at, "date": None}, "end": {"dateTime": at.replace("20:", "21:"), "date": None}}
    stage.world.edit_event(ANN, before[1]["lead"]["provider_event_id"], moment)
    await read_all(call, stage)

    after = await coming(call, within="10d")
    assert {row["meeting_key"]: len(row["copies"]) for row in after} == {row["meeting_key"]: 2 for row in before}
    (timed,) = (row for row in after if not row["lead"]["is_all_day"])
    assert (timed["meeting_key"], timed["starts_at"]) == (before[1]["meeting_key"], at)
