"""Sync tokens: what they refuse, what they bring, and how little a tombstone says."""

import base64

import pytest
from judged_caller import ADA, timed, weekly

TOMBSTONE = {"kind", "etag", "id", "status"}
EXCEPTION_TOMBSTONE = TOMBSTONE | {"recurringEventId", "originalStartTime"}
FORBIDDEN = [
    ("iCalUID", "x"), ("orderBy", "updated"), ("privateExtendedProperty", "a=b"), ("q", "x"),
    ("sharedExtendedProperty", "a=b"), ("timeMin", "2025-01-01T00:00:00Z"), ("timeMax", "2025-01-01T00:00:00Z"),
    ("updatedMin", "2025-03-20T00:00:00Z"), ("showDeleted", "false"),
]  # fmt: skip
LATE = "2025-03-24T18:00:00Z"


@pytest.mark.parametrize(("name", "value"), FORBIDDEN)
def test_a_sync_token_goes_with_no_filter(google, name, value):
    token = google.events().token
    reply = google.events(syncToken=token, **{name: value})
    assert (reply.status, reply.json["error"]["errors"][0]["location"]) == (400, name)


@pytest.mark.parametrize(
    "token", ["garbage", "", "AAAA", base64.b64encode(b"0000[1]").decode()], ids=["text", "empty", "short", "forged"]
)
def test_a_garbage_token_is_a_400_and_no_410(google, token):
    reply = google.events(syncToken=token)
    assert (reply.status, reply.reason) == (400, "invalid")
    assert reply.json["error"]["message"] == "Invalid sync token value."


def test_a_token_of_another_calendar_is_garbage(google, world):
    other = world.add_calendar(ADA, "Other")
    assert google.events(syncToken=google.events(other).token).status == 400


@pytest.mark.parametrize("change", [{"singleEvents": "false"}, {"timeZone": "UTC"}, {"eventTypes": ["default"]}])
def test_other_parameters_must_stay_the_same(google, change):
    token = google.expanded().token
    assert google.events(**{"singleEvents": "true", **change}, syncToken=token).status == 400


@pytest.mark.parametrize("change", [{"maxResults": 5}, {"fields": "items,nextSyncToken"}, {"showDeleted": "true"}])
def test_some_parameters_may_differ(google, change):
    assert google.expanded(syncToken=google.expanded().token, **change).status == 200


def test_invalidated_tokens_are_a_410(google, world):
    token = google.events().token
    world.invalidate_sync_tokens(ADA)
    reply = google.events(syncToken=token)
    assert (reply.status, reply.reason) == (410, "fullSyncRequired")
    assert reply.json["error"]["errors"][0]["domain"] == "calendar"
    assert google.events(syncToken=google.events().token).status == 200


@pytest.mark.parametrize(
    ("name", "value"), [("q", "x"), ("orderBy", "updated"), ("updatedMin", "2025-03-20T00:00:00Z"), ("iCalUID", "x")]
)
def test_a_filtered_listing_is_no_base_for_deltas(google, name, value):
    assert "nextSyncToken" not in google.events(**{name: value}).json


def test_a_windowed_listing_gives_a_token_whose_rounds_have_no_window(google, world):
    token = google.expanded(timeMin="2025-03-24T00:00:00Z", timeMax="2025-03-25T00:00:00Z").token
    far = world.add_event(ADA, timed("2026-12-01T09:00:00+01:00"))
    assert google.expanded(syncToken=token).ids == [far["id"]]


def test_nothing_new_is_empty_and_the_token_still_good(google, world):
    world.add_event(ADA, timed(LATE))
    token = google.expanded().token
    for _ in range(3):
        reply = google.expanded(syncToken=token)
        assert reply.items == []
        token = reply.token


def test_a_delta_brings_each_change_once(google, world):
    first = world.add_event(ADA, timed(LATE))
    world.add_event(ADA, timed(LATE))
    token = google.expanded().token
    world.edit_event(ADA, first["id"], {"summary": "A"})
    world.edit_event(ADA, first["id"], {"summary": "B"})
    reply = google.expanded(syncToken=token)
    assert [(item["id"], item["summary"]) for item in reply.items] == [(first["id"], "B")]
    assert reply.items[0]["etag"] != first["etag"]


def test_a_deleted_event_leaves_nearly_nothing(google, world):
    event = world.add_event(ADA, timed(LATE))
    token = google.expanded().token
    world.cancel_event(ADA, event["id"])
    (row,) = google.expanded(syncToken=token).items
    assert set(row) == TOMBSTONE
    assert (row["id"], row["status"]) == (event["id"], "cancelled")
    assert google.expanded().items == []
    assert [set(item) for item in google.expanded(showDeleted="true").items] == [TOMBSTONE]


def test_a_cancelled_instance_names_its_series_and_slot(google, world):
    series = world.add_event(ADA, weekly())
    token = google.expanded().token
    second = f"{series['id']}_20250331T070000Z"
    world.cancel_event(ADA, second)
    (row,) = google.expanded(syncToken=token).items
    assert set(row) == EXCEPTION_TOMBSTONE
    assert (row["id"], row["recurringEventId"]) == (second, series["id"])
    assert row["originalStartTime"] == {"dateTime": "2025-03-31T09:00:00+02:00", "timeZone": "Europe/Paris"}


@pytest.mark.parametrize(
    ("params", "shown"),
    [
        ({}, True),
        ({"showDeleted": "true"}, True),
        ({"singleEvents": "true"}, False),
        ({"singleEvents": "true", "showDeleted": "true"}, True),
    ],
)
def test_where_a_cancelled_instance_shows_in_full_listings(google, world, params, shown):
    series = world.add_event(ADA, weekly())
    world.cancel_event(ADA, f"{series['id']}_20250331T070000Z")
    assert (f"{series['id']}_20250331T070000Z" in google.events(**params).ids) is shown


def test_a_deleted_series_tells_of_one_month_only(google, world):
    series = world.add_event(ADA, weekly(rule="FREQ=WEEKLY;COUNT=20"))
    token = google.expanded().token
    world.cancel_event(ADA, series["id"])
    rows = google.expanded(syncToken=token).items
    assert [row["id"][-16:] for row in rows] == [
        "20250324T080000Z", "20250331T070000Z", "20250407T070000Z", "20250414T070000Z", "20250421T070000Z",
    ]  # fmt: skip
    assert all(set(row) == TOMBSTONE for row in rows)


def test_a_deleted_series_that_is_far_off_tells_of_its_next_instance(google, world):
    world.add_event(ADA, weekly("2025-06-02T09:00:00+02:00"))
    token = google.expanded().token
    world.cancel_event(ADA, google.events().ids[0])
    assert [row["id"][-16:] for row in google.expanded(syncToken=token).items] == ["20250602T070000Z"]


def test_a_deleted_series_may_show_its_master_too(google, world):
    series = world.add_event(ADA, weekly())
    token = google.expanded().token
    world.set(cancelled_master_row=True, tombstone_days=7)
    world.cancel_event(ADA, series["id"])
    assert series["id"] in google.expanded(syncToken=token).ids


def test_a_deleted_series_is_one_row_when_not_expanded(google, world):
    series = world.add_event(ADA, weekly())
    world.cancel_event(ADA, f"{series['id']}_20250331T070000Z")
    token = google.events().token
    world.cancel_event(ADA, series["id"])
    rows = google.events(syncToken=token).rows
    assert set(rows) == {series["id"], f"{series['id']}_20250331T070000Z"}
    assert {row["status"] for row in rows.values()} == {"cancelled"}


def test_a_truncated_series_buries_what_it_lost_and_lists_what_is_left(google, world):
    series = world.add_event(ADA, weekly())
    token = google.expanded().token
    world.edit_event(ADA, series["id"], {"recurrence": ["RRULE:FREQ=WEEKLY;COUNT=2"]})
    rows = google.expanded(syncToken=token).rows
    assert sorted(row["status"] for row in rows.values()) == ["cancelled"] * 3 + ["confirmed"] * 2


def test_a_revived_instance_is_a_live_row_again(google, world):
    series = world.add_event(ADA, weekly())
    world.edit_event(ADA, series["id"], {"recurrence": ["RRULE:FREQ=WEEKLY;COUNT=2"]})
    token = google.expanded().token
    world.edit_event(ADA, series["id"], {"recurrence": ["RRULE:FREQ=WEEKLY;COUNT=3"]})
    rows = google.expanded(syncToken=token).items
    assert [row["status"] for row in rows] == ["confirmed"] * 3


@pytest.mark.parametrize(
    ("before", "after"), [(None, ["RRULE:FREQ=DAILY;COUNT=2"]), (["RRULE:FREQ=DAILY;COUNT=2"], None)]
)
def test_becoming_a_series_and_back_replaces_the_rows(google, world, before, after):
    event = world.add_event(ADA, timed(LATE, recurrence=before))
    old = {item["id"] for item in google.expanded().items}
    token = google.expanded().token
    world.edit_event(ADA, event["id"], {"recurrence": after})
    rows = google.expanded(syncToken=token).rows
    assert {each for each, row in rows.items() if row["status"] == "cancelled"} == old
    assert {each for each, row in rows.items() if row["status"] != "cancelled"} == set(google.expanded().ids)


def test_a_poisoned_row_comes_as_it_is(google, world):
    google.judging = False
    token = google.events().token
    world.add_poison(ADA, {"id": "bad", "start": "yesterday", "attendees": 7})
    assert google.events(syncToken=token).items == [{"id": "bad", "start": "yesterday", "attendees": 7}]
    assert google.events().ids == ["bad"]
