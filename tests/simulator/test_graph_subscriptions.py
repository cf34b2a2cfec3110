"""Subscriptions: the handshake, renewal, what they tell, and their own fate."""

import json
from datetime import datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from graph_schema import judge
from judged_graph import BARBARA, LESLIE, GraphCaller, Reply, guests, timed, weekly

from simulator.microsoft.answers import GraphAnswer, resolve

START = "2025-03-25T09:00:00"
URL = "https://gateway.example/push/microsoft"


def asked(graph: GraphCaller, minutes: float = 4000, **more) -> dict:
    expires = graph.world.now() + timedelta(minutes=minutes)
    return {
        "changeType": "created,updated,deleted",
        "resource": "me/events",
        "notificationUrl": URL,
        "clientState": "secret",
        "expirationDateTime": expires.isoformat(),
        **more,
    }


def subscribe(graph: GraphCaller, minutes: float = 4000, **more) -> Reply:
    return graph.call("POST", "/subscriptions", asked(graph, minutes, **more))


@pytest.fixture
def trusting(microsoft):
    """A world that asks no notification URL."""
    microsoft.set(validation=False)
    return microsoft


def told(microsoft) -> list[dict]:
    items = [item for push in microsoft.take_pushes() for item in json.loads(push.body)["value"]]
    for item in items:
        judge(item, "lifecycleNotification" if "lifecycleEvent" in item else "changeNotification")
    return items


async def validate(graph: GraphCaller, endpoint, **more) -> Reply:
    """Create a subscription, with a stand-in for its endpoint."""
    graph.judging = False
    pending = graph.call("POST", "/subscriptions", asked(graph, **more)).answer
    assert isinstance(pending, GraphAnswer)
    assert graph.world.read_subscriptions() == []
    return Reply(await resolve(pending, endpoint))


def token_of(url: str) -> str:
    return parse_qs(urlsplit(url).query)["validationToken"][0]


@pytest.mark.anyio
async def test_both_urls_must_echo_their_token(graph, microsoft):
    seen: list[str] = []

    async def echo(url: str) -> tuple[int, str, str]:
        seen.append(url)
        return 200, "text/plain; charset=utf-8", token_of(url)

    reply = await validate(graph, echo, lifecycleNotificationUrl=f"{URL}/lifecycle?x=1")
    assert reply.status == 201
    judge({name: each for name, each in reply.json.items() if name[0] != "@"}, "subscription")
    assert sorted(url.partition("validationToken")[0] for url in seen) == [f"{URL}/lifecycle?x=1&", f"{URL}?"]
    assert token_of(seen[0]) != token_of(seen[1])
    assert [each["id"] for each in microsoft.read_subscriptions()] == [reply.json["id"]]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("answer", "says"),
    [
        pytest.param((404, "text/plain", None), "200 OK", id="status"),
        pytest.param((202, "text/plain", None), "200 OK", id="accepted"),
        pytest.param((200, "application/json", None), "plain text", id="content-type"),
        pytest.param((200, "text/plain", "Validation%3A"), "plain text", id="not-decoded"),
        pytest.param(OSError("refused"), "cannot be reached", id="unreachable"),
        pytest.param(TimeoutError(), "timed out", id="timeout"),
    ],
)
async def test_who_does_not_echo_is_not_subscribed(graph, microsoft, answer, says):
    async def endpoint(url: str) -> tuple[int, str, str]:
        if isinstance(answer, Exception):
            raise answer
        status, content_type, text = answer
        return status, content_type, text or token_of(url)

    reply = await validate(graph, endpoint)
    assert (reply.status, reply.code) == (400, "ValidationError")
    assert says in reply.json["error"]["message"]
    assert microsoft.read_subscriptions() == []
    assert microsoft.read_calls("subscriptions.create")[0]["status"] == 400


@pytest.mark.parametrize(
    ("change", "status"),
    [
        pytest.param({"clientState": "x" * 128}, 201, id="longest-state"),
        pytest.param({"clientState": "x" * 129}, 400, id="state"),
        pytest.param({"changeType": "created,renamed"}, 400, id="change"),
        pytest.param({"changeType": ""}, 400, id="no-change"),
        pytest.param({"resource": "me/messages"}, 400, id="resource"),
        pytest.param({"resource": "/me/events"}, 201, id="slash"),
        pytest.param({"resource": f"users/{BARBARA}/events"}, 201, id="users"),
        pytest.param({"resource": f"users/{LESLIE}/events"}, 403, id="somebody-else"),
        pytest.param({"resource": "me/calendars/AAMkADnothing/events"}, 404, id="no-such-calendar"),
        pytest.param({"notificationUrl": "http://gateway.example/"}, 400, id="http"),
        pytest.param({"notificationUrl": "http://127.0.0.1:1/"}, 201, id="http-on-loopback"),
        pytest.param({"notificationUrl": None}, 400, id="no-url"),
        pytest.param({"expirationDateTime": "tomorrow"}, 400, id="time"),
        pytest.param({"expirationDateTime": "2025-03-25T08:00:00.0000000Z"}, 201, id="seven-decimals"),
    ],
)
def test_what_may_be_asked(graph, trusting, change, status):
    assert subscribe(graph, **change).status == status


@pytest.mark.parametrize(("minutes", "granted"), [(-1, None), (10, 45), (45, 45), (10_079, 10_079), (10_081, None)])
def test_how_long_it_lives(graph, trusting, minutes, granted):
    reply = subscribe(graph, minutes)
    if granted is None:
        assert (reply.status, reply.code) == (400, "InvalidRequest")
        return
    expires = datetime.fromisoformat(reply.json["expirationDateTime"].replace("0Z", "Z"))
    assert expires - trusting.now() == timedelta(minutes=granted)


def test_the_same_combination_is_a_conflict(graph, leslie, trusting):
    first = subscribe(graph).json["id"]
    again = subscribe(graph, notificationUrl="https://elsewhere.example/")
    assert (again.status, again.code) == (409, "ObjectIdentifierInUse")
    assert first in again.json["error"]["message"]
    assert subscribe(graph, changeType="created").status == subscribe(leslie).status == 201


def test_a_mailbox_has_room_for_so_many(graph, trusting):
    trusting.set(subscriptions=1)
    assert [subscribe(graph, changeType=each).status for each in ("created", "updated")] == [201, 403]


def test_a_calendar_may_be_refused_as_a_resource(graph, trusting):
    resource = f"me/calendars/{trusting.accounts[BARBARA].default_calendar}/events"
    assert subscribe(graph, resource=resource).status == 201
    trusting.set(calendar_subscriptions=False)
    assert subscribe(graph, resource=resource, changeType="created").code == "InvalidRequest"


def test_a_life(graph, leslie, trusting, now):
    made = subscribe(graph, minutes=60).json
    path = f"/subscriptions/{made['id']}"
    assert graph.get(path).json["clientState"] == "secret"
    assert [each["id"] for each in graph.get("/subscriptions").rows] == [made["id"]]
    assert leslie.get(path).code == "ResourceNotFound"
    later = (now[0] + timedelta(days=3)).isoformat()
    assert graph.call("PATCH", path, {"expirationDateTime": later}).json["expirationDateTime"].startswith("2025-03-27")
    assert graph.call("PATCH", path, {"lifecycleNotificationUrl": URL}).code == "InvalidRequest"
    assert graph.call("PATCH", path, {}).code == "InvalidRequest"
    now[0] += timedelta(days=3)
    graph.rotate()
    for method in ("GET", "PATCH", "DELETE"):
        assert graph.call(method, path, {"expirationDateTime": later} if method == "PATCH" else None).status == 404
    again = subscribe(graph).json["id"]
    assert graph.call("DELETE", f"/subscriptions/{again}").status == 204
    assert graph.get("/subscriptions").rows == []


def test_every_change_is_told(graph, trusting):
    made = subscribe(graph).json
    event = trusting.add_event(BARBARA, timed(START))
    trusting.edit_event(BARBARA, event["id"], {"subject": "Other"})
    trusting.cancel_event(BARBARA, event["id"])
    items = told(trusting)
    assert [item["changeType"] for item in items] == ["created", "updated", "deleted"]
    first = items[0]
    assert (first["subscriptionId"], first["clientState"]) == (made["id"], "secret")
    assert first["tenantId"] == trusting.accounts[BARBARA].tenant
    assert first["resourceData"]["id"] == event["id"]
    assert first["resource"].endswith(f"/Events/{event['id']}")
    assert told(trusting) == []


def test_the_form_of_ids_is_that_of_the_subscription(graph, trusting):
    graph.prefer = None
    subscribe(graph)
    event = trusting.add_event(BARBARA, timed(START))
    (item,) = told(trusting)
    assert item["resourceData"]["id"] != event["id"]
    assert graph.get(f"/me/events/{item['resourceData']['id']}").status == 200


def test_a_cancelled_occurrence_is_an_update_of_its_series(graph, trusting):
    series = trusting.add_event(BARBARA, weekly())
    subscribe(graph)
    trusting.cancel_occurrence(BARBARA, trusting.read_truth(BARBARA)[1]["id"])
    assert [(item["changeType"], item["resourceData"]["id"]) for item in told(trusting)] == [("updated", series["id"])]


def test_only_what_was_asked_for_is_told(graph, trusting):
    other = trusting.add_calendar(BARBARA, "Other")
    subscribe(graph, resource=f"me/calendars/{other}/events", changeType="created")
    trusting.add_event(BARBARA, timed(START))
    event = trusting.add_event(other, timed(START))
    trusting.edit_event(other, event["id"], {"subject": "Other"})
    assert [item["resourceData"]["id"] for item in told(trusting)] == [event["id"]]


def test_a_shared_calendar_is_watched_by_its_readers(graph, leslie, trusting):
    trusting.share_calendar(BARBARA, LESLIE)
    subscribe(leslie)
    made = subscribe(leslie, resource=f"me/calendars/{trusting.accounts[BARBARA].default_calendar}/events").json
    event = trusting.add_event(BARBARA, timed(START))
    (item,) = told(trusting)
    assert (item["subscriptionId"], item["resourceData"]["id"]) == (made["id"], event["id"])


def test_many_items_travel_together(graph, leslie, trusting):
    subscribe(graph)
    subscribe(leslie)
    for _ in range(3):
        trusting.add_event(BARBARA, timed(START, attendees=guests(LESLIE)))
    (push,) = trusting.take_pushes()
    items = json.loads(push.body)["value"]
    assert (push.address, len(items), len({item["subscriptionId"] for item in items})) == (URL, 6, 2)
    trusting.set_push(batch=2)
    for _ in range(5):
        trusting.add_event(BARBARA, timed(START))
    assert [len(json.loads(push.body)["value"]) for push in trusting.take_pushes()] == [2, 2, 1]


def test_notifications_are_lost_doubled_and_held(graph, trusting):
    subscribe(graph)
    trusting.set_push(lose_next=1)
    trusting.add_event(BARBARA, timed(START))
    assert told(trusting) == []
    trusting.set_push(duplicate=1.0, hold=True)
    trusting.add_event(BARBARA, timed(START))
    assert told(trusting) == []
    assert trusting.release_pushes() == 2
    assert len(told(trusting)) == 2
    with pytest.raises(ValueError, match="unknown push rule"):
        trusting.set_push(fold=True)


@pytest.mark.parametrize("event", ["reauthorizationRequired", "subscriptionRemoved", "missed"])
def test_lifecycle_notifications(graph, leslie, trusting, event):
    made = subscribe(graph, lifecycleNotificationUrl=f"{URL}/lifecycle").json
    subscribe(leslie)
    assert trusting.send_lifecycle(event) == 2
    (push,) = trusting.take_pushes()
    (item,) = json.loads(push.body)["value"]
    judge(item, "lifecycleNotification")
    assert push.address == f"{URL}/lifecycle"
    assert (item["subscriptionId"], item["lifecycleEvent"]) == (made["id"], event)
    assert graph.get(f"/subscriptions/{made['id']}").status == (404 if event == "subscriptionRemoved" else 200)
    with pytest.raises(ValueError, match="unknown lifecycle event"):
        trusting.send_lifecycle("party")


@pytest.mark.parametrize("way", ["renew", "reauthorize"])
def test_a_suspended_subscription_is_silent_until_it_is_reauthorized(graph, trusting, way):
    path = f"/subscriptions/{subscribe(graph).json['id']}"
    trusting.suspend_subscriptions(BARBARA)
    trusting.add_event(BARBARA, timed(START))
    assert told(trusting) == []
    if way == "renew":
        expires = (trusting.now() + timedelta(days=1)).isoformat()
        assert graph.call("PATCH", path, {"expirationDateTime": expires}).status == 200
    else:
        assert graph.call("POST", f"{path}/reauthorize").status == 204
    trusting.add_event(BARBARA, timed(START))
    assert len(told(trusting)) == 1


def test_consent_takes_its_subscriptions_along(graph, trusting):
    subscribe(graph, lifecycleNotificationUrl=URL)
    trusting.revoke_consent(BARBARA)
    assert [item["lifecycleEvent"] for item in told(trusting)] == ["subscriptionRemoved"]
    assert trusting.read_subscriptions() == []


def test_without_the_scope_there_is_no_subscription(microsoft):
    client = microsoft.add_client()
    caller = GraphCaller(microsoft)
    caller.connection |= client | {"refresh_token": microsoft.grant(BARBARA, client["client_id"], ["User.Read"])}
    caller.access_token = caller.refresh().json["access_token"]
    assert subscribe(caller).code == "ExtensionError"
