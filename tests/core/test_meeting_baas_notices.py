"""Webhooks in the words of Meeting BaaS, read back through the vendor's published shapes, restated here field by field."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from meeting_baas_wire import WIRE, read

from service.core.meeting_baas.notices import (
    EVENTS,
    MOST_IDS,
    V1,
    V2,
    Body,
    Bots,
    CalendarNews,
    calendar_v2,
    changed_v2,
    read_change,
    synced_v1,
    synced_v2,
)

NOW = datetime(2026, 11, 21, 10, tzinfo=UTC)
CALENDAR = UUID(int=1)
SINGLE, FIRST, SECOND, MOVED = (UUID(int=number) for number in range(10, 14))


def wire(body: Body) -> tuple[str, Any]:
    return read(msgspec.json.encode(body))


def change(event_id: UUID, kind: str = "created", *, fields: Any = (), **event: Any) -> Any:
    """An entry of the change log as it is stored, read back."""
    full = {
        "id": event_id,
        "provider_event_id": "x",
        "meeting_key": f"{event_id}@example.com",
        "starts_at": NOW,
        "ends_at": NOW + timedelta(hours=1),
        "status": "confirmed",
        "attendees": [{"email": "a@example.com"}],
        **event,
    }
    said = {"event_id": event_id, "kind": kind, "cause": "poll", "fields": {name: {} for name in fields}, "event": full}
    return read_change(msgspec.json.encode(said))


def news(kind: str, status: str, code: str | None = None, message: str | None = None) -> CalendarNews:
    return CalendarNews(
        kind=kind,
        calendar_id=CALENDAR,
        provider="google",
        email="ada@example.com",
        status=status,
        error_code=code,
        error_message=message,
        created_at=NOW - timedelta(days=1),
        at=NOW,
    )


def test_v1_has_one_webhook_which_names_every_event_once():
    name, data = wire(synced_v1(CALENDAR, NOW, [SINGLE, FIRST, SINGLE]))
    assert (name, data.affected_event_uuids) == ("calendar.sync_events", [SINGLE, FIRST])
    assert data.last_updated_ts == "2026-11-21T10:00:00Z"
    _, full = wire(synced_v1(CALENDAR, NOW, [UUID(int=number) for number in range(5000)]))
    assert len(full.affected_event_uuids) == MOST_IDS


@pytest.mark.parametrize(
    ("kind", "status", "code", "names", "standing"),
    [
        pytest.param("created", "syncing", None, ["connection_created"], "active", id="connected"),
        pytest.param("active", "active", None, ["connection_updated"], "active", id="read"),
        pytest.param(
            "error",
            "error",
            "provider_unavailable",
            ["connection_updated", "connection_error"],
            "error",
            id="provider-away",
        ),
        pytest.param(
            "error",
            "error",
            "insufficient_scope",
            ["connection_updated", "connection_error"],
            "permission_denied",
            id="scope",
        ),
        pytest.param(
            "disconnected",
            "disconnected",
            "credentials_rejected",
            ["connection_updated", "connection_error"],
            "revoked",
            id="grant-gone",
        ),
        pytest.param(
            "disconnected",
            "disconnected",
            "calendar_not_found",
            ["connection_updated", "connection_error"],
            "permission_denied",
            id="not-shared-any-more",
        ),
    ],
)
def test_a_calendars_state_in_v2(kind: str, status: str, code: str | None, names: list[str], standing: str):
    told = [wire(body) for body in calendar_v2(news(kind, status, code, "let the user sign in again"))]
    assert [name.removeprefix("calendar.") for name, _ in told] == names
    assert told[0][1].status == standing
    if len(told) > 1:
        assert told[1][1].error == "let the user sign in again"


def test_a_deleted_calendar_in_v2():
    [(name, data)] = [wire(body) for body in calendar_v2(news("deleted", "active"))]
    assert (name, data.deleted_at) == ("calendar.connection_deleted", "2026-11-21T10:00:00Z")


def test_a_first_sync_is_one_webhook_with_every_series():
    changes = [
        change(FIRST, series_id="s"),
        change(SINGLE, title="One"),
        change(SECOND, series_id="s", is_exception=True),
    ]
    name, data = wire(synced_v2(CALENDAR, changes, Bots(events={SINGLE, FIRST}, series={"s"})))
    assert name == "calendar.events_synced"
    assert [(each.event_type, each.series_bot_scheduled, len(each.instances)) for each in data.events] == [
        ("recurring", True, 2),
        ("one_off", False, 1),
    ]
    assert [each.bot_scheduled for each in data.events[0].instances] == [True, False]
    assert len({each.series_id for each in data.events}) == 2
    assert wire(synced_v2(CALENDAR, [], Bots()))[1].events == []


def test_one_sync_is_told_by_series_and_by_what_happened():
    changes = [
        change(FIRST, "updated", fields=["starts_at"], series_id="s"),
        change(SECOND, "updated", fields=["starts_at"], series_id="s"),
        change(MOVED, "updated", fields=["starts_at"], series_id="s", is_exception=True),
        change(SINGLE),
        change(UUID(int=20), "cancelled", status="cancelled", series_id="s"),
    ]
    told = [wire(body) for body in changed_v2(CALENDAR, changes, Bots(series={"s"}))]
    assert [name.removeprefix("calendar.event_") for name, _ in told] == ["updated", "updated", "created", "cancelled"]
    whole, exception, created, cancelled = (data for _, data in told)
    assert [each.event_id for each in whole.affected_instances] == [FIRST, SECOND]
    assert (whole.is_exception, exception.is_exception) == (False, True)
    assert whole.series_id == exception.series_id == cancelled.series_id != created.series_id
    assert whole.series_bot_scheduled
    assert not created.series_bot_scheduled
    assert cancelled.cancelled_instances[0].status == "cancelled"


@pytest.mark.parametrize(
    ("kind", "fields", "response", "told"),
    [
        pytest.param("updated", ["response_status"], "declined", "cancelled", id="declined-now"),
        pytest.param("created", [], "declined", "cancelled", id="seen-declined"),
        pytest.param("updated", ["title"], "declined", "updated", id="declined-before"),
        pytest.param("updated", ["response_status"], "accepted", "updated", id="accepted-again"),
    ],
)
def test_to_decline_is_to_cancel(kind: str, fields: list[str], response: str, told: str):
    [body] = changed_v2(CALENDAR, [change(SINGLE, kind, fields=fields, response_status=response)], Bots())
    name, data = wire(body)
    assert name == f"calendar.event_{told}"
    instances = getattr(data, "cancelled_instances", None) or data.affected_instances
    assert instances[0].status == ("cancelled" if response == "declined" else "confirmed")


@pytest.mark.parametrize(
    ("platform", "theirs"),
    [("zoom", "zoom"), ("google_meet", "meet"), ("microsoft_teams", "teams"), ("webex", None), ("unknown", None)],
)
def test_a_meeting_keeps_its_link_on_any_platform(platform: str, theirs: str | None):
    meeting = {"url": "https://example.com/j/1", "platform": platform, "found_in": "location"}
    [body] = changed_v2(CALENDAR, [change(SINGLE, meeting=meeting, title=None)], Bots())
    instance = wire(body)[1].instances[0]
    assert (instance.meeting_url, instance.meeting_platform, instance.title) == (meeting["url"], theirs, "")


def test_every_event_that_is_listed_has_a_published_shape():
    assert {*EVENTS[V1], *EVENTS[V2]} == WIRE.keys()
    for name, struct in (EVENTS[V1] | EVENTS[V2]).items():
        assert set(struct.__struct_fields__) == set(WIRE[name].__struct_fields__), name
