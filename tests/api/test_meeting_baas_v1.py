"""The v1 routes of Meeting BaaS: each answer as published, the aliases of its older guide, its pages and filters."""

from typing import Any
from uuid import UUID

import httpx
import pytest
from api.judged_client import JudgedClient
from flows.stage import Stage
from litestar import Litestar

from service.flows import connect
from simulator.google.world import World

pytestmark = pytest.mark.anyio

ADA = "ada@example.com"
DAILY = {
    "summary": "Standup",
    "location": "https://meet.google.com/abc-defg-hij",
    "start": {"dateTime": "2026-03-03T09:00:00Z", "timeZone": "UTC"},
    "end": {"dateTime": "2026-03-03T09:15:00Z", "timeZone": "UTC"},
    "recurrence": ["RRULE:FREQ=DAILY;COUNT=4"],
}


async def connected(vendor: JudgedClient, stage: Stage, given: dict[str, Any]) -> str:
    made = await vendor.ask("POST", "/calendars/", given)
    await stage.sync()
    uuid: str = made.calendar.uuid
    return uuid


async def test_a_calendar_is_looked_up_connected_listed_shown_and_let_go(
    vendor: JudgedClient, stage: Stage, given_v1: dict[str, Any]
) -> None:
    (raw,) = (await vendor.ask("POST", "/calendars/raw", given_v1)).calendars
    assert (raw.id, raw.email, raw.is_primary) == (ADA, ADA, True)
    assert await vendor.ask("GET", "/calendars/") == []

    made = (await vendor.ask("POST", "/calendars/", given_v1 | {"raw_calendar_id": "primary"})).calendar
    assert (made.google_id, made.email, made.name) == (ADA, ADA, ADA)
    assert await vendor.ask("GET", "/calendars/") == [made]
    assert await vendor.ask("GET", f"/calendars/{made.uuid}") == made
    await stage.sync()
    await stage.renew_channels()
    assert (await vendor.ask("GET", f"/calendars/{made.uuid}")).resource_id

    assert await vendor.ask("DELETE", f"/calendars/{made.uuid}") is None
    assert await vendor.refused(404, "GET", f"/calendars/{made.uuid}") == "CalendarNotFound"
    assert await vendor.refused(404, "DELETE", f"/calendars/{made.uuid}") == "CalendarNotFound"


async def test_connecting_again_keeps_the_id(vendor: JudgedClient, given_v1: dict[str, Any]) -> None:
    first = await vendor.ask("POST", "/calendars/", given_v1)
    assert (await vendor.ask("POST", "/calendars", given_v1)).calendar.uuid == first.calendar.uuid


async def test_new_credentials_keep_the_id_and_start_the_calendar_anew(
    vendor: JudgedClient, stage: Stage, given_v1: dict[str, Any]
) -> None:
    uuid = await connected(vendor, stage, given_v1)
    assert (await vendor.ask("PATCH", f"/calendars/{uuid}", given_v1)).calendar.uuid == uuid
    assert (await stage.calendar(UUID(uuid))).status == "syncing"


async def test_an_event_is_told_as_published(vendor: JudgedClient, stage: Stage, given_v1: dict[str, Any]) -> None:
    stage.world.add_meeting(ADA, "Review", in_minutes=30, attendees=["grace@example.com"])
    stage.world.add_event(ADA, DAILY)
    uuid = await connected(vendor, stage, given_v1)
    review, *standups = (await vendor.ask("GET", f"/calendar_events/?calendar_id={uuid}")).data

    assert (review.name, review.is_organizer, review.is_recurring) == ("Review", True, False)
    assert review.recurring_event_id is None
    assert "grace@example.com" in [one.email for one in review.attendees]
    assert review.raw["summary"] == "Review"
    assert (review.start_time, review.end_time) == ("2026-03-02T09:30:00Z", "2026-03-02T10:00:00Z")
    assert review.meeting_url.startswith("https://meet.google.com/")
    assert review.calendar_uuid == uuid
    assert (review.bot_param, review.deleted) == (None, False)
    assert len(standups) == 4
    assert len({one.recurring_event_id for one in standups}) == 1
    assert all(one.is_recurring and one.recurring_event_id for one in standups)
    assert await vendor.ask("GET", f"/calendar_events/{review.uuid}/") == review
    assert await vendor.ask("GET", f"/calendars/{uuid}/events/{review.uuid}") == review


async def test_what_was_cancelled_stays_as_a_tombstone(
    vendor: JudgedClient, stage: Stage, given_v1: dict[str, Any]
) -> None:
    event = stage.world.add_meeting(ADA, "Review", in_minutes=30)
    uuid = await connected(vendor, stage, given_v1)
    stage.clock.advance(60)
    stage.world.cancel_event(ADA, event["id"])
    await vendor.ask("POST", "/calendars/resync_all?days=7")
    await stage.sync()
    changed = f"/calendar_events/?calendar_id={uuid}&updated_at_gte=2026-03-02T09:01:00Z"
    (gone,) = (await vendor.ask("GET", changed)).data
    assert gone.deleted is True
    assert (await vendor.ask("GET", f"/calendar_events/{gone.uuid}")).deleted is True


async def test_a_declined_event_is_not_deleted(vendor: JudgedClient, stage: Stage, given_v1: dict[str, Any]) -> None:
    stage.world.add_account("grace@example.com")
    event = stage.world.add_meeting("grace@example.com", "Review", in_minutes=30, attendees=[ADA])
    stage.world.respond("grace@example.com", event["id"], ADA, "declined")
    uuid = await connected(vendor, stage, given_v1)
    (found,) = (await vendor.ask("GET", f"/calendar_events/?calendar_id={uuid}")).data
    assert (found.deleted, found.is_organizer) == (False, False)


async def test_pages_have_a_hundred_events_and_next_leads_on(
    vendor: JudgedClient, stage: Stage, given_v1: dict[str, Any]
) -> None:
    for number in range(120):
        stage.world.add_meeting(ADA, f"m{number}", in_minutes=30 + number)
    uuid = await connected(vendor, stage, given_v1)
    first = await vendor.ask("GET", f"/calendar_events/?calendar_id={uuid}&limit=3&offset=2")
    second = await vendor.ask("GET", "/calendar_events/", params={"calendar_id": uuid, "cursor": first.next})
    assert [one.name for one in first.data + second.data] == [f"m{number}" for number in range(120)]
    assert (len(first.data), second.next) == (100, None)
    assert await vendor.refused(422, "GET", f"/calendar_events/?calendar_id={uuid}&cursor=forged") == "ValidationFailed"


@pytest.mark.parametrize(
    ("query", "names"),
    [
        pytest.param("", ["running", "soon", "later"], id="upcoming-is-the-default"),
        pytest.param("status=upcoming", ["running", "soon", "later"], id="upcoming"),
        pytest.param("status=past", ["past"], id="past"),
        pytest.param("status=all", ["past", "running", "soon", "later"], id="all"),
        pytest.param("start_date_gte=2026-03-02T09:30:00Z", ["soon", "later"], id="from"),
        pytest.param("start_date_gte=2026-03-02T09:31:00Z", ["later"], id="from-later"),
        pytest.param("status=all&start_date_lte=2026-03-02T09:30:00Z", ["past", "running", "soon"], id="until"),
        pytest.param("start_date_gte=2026-03-02T10:30:00%2B01:00", ["soon", "later"], id="offset"),
        pytest.param("startDateGte=2026-03-03", ["later"], id="camel-case-and-a-day"),
        pytest.param("attendee_email=grace%40example.com", ["soon"], id="attendee"),
        pytest.param("attendeeEmail=GRACE@example.com", ["soon"], id="attendee-in-camel-case"),
        pytest.param("organizer_email=ada@example.com", ["running", "soon", "later"], id="organizer"),
        pytest.param("organizer_email=nobody@example.com", [], id="no-such-organizer"),
        pytest.param("updated_at_gte=2026-03-02T09:00:00Z", ["running", "soon", "later"], id="updated-then"),
        pytest.param("updated_at_gte=2026-03-02T09:00:01Z", [], id="updated-later"),
        pytest.param("status=&attendee_email=&unknown=1", ["running", "soon", "later"], id="empty-and-unknown"),
    ],
)
async def test_events_are_filtered(
    vendor: JudgedClient, stage: Stage, given_v1: dict[str, Any], query: str, names: list[str]
) -> None:
    stage.world.add_meeting(ADA, "past", in_minutes=-60)
    stage.world.add_meeting(ADA, "running", in_minutes=-10)
    stage.world.add_meeting(ADA, "soon", in_minutes=30, attendees=["grace@example.com"])
    stage.world.add_meeting(ADA, "later", in_minutes=60 * 24)
    uuid = await connected(vendor, stage, given_v1)
    found = await vendor.ask("GET", f"/calendar_events/?calendar_id={uuid}&{query}")
    assert [one.name for one in found.data] == names


async def test_resync_all_names_what_is_read_and_what_cannot_be(
    vendor: JudgedClient, stage: Stage, given_v1: dict[str, Any]
) -> None:
    uuid = await connected(vendor, stage, given_v1)
    other = await stage.connect("grace@example.com")
    await stage.sync()
    stage.world.revoke_consent("grace@example.com")
    stage.world.expire_access_tokens("grace@example.com")
    for _ in range(2):
        await stage.sync_again(other)
        stage.clock.advance(120)
    assert (await stage.calendar(other)).status == "disconnected"

    found = await vendor.ask("POST", "/calendars/resync_all")
    assert found.synced_calendars == [uuid]
    ((lost, why),) = found.errors
    assert lost == str(other)
    assert why
    assert await vendor.refused(422, "POST", "/calendars/resync_all?days=soon") == "ValidationFailed"


async def test_the_older_guides_ways_lead_to_the_same(
    api: Litestar, keys: dict[str, str], stage: Stage, credentials: dict[str, Any]
) -> None:
    old = JudgedClient(api, f"Bearer {keys['admin']}", "authorization")
    async with old.http:
        raw = await old.ask("GET", "/calendars/raw", credentials)
        assert await old.ask("GET", "/raw_calendars", credentials) == raw
        made = (await old.ask("POST", "/calendars", credentials | {"raw_calendar_id": raw.calendars[0].id})).calendar
        stage.world.add_meeting(ADA, "soon", in_minutes=30)
        stage.world.add_meeting(ADA, "later", in_minutes=60)
        await stage.sync()
        listed = await old.ask("GET", f"/calendars/{made.uuid}/events", {"start_date_gte": "2026-03-02T10:00:00Z"})
        assert [one.name for one in listed.data] == ["later"]
        assert len((await old.ask("GET", f"/calendars/{made.uuid}/events")).data) == 2


@pytest.mark.parametrize("header", ["x-meeting-baas-api-key", "x-spoke-api-key", "x-api-key"])
async def test_each_header_that_clients_have_sent_the_key_in_is_read(
    api: Litestar, keys: dict[str, str], header: str
) -> None:
    client = JudgedClient(api, keys["read"], header)
    async with client.http:
        assert await client.ask("GET", "/calendars/") == []
        assert await client.refused(403, "POST", "/calendars/resync_all") == "Forbidden"


async def test_the_vendors_headers_open_nothing_else(api: Litestar, keys: dict[str, str]) -> None:
    client = JudgedClient(api, keys["admin"])
    async with client.http:
        answer = await client.http.get(httpx.URL("http://calgate.test/calendars"))
    assert answer.status_code == 401


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/calendars"), ("POST", "/calendars/resync_all"), ("GET", "/bots/webhooks/calendar")],
    ids=lambda value: value.strip("/"),
)
async def test_both_slash_forms_answer_without_a_redirect(
    vendor: JudgedClient, method: str, path: str, slash: str
) -> None:
    await vendor.ask(method, path + slash)
    assert vendor.last.status_code == 200


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param({"headers": {"content-type": "application/json"}}, id="json-and-no-body"),
        pytest.param({"headers": {"content-type": "application/json"}, "content": b"{}"}, id="empty-object"),
        pytest.param({}, id="nothing"),
    ],
)
async def test_calls_without_a_body_may_say_so_in_any_way(
    vendor: JudgedClient, stage: Stage, given_v1: dict[str, Any], sent: dict[str, Any]
) -> None:
    uuid = await connected(vendor, stage, given_v1)
    for method, path in [
        ("GET", "/calendars/"),
        ("GET", f"/calendars/{uuid}"),
        ("GET", f"/calendar_events/?calendar_id={uuid}"),
        ("POST", "/calendars/resync_all"),
        ("DELETE", f"/calendars/{uuid}"),
    ]:
        await vendor.ask(method, path, **sent)
        assert vendor.last.status_code == 200, (method, path)


async def test_a_native_calendar_is_seen_and_the_other_way_round(
    vendor: JudgedClient, call: httpx.AsyncClient, stage: Stage, world: World, given_v1: dict[str, Any]
) -> None:
    uuid = await connected(vendor, stage, given_v1)
    assert (await call.get(f"/calendars/{uuid}")).json()["raw_calendar_id"] == ADA
    native = await stage.connect("grace@example.com")
    assert {one.uuid for one in await vendor.ask("GET", "/calendars/")} == {uuid, str(native)}
    listed = await vendor.ask("GET", "/v2/calendars")
    assert [one.calendar_id for one in listed.data] == [str(native), uuid]


async def test_a_repetition_under_a_key_gets_the_first_answer(vendor: JudgedClient, given_v1: dict[str, Any]) -> None:
    headers = {"idempotency-key": "one"}
    first = await vendor.ask("POST", "/calendars", given_v1, headers=headers)
    assert await vendor.ask("POST", "/calendars", given_v1, headers=headers) == first
    assert vendor.last.headers["idempotency-replayed"] == "true"


async def test_adding_for_somebody_who_wants_a_new_one_stores_nothing_of_an_old_one(stage: Stage) -> None:
    calendar_id = await stage.connect()
    before = await stage.calendar(calendar_id)
    with pytest.raises(connect.AlreadyConnected) as refused:
        await stage.post(stage.world.connect(ADA), renews=False)
    assert refused.value.calendar_id == calendar_id
    assert await stage.calendar(calendar_id) == before
