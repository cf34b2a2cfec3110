"""The v2 routes of Meeting BaaS: each answer as published, cursors both ways, statuses, series, and what a refusal says."""

import dataclasses
from typing import Any
from uuid import UUID

import msgspec
import pytest
from api.judged_client import JudgedClient
from flows.stage import Stage
from sqlalchemy import update

from service.api.routes import create_api
from service.store.tables import CalendarRow, Table

pytestmark = pytest.mark.anyio

ADA, GRACE = "ada@example.com", "grace@example.com"
DAILY = {
    "summary": "Standup",
    "location": "https://example.zoom.us/j/93812345678",
    "start": {"dateTime": "2026-03-03T09:00:00Z", "timeZone": "UTC"},
    "end": {"dateTime": "2026-03-03T09:15:00Z", "timeZone": "UTC"},
    "recurrence": ["RRULE:FREQ=DAILY;COUNT=4"],
}
UNKNOWN = "b3f1c2d4-1111-4222-8333-444455556666"
CALENDARS = Table.metadata.tables[str(CalendarRow.__tablename__)]


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


async def connected(vendor: JudgedClient, stage: Stage, given: dict[str, Any]) -> str:
    made = await vendor.ask("POST", "/v2/calendars", given)
    await stage.sync()
    calendar_id: str = made.data.calendar_id
    return calendar_id


async def set_columns(stage: Stage, calendar_id: UUID, **values: Any) -> None:
    async with stage.gateway.database.write() as conn:
        await conn.execute(update(CALENDARS).where(CALENDARS.c.id == calendar_id).values(**values))


async def test_a_calendar_is_looked_up_connected_listed_shown_and_let_go(
    vendor: JudgedClient, stage: Stage, given_v2: dict[str, Any]
) -> None:
    (raw,) = (await vendor.ask("POST", "/v2/calendars/list-raw", given_v2)).data
    assert (raw.id, raw.name, raw.email, raw.is_primary) == (ADA, ADA, ADA, True)

    made = (await vendor.ask("POST", "/v2/calendars", given_v2)).data
    assert (made.calendar_platform, made.account_email, made.status) == ("google", ADA, "active")
    path = f"/v2/calendars/{made.calendar_id}"
    fresh = (await vendor.ask("GET", path)).data
    assert (fresh.synced_at, fresh.sync_status, fresh.subscription_id) == (None, None, None)
    await stage.sync()
    await stage.renew_channels()
    shown = (await vendor.ask("GET", path)).data
    assert (shown.synced_at, shown.sync_status, shown.sync_error) == ("2026-03-02T09:00:00Z", "success", None)
    assert shown.subscription_id
    assert shown.subscription_expires_at
    assert shown.provider_metadata["raw_calendar_id"] == ADA
    (listed,) = (await vendor.ask("GET", "/v2/calendars")).data
    assert (listed.calendar_id, listed.synced_at) == (made.calendar_id, shown.synced_at)

    changed = (await vendor.ask("PATCH", path, given_v2)).data
    assert (changed.calendar_id, changed.status) == (made.calendar_id, "active")
    assert (await vendor.ask("POST", f"{path}/sync")).data.message
    assert (await vendor.ask("DELETE", path)).data.message
    assert await vendor.refused(404, "GET", path) == "FST_ERR_CALENDAR_NOT_FOUND"
    assert (await vendor.ask("GET", f"{path}/events")).data == []


async def test_what_is_connected_already_is_refused_with_its_id(
    vendor: JudgedClient, stage: Stage, given_v2: dict[str, Any]
) -> None:
    calendar_id = await connected(vendor, stage, given_v2)
    before = await stage.calendar(UUID(calendar_id))
    refused = await vendor.ask("POST", "/v2/calendars", given_v2 | {"raw_calendar_id": ADA})
    assert (refused.status_code, refused.code) == (409, "FST_ERR_CALENDAR_CONNECTION_ALREADY_EXISTS")
    assert refused.details == calendar_id
    assert await stage.calendar(UUID(calendar_id)) == before


async def test_resubscribing_opens_a_new_channel_and_closes_the_old_one(
    vendor: JudgedClient, stage: Stage, given_v2: dict[str, Any]
) -> None:
    calendar_id = await connected(vendor, stage, given_v2)
    await stage.renew_channels()
    before = (await vendor.ask("GET", f"/v2/calendars/{calendar_id}")).data
    stage.clock.advance(3600)
    told = (await vendor.ask("POST", f"/v2/calendars/{calendar_id}/resubscribe")).data
    assert (told.calendar_id, told.resubscribed_at) == (calendar_id, "2026-03-02T10:00:00Z")
    after = (await vendor.ask("GET", f"/v2/calendars/{calendar_id}")).data
    assert after.subscription_expires_at > before.subscription_expires_at
    await stage.renew_channels()
    assert await stage.count("channels") == 1


async def test_resubscribing_says_why_it_cannot(vendor: JudgedClient, stage: Stage, given_v2: dict[str, Any]) -> None:
    calendar_id = await connected(vendor, stage, given_v2)
    path = f"/v2/calendars/{calendar_id}/resubscribe"
    stage.world.revoke_consent(ADA)
    stage.world.expire_access_tokens(ADA)
    assert await vendor.refused(401, "POST", path) == "FST_ERR_OAUTH_TOKEN_REFRESH_FAILED"
    stage.world.add_fault("backend_503", times=50)
    assert await vendor.refused(404, "POST", f"/v2/calendars/{UNKNOWN}/resubscribe") == "FST_ERR_CALENDAR_NOT_FOUND"
    await set_columns(stage, UUID(calendar_id), status="disconnected", error_code="credentials_rejected")
    assert await vendor.refused(401, "POST", path) == "FST_ERR_OAUTH_TOKEN_REFRESH_FAILED"
    sync = f"/v2/calendars/{calendar_id}/sync"
    assert await vendor.refused(401, "POST", sync) == "FST_ERR_OAUTH_TOKEN_REFRESH_FAILED"


async def test_resubscribing_where_providers_cannot_push_is_refused_honestly(
    stage: Stage, keys: dict[str, str], given_v2: dict[str, Any]
) -> None:
    settings = msgspec.structs.replace(stage.gateway.settings, public_url=None)
    polled = JudgedClient(create_api(dataclasses.replace(stage.gateway, settings=settings)), keys["write"])
    async with polled.http:
        calendar_id = (await polled.ask("POST", "/v2/calendars", given_v2)).data.calendar_id
        path = f"/v2/calendars/{calendar_id}/resubscribe"
        refused = await polled.ask("POST", path)
    assert (refused.status_code, refused.code) == (409, "FST_ERR_CALENDAR_PUSH_UNAVAILABLE")
    assert "polled" in refused.message
    assert await stage.count("channels") == 0


async def test_a_calendar_of_another_kind_is_listed_with_its_own_word(
    vendor: JudgedClient, stage: Stage, given_v2: dict[str, Any]
) -> None:
    calendar_id = await connected(vendor, stage, given_v2)
    await set_columns(stage, UUID(calendar_id), provider="ics", email=None)
    (found,) = (await vendor.http.get("/v2/calendars?calendar_platform=ics")).json()["data"]
    assert (found["calendar_id"], found["calendar_platform"], found["account_email"]) == (calendar_id, "ics", "")
    assert (await vendor.ask("GET", "/calendars/"))[0].email == ""
    path = f"/v2/calendars/{calendar_id}"
    assert await vendor.refused(400, "PATCH", path, given_v2) == "FST_ERR_VALIDATION"
    assert await vendor.refused(409, "POST", f"{path}/resubscribe") == "FST_ERR_CALENDAR_PUSH_UNAVAILABLE"


@pytest.mark.parametrize(
    ("columns", "status"),
    [
        pytest.param({"status": "syncing"}, "active", id="syncing"),
        pytest.param({"status": "active"}, "active", id="active"),
        pytest.param({"status": "error", "error_code": "provider_unavailable"}, "error", id="outage"),
        pytest.param({"status": "error", "error_code": None}, "error", id="no-code"),
        pytest.param({"status": "error", "error_code": "insufficient_scope"}, "permission_denied", id="scope"),
        pytest.param({"status": "disconnected", "error_code": "credentials_rejected"}, "revoked", id="revoked"),
        pytest.param({"status": "disconnected", "error_code": None}, "revoked", id="lost-without-a-code"),
        pytest.param({"status": "disconnected", "error_code": "calendar_not_found"}, "permission_denied", id="gone"),
        pytest.param({"status": "disconnected", "error_code": "insufficient_scope"}, "permission_denied", id="lost"),
    ],
)
async def test_a_status_is_shown_and_selected_alike(
    vendor: JudgedClient, stage: Stage, given_v2: dict[str, Any], columns: dict[str, Any], status: str
) -> None:
    calendar_id = await connected(vendor, stage, given_v2)
    await set_columns(stage, UUID(calendar_id), **columns)
    assert (await vendor.ask("GET", f"/v2/calendars/{calendar_id}")).data.status == status
    for asked in ("active", "error", "revoked", "permission_denied"):
        found = (await vendor.ask("GET", f"/v2/calendars?status={asked}")).data
        assert [one.status for one in found] == ([status] if asked == status else [])


async def test_calendars_are_listed_newest_first_and_filtered(
    vendor: JudgedClient, stage: Stage, given_v2: dict[str, Any]
) -> None:
    ada = await connected(vendor, stage, given_v2)
    grace = str(await stage.connect(GRACE))

    async def ids(query: str) -> list[str]:
        return [one.calendar_id for one in (await vendor.ask("GET", f"/v2/calendars?{query}")).data]

    assert await ids("") == [grace, ada]
    assert await ids("account_email=GRACE") == [grace]
    assert await ids("account_email=%25") == []
    assert await ids("calendar_platform=google,microsoft&status=active,error") == [grace, ada]
    assert await ids("calendar_platform=microsoft") == []
    assert await ids("unknown=1&status=&limit=1") == [grace]


async def test_cursors_lead_forth_and_back(vendor: JudgedClient, stage: Stage, given_v2: dict[str, Any]) -> None:
    for number in range(5):
        stage.world.add_meeting(ADA, f"m{number}", in_minutes=30 + number)
    stage.world.add_event(ADA, DAILY | {"recurrence": ["RRULE:FREQ=DAILY;COUNT=2"]})
    calendar_id = await connected(vendor, stage, given_v2)
    for email in (GRACE, "linus@example.com", "alan@example.com"):
        await stage.connect(email)
    for path, total in [
        (f"/v2/calendars/{calendar_id}/events", 7),
        (f"/v2/calendars/{calendar_id}/series", 6),
        ("/v2/calendars", 4),
    ]:
        whole = await vendor.ask("GET", path)
        assert (len(whole.data), whole.cursor, whole.prev_cursor) == (total, None, None)
        pages, cursor = [], None
        while not pages or cursor is not None:
            page = await vendor.ask("GET", path, params={"limit": 2} | ({"cursor": cursor} if cursor else {}))
            pages.append(page)
            cursor = page.cursor
        assert [row for page in pages for row in page.data] == whole.data
        assert pages[0].prev_cursor is None
        for later, earlier in zip(pages[:0:-1], pages[-2::-1], strict=True):
            back = await vendor.ask("GET", path, params={"limit": 2, "cursor": later.prev_cursor})
            assert back.data == earlier.data
            assert back.cursor is not None
            assert (back.prev_cursor is None) == (earlier is pages[0])


async def test_events_of_every_kind_are_told_as_published(
    vendor: JudgedClient, stage: Stage, given_v2: dict[str, Any]
) -> None:
    world = stage.world
    world.add_account(GRACE)
    for minutes, answer in [(30, "declined"), (60, "tentative"), (90, "accepted")]:
        event = world.add_meeting(GRACE, answer, in_minutes=minutes, attendees=[ADA])
        world.respond(GRACE, event["id"], ADA, answer)
    gone = world.add_meeting(ADA, "gone", in_minutes=120)
    world.add_event(ADA, {"start": {"date": "2026-03-05"}, "end": {"date": "2026-03-06"}})
    world.add_event(ADA, DAILY)
    calendar_id = await connected(vendor, stage, given_v2)
    world.cancel_event(ADA, gone["id"])
    standups = [row for row in world.read_truth(ADA) if row.get("summary") == "Standup"]
    world.move_event(ADA, standups[1]["id"], by_minutes=30)
    await vendor.ask("POST", f"/v2/calendars/{calendar_id}/sync")
    await stage.sync()

    listed = (await vendor.ask("GET", f"/v2/calendars/{calendar_id}/events")).data
    by_title = {one.title: one for one in listed}
    assert {title: one.status for title, one in by_title.items()} == {
        "declined": "cancelled",
        "tentative": "confirmed",
        "accepted": "confirmed",
        "gone": "cancelled",
        "": "confirmed",
        "Standup": "confirmed",
    }
    assert by_title["accepted"].meeting_platform == "meet"
    assert (by_title[""].meeting_url, by_title[""].meeting_platform) == (None, None)
    assert (by_title["accepted"].event_type, by_title["accepted"].bot_scheduled) == ("one_off", False)
    daily = [one for one in listed if one.title == "Standup"]
    assert [one.is_exception for one in daily] == [False, True, False, False]
    assert {(one.event_type, one.meeting_platform) for one in daily} == {("recurring", "zoom")}
    assert len({one.series_id for one in daily}) == 1
    assert len({one.series_id for one in listed}) == 6

    for one in listed:
        shown = (await vendor.ask("GET", f"/v2/calendars/{calendar_id}/events/{one.event_id}")).data
        assert (shown.series_id, shown.status, shown.start_time) == (one.series_id, one.status, one.start_time)
        assert shown.calendar_platform == "google"
        assert shown.raw_payload["status"] in {"confirmed", "cancelled"}
    event = (await vendor.ask("GET", f"/v2/calendars/{calendar_id}/events/{by_title['tentative'].event_id}")).data
    assert {one.email: one.response_status for one in event.attendees}[ADA] == "tentative"
    assert event.organizer_email == GRACE
    all_day = (await vendor.ask("GET", f"/v2/calendars/{calendar_id}/events/{by_title[''].event_id}")).data
    assert (all_day.is_all_day, all_day.start_time) == (True, "2026-03-05T00:00:00Z")


async def test_series_hold_their_events(vendor: JudgedClient, stage: Stage, given_v2: dict[str, Any]) -> None:
    world = stage.world
    gone = world.add_meeting(ADA, "gone", in_minutes=120)
    world.add_event(ADA, DAILY)
    calendar_id = await connected(vendor, stage, given_v2)
    world.cancel_event(ADA, gone["id"])
    await stage.sync_again(UUID(calendar_id))
    path = f"/v2/calendars/{calendar_id}/series"

    both = {one.event_type: one for one in (await vendor.ask("GET", path)).data}
    listed = (await vendor.ask("GET", f"/v2/calendars/{calendar_id}/events")).data
    for kind, series in both.items():
        mine = [one.event_id for one in listed if one.series_id == series.series_id]
        assert [one.event_id for one in series.events] == mine
        (alone,) = (await vendor.ask("GET", f"{path}?event_type={kind}")).data
        assert alone == series
    assert len(both["recurring"].events) == 4
    assert len((await vendor.ask("GET", f"{path}?event_type=one_off,recurring")).data) == 2
    hidden = (await vendor.ask("GET", f"{path}?event_type=one_off&show_cancelled=false")).data
    assert [one.events for one in hidden] == [[]]


async def test_a_single_event_that_becomes_a_series_is_two_series(
    vendor: JudgedClient, stage: Stage, given_v2: dict[str, Any]
) -> None:
    event = stage.world.add_event(ADA, {**DAILY, "recurrence": None})
    calendar_id = await connected(vendor, stage, given_v2)
    stage.world.edit_event(ADA, event["id"], {"recurrence": DAILY["recurrence"]})
    await stage.sync_again(UUID(calendar_id))
    series = (await vendor.ask("GET", f"/v2/calendars/{calendar_id}/series")).data
    found = {one.event_type: [event.status for event in one.events] for one in series}
    assert found == {"one_off": ["cancelled"], "recurring": ["confirmed"] * 4}


@pytest.mark.parametrize(
    ("query", "titles"),
    [
        pytest.param("", ["first", "declined", "last"], id="all"),
        pytest.param("show_cancelled=false", ["first", "last"], id="not-cancelled"),
        pytest.param("status=cancelled", ["declined"], id="declined-is-cancelled"),
        pytest.param("status=confirmed", ["first", "last"], id="confirmed"),
        pytest.param("status=tentative,cancelled", ["declined"], id="two"),
        pytest.param("status=cancelled&show_cancelled=false", [], id="contradiction"),
        pytest.param("start_date=2026-03-02T10:00:00Z", ["declined", "last"], id="starts-from"),
        pytest.param("end_date=2026-03-02T10:30:00Z", ["first", "declined"], id="ends-until"),
        pytest.param("end_date=2026-03-02T10:29:59.999Z", ["first"], id="ends-before"),
        pytest.param("limit=1&x=y", ["first"], id="limit"),
    ],
)
async def test_events_are_filtered(
    vendor: JudgedClient, stage: Stage, given_v2: dict[str, Any], query: str, titles: list[str]
) -> None:
    stage.world.add_account(GRACE)
    stage.world.add_meeting(ADA, "first", in_minutes=30)
    event = stage.world.add_meeting(GRACE, "declined", in_minutes=60, attendees=[ADA])
    stage.world.respond(GRACE, event["id"], ADA, "declined")
    stage.world.add_meeting(ADA, "last", in_minutes=90)
    calendar_id = await connected(vendor, stage, given_v2)
    found = await vendor.ask("GET", f"/v2/calendars/{calendar_id}/events?{query}")
    assert [one.title for one in found.data] == titles


@pytest.mark.parametrize(
    ("wrong", "status", "code"),
    [
        pytest.param({"oauth_refresh_token": "1//no"}, 401, "FST_ERR_OAUTH_TOKEN_REFRESH_FAILED", id="grant"),
        pytest.param({"oauth_client_secret": "other"}, 401, "FST_ERR_OAUTH_TOKEN_REFRESH_FAILED", id="client"),
        pytest.param({"raw_calendar_id": "none@example.com"}, 400, "FST_ERR_RAW_CALENDAR_NOT_FOUND", id="calendar"),
        pytest.param({"raw_calendar_id": None}, 400, "FST_ERR_VALIDATION", id="no-calendar"),
        pytest.param({"oauth_refresh_token": ""}, 400, "FST_ERR_VALIDATION", id="empty-token"),
        pytest.param({"oauth_refresh_token": 7}, 400, "FST_ERR_VALIDATION", id="number"),
        pytest.param({"calendar_platform": "icloud"}, 400, "FST_ERR_VALIDATION", id="platform"),
        pytest.param({"calendar_platform": ["google"]}, 400, "FST_ERR_VALIDATION", id="platforms"),
    ],
)
async def test_credentials_that_are_refused_store_nothing(
    vendor: JudgedClient, stage: Stage, given_v2: dict[str, Any], wrong: dict[str, Any], status: int, code: str
) -> None:
    assert await vendor.refused(status, "POST", "/v2/calendars", given_v2 | wrong) == code
    assert [await stage.count(table) for table in ("calendars", "connections", "oauth_clients")] == [0, 0, 0]
    assert given_v2["oauth_client_secret"] not in vendor.last.text


async def test_a_grant_without_the_scope_is_forbidden(
    vendor: JudgedClient, stage: Stage, given_v2: dict[str, Any]
) -> None:
    narrow = stage.world.grant(ADA, given_v2["oauth_client_id"], ["openid"])
    given = given_v2 | {"oauth_refresh_token": narrow}
    for path in ("/v2/calendars/list-raw", "/v2/calendars"):
        assert await vendor.refused(403, "POST", path, given) == "FST_ERR_CALENDAR_PERMISSION_DENIED"
    assert await stage.count("calendars") == 0


async def test_what_is_missing_is_named_as_the_dialect_names_it(vendor: JudgedClient) -> None:
    refused = await vendor.ask("POST", "/v2/calendars", {"calendar_platform": "google"})
    assert refused.status_code == 400
    for name in ("oauth_client_id", "oauth_client_secret", "oauth_refresh_token"):
        assert f"{name}: is required" in refused.details
        assert name in refused.message


async def test_a_provider_that_cannot_answer_is_503_and_worth_a_retry(
    vendor: JudgedClient, stage: Stage, given_v2: dict[str, Any]
) -> None:
    stage.world.add_fault("backend_503", times=50)
    assert await vendor.refused(503, "POST", "/v2/calendars", given_v2) == "FST_ERR_PROVIDER_UNAVAILABLE"
    assert int(vendor.last.headers["retry-after"]) > 0
