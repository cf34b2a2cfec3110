"""Push channels: what watch refuses, which notices are owed, and how deliveries misbehave."""

from datetime import timedelta

import pytest
from judged_caller import ADA, GRACE, NOW, Caller, timed, weekly

ADDRESS = "https://gateway.example/push"
WATCH = "/calendars/primary/events/watch"
START = "2025-03-25T09:00:00+01:00"
WEEK = 604_800
REFUSALS = [
    pytest.param({"address": "http://gateway.example/push"}, "push.webhookUrlNotHttps", id="http"),
    pytest.param({"address": ""}, "required", id="no-address"),
    pytest.param({"id": "a b"}, "invalid", id="space-in-id"),
    pytest.param({"id": "x" * 65}, "invalid", id="long-id"),
    pytest.param({"token": "x" * 257}, "invalid", id="long-token"),
    pytest.param({"type": "carrier_pigeon"}, "channelUnknown", id="type"),
    pytest.param({"expiration": "1"}, "invalid", id="expired"),
]


def body(**more) -> dict:
    return {"id": "channel-1", "type": "web_hook", "address": ADDRESS, "token": "secret", **more}


def states(world) -> list[str]:
    return [push.headers["X-Goog-Resource-State"] for push in world.take_pushes()]


@pytest.mark.parametrize(("change", "reason"), REFUSALS)
def test_a_bad_channel_is_a_400(google, change, reason):
    reply = google.call("POST", WATCH, body(**change))
    assert (reply.status, reply.reason) == (400, reason)


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/push", "http://localhost/push", "http://[::1]:9/", ADDRESS])
def test_loopback_needs_no_https(google, address):
    assert google.call("POST", WATCH, body(address=address)).status == 200


def test_a_channel_id_is_never_free_again(google, world):
    channel = google.call("POST", WATCH, body()).json
    assert google.call("POST", WATCH, body()).reason == "channelIdNotUnique"
    stop = {"id": channel["id"], "resourceId": channel["resourceId"]}
    assert google.call("POST", "/channels/stop", stop).status == 204
    assert google.call("POST", "/channels/stop", stop).status == 404
    assert google.call("POST", WATCH, body()).reason == "channelIdNotUnique"
    world.take_pushes()
    world.add_event(ADA, timed(START))
    assert world.take_pushes() == []


def test_a_channel_is_stopped_by_its_maker_only(google, grace, world):
    channel = google.call("POST", WATCH, body()).json
    stop = {"id": channel["id"], "resourceId": channel["resourceId"]}
    assert grace.call("POST", "/channels/stop", stop).status == 404
    assert google.call("POST", "/channels/stop", {**stop, "resourceId": "other"}).status == 404
    assert google.call("POST", "/channels/stop", stop).status == 204


def test_holidays_cannot_be_watched(google, world):
    holidays = world.add_calendar(ADA, "Holidays", kind="holiday")
    assert google.call("POST", f"/calendars/{holidays.replace('#', '%23')}/events/watch", body()).reason == (
        "pushNotSupportedForRequestedResource"
    )


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        ({}, WEEK),
        ({"params": {"ttl": "3600"}}, 3600),
        ({"params": {"ttl": str(30 * 86400)}}, WEEK),
        ({"expiration": str(int((NOW.timestamp() + 600) * 1000))}, 600),
    ],
)
def test_expiration_is_what_google_grants(google, asked, seconds):
    channel = google.call("POST", WATCH, body(**asked)).json
    assert channel["expiration"] == str(int((NOW.timestamp() + seconds) * 1000))


def test_the_first_notice_says_sync_and_the_next_exists(google, world):
    channel = google.call("POST", WATCH, body()).json
    world.add_event(ADA, timed(START))
    sync, exists = world.take_pushes()
    assert sync.address == ADDRESS
    assert sync.headers == {
        "X-Goog-Channel-ID": "channel-1",
        "X-Goog-Channel-Token": "secret",
        "X-Goog-Channel-Expiration": "Mon, 31 Mar 2025 08:00:00 GMT",
        "X-Goog-Resource-ID": channel["resourceId"],
        "X-Goog-Resource-URI": channel["resourceUri"],
        "X-Goog-Resource-State": "sync",
        "X-Goog-Message-Number": "1",
    }
    assert exists.headers["X-Goog-Resource-State"] == "exists"
    assert int(exists.headers["X-Goog-Message-Number"]) > 1


def test_message_numbers_rise(google, world):
    google.call("POST", WATCH, body())
    for _ in range(5):
        world.add_event(ADA, timed(START))
    numbers = [int(push.headers["X-Goog-Message-Number"]) for push in world.take_pushes()]
    assert numbers == sorted(set(numbers))


@pytest.mark.parametrize(
    "change",
    [
        lambda world, series: world.edit_event(ADA, series, {"summary": "x"}),
        lambda world, series: world.cancel_event(ADA, series),
        lambda world, series: world.split_series(ADA, f"{series}_20250407T070000Z"),
        lambda world, series: world.move_event(ADA, f"{series}_20250407T070000Z", by_minutes=5),
    ],
    ids=["edit", "cancel", "split", "move"],
)
def test_one_change_is_one_notice(google, world, change):
    series = world.add_event(ADA, weekly())
    world.cancel_event(ADA, f"{series['id']}_20250331T070000Z")
    google.call("POST", WATCH, body())
    change(world, series["id"])
    assert states(world) == ["sync", "exists"]


def test_own_writes_notify_too_and_reads_do_not(google, world):
    google.call("POST", WATCH, body())
    google.call("POST", "/calendars/primary/events", timed(START))
    google.events()
    assert states(world) == ["sync", "exists"]


def test_guests_are_notified_of_what_reaches_their_calendar(google, grace, world):
    grace.call("POST", WATCH, body())
    world.add_event(ADA, timed(START))
    assert states(world) == ["sync"]
    world.add_event(ADA, timed(START, attendees=[{"email": GRACE}]))
    assert states(world) == ["exists"]


def test_expired_channels_are_silent(google, world, now):
    google.call("POST", WATCH, body(params={"ttl": "60"}))
    now[0] += timedelta(seconds=61)
    world.add_event(ADA, timed(START))
    assert states(world) == ["sync"]


def test_two_channels_on_one_calendar_name_one_resource(google, world):
    first, second = (google.call("POST", WATCH, body(id=each)).json for each in ("a", "b"))
    assert first["resourceId"] == second["resourceId"]
    world.take_pushes()
    world.add_event(ADA, timed(START))
    assert len(world.take_pushes()) == 2


def test_a_deleted_calendar_says_so(google, world):
    team = world.add_calendar(ADA, "Team")
    google.call("POST", f"/calendars/{team}/events/watch", body())
    world.delete_calendar(team)
    assert states(world) == ["sync", "not_exists"]


@pytest.mark.parametrize(
    ("rules", "delivered"),
    [({"lose": 1.0}, 0), ({"lose_next": 2}, 2), ({"duplicate": 1.0}, 8), ({"reorder": 3}, 3), ({}, 4)],
)
def test_deliveries_misbehave_on_demand(google, world, rules, delivered):
    google.call("POST", WATCH, body())
    world.take_pushes()
    world.set_push(**rules)
    for _ in range(4):
        world.add_event(ADA, timed(START))
    pushes = world.take_pushes()
    assert len(pushes) == delivered
    numbers = [int(push.headers["X-Goog-Message-Number"]) for push in pushes]
    assert numbers == (sorted(numbers, reverse=True) if "reorder" in rules else sorted(numbers))
    assert world.release_pushes() == (1 if "reorder" in rules else 0)


def test_channel_ids_are_free_in_another_project(google, world):
    google.call("POST", WATCH, body())
    other = world.add_client(project="two")
    caller = Caller(world)
    caller.connection = {**other, "refresh_token": world.grant(ADA, other["client_id"])}
    caller.access_token = caller.refresh().json["access_token"]
    assert caller.call("POST", WATCH, body()).status == 200
