"""Events with a call at Zoom: made with the event, moved with it, gone with it, and once whatever becomes of the answers."""

from typing import Any

import httpx
import pytest
from hosted.house import ADA, BEN, House, decide

pytestmark = pytest.mark.anyio
TIMES = {"starts_at": "2026-03-03T10:00:00Z", "ends_at": "2026-03-03T11:00:00Z"}


async def sign_in(
    house: House, browser: httpx.AsyncClient, provider: str, email: str = ADA, **query: Any
) -> dict[str, Any]:
    """A connection, made by its user."""
    url = await house.url(provider, access="write", **query)
    answer = await decide(browser, url, email)
    assert answer.status_code == 200, answer.text
    return next(each for each in await house.connections(provider=provider) if each["email"] == email)


@pytest.fixture
async def calendar(house: House, browser: httpx.AsyncClient) -> str:
    """Ada's calendar at Google; her Zoom account is connected, too."""
    for provider in ("google", "zoom"):
        await house.register(provider)
    connection = await sign_in(house, browser, "google", user_id="ada")
    await sign_in(house, browser, "zoom", user_id="ada")
    found: str = connection["calendars"][0]["id"]
    return found


async def write(house: House, calendar: str, status: int = 201, **more: Any) -> dict[str, Any]:
    wish = {"title": "Review", "conference": "zoom", **TIMES, **more}
    answer = await house.api.post(f"/calendars/{calendar}/events", json=wish)
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    return found


def meetings(house: House) -> list[dict[str, Any]]:
    return house.zoom.read_meetings(ADA)


async def test_an_event_has_its_call_and_both_move_and_go_together(house: House, calendar: str):
    event = await write(house, calendar, description="The plan.")
    (meeting,) = meetings(house)
    assert event["meeting"]["platform"] == "zoom"
    assert event["meeting"]["meeting_id"] == str(meeting["id"])
    assert meeting["join_url"].startswith(event["meeting"]["url"].partition("?")[0])
    assert meeting["start_time"] == "2026-03-03T10:00:00Z"
    assert event["location"] == meeting["join_url"]
    assert event["description"].startswith("The plan.")

    moved = await house.api.patch(f"/events/{event['id']}", json={"starts_at": "2026-03-03T15:00:00Z"})
    assert moved.status_code == 200, moved.text
    (meeting,) = meetings(house)
    assert meeting["start_time"] == "2026-03-03T15:00:00Z"
    assert moved.json()["meeting"]["meeting_id"] == str(meeting["id"])

    assert (await house.api.delete(f"/events/{event['id']}")).status_code == 204
    assert meetings(house) == []


@pytest.mark.parametrize("change", [{"starts_at": "2026-03-03T15:00:00Z"}, {"conference": "none"}], ids=["move", "off"])
async def test_a_change_that_is_refused_leaves_the_call_alone(house: House, calendar: str, change: dict[str, str]):
    event = await write(house, calendar)
    house.google.edit_event(ADA, event["provider_event_id"], {"summary": "Theirs"})
    answer = await house.api.patch(f"/events/{event['id']}", json=change, headers={"if-match": '"1"'})
    assert answer.status_code == 412
    (meeting,) = meetings(house)
    assert meeting["start_time"] == "2026-03-03T10:00:00Z"


async def test_a_change_that_is_refused_leaves_no_call_that_was_made_for_it(house: House, calendar: str):
    event = await write(house, calendar, conference="none")
    house.google.edit_event(ADA, event["provider_event_id"], {"summary": "Theirs"})
    for _ in range(2):
        answer = await house.api.patch(
            f"/events/{event['id']}", json={"conference": "zoom"}, headers={"if-match": '"1"'}
        )
        assert answer.status_code == 412
    assert meetings(house) == []


async def test_a_call_that_was_deleted_at_zoom_is_made_anew_with_the_next_change(house: House, calendar: str):
    event = await write(house, calendar)
    (meeting,) = meetings(house)
    house.zoom.delete_meeting(ADA, meeting["id"])
    answer = await house.api.patch(f"/events/{event['id']}", json={"starts_at": "2026-03-03T15:00:00Z"})
    assert answer.status_code == 200, answer.text
    (again,) = meetings(house)
    assert again["id"] != meeting["id"]
    assert answer.json()["meeting"]["meeting_id"] == str(again["id"])


async def test_a_call_is_taken_off_and_put_on(house: House, calendar: str):
    event = await write(house, calendar)
    off = (await house.api.patch(f"/events/{event['id']}", json={"conference": "none"})).json()
    assert (off["meeting"], meetings(house)) == (None, [])
    on = (await house.api.patch(f"/events/{event['id']}", json={"conference": "zoom"})).json()
    assert on["meeting"]["platform"] == "zoom"
    assert len(meetings(house)) == 1


@pytest.mark.parametrize("conference", ["none", "google_meet", "zoom"])
async def test_one_occurrence_has_the_call_of_its_series(house: House, calendar: str, conference: str):
    event = await write(house, calendar, recurrence=["RRULE:FREQ=DAILY;COUNT=3"])
    listed = (await house.api.get("/events", params={"series_id": event["series_id"]})).json()["data"]
    answer = await house.api.patch(f"/events/{listed[1]['id']}", json={"conference": conference})
    assert answer.status_code == 422, answer.text
    assert (answer.json()["errors"][0]["field"], "series=true" in answer.json()["detail"]) == ("conference", True)
    assert (await house.api.patch(f"/events/{listed[1]['id']}", json={"title": "Renamed"})).status_code == 200
    whole = await house.api.patch(f"/events/{listed[1]['id']}?series=true", json={"conference": "none"})
    assert (whole.status_code, meetings(house)) == (200, []), whole.text


async def test_an_event_has_one_call_whichever_it_was_before(house: House, calendar: str):
    event = await write(house, calendar, conference="google_meet")
    for conference, platform, at_zoom in (("zoom", "zoom", 1), ("google_meet", "google_meet", 0), ("zoom", "zoom", 1)):
        answer = await house.api.patch(f"/events/{event['id']}", json={"conference": conference})
        assert (answer.status_code, answer.json()["meeting"]["platform"]) == (200, platform), answer.text
        assert len(meetings(house)) == at_zoom
        (there,) = house.google.read_truth(ADA)
        assert ("conferenceData" in there) == (platform == "google_meet")


async def test_the_link_is_shown_though_everything_else_is_hidden(house: House, calendar: str):
    (connection,) = await house.connections(provider="google")
    hidden = {"show_title": False, "show_description": False, "show_location": False}
    await house.api.patch(f"/connections/{connection['id']}", json={"event_privacy": hidden})
    event = await write(house, calendar, description="secret", location="Room 5")
    assert event["title"] == "Busy"
    assert "secret" not in event["description"]
    assert event["meeting"]["platform"] == "zoom"


async def test_calls_are_as_the_settings_say(house: House, calendar: str):
    (connection,) = await house.connections(provider="zoom")
    wanted = {"join_before_host": True, "waiting_room": False, "mute_upon_entry": True, "auto_recording": "cloud"}
    answer = await house.api.patch(f"/connections/{connection['id']}", json={"zoom_settings": wanted})
    assert answer.status_code == 200, answer.text
    await write(house, calendar)
    (meeting,) = meetings(house)
    assert {name: meeting["settings"][name] for name in wanted} == wanted


async def test_settings_that_the_account_overrides_are_in_the_log(
    house: House, calendar: str, caplog: pytest.LogCaptureFixture
):
    (connection,) = await house.connections(provider="zoom")
    wanted = {"zoom_settings": {"waiting_room": False, "mute_upon_entry": True}}
    await house.api.patch(f"/connections/{connection['id']}", json=wanted)
    house.zoom.set_policy(ADA, waiting_room=True)
    await write(house, calendar)
    (told,) = [each.getMessage() for each in caplog.records if each.name == "service.flows.writing.calls"]
    assert told == f"connection {connection['id']}: the Zoom account overrides zoom_settings (waiting_room)"


async def test_whoever_has_no_zoom_is_told_so_and_nothing_is_written(
    house: House, browser: httpx.AsyncClient, calendar: str
):
    other = await sign_in(house, browser, "google", BEN, user_id="ben")
    problem = await write(house, other["calendars"][0]["id"], 409)
    assert "connect one" in problem["detail"]
    assert house.google.read_truth(BEN) == []


async def test_a_user_whose_zoom_grant_is_gone_is_asked_to_connect_again(house: House, calendar: str):
    house.zoom.revoke_consent(ADA)
    problem = await write(house, calendar, 422)
    assert problem["code"] == "credentials_rejected"
    (connection,) = await house.connections(provider="zoom")
    assert (connection["status"], connection["error_code"]) == ("token_expired", "credentials_rejected")
    assert house.google.read_truth(ADA) == []


@pytest.mark.parametrize("is_done", [True, False], ids=["done", "not-done"])
async def test_an_answer_that_is_lost_makes_no_second_call(house: House, calendar: str, is_done: bool):
    for number in range(4):
        house.zoom.add_fault("error_500", endpoint="meetings.create", times=1, after=is_done)
        answer = await house.api.post(
            f"/calendars/{calendar}/events",
            json={"title": f"Review {number}", "conference": "zoom", **TIMES},
            headers={"idempotency-key": f"key-{number}"},
        )
        assert answer.status_code == 201, answer.text
    assert len(meetings(house)) == 4
    assert len(house.google.read_truth(ADA)) == 4


@pytest.mark.parametrize("loss", ["deleted", "revoked"])
async def test_an_event_goes_on_without_the_zoom_account_of_its_call(house: House, calendar: str, loss: str):
    event = await write(house, calendar)
    (zoom,) = await house.connections(provider="zoom")
    if loss == "deleted":
        assert (await house.api.delete(f"/connections/{zoom['id']}")).status_code == 204
    else:
        house.zoom.revoke_consent(ADA)
    for start in ("2026-03-03T15:00:00Z", "2026-03-03T16:00:00Z"):
        moved = await house.api.patch(f"/events/{event['id']}", json={"starts_at": start})
        assert moved.status_code == 200, moved.text
        assert moved.json()["starts_at"] == start
        assert moved.json()["meeting"]["url"] == event["meeting"]["url"]
        (row,) = house.google.read_truth(ADA)
        assert row["start"]["dateTime"].startswith(start[:13])
    assert (await house.api.delete(f"/events/{event['id']}")).status_code == 204
