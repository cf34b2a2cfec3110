"""Microsoft when it refuses: tokens, throttling, faults between pages, and how a calendar stands while they last."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from flows.stage import Stage

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("provider", ["microsoft"])]
ADA, BOB = "ada@contoso.example", "bob@contoso.example"


def weekly(stage: Stage, title: str, *, count: int = 4, **more: Any) -> dict[str, Any]:
    start = stage.clock() + timedelta(hours=1)
    pattern = {"type": "weekly", "interval": 1, "daysOfWeek": [f"{start:%A}".lower()]}
    span = {"type": "numbered", "numberOfOccurrences": count, "startDate": f"{start:%F}"}
    return stage.world.add_meeting(ADA, title, in_minutes=60, recurrence={"pattern": pattern, "range": span}, **more)


def occurrence(stage: Stage, number: int) -> str:
    rows = sorted(stage.world.read_truth(ADA), key=lambda row: row["start"]["dateTime"])
    return [row["id"] for row in rows if row["seriesMasterId"]][number]


async def agrees(stage: Stage, calendar_id: UUID, email: str = ADA) -> bool:
    return await stage.stored(calendar_id) == stage.truth(email)


async def test_a_rotated_token_is_stored_before_it_is_used(stage: Stage) -> None:
    calendar_id = await stage.connect(ADA, rotates=True)
    for number in range(3):
        stage.world.expire_access_tokens()
        stage.world.add_meeting(ADA, f"{number}")
        # The first use of the new access token fails: the new refresh token must not be lost with it.
        stage.world.add_fault("internal_500", endpoint="calendarView.delta")
        await stage.sync_again(calendar_id)
        await stage.sync_again(calendar_id)
        stage.clock.advance(minutes=1)
    await stage.sync_again(calendar_id)
    assert (await stage.calendar(calendar_id)).status == "active"
    assert await agrees(stage, calendar_id)


async def test_the_lost_answer_to_a_rotation_leaves_the_old_token_which_works_for_a_while(stage: Stage) -> None:
    calendar_id = await stage.connect(ADA)
    stage.world.set(rotation="grace")
    await stage.sync()
    stage.world.expire_access_tokens()
    stage.world.add_fault("lost_answer", endpoint="token", after=True)
    await stage.sync_again(calendar_id)
    stage.clock.advance(30)
    await stage.sync_again(calendar_id)
    assert (await stage.calendar(calendar_id)).status == "active"


async def test_a_challenge_that_a_new_token_does_not_meet_asks_the_user_to_sign_in(stage: Stage) -> None:
    calendar_id = await stage.connect(ADA)
    await stage.sync()
    stage.world.add_fault("claims_401", endpoint="calendarView.*", times=1)
    await stage.sync_again(calendar_id)
    assert (await stage.calendar(calendar_id)).status == "active", "a new token was enough"
    stage.world.add_fault("claims_401", endpoint="calendarView.*", times=None)
    for _ in range(2):
        await stage.sync_again(calendar_id)
        stage.clock.advance(70)
    row = await stage.calendar(calendar_id)
    assert (row.status, row.error_code) == ("disconnected", "credentials_rejected")


async def test_throttling_is_waited_for(stage: Stage) -> None:
    calendar_id = await stage.connect(ADA)
    await stage.sync()
    stage.world.add_fault("application_throttled_429", endpoint="calendarView.*", seconds=120)
    await stage.sync_again(calendar_id)
    row = await stage.calendar(calendar_id)
    assert (row.status, row.retry_at) == ("active", stage.clock() + timedelta(seconds=120))


async def test_a_calendar_that_is_closed_to_us_is_at_fault_and_a_mailbox_disconnects(stage: Stage) -> None:
    calendar_id = await stage.connect(ADA)
    await stage.sync()
    stage.world.add_fault("access_denied_403", endpoint="calendarView.*", times=None)
    await stage.sync_again(calendar_id)
    row = await stage.calendar(calendar_id)
    assert (row.status, row.error_code) == ("error", "calendar_refused")
    stage.world.add_fault("access_denied_403", endpoint="calendars.*", times=None)
    for _ in range(2):
        await stage.sync_again(calendar_id)
        stage.clock.advance(70)
    row = await stage.calendar(calendar_id)
    assert (row.status, row.error_code) == ("disconnected", "insufficient_scope")


async def test_a_personal_account(stage: Stage) -> None:
    calendar_id = await stage.connect("kim@outlook.example")
    stage.world.add_meeting("kim@outlook.example", "a", teams=False)
    await stage.sync()
    assert [event.title for event in await stage.events(calendar_id)] == ["a"]


@pytest.mark.parametrize(
    ("preset", "endpoint", "status", "error_code"),
    [
        ("AADSTS70000", "token", "disconnected", "credentials_rejected"),
        ("AADSTS50057", "token", "disconnected", "credentials_rejected"),
        ("AADSTS50076", "token", "disconnected", "credentials_rejected"),
        ("AADSTS65001", "token", "disconnected", "insufficient_scope"),
        ("AADSTS50105", "token", "disconnected", "insufficient_scope"),
        ("AADSTS7000222", "token", "error", "client_rejected"),
        ("AADSTS50194", "token", "error", "client_rejected"),
        ("AADSTS700016", "token", "error", "client_rejected"),
        ("AADSTS7777778", "token", "error", "calendar_refused"),
        ("mailbox_not_enabled_404", "calendarView.*", "error", "calendar_refused"),
        ("mailbox_not_hosted_404", "calendarView.*", "error", "calendar_refused"),
        ("invalid_user_404", "calendarView.*", "error", "calendar_refused"),
        ("AADSTS90033", "token", "error", "provider_unavailable"),
        ("mailbox_move_503", "calendarView.*", "error", "provider_unavailable"),
        ("gateway_timeout_504", "calendarView.*", "error", "provider_unavailable"),
        ("item_not_found_404", "calendarView.*", "error", "provider_unavailable"),
    ],
)
async def test_a_refusal_that_goes_on_and_its_end(
    stage: Stage, preset: str, endpoint: str, status: str, error_code: str
) -> None:
    calendar_id = await stage.connect(ADA)
    stage.world.add_meeting(ADA, "a")
    await stage.sync()
    stage.world.add_fault(preset, endpoint=endpoint, times=None)
    for _ in range(4):
        stage.world.expire_access_tokens()
        await stage.sync_again(calendar_id) if (await stage.calendar(calendar_id)).due_at else None
        stage.clock.advance(minutes=16)

    row = await stage.calendar(calendar_id)
    assert (row.status, row.error_code) == (status, error_code)
    assert len(await stage.events(calendar_id)) == 1, "what is known stays known"
    stage.world.clear_faults()
    if status == "disconnected":
        await stage.patch(calendar_id, stage.world.connect(ADA))
        await stage.sync()
    else:
        await stage.sync_again(calendar_id)
    assert (await stage.calendar(calendar_id)).status == "active"
    assert await agrees(stage, calendar_id)


@pytest.mark.parametrize("preset", ["internal_500", "service_503", "html_200", "truncated_page", "hang"])
async def test_a_fault_between_the_pages_loses_nothing(stage: Stage, preset: str) -> None:
    calendar_id = await stage.connect(ADA)
    stage.world.set(largest_page=3)
    for number in range(8):
        stage.world.add_meeting(ADA, f"{number}")
    weekly(stage, "series")
    stage.world.add_fault(preset, endpoint="calendarView.delta", skip=1)
    await stage.sync()
    assert await stage.events(calendar_id) == []
    await stage.sync_again(calendar_id)
    assert await agrees(stage, calendar_id)
    seq = await stage.last_seq()
    stage.world.edit_event(ADA, occurrence(stage, 1), {"subject": "changed"})
    stage.world.add_fault(preset, endpoint="events.instances")
    await stage.sync_again(calendar_id)
    assert await stage.last_seq() == seq, "a delta whose series could not be read is read again"
    await stage.sync_again(calendar_id)
    assert await stage.last_seq() == seq + 1
    assert await agrees(stage, calendar_id)


async def test_an_empty_series_is_not_believed_at_once(stage: Stage) -> None:
    calendar_id = await stage.connect(ADA)
    weekly(stage, "a")
    await stage.sync()
    stage.world.edit_event(ADA, occurrence(stage, 1), {"subject": "b"})
    stage.world.add_fault("custom", endpoint="events.instances", status=200, body={"value": []})
    await stage.sync_again(calendar_id)
    assert await agrees(stage, calendar_id)
    assert [change.kind for change in await stage.changes()] == ["created"] * 4 + ["updated"]


async def test_a_loop_that_microsoft_sees_is_not_fed(stage: Stage) -> None:
    calendar_id = await stage.connect(ADA)
    await stage.sync()
    stage.world.expire_access_tokens()
    stage.world.add_fault("AADSTS50196", endpoint="token")
    await stage.sync_again(calendar_id)
    assert (await stage.calendar(calendar_id)).retry_at >= stage.clock() + timedelta(minutes=5)


async def test_a_calendar_that_is_deleted_is_disconnected_at_the_second_look(stage: Stage) -> None:
    await stage.connect(ADA)
    team = stage.world.add_calendar(ADA, "Team")
    calendar_id, _ = await stage.post(stage.world.connect(ADA), raw_calendar_id=team)
    await stage.sync()
    stage.world.delete_calendar(team)
    for _ in range(2):
        await stage.sync_again(calendar_id)
        stage.clock.advance(70)
    row = await stage.calendar(calendar_id)
    assert (row.status, row.error_code) == ("disconnected", "calendar_not_found")
