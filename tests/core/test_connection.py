"""How a connection stands by its calendars, what is told of it, and how its settings change."""

from typing import Any

import msgspec
import pytest

from service.core.connection import (
    NEWS,
    NO_TROUBLE,
    STATUSES,
    EventDefaults,
    EventPrivacy,
    Health,
    Member,
    Settings,
    Trouble,
    ZoomSettings,
    changed_settings,
    is_settled,
    judge,
    read_settings,
    status_of,
    stored_settings,
)
from service.core.lifecycle import State

SYNCING, ACTIVE, ERROR, GONE = (state.value for state in State)
LOST, SCOPE, DOWN, MISSING = "credentials_rejected", "insufficient_scope", "provider_unavailable", "calendar_not_found"


@pytest.mark.parametrize(
    ("calendars", "own", "expected"),
    [
        pytest.param([], None, "active", id="nothing to complain of"),
        pytest.param([], LOST, "token_expired", id="the account alone"),
        pytest.param([], DOWN, "error", id="the account alone, in another way"),
        pytest.param([(SYNCING, None)], None, "active", id="being read"),
        pytest.param([(ACTIVE, None), (ERROR, DOWN)], None, "error", id="one is down"),
        pytest.param([(ACTIVE, None), (GONE, MISSING)], None, "active", id="one was deleted"),
        pytest.param([(GONE, MISSING), (GONE, MISSING)], None, "disconnected", id="all were deleted"),
        pytest.param([(GONE, MISSING)], DOWN, "disconnected", id="what is left is nothing"),
        pytest.param([(ERROR, LOST), (ACTIVE, None)], None, "token_expired", id="one was refused"),
        pytest.param([(GONE, LOST), (GONE, LOST)], None, "token_expired", id="the grant is gone"),
        pytest.param([(ERROR, SCOPE), (ERROR, DOWN)], None, "token_expired", id="a scope outweighs an outage"),
        pytest.param([(ACTIVE, None)], LOST, "token_expired", id="the account outweighs its calendars"),
    ],
)
def test_how_a_connection_stands(calendars: list[tuple[str, str | None]], own: str | None, expected: str) -> None:
    assert status_of(calendars, own) == expected
    assert judge([Member(status, Trouble(code, None)) for status, code in calendars], Trouble(own, None)).status == (
        expected
    )


@pytest.mark.parametrize(
    ("members", "own", "expected"),
    [
        pytest.param([Member(ERROR, Trouble(DOWN, "down"))], NO_TROUBLE, Health("error", DOWN, "down"), id="its own"),
        pytest.param(
            [Member(GONE, Trouble(MISSING, "gone")), Member(ERROR, Trouble(DOWN, "down"))],
            NO_TROUBLE,
            Health("error", DOWN, "down"),
            id="not what is past mending",
        ),
        pytest.param(
            [Member(ERROR, Trouble(DOWN, "down")), Member(ERROR, Trouble(LOST, "sign in"))],
            NO_TROUBLE,
            Health("token_expired", LOST, "sign in"),
            id="what made it so",
        ),
        pytest.param(
            [Member(ERROR, Trouble(LOST, "sign in"))],
            Trouble(LOST, "the account"),
            Health("token_expired", LOST, "the account"),
            id="the account first",
        ),
        pytest.param(
            [Member(ACTIVE, NO_TROUBLE), Member(GONE, Trouble(MISSING, "gone"))],
            NO_TROUBLE,
            Health("active"),
            id="nothing where all is well",
        ),
        pytest.param(
            [Member(GONE, Trouble(MISSING, "gone"))], NO_TROUBLE, Health("disconnected", MISSING, "gone"), id="gone"
        ),
    ],
)
def test_why_it_stands_so(members: list[Member], own: Trouble, expected: Health) -> None:
    assert judge(members, own) == expected


@pytest.mark.parametrize(
    ("statuses", "status", "expected"),
    [
        pytest.param([], "active", True, id="no calendar to wait for"),
        pytest.param([ACTIVE, SYNCING], "active", False, id="one is still being read"),
        pytest.param([ACTIVE, ACTIVE], "active", True, id="all were read"),
        pytest.param([ERROR, SYNCING], "error", True, id="trouble waits for nobody"),
        pytest.param([GONE, ACTIVE], "active", True, id="one is gone"),
    ],
)
def test_when_the_world_may_be_told(statuses: list[str], status: str, expected: bool) -> None:
    assert is_settled([Member(each, NO_TROUBLE) for each in statuses], status) is expected


def test_each_status_has_its_news() -> None:
    assert set(NEWS) == set(STATUSES)


CHOSEN = Settings(
    primary_calendar="a",
    busy_calendars=["a"],
    block_busy_time=False,
    sync_frequency=5,
    event_defaults=EventDefaults(visibility="private", reminders=[10]),
    event_privacy=EventPrivacy(show_title=False),
    zoom_settings=ZoomSettings(waiting_room=True),
)


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        pytest.param({}, CHOSEN, id="nothing"),
        pytest.param({"sync_frequency": 15}, msgspec.structs.replace(CHOSEN, sync_frequency=15), id="a value"),
        pytest.param({"block_busy_time": None}, msgspec.structs.replace(CHOSEN, block_busy_time=True), id="a default"),
        pytest.param({"busy_calendars": []}, msgspec.structs.replace(CHOSEN, busy_calendars=[]), id="an empty list"),
        pytest.param(
            {"event_defaults": {"visibility": "public"}},
            msgspec.structs.replace(CHOSEN, event_defaults=EventDefaults(visibility="public", reminders=[10])),
            id="part of an object",
        ),
        pytest.param(
            {"event_privacy": {"show_title": None, "show_location": False}},
            msgspec.structs.replace(CHOSEN, event_privacy=EventPrivacy(show_location=False)),
            id="a default in an object",
        ),
        pytest.param(
            {"zoom_settings": None}, msgspec.structs.replace(CHOSEN, zoom_settings=ZoomSettings()), id="a whole object"
        ),
    ],
)
def test_a_change_of_settings(wish: dict[str, Any], expected: Settings) -> None:
    assert changed_settings(CHOSEN, wish) == expected


@pytest.mark.parametrize("settings", [Settings(), CHOSEN])
def test_settings_are_read_as_they_were_stored(settings: Settings) -> None:
    stored = stored_settings(settings)
    assert read_settings(stored) == settings
    assert stored == {} or "validate_availability" not in stored, "only what differs is kept"


def test_every_default_stores_nothing() -> None:
    assert stored_settings(changed_settings(CHOSEN, dict.fromkeys(Settings.__struct_fields__))) == {}
