"""events.list and calendarList.list: windows, order, pages, filters, and what a reader may see."""

from datetime import timedelta

import pytest
from judged_caller import ADA, GRACE, Caller, all_day, timed, weekly

WINDOWS = [
    pytest.param("2025-03-25T08:00:00Z", "2025-03-25T12:00:00Z", True, id="inside"),
    pytest.param("2025-03-25T08:30:00Z", "2025-03-25T08:45:00Z", True, id="window-within-the-event"),
    pytest.param("2025-03-25T09:00:00Z", "2025-03-25T12:00:00Z", False, id="ends-at-time-min"),
    pytest.param("2025-03-25T08:59:59Z", "2025-03-25T12:00:00Z", True, id="ends-just-after-time-min"),
    pytest.param("2025-03-25T06:00:00Z", "2025-03-25T08:00:00Z", False, id="starts-at-time-max"),
    pytest.param("2025-03-25T06:00:00Z", "2025-03-25T08:00:01Z", True, id="starts-just-before-time-max"),
]
BAD = [
    ({"maxResults": "0"}, "invalidParameter"),
    ({"maxResults": "many"}, "invalidParameter"),
    ({"singleEvents": "yes"}, "invalidParameter"),
    ({"orderBy": "summary"}, "invalidParameter"),
    ({"orderBy": "startTime"}, "badRequest"),
    ({"timeMin": "2025-03-25T00:00:00"}, "invalid"),
    ({"timeMax": "tomorrow"}, "invalid"),
    ({"timeMin": "2025-03-25T00:00:00Z", "timeMax": "2025-03-25T00:00:00Z"}, "timeRangeEmpty"),
    ({"timeZone": "Mars/Olympus"}, "invalid"),
    ({"pageToken": "garbage"}, "invalid"),
    ({"eventTypes": "party"}, "invalidParameter"),
]


@pytest.mark.parametrize(("low", "high", "found"), WINDOWS)
@pytest.mark.parametrize("expanded", ["true", "false"])
def test_bounds_are_exclusive(google, world, low, high, found, expanded):
    world.add_event(ADA, timed("2025-03-25T09:00:00+01:00"))
    assert bool(google.events(timeMin=low, timeMax=high, singleEvents=expanded).items) is found


def test_an_all_day_event_lies_in_the_zone_of_its_calendar(google, world):
    world.add_event(ADA, all_day("2025-03-25", "2025-03-26"))
    assert google.expanded(timeMin="2025-03-25T22:59:00Z").items != []
    assert google.expanded(timeMin="2025-03-25T23:00:00Z").items == []
    assert google.expanded(timeMax="2025-03-24T23:00:00Z").items == []


@pytest.mark.parametrize(("params", "reason"), BAD)
def test_bad_parameters_are_a_400(google, params, reason):
    google.judging = False
    reply = google.events(**params)
    assert (reply.status, reply.reason) == (400, reason)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 250])
@pytest.mark.parametrize("order", [{}, {"orderBy": "startTime"}, {"orderBy": "updated"}])
def test_pages_bring_every_row_once(google, world, size, order):
    for hour in range(3):
        world.add_event(ADA, timed(f"2025-03-25T0{9 - hour}:00:00+01:00"))
    world.add_event(ADA, weekly(rule="FREQ=DAILY;COUNT=4"))
    whole = google.expanded(**order).ids
    ids: list[str] = []
    params = dict(order)
    while True:
        reply = google.expanded(maxResults=size, **params)
        assert len(reply.items) <= size
        ids += reply.ids
        if "nextPageToken" not in reply.json:
            break
        params["pageToken"] = reply.json["nextPageToken"]
    assert ids == whole
    assert len(set(ids)) == 7


@pytest.mark.parametrize(
    "settings", [{"short_pages": True}, {"empty_pages": 2}, {"short_pages": True, "empty_pages": 1}]
)
def test_pages_may_be_short_or_empty(google, world, settings):
    for hour in range(6):
        event = world.add_event(ADA, timed(f"2025-03-25T1{hour}:00:00+01:00"))
        if hour % 2:
            world.cancel_event(ADA, event["id"])
    world.set(**settings)
    pages = []
    params: dict[str, str] = {}
    while True:
        reply = google.expanded(maxResults=1, **params)
        pages.append(len(reply.items))
        if "nextPageToken" not in reply.json:
            break
        params["pageToken"] = reply.json["nextPageToken"]
    assert sum(pages) == 3
    assert 0 in pages
    assert reply.token


def test_a_change_between_pages_is_in_the_next_delta(google, world):
    events = [world.add_event(ADA, timed(f"2025-03-25T1{hour}:00:00+01:00")) for hour in range(4)]
    first = google.expanded(maxResults=2)
    for event in events:
        world.edit_event(ADA, event["id"], {"summary": "Changed"})
    last = google.expanded(maxResults=2, pageToken=first.json["nextPageToken"])
    assert set(google.expanded(syncToken=last.token).ids) == {event["id"] for event in events}


@pytest.mark.parametrize("change", [{"timeMin": "2025-01-01T00:00:00Z"}, {"singleEvents": "false"}, {"q": "x"}])
def test_a_page_token_goes_with_its_own_parameters(google, world, change):
    for hour in range(3):
        world.add_event(ADA, timed(f"2025-03-25T1{hour}:00:00+01:00"))
    token = google.expanded(maxResults=1).json["nextPageToken"]
    assert google.events(**{"singleEvents": "true", "pageToken": token, **change}).status == 400


def test_filters(google, world):
    focus = world.add_event(ADA, timed("2025-03-25T09:00:00+01:00", eventType="focusTime"))
    marked = world.add_event(
        ADA, timed("2025-03-25T10:00:00+01:00", extendedProperties={"private": {"bot": "1"}, "shared": {"a": "b"}})
    )
    named = world.add_event(ADA, timed("2025-03-25T11:00:00+01:00", summary="Quarterly", location="Lyon"))
    assert google.events(eventTypes=["focusTime", "birthday"]).ids == [focus["id"]]
    assert google.events(privateExtendedProperty=["bot=1"]).ids == [marked["id"]]
    assert google.events(sharedExtendedProperty=["a=b"], privateExtendedProperty=["bot=1"]).ids == [marked["id"]]
    assert google.events(privateExtendedProperty=["bot=2"]).ids == []
    assert google.events(q="lyon quarterly").ids == [named["id"]]
    assert google.events(iCalUID=named["iCalUID"]).ids == [named["id"]]


def test_updated_min(google, world, now):
    world.add_event(ADA, timed("2025-03-25T09:00:00+01:00"))
    now[0] += timedelta(hours=2)
    google.access_token = google.refresh().json["access_token"]
    late = world.add_event(ADA, timed("2025-03-25T09:00:00+01:00"))
    assert google.events(updatedMin="2025-03-24T09:00:00Z").ids == [late["id"]]
    reply = google.events(updatedMin="2024-03-24T09:00:00Z")
    assert (reply.status, reply.reason) == (410, "updatedMinTooLongAgo")


def test_times_are_shown_in_the_zone_asked_for(google, world):
    world.add_event(ADA, timed("2025-03-25T09:00:00-04:00", zone="America/New_York"))
    assert google.events().items[0]["start"] == {
        "dateTime": "2025-03-25T14:00:00+01:00",
        "timeZone": "America/New_York",
    }
    reply = google.events(timeZone="UTC")
    assert reply.json["timeZone"] == "UTC"
    assert reply.items[0]["start"]["dateTime"] == "2025-03-25T13:00:00Z"


def test_self_is_relative_to_the_calendar(google, grace, world):
    world.add_event(ADA, timed("2025-03-25T09:00:00+01:00", attendees=[{"email": ADA}, {"email": GRACE}]))
    mine, hers = google.events().items[0], grace.events().items[0]
    assert (mine["id"], mine["iCalUID"]) == (hers["id"], hers["iCalUID"])
    assert (mine["organizer"], hers["organizer"]) == ({"email": ADA, "self": True}, {"email": ADA})
    assert [each.get("self") for each in mine["attendees"]] == [True, None]
    assert [each.get("self") for each in hers["attendees"]] == [None, True]
    assert hers["attendees"][0]["organizer"] is True


def test_nobody_is_self_on_a_secondary_calendar(google, world):
    team = world.add_calendar(ADA, "Team")
    world.add_event(team, timed("2025-03-25T09:00:00+01:00", attendees=[{"email": ADA}]))
    (row,) = google.events(team).items
    assert row["organizer"] == {"email": team, "self": True}
    assert "self" not in row["attendees"][0]


def test_a_long_guest_list_may_be_cut(google, world):
    guests = [{"email": ADA}, *({"email": f"guest{number}@example.com"} for number in range(5))]
    world.add_event(ADA, timed("2025-03-25T09:00:00+01:00", attendees=guests))
    assert len(google.events(maxAttendees=6).items[0]["attendees"]) == 6
    row = google.events(maxAttendees=5).items[0]
    assert (row["attendeesOmitted"], [each["email"] for each in row["attendees"]]) == (True, [ADA])


def test_hidden_guests(grace, world):
    body = timed(
        "2025-03-25T09:00:00+01:00", attendees=[{"email": ADA}, {"email": GRACE}], guestsCanSeeOtherGuests=False
    )
    world.add_event(ADA, body)
    assert [each["email"] for each in grace.events().items[0]["attendees"]] == [GRACE]


@pytest.mark.parametrize(
    ("role", "visibility", "summary"),
    [
        ("freeBusyReader", "default", None),
        ("reader", "default", "Meeting"),
        ("reader", "private", None),
        ("writerWithoutPrivateAccess", "confidential", None),
        ("writer", "private", "Meeting"),
        ("owner", "private", "Meeting"),
    ],
)
def test_what_a_role_sees(grace, world, role, visibility, summary):
    world.share_calendar(ADA, GRACE, role)
    world.add_event(ADA, timed("2025-03-25T09:00:00+01:00", visibility=visibility))
    reply = grace.events(ADA)
    assert reply.json["accessRole"] == role
    assert reply.items[0].get("summary") == summary
    if summary is None:
        assert reply.items[0]["visibility"] == "private"


@pytest.mark.parametrize("calendar", ["nobody@example.com", GRACE, "c_none@group.calendar.google.com"])
def test_a_calendar_not_shared_is_not_found(google, calendar):
    reply = google.events(calendar)
    assert (reply.status, reply.reason) == (404, "notFound")


def test_a_deleted_calendar_is_not_found_and_a_deleted_entry(google, world):
    team = world.add_calendar(ADA, "Team")
    token = google.get("/users/me/calendarList").token
    world.delete_calendar(team)
    assert google.events(team).status == 404
    assert google.get("/users/me/calendarList").ids == [ADA]
    (row,) = google.get("/users/me/calendarList", syncToken=token).items
    assert (row["id"], row["deleted"]) == (team, True)


def test_an_account_without_calendar(google, world):
    world.set_account(ADA, status="not_a_calendar_user")
    assert google.events().reason == "notACalendarUser"


def test_primary_is_a_keyword(google):
    assert google.get("/users/me/calendarList/primary").json["id"] == ADA
    assert google.get("/users/me/calendarList/primary").json["primary"] is True
    assert google.get("/calendars/primary").json["timeZone"] == "Europe/Paris"


def test_calendar_ids_may_hold_a_hash(google, world):
    world.add_calendar(ADA, "Holidays", kind="holiday", id="en.usa#holiday@group.v.calendar.google.com")
    assert google.events("en.usa#holiday@group.v.calendar.google.com").json["summary"] == "Holidays"


def test_the_list_of_calendars_hides_filters_and_pages(google, world):
    ids = [world.add_calendar(ADA, f"Calendar {number}") for number in range(3)]
    world.share_calendar(GRACE, ADA, "reader")
    world.set_list_entry(ADA, ids[0], hidden=True, summary_override="Mine")
    path = "/users/me/calendarList"
    assert set(google.get(path).ids) == {ADA, GRACE, *ids[1:]}
    assert google.get(path, showHidden="true").rows[ids[0]]["summaryOverride"] == "Mine"
    assert GRACE not in google.get(path, minAccessRole="writer").ids
    first = google.get(path, maxResults=3)
    rest = google.get(path, maxResults=3, pageToken=first.json["nextPageToken"])
    assert len(first.ids + rest.ids) == 4
    assert "nextSyncToken" not in first.json


@pytest.mark.parametrize("params", [{"minAccessRole": "owner"}, {"showDeleted": "false"}, {"showHidden": "false"}])
def test_the_list_of_calendars_has_sync_rules_too(google, params):
    token = google.get("/users/me/calendarList").token
    assert google.get("/users/me/calendarList", syncToken=token, **params).status == 400


def test_the_list_of_calendars_in_increments(google, world):
    path = "/users/me/calendarList"
    token = google.get(path).token
    assert google.get(path, syncToken=token).items == []
    team = world.add_calendar(ADA, "Team")
    world.set_list_entry(ADA, team, hidden=True)
    assert google.get(path, syncToken=token).ids == [team]
    world.invalidate_sync_tokens()
    assert google.get(path, syncToken=token).reason == "fullSyncRequired"
    assert google.get(path, syncToken="garbage").status == 400


def test_a_changed_role_invalidates_sync_tokens(grace, world):
    world.share_calendar(ADA, GRACE, "reader")
    token = grace.events(ADA).token
    world.share_calendar(ADA, GRACE, "writer")
    assert grace.events(ADA, syncToken=token).reason == "fullSyncRequired"


def test_two_accounts_of_one_world_do_not_see_each_other(world):
    both = Caller(world, ADA), Caller(world, GRACE)
    world.add_event(ADA, timed("2025-03-25T09:00:00+01:00"))
    assert [len(each.events().items) for each in both] == [1, 0]
