"""calendarView/delta: windows, pages, links, preferences, and all that it leaves out."""

import base64
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from judged_graph import BARBARA, LESLIE, WINDOW, GraphCaller, all_day, guests, timed, weekly

START = "2025-03-25T09:00:00"
SPARSE = {"@odata.type", "@odata.etag", "id", "seriesMasterId", "type", "start", "end"}


def kinds(rows: list[dict]) -> list[str]:
    return [row.get("type", "@removed") for row in rows]


def test_a_window_is_needed(graph):
    for window in ({}, {"startDateTime": WINDOW[0]}, {"startDateTime": WINDOW[1], "endDateTime": WINDOW[0]}):
        reply = graph.get("/me/calendar/calendarView/delta", **window)
        assert (reply.status, reply.code) == (400, "ErrorInvalidParameter")


@pytest.mark.parametrize("option", ["$select", "$filter", "$expand", "$orderby", "$search", "$top"])
def test_no_option_of_odata_is_known(graph, option):
    reply = graph.first(**{option: "1"})
    assert (reply.status, reply.code) == (400, "ErrorInvalidUrlQuery")
    assert graph.first().status == 200


def test_a_single_event_is_full_and_an_occurrence_is_sparse(graph, microsoft):
    single = microsoft.add_event(BARBARA, timed(START))
    series = microsoft.add_event(BARBARA, weekly(count=3))
    moved = microsoft.read_truth(BARBARA, *WINDOW)[2]["id"]
    rows, _ = graph.round()
    assert rows[0]["id"] == single["id"]
    assert kinds(rows) == ["singleInstance", "seriesMaster", "occurrence", "occurrence", "occurrence"]
    assert rows[0]["subject"] == rows[1]["subject"] == "Meeting"
    assert rows[1]["id"] == series["id"]
    assert all(row.keys() == SPARSE and row["seriesMasterId"] == series["id"] for row in rows[2:])
    microsoft.move_event(BARBARA, moved, by_minutes=30)
    rows, _ = graph.round()
    (exception,) = (row for row in rows if row["type"] == "exception")
    assert exception["subject"] == "Meeting"
    assert exception["originalStart"] == "2025-03-31T07:00:00Z"
    assert exception["start"]["dateTime"] == "2025-03-31T07:30:00.0000000"


def test_a_cancelled_occurrence_has_no_row_and_its_series_comes_again(graph, microsoft):
    series = microsoft.add_event(BARBARA, weekly(count=4))
    rows, link = graph.round()
    victim = rows[2]["id"]
    microsoft.cancel_occurrence(BARBARA, victim)
    rows, _ = graph.round(link)
    assert kinds(rows) == ["seriesMaster", "occurrence", "occurrence", "occurrence"]
    assert victim not in {row["id"] for row in rows}
    reply = graph.get(f"/me/events/{series['id']}", **{"$select": "subject,cancelledOccurrences"})
    assert reply.json["cancelledOccurrences"] == [f"OID.{series['id']}.2025-03-31"]
    assert graph.get(f"/me/events/{victim}").code == "ErrorItemNotFound"


def test_a_deleted_series_is_one_row_for_its_master(graph, microsoft):
    series = microsoft.add_event(BARBARA, weekly())
    _, link = graph.round()
    microsoft.cancel_event(BARBARA, series["id"])
    rows, _ = graph.round(link)
    assert rows == [{"@odata.type": "#microsoft.graph.event", "id": series["id"], "@removed": {"reason": "deleted"}}]


def test_what_moves_out_of_the_window_has_changed(graph, microsoft):
    event = microsoft.add_event(BARBARA, timed(START))
    _, link = graph.round()
    microsoft.move_event(BARBARA, event["id"], by_minutes=60 * 24 * 60)
    rows, link = graph.round(link)
    assert [row["@removed"]["reason"] for row in rows] == ["changed"]
    microsoft.edit_event(BARBARA, event["id"], {"subject": "Far away"})
    rows, link = graph.round(link)
    assert rows == []
    microsoft.move_event(BARBARA, event["id"], start=START)
    rows, _ = graph.round(link)
    assert [row["subject"] for row in rows] == ["Far away"]


def test_rows_for_what_was_never_seen_are_possible(graph, microsoft):
    _, link = graph.round()
    event = microsoft.add_event(BARBARA, timed("2025-07-01T09:00:00"))
    assert graph.round(link)[0] == []
    microsoft.set(stray_removals=True)
    assert [row["id"] for row in graph.round(link)[0]] == [event["id"]]


def test_the_window_is_frozen_in_the_links(graph, microsoft):
    _, link = graph.round(window=("2025-03-24T00:00:00Z", "2025-03-25T00:00:00Z"))
    microsoft.add_event(BARBARA, timed("2025-03-24T09:00:00", subject="Inside"))
    microsoft.add_event(BARBARA, timed("2025-03-26T09:00:00", subject="Outside"))
    rows, _ = graph.round(f"{link}&startDateTime=2025-03-26T00:00:00Z&endDateTime=2025-03-27T00:00:00Z")
    assert [row["subject"] for row in rows] == ["Inside"]


def test_pages_are_as_large_as_preferred_on_each_request(graph, microsoft):
    for _ in range(7):
        microsoft.add_event(BARBARA, timed(START))
    graph.prefer = "odata.maxpagesize=2"
    first = graph.first()
    second = graph.follow(first.next)
    graph.prefer = None
    third = graph.follow(second.next)
    assert [len(page.rows) for page in (first, second, third)] == [2, 2, 3]
    assert third.next is None
    assert "$skiptoken" in first.next
    assert "$deltatoken" in third.delta
    microsoft.set(largest_page=3)
    graph.prefer = "odata.maxpagesize=500"
    assert len(graph.first().rows) == 3


def test_preferences_hold_for_one_request_alone(graph, microsoft):
    microsoft.add_event(BARBARA, timed(START))
    microsoft.add_event(BARBARA, timed(START))
    graph.prefer = 'odata.maxpagesize=1, outlook.timezone="Eastern Standard Time", IdType="ImmutableId"'
    first = graph.first()
    graph.prefer = None
    second = graph.follow(first.next)
    assert first.rows[0]["start"] == {"dateTime": "2025-03-25T04:00:00.0000000", "timeZone": "Eastern Standard Time"}
    assert second.rows[0]["start"] == {"dateTime": "2025-03-25T08:00:00.0000000", "timeZone": "UTC"}
    assert second.rows[0]["id"][:8] != first.rows[0]["id"][:8]
    microsoft.set(zone_without_preference="mailbox")
    assert graph.follow(first.next).rows[0]["start"] == {
        "dateTime": "2025-03-25T09:00:00.0000000", "timeZone": "Europe/Paris",
    }  # fmt: skip
    graph.prefer = 'outlook.timezone="Middle-earth Standard Time"'
    assert graph.first().code == "TimeZoneNotSupportedException"


def test_an_all_day_event_is_at_midnight_in_every_zone(graph, microsoft):
    microsoft.add_event(BARBARA, all_day("2025-03-25", "2025-03-26"))
    for zone in ("UTC", "Tokyo Standard Time", "Hawaiian Standard Time"):
        graph.prefer = f'outlook.timezone="{zone}"'
        (row,) = graph.first().rows
        assert (row["start"]["dateTime"], row["start"]["timeZone"]) == ("2025-03-25T00:00:00.0000000", zone)
        assert row["originalStartTimeZone"] == "Romance Standard Time"


def test_ids_of_both_forms_lead_to_the_event(graph, microsoft):
    immutable = microsoft.add_event(BARBARA, timed(START))["id"]
    graph.prefer = None
    regular = graph.first().rows[0]["id"]
    assert regular != immutable
    assert graph.get(f"/me/events/{immutable}").json["id"] == regular
    assert graph.get(f"/me/events/{regular}").json["id"] == regular
    assert graph.get("/me/events/nonsense").code == "ErrorInvalidIdMalformed"
    assert graph.get(f"/me/events/{immutable[:-1]}").code == "ErrorItemNotFound"


def test_ids_differ_by_case_alone(graph, microsoft):
    microsoft.set(case_twins=True)
    ids = [microsoft.add_event(BARBARA, timed(START, subject=each))["id"] for each in ("one", "two")]
    assert ids[0] != ids[1]
    assert ids[0].lower() == ids[1].lower()
    assert [graph.get(f"/me/events/{each}").json["subject"] for each in ids] == ["one", "two"]


def test_empty_pages_lead_on(graph, microsoft):
    microsoft.set(empty_pages=2)
    microsoft.add_event(BARBARA, timed(START))
    pages = [graph.first()]
    while pages[-1].next:
        pages.append(graph.follow(pages[-1].next))
    assert [len(page.rows) for page in pages] == [0, 0, 1]


def test_the_same_id_may_come_twice(graph, microsoft):
    microsoft.set(repeat_rows=True)
    for _ in range(5):
        microsoft.add_event(BARBARA, timed(START))
    graph.prefer = "odata.maxpagesize=2"
    ids = [row["id"] for row in graph.round()[0]]
    assert len(ids) > len(set(ids)) == 5


def test_an_event_that_changes_between_pages_comes_again(graph, microsoft):
    first, *_ = [microsoft.add_event(BARBARA, timed(START))["id"] for _ in range(3)]
    graph.prefer = 'odata.maxpagesize=2, IdType="ImmutableId"'
    page = graph.first()
    microsoft.edit_event(BARBARA, first, {"subject": "Later"})
    rows = graph.follow(page.next).rows
    assert [row["subject"] for row in rows] == ["Meeting", "Later"]


def test_what_came_between_pages_and_went_after_them_is_removed(graph, microsoft):
    for _ in range(2):
        microsoft.add_event(BARBARA, timed(START))
    graph.prefer = 'odata.maxpagesize=1, IdType="ImmutableId"'
    page = graph.first()
    late = microsoft.add_event(BARBARA, timed(START))["id"]
    rows, link = graph.round(page.next)
    assert late in {row["id"] for row in rows}
    microsoft.delete_event(BARBARA, late)
    assert [row["id"] for row in graph.round(link)[0] if "@removed" in row] == [late]


def test_deltas_may_lag_behind(graph, microsoft, now):
    _, link = graph.round()
    microsoft.set(lag_seconds=60)
    microsoft.add_event(BARBARA, timed(START))
    rows, link = graph.round(link)
    assert rows == []
    assert len(graph.round()[0]) == 1
    now[0] += timedelta(seconds=61)
    rows, link = graph.round(link)
    assert len(rows) == 1
    assert graph.round(link)[0] == []


@pytest.mark.parametrize(
    ("settings", "status", "code"),
    [
        pytest.param({}, 410, "syncStateNotFound", id="gone"),
        pytest.param({"sync_state_status": 400}, 400, "SyncStateNotFound", id="bad-request"),
        pytest.param({"sync_state_status": 404}, 404, "SyncStateNotFound", id="not-found"),
    ],
)
def test_an_expired_link_is_refused(graph, microsoft, settings, status, code):
    _, link = graph.round()
    microsoft.set(**settings)
    microsoft.expire_delta_links(BARBARA)
    reply = graph.follow(link)
    assert (reply.status, reply.code) == (status, code)
    assert "Location" not in reply.headers
    assert graph.first().status == 200


@pytest.mark.parametrize("preset", [None, "sync_state_410_location"])
def test_a_location_says_where_to_begin_again(graph, microsoft, preset):
    microsoft.add_event(BARBARA, timed(START))
    _, link = graph.round()
    if preset:
        microsoft.add_fault(preset, endpoint="calendarView.delta")
    else:
        microsoft.set(sync_state_location=True)
        microsoft.expire_delta_links()
    reply = graph.follow(link)
    location = reply.headers["Location"]
    assert parse_qs(urlsplit(location).query, keep_blank_values=True)["$deltatoken"] == [""]
    assert len(graph.round(location)[0]) == 1


def test_a_spoilt_or_misplaced_token_is_refused(graph, microsoft):
    _, link = graph.round()
    other = microsoft.add_calendar(BARBARA, "Other")
    token = parse_qs(urlsplit(link).query)["$deltatoken"][0]
    half = base64.urlsafe_b64encode(b"nonsense").decode()
    for path, sent in [
        ("/me/calendar/calendarView/delta", {"$deltatoken": token[:-2] + "xx"}),
        ("/me/calendar/calendarView/delta", {"$deltatoken": half}),
        ("/me/calendar/calendarView/delta", {"$skiptoken": token}),
        (f"/me/calendars/{other}/calendarView/delta", {"$deltatoken": token}),
    ]:
        reply = graph.get(path, **sent)
        assert (reply.status, reply.code) == (400, "SyncStateInvalid")


def test_a_next_link_may_lead_to_itself_for_ever(graph, microsoft):
    for _ in range(4):
        microsoft.add_event(BARBARA, timed(START))
    microsoft.add_fault("looping_next_link", endpoint="calendarView.delta", times=None)
    graph.prefer = "odata.maxpagesize=2"
    page = graph.first()
    links, ids = {page.next}, {row["id"] for row in page.rows}
    for _ in range(5):
        page = graph.follow(page.next)
        links.add(page.next)
        ids |= {row["id"] for row in page.rows}
    assert (len(links), len(ids)) == (6, 2)
    microsoft.clear_faults()
    assert len(graph.round(page.next)[0]) == 4


def test_a_master_may_come_after_its_occurrences(graph, microsoft):
    microsoft.add_event(BARBARA, weekly(count=2))
    microsoft.set(masters_last=True)
    assert kinds(graph.round()[0]) == ["occurrence", "occurrence", "seriesMaster"]


def test_nothing_new_is_an_empty_page_with_the_next_link_to_come(graph):
    _, link = graph.round()
    reply = graph.follow(link)
    assert reply.rows == []
    assert reply.delta


def test_a_calendar_of_somebody_else_is_as_good_as_absent(graph, microsoft):
    hers = microsoft.accounts[LESLIE].default_calendar
    assert graph.first(hers).code == "ErrorItemNotFound"
    microsoft.share_calendar(LESLIE, BARBARA)
    microsoft.add_event(LESLIE, timed(START))
    assert len(graph.first(hers).rows) == 1
    assert graph.call("POST", f"/me/calendars/{hers}/events", timed(START)).code == "ErrorAccessDenied"
    assert graph.get(f"/users/{LESLIE}/calendar").code == "ErrorAccessDenied"
    assert graph.get("/users/nobody@contoso.example/calendar").code == "ErrorInvalidUser"
    assert graph.get(f"/users/{BARBARA}/calendar").json["owner"]["address"] == BARBARA


def test_a_deleted_calendar_is_not_found(graph, microsoft):
    other = microsoft.add_calendar(BARBARA, "Other")
    _, link = graph.round(calendar=other)
    microsoft.delete_calendar(other)
    assert graph.follow(link).code == "ErrorItemNotFound"
    assert graph.get("/me/calendars/nonsense").code == "ErrorInvalidIdMalformed"


def test_calendars_come_in_pages(graph, microsoft):
    for number in range(5):
        microsoft.add_calendar(BARBARA, f"Calendar {number}")
    reply = graph.get("/me/calendars", **{"$top": 4})
    assert len(reply.rows) == 4
    rest = graph.follow(reply.next)
    assert (len(rest.rows), rest.next) == (2, None)
    assert [row["isDefaultCalendar"] for row in reply.rows] == [True, False, False, False]
    assert reply.rows[0]["id"] == graph.get("/me/calendar").json["id"]


def test_poison_is_shown_as_it_is(graph, microsoft):
    microsoft.add_poison(BARBARA, {"id": "x", "start": None})
    graph.judging = False
    assert graph.round()[0] == [{"id": "x", "start": None}]


def test_a_plain_view_has_every_occurrence_in_full(graph, microsoft):
    microsoft.add_event(BARBARA, weekly(count=13, days=("monday", "tuesday", "friday")))
    path = "/me/calendar/calendarView"
    graph.prefer = None
    reply = graph.get(path, startDateTime=WINDOW[0], endDateTime=WINDOW[1])
    assert len(reply.rows) == 10
    rows = [*reply.rows, *graph.follow(reply.next).rows]
    assert {row["type"] for row in rows} == {"occurrence"}
    assert len({row["iCalUId"] for row in rows}) == len(rows) > 10
    assert len({row["uid"] for row in rows}) == 1


def test_instances_page_too(graph, microsoft):
    series = microsoft.add_event(BARBARA, weekly(count=None, days=("monday", "friday")))
    path = f"/me/events/{series['id']}/instances"
    reply = graph.get(path, startDateTime=WINDOW[0], endDateTime=WINDOW[1], **{"$top": 5})
    assert len(reply.rows) == 5
    assert len(graph.follow(reply.next).rows) == 4
    assert graph.get(path).code == "ErrorInvalidParameter"


def test_a_shared_meeting_is_read_by_each_in_their_own_copy(graph, leslie: GraphCaller, microsoft):
    microsoft.add_event(BARBARA, timed(START, attendees=guests(LESLIE)))
    (mine,), (hers,) = graph.round()[0], leslie.round()[0]
    assert mine["id"] != hers["id"]
    assert (mine["uid"], mine["iCalUId"]) == (hers["uid"], hers["iCalUId"])
    assert (mine["isOrganizer"], hers["isOrganizer"]) == (True, False)
    assert hers["responseStatus"]["response"] == "notResponded"
