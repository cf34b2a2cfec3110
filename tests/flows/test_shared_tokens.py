"""Two replicas with one account between them: a dead token that the other one stored is no reason to doubt a revocation."""

from typing import Any

import pytest
from flows.stage import Stage

from service.flows import connect
from service.store import calendars

pytestmark = pytest.mark.anyio
ADA = "ada@example.com"


async def test_a_dead_token_of_the_other_replica_does_not_hide_a_lost_grant(stage: Stage, rival: Stage) -> None:
    calendar_id = await stage.connect()
    await stage.sync()
    await rival.sync_again(calendar_id)
    stage.world.expire_access_tokens(ADA)
    await rival.sync_again(calendar_id)  # stores a token that `stage` has not seen
    stage.world.revoke_consent(ADA)

    await stage.sync_again(calendar_id)

    row = await stage.calendar(calendar_id)
    assert (row.status, row.error_code, row.suspicion) == ("error", "credentials_rejected", "grant")


async def test_a_smaller_horizon_lets_nothing_new_in_beyond_it(stage: Stage) -> None:
    calendar_id = await stage.connect()
    await stage.sync()
    await connect.change(stage.gateway, stage.project, calendar_id, connect.CalendarPatch(horizon_days=1))
    await stage.sync()
    stage.world.add_meeting(ADA, "in ten days", in_minutes=10 * 24 * 60)

    await stage.sync_again(calendar_id)
    assert await stage.events(calendar_id) == []

    await connect.change(stage.gateway, stage.project, calendar_id, connect.CalendarPatch(horizon_days=30))
    await stage.sync()
    assert [event.title for event in await stage.events(calendar_id)] == ["in ten days"]
    assert [change.cause for change in await stage.changes()] == ["window"]


async def test_connecting_and_marking_due_twice_do_not_wait_for_each_other(stage: Stage) -> None:
    calendar_id = await stage.connect()
    row: Any = await stage.calendar(calendar_id)
    database = stage.gateway.database
    if database.dialect == "sqlite":
        pytest.skip("SQLite has one writer")
    async with database.write() as connecting:
        await stage.lock_accounts(connecting, row)
        async with database.write() as marking:
            await marking.exec_driver_sql("SET LOCAL lock_timeout = '500ms'")
            await calendars.make_due(marking, calendar_id, stage.clock(), "push", full=True)
            await calendars.make_due(marking, calendar_id, stage.clock(), "push", full=True)
