"""Whose fault it is: a grant, a client, a calendar; who is told, how often, and what brings the calendar back."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from flows.stage import Stage

from service.errors import GatewayError

pytestmark = pytest.mark.anyio
ADA, GRACE = "ada@example.com", "grace@example.com"
TOKEN, LIST = "token", "events.list"


async def settled(stage: Stage) -> UUID:
    """A connected, synced calendar with one event, and nothing in the outbox yet."""
    calendar_id = await stage.connect()
    stage.world.add_meeting(ADA, "known")
    await stage.sync()
    await stage.subscribe()
    return calendar_id


async def calls(stage: Stage) -> int:
    return stage.world.read_counters()["total"]


async def test_a_rejected_grant_is_looked_at_twice_and_then_left_alone(stage: Stage) -> None:
    calendar_id = await settled(stage)
    stage.world.revoke_consent(ADA)
    await stage.sync_again(calendar_id)
    row = await stage.calendar(calendar_id)
    assert (row.status, row.suspicion) == ("error", "grant")
    stage.clock.now = row.due_at
    await stage.sync()

    row = await stage.calendar(calendar_id)
    assert (row.status, row.error_code, row.due_at, row.retry_at) == (
        "disconnected",
        "credentials_rejected",
        None,
        None,
    )
    assert [kind for kind, _ in await stage.messages()] == ["calendar.error", "calendar.disconnected"]
    assert len(await stage.meetings()) == 1, "the bot still goes"

    stage.world.reset_counters()
    for _ in range(5):
        stage.clock.advance(days=1)
        assert await stage.sync() == 0
        await stage.renew_channels()
    with pytest.raises(GatewayError) as refused:
        await stage.resync(calendar_id)
    assert refused.value.status == 409
    assert await calls(stage) == 0
    assert len(await stage.messages()) == 2


async def test_new_credentials_bring_a_disconnected_calendar_back_under_its_id(stage: Stage) -> None:
    calendar_id = await settled(stage)
    stage.world.revoke_consent(ADA)
    for _ in range(2):
        await stage.sync_again(calendar_id)
        stage.clock.advance(seconds=70)
    assert (await stage.calendar(calendar_id)).status == "disconnected"
    stage.world.add_meeting(ADA, "meanwhile", in_minutes=60)

    await stage.patch(calendar_id, stage.world.connect(ADA))

    row = await stage.calendar(calendar_id)
    assert (row.status, row.error_code, row.error_message, row.due_at) == ("syncing", None, None, stage.clock())
    await stage.sync()
    assert (await stage.calendar(calendar_id)).status == "active"
    assert await stage.stored(calendar_id) == stage.truth(ADA)
    kinds = [kind for kind, _ in await stage.messages()]
    assert kinds == ["calendar.error", "calendar.disconnected", "calendar.active", "calendar.sync_events"]
    assert [change.cause for change in await stage.changes()] == ["initial", "resync"]


async def test_a_token_that_another_worker_has_just_rotated_disconnects_nobody(stage: Stage, rival: Stage) -> None:
    calendar_id = await stage.connect(rotates=True)
    await stage.sync()
    for one in (rival, stage, rival, stage):
        # The refresh token that this worker used last is dead by now: another has rotated it.
        stage.clock.advance(hours=2)
        await one.sync_again(calendar_id)
        row = await stage.calendar(calendar_id)
        assert (row.status, row.failures, row.error_code) == ("active", 0, None)


async def test_a_rotated_refresh_token_is_stored_before_its_access_token_is_used(stage: Stage, rival: Stage) -> None:
    calendar_id = await stage.connect(rotates=True)
    await stage.sync()
    stage.clock.advance(hours=2)
    stage.world.add_fault("backend_500", endpoint=LIST, times=None)
    await stage.sync_again(calendar_id)
    stage.world.clear_faults()
    stage.world.expire_access_tokens()
    # A process that knows only what was stored refreshes with the newest token.
    stage.clock.advance(minutes=2)

    await rival.sync_again(calendar_id)

    assert (await stage.calendar(calendar_id)).status == "active"


async def test_a_client_that_is_rejected_is_told_of_once_and_heals_in_silence(stage: Stage) -> None:
    people = [f"user{number}@example.com" for number in range(5)]
    ids = [await stage.connect(email) for email in people]
    await stage.sync()
    await stage.subscribe()
    client_id = next(iter(stage.world.clients))
    stage.world.set_client(client_id, client_secret="rotated")
    stage.clock.advance(hours=2)
    await stage.sync()

    rows = [await stage.calendar(each) for each in ids]
    assert {(row.status, row.error_code) for row in rows} == {("error", "client_rejected")}
    assert [kind for kind, _ in await stage.messages()] == ["calendar.error"]
    for _ in range(8):
        stage.clock.advance(minutes=17)
        await stage.sync()
    assert [kind for kind, _ in await stage.messages()] == ["calendar.error"]

    # A POST of any of its calendars with the new secret checks all of them again.
    await stage.post(stage.world.connect(people[2]))
    await stage.sync()

    rows = [await stage.calendar(each) for each in ids]
    assert {row.status for row in rows} == {"active"}
    told = [kind for kind, data in await stage.messages() if kind == "calendar.active"]
    assert len(told) <= 2, "those whose error was told, and the one that was posted"


@pytest.mark.parametrize(
    ("break_", "mend"),
    [
        pytest.param({"api_enabled": False}, {"api_enabled": True}, id="API switched off"),
        pytest.param("disabled", "ok", id="client disabled"),
    ],
)
async def test_a_client_that_fails_again_is_told_of_again(stage: Stage, break_: Any, mend: Any) -> None:
    calendar_id = await settled(stage)
    client_id = next(iter(stage.world.clients))
    for _ in range(2):
        for state in (break_, mend):
            if isinstance(state, dict):
                stage.world.set(**state)
            else:
                stage.world.set_client(client_id, status=state)
            stage.clock.advance(hours=2)
            await stage.sync_again(calendar_id)

    assert [kind for kind, _ in await stage.messages()] == ["calendar.error", "calendar.active"] * 2


async def test_a_token_of_another_client_is_told_of_for_each_calendar(stage: Stage) -> None:
    for email in (ADA, GRACE):
        await stage.connect(email)
    await stage.sync()
    await stage.subscribe()
    stage.clock.advance(hours=2)
    stage.world.add_fault("unauthorized_client", endpoint=TOKEN, times=None)

    await stage.sync()

    assert [kind for kind, _ in await stage.messages()] == ["calendar.error"] * 2


async def test_a_calendar_that_is_gone_is_looked_for_in_the_list_twice(stage: Stage) -> None:
    await stage.connect()
    second = stage.world.add_calendar(ADA, "Team")
    calendar_id, _ = await stage.post(stage.world.connect(ADA), raw_calendar_id=second)
    await stage.sync()
    await stage.subscribe()
    stage.world.delete_calendar(second)
    stage.world.reset_counters()
    await stage.sync_again(calendar_id)

    row = await stage.calendar(calendar_id)
    assert (row.status, row.error_code, row.suspicion) == ("error", "calendar_not_found", "gone")
    assert stage.world.read_counters()["calendarList.list"] == 1
    stage.clock.now = row.due_at
    await stage.sync()
    row = await stage.calendar(calendar_id)
    assert (row.status, row.due_at) == ("disconnected", None)
    assert [kind for kind, _ in await stage.messages()] == ["calendar.error", "calendar.disconnected"]


@pytest.mark.parametrize("preset", ["invalid_grant", "backend_503", "user_rate_limit_403", "hang"])
async def test_a_fault_of_one_calendar_is_nothing_to_the_others(stage: Stage, preset: str) -> None:
    ids = {email: await stage.connect(email) for email in (ADA, GRACE)}
    await stage.sync()
    for email in ids:
        stage.world.add_meeting(email, "new", in_minutes=60)
    stage.clock.advance(hours=2)
    endpoint = TOKEN if preset == "invalid_grant" else LIST
    stage.world.add_fault(preset, endpoint=endpoint, account=ADA, times=None)

    await stage.sync()

    assert await stage.stored(ids[GRACE]) == stage.truth(GRACE)
    assert (await stage.calendar(ids[GRACE])).failures == 0
    assert (await stage.calendar(ids[ADA])).last_synced_at < stage.clock()


async def test_a_long_outage_is_told_of_once_and_retried_ever_more_slowly(stage: Stage) -> None:
    calendar_id = await settled(stage)
    stage.world.add_fault("backend_503", endpoint=LIST, times=None)
    pauses = []
    for _ in range(14):
        await stage.sync_again(calendar_id)
        row = await stage.calendar(calendar_id)
        pauses.append(row.due_at - stage.clock())
        stage.clock.now = row.due_at

    assert row.status == "error"
    assert max(pauses) <= timedelta(hours=1)
    assert pauses[-1] == timedelta(minutes=30)
    assert [kind for kind, _ in await stage.messages()] == ["calendar.error"]
    stage.world.clear_faults()
    await stage.sync()
    assert [kind for kind, _ in await stage.messages()] == ["calendar.error", "calendar.active"]
