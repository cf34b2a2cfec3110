"""A false "not found" for a living series: it costs a retry, never a meeting."""

import pytest
from flows.stage import Stage

pytestmark = pytest.mark.anyio
ADA = "ada@example.com"


async def test_a_series_that_is_said_to_be_gone_while_it_is_edited_loses_nothing(stage: Stage) -> None:
    calendar_id = await stage.connect()
    series = stage.world.add_meeting(ADA, "daily", recurrence=["RRULE:FREQ=DAILY;COUNT=5"])
    await stage.sync()
    assert len(await stage.events(calendar_id)) == 5
    stage.world.edit_event(ADA, series["id"], {"summary": "every day"})
    stage.world.add_fault("not_found_404", endpoint="events.instances", times=1)

    await stage.sync_again(calendar_id)

    assert len(await stage.events(calendar_id)) == 5
    row = await stage.calendar(calendar_id)
    assert (row.status, row.failures) == ("active", 1)
    stage.clock.now = row.due_at
    await stage.sync()
    assert {event.title for event in await stage.events(calendar_id)} == {"every day"}
    assert await stage.stored(calendar_id) == stage.truth(ADA)
