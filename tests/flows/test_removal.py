"""Deleting a calendar: what goes with it, what stays for the others, and what is told."""

from typing import Any

import pytest
from flows.stage import Stage
from sqlalchemy import func, select

from service.errors import GatewayError
from service.store.tables import Table

pytestmark = pytest.mark.anyio
ADA = "ada@example.com"
OF_A_CALENDAR = ("calendars", "events", "event_sources", "quarantined_rows", "channels", "pushes")
SECRETS = ("connections", "oauth_clients")


async def counts(stage: Stage) -> dict[str, int]:
    found = {}
    async with stage.gateway.database.read() as conn:
        for name in (*OF_A_CALENDAR, *SECRETS):
            found[name] = (
                await conn.execute(select(func.count()).select_from(Table.metadata.tables[name]))
            ).scalar_one()
    return found


async def full_calendar(stage: Stage, **wish: Any) -> Any:
    calendar_id, _ = await stage.post(stage.world.connect(ADA), **wish)
    stage.let_google_talk_nonsense()
    await stage.sync()
    await stage.renew_channels()
    return calendar_id


async def test_the_last_calendar_takes_everything_with_it_and_says_one_thing(stage: Stage) -> None:
    stage.world.connect(ADA)
    stage.world.add_meeting(ADA, "a", in_minutes=60)
    stage.world.add_poison(ADA, {"id": "bad", "status": "confirmed"})
    calendar_id = await full_calendar(stage)
    assert min((await counts(stage)).values()) >= 1
    await stage.subscribe("calendar.*", "event.*")

    await stage.remove(calendar_id)

    assert await counts(stage) == dict.fromkeys((*OF_A_CALENDAR, *SECRETS), 0)
    (told,) = await stage.messages()
    assert (told[0], told[1]["calendar_id"], told[1]["previous_status"]) == (
        "calendar.deleted",
        str(calendar_id),
        "active",
    )
    assert await stage.meetings() == []
    assert len(await stage.changes()) == 1, "the log keeps what was"
    assert stage.world.grants[-1].revoked is False, "the user's grant is not ours to end"


async def test_another_calendar_of_the_account_keeps_its_connection_and_its_push(stage: Stage) -> None:
    stage.world.connect(ADA)
    second = stage.world.add_calendar(ADA, "Team")
    first_id = await full_calendar(stage)
    second_id = await full_calendar(stage, raw_calendar_id=second)

    await stage.remove(first_id)

    found = await counts(stage)
    assert {name: found[name] for name in (*SECRETS, "calendars", "channels", "pushes")} == {
        "connections": 1, "oauth_clients": 1, "calendars": 1, "channels": 1, "pushes": 1,
    }  # fmt: skip
    stage.world.take_pushes()
    stage.world.add_meeting(second, "new", in_minutes=60)
    assert await stage.carry_pushes() == [True]
    stage.clock.advance(1)
    await stage.sync()
    assert await stage.stored(second_id) == stage.truth(second)


async def test_a_push_that_cannot_be_stopped_does_not_keep_the_calendar(stage: Stage) -> None:
    stage.world.connect(ADA)
    calendar_id = await full_calendar(stage)
    stage.world.take_pushes()
    stage.world.add_fault("backend_500", endpoint="channels.stop", times=None)

    await stage.remove(calendar_id)

    stage.world.add_meeting(ADA, "new", in_minutes=60)
    assert await stage.carry_pushes() == [False], "it is answered as unknown until it runs out"


async def test_what_is_gone_is_unknown(stage: Stage) -> None:
    stage.world.connect(ADA)
    calendar_id = await full_calendar(stage)
    await stage.remove(calendar_id)

    for attempt in (stage.remove, stage.resync, stage.patch):
        with pytest.raises(GatewayError) as refused:
            await attempt(calendar_id)
        assert (refused.value.status, refused.value.code) == (404, "not_found")


async def test_connecting_it_again_begins_anew(stage: Stage) -> None:
    stage.world.connect(ADA)
    stage.world.add_meeting(ADA, "a", in_minutes=60)
    first = await full_calendar(stage)
    await stage.remove(first)
    second = await full_calendar(stage)

    assert second != first
    assert await stage.stored(second) == stage.truth(ADA)
    assert [change.cause for change in await stage.changes()] == ["initial", "initial"]
