"""Connecting again: what one calendar's new credentials mean for its siblings, its client and itself."""

import pytest
from flows.stage import Stage
from uuid_utils.compat import uuid7

from service.core.credentials import GoogleCredentials
from service.flows import connect

pytestmark = pytest.mark.anyio


async def test_a_new_grant_revives_every_calendar_of_the_account(stage: Stage) -> None:
    primary = await stage.connect()
    team = stage.world.add_calendar("ada@example.com", "Team")
    credentials = stage.world.connect("ada@example.com")
    second, created = await stage.post(credentials, raw_calendar_id=team)
    assert created
    await stage.sync()
    stage.world.revoke_consent("ada@example.com")
    for _ in range(2):
        stage.clock.advance(hours=2)
        await stage.sync()
    assert {(await stage.calendar(each)).status for each in (primary, second)} == {"disconnected"}

    again, created = await stage.post(stage.world.connect("ada@example.com"))

    assert (again, created) == (primary, False)
    assert {(await stage.calendar(each)).status for each in (primary, second)} == {"syncing"}
    await stage.sync()
    assert {(await stage.calendar(each)).status for each in (primary, second)} == {"active"}


async def test_the_same_account_under_another_client_moves_and_the_old_secret_goes(stage: Stage) -> None:
    calendar_id = await stage.connect()
    await stage.sync()
    before = (await stage.calendar(calendar_id)).oauth_client_id
    other = stage.world.add_client()
    token = stage.world.grant("ada@example.com", other["client_id"])

    moved, created = await stage.post({**other, "refresh_token": token})

    assert (moved, created) == (calendar_id, False)
    assert (await stage.calendar(calendar_id)).oauth_client_id != before
    assert await stage.count("oauth_clients") == 1
    await stage.sync()
    assert (await stage.calendar(calendar_id)).status == "active"


async def test_the_answer_to_connecting_is_what_was_written_whoever_was_faster(stage: Stage) -> None:
    credentials = stage.world.connect("ada@example.com")
    given = GoogleCredentials(**{name: credentials[name] for name in ("client_id", "client_secret", "refresh_token")})

    for created in (True, False):
        wish = connect.NewCalendar(credentials=given)
        row, is_new = await connect.add(stage.gateway, stage.project, wish, uuid7())
        assert (row.status, is_new) == ("syncing", created)
        await stage.sync()
    row = await connect.change(stage.gateway, stage.project, row.id, connect.CalendarPatch(credentials=given))
    await stage.sync()
    assert (row.status, (await stage.calendar(row.id)).status) == ("syncing", "active")
