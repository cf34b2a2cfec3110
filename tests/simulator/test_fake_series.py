"""Recurring events: slots, zones, exceptions, and "this and following"."""

import pytest
from judged_caller import ADA, all_day, timed, weekly

PARIS_DST = [
    pytest.param("Europe/Paris", "2025-03-29T09:00:00+01:00", ["08:00", "07:00", "07:00"], id="spring-forward"),
    pytest.param("Europe/Paris", "2025-10-25T09:00:00+02:00", ["07:00", "08:00", "08:00"], id="fall-back"),
    pytest.param("Europe/Paris", "2025-03-29T02:30:00+01:00", ["01:30", "01:30", "00:30"], id="in-the-gap"),
    pytest.param("America/New_York", "2025-11-01T01:30:00-04:00", ["05:30", "05:30", "06:30"], id="in-the-fold"),
    pytest.param("UTC", "2025-03-29T09:00:00+00:00", ["09:00", "09:00", "09:00"], id="utc"),
]
RULES = [
    pytest.param(["RRULE:FREQ=WEEKLY;BYDAY=MO,WE;COUNT=4"], ["0324", "0326", "0331", "0402"], id="byday"),
    pytest.param(["RRULE:FREQ=DAILY;UNTIL=20250326T080000Z"], ["0324", "0325", "0326"], id="until-utc-inclusive"),
    pytest.param(["RRULE:FREQ=DAILY;UNTIL=20250326T075959Z"], ["0324", "0325"], id="until-just-before"),
    pytest.param(["RRULE:FREQ=DAILY;UNTIL=20250325"], ["0324", "0325"], id="until-date"),
    pytest.param(["RRULE:FREQ=MONTHLY;BYDAY=-1MO;COUNT=2"], ["0331", "0428"], id="last-monday"),
    pytest.param(
        ["RRULE:FREQ=DAILY;COUNT=3", "EXDATE;TZID=Europe/Paris:20250325T090000"], ["0324", "0326"], id="exdate-local"
    ),
    pytest.param(["RRULE:FREQ=DAILY;COUNT=3", "EXDATE:20250325T080000Z"], ["0324", "0326"], id="exdate-utc"),
    pytest.param(["RRULE:FREQ=DAILY;COUNT=1", "RDATE;TZID=Europe/Paris:20250401T090000"], ["0324", "0401"], id="rdate"),
]


@pytest.mark.parametrize(("zone", "start", "times"), PARIS_DST)
def test_a_series_keeps_its_wall_time(google, world, zone, start, times):
    world.add_event(ADA, weekly(start, "FREQ=DAILY;COUNT=3", zone=zone))
    assert [f"{item['id'][-7:-5]}:{item['id'][-5:-3]}" for item in google.expanded().items] == times


@pytest.mark.parametrize(("rules", "days"), RULES)
def test_rules(google, world, rules, days):
    world.add_event(ADA, timed("2025-03-24T09:00:00+01:00", recurrence=rules))
    assert [item["id"].rpartition("_2025")[2][:4] for item in google.expanded().items] == days


def test_instances_of_all_day_series_are_named_by_date(google, world):
    series = world.add_event(ADA, all_day("2025-03-24", "2025-03-26", recurrence=["RRULE:FREQ=WEEKLY;COUNT=2"]))
    first, second = google.expanded().items
    assert (first["id"], second["id"]) == (f"{series['id']}_20250324", f"{series['id']}_20250331")
    assert (second["start"], second["end"]) == ({"date": "2025-03-31"}, {"date": "2025-04-02"})
    assert second["originalStartTime"] == {"date": "2025-03-31"}


def test_an_instance_looks_like_its_series(google, world):
    series = world.add_event(ADA, weekly())
    instance = google.expanded().items[1]
    assert instance["recurringEventId"] == series["id"]
    assert instance["iCalUID"] == series["iCalUID"] == f"{series['id']}@google.com"
    assert "recurrence" not in instance
    assert instance["start"]["dateTime"] == "2025-03-31T09:00:00+02:00"
    assert google.get(f"/calendars/primary/events/{instance['id']}").json == instance


def test_the_master_shows_its_rules_when_not_expanded(google, world):
    world.add_event(ADA, weekly())
    (master,) = google.events().items
    assert master["recurrence"] == ["RRULE:FREQ=WEEKLY;COUNT=6"]
    assert "recurringEventId" not in master


def test_an_endless_series_ends_at_the_horizon(google, world):
    world.add_event(ADA, weekly(rule="FREQ=WEEKLY"))
    token = google.expanded(timeMin="2025-03-24T00:00:00Z", timeMax="2025-04-24T00:00:00Z").token
    world.edit_event(ADA, google.events().ids[0], {"summary": "New"})
    rows, _ = google.all_pages(singleEvents="true", syncToken=token, maxResults=50)
    assert len(rows) == 105
    assert rows[-1]["start"]["dateTime"].startswith("2027-03-")


def test_a_moved_instance_keeps_its_slot(google, world):
    series = world.add_event(ADA, weekly())
    second = f"{series['id']}_20250331T070000Z"
    token = google.expanded().token
    world.move_event(ADA, second, start="2025-04-01T15:00:00+02:00")
    (row,) = google.expanded(syncToken=token).items
    assert (row["id"], row["start"]["dateTime"]) == (second, "2025-04-01T15:00:00+02:00")
    assert row["end"]["dateTime"] == "2025-04-01T16:00:00+02:00"
    assert row["originalStartTime"]["dateTime"] == "2025-03-31T09:00:00+02:00"
    assert google.expanded(timeMin="2025-03-31T00:00:00Z", timeMax="2025-04-01T00:00:00Z").items == []


def test_an_exception_goes_on_inheriting_the_rest(google, world):
    series = world.add_event(ADA, weekly())
    second = f"{series['id']}_20250331T070000Z"
    world.edit_event(ADA, second, {"location": "Room 7"})
    world.edit_event(ADA, series["id"], {"summary": "Renamed"})
    row = google.expanded().rows[second]
    assert (row["summary"], row["location"]) == ("Renamed", "Room 7")


def test_a_change_of_the_series_moves_all_etags(google, world):
    series = world.add_event(ADA, weekly())
    second = f"{series['id']}_20250331T070000Z"
    world.edit_event(ADA, second, {"location": "Room 7"})
    before = {item["id"]: item["etag"] for item in google.events().items}
    token = google.expanded().token
    world.edit_event(ADA, series["id"], {"summary": "Renamed"})
    after = {item["id"]: item["etag"] for item in google.events().items}
    assert before.keys() == after.keys() == {series["id"], second}
    assert all(before[each] != after[each] for each in before)
    assert len(google.expanded(syncToken=token).items) == 6


def test_a_series_that_moves_gets_new_instances(google, world):
    series = world.add_event(ADA, weekly(rule="FREQ=WEEKLY;COUNT=2"))
    world.edit_event(ADA, f"{series['id']}_20250331T070000Z", {"location": "Room 7"})
    token = google.expanded().token
    world.move_event(ADA, series["id"], by_minutes=60)
    rows = google.expanded(syncToken=token).items
    assert sorted((row["id"][-16:], row["status"]) for row in rows) == [
        ("20250324T080000Z", "cancelled"),
        ("20250324T090000Z", "confirmed"),
        ("20250331T070000Z", "cancelled"),
        ("20250331T080000Z", "confirmed"),
    ]


def test_a_split_makes_two_series(google, world):
    series = world.add_event(ADA, weekly())
    third = f"{series['id']}_20250407T070000Z"
    world.edit_event(ADA, f"{series['id']}_20250414T070000Z", {"location": "Room 7"})
    token = google.events().token
    new = world.split_series(ADA, third, {"summary": "Renamed"})
    assert new["id"] == f"{series['id']}_R20250407T070000"
    assert new["iCalUID"] == f"{new['id']}@google.com"
    assert new["recurrence"] == ["RRULE:FREQ=WEEKLY;COUNT=4"]
    old = google.get(f"/calendars/primary/events/{series['id']}").json
    assert old["recurrence"] == ["RRULE:FREQ=WEEKLY;UNTIL=20250407T065959Z"]
    assert {new["id"], series["id"]} <= set(google.events(syncToken=token).ids)
    live = google.expanded(orderBy="startTime").items
    assert [item["summary"] for item in live] == ["Meeting"] * 2 + ["Renamed"] * 4
    assert [item.get("location") for item in live] == [None, None, None, "Room 7", None, None]
    assert [item["recurringEventId"] for item in live] == [series["id"]] * 2 + [new["id"]] * 4


def test_a_split_series_splits_again(google, world):
    series = world.add_event(ADA, weekly())
    new = world.split_series(ADA, f"{series['id']}_20250331T070000Z")
    newer = world.split_series(
        ADA, f"{new['id']}_20250414T070000Z", {"start": {"dateTime": "2025-04-14T11:00:00+02:00"}}
    )
    assert newer["id"] == f"{series['id']}_R20250414T070000"
    starts = [item["start"]["dateTime"][5:16] for item in google.expanded(orderBy="startTime").items]
    assert starts == ["03-24T09:00", "03-31T09:00", "04-07T09:00", "04-14T11:00", "04-21T11:00", "04-28T11:00"]


def test_instances_endpoint(google, world):
    series = world.add_event(ADA, weekly())
    world.cancel_event(ADA, f"{series['id']}_20250331T070000Z")
    path = f"/calendars/primary/events/{series['id']}/instances"
    assert len(google.get(path).items) == 5
    assert len(google.get(path, showDeleted="true").items) == 6
    assert len(google.get(path, timeMin="2025-04-07T00:00:00Z", timeMax="2025-04-15T00:00:00Z").items) == 2
    assert google.get(path, originalStart="2025-04-07T09:00:00+02:00").ids == [f"{series['id']}_20250407T070000Z"]
    page = google.get(path, maxResults=3)
    rest = google.get(path, maxResults=3, pageToken=page.json["nextPageToken"])
    assert len(set(page.ids + rest.ids)) == 5
    assert "nextSyncToken" not in rest.json


@pytest.mark.parametrize(
    "rule", ["FREQ=SECONDLY", "FREQ=DAILY;INTERVAL=0", "FREQ=NEVER", "INTERVAL=2", "FREQ=DAILY;UNTIL=soon"]
)
def test_a_bad_rule_is_a_400(google, rule):
    assert google.call("POST", "/calendars/primary/events", weekly(rule=rule)).status == 400


def test_a_series_needs_a_zone(google):
    body = weekly()
    del body["start"]["timeZone"]
    assert google.call("POST", "/calendars/primary/events", body).reason == "required"
