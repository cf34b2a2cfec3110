"""`integration.*`: once for each change of how a connection stands, in the transaction that makes it so, whoever makes it."""

import asyncio
from itertools import product
from typing import Any
from uuid import UUID

import pytest
from flows.stage import Stage
from sqlalchemy import select, update
from uuid_utils.compat import uuid7

from service.core.connection import STATUSES, Trouble, status_of
from service.core.lifecycle import State
from service.flows import connect
from service.store import connection_standing, connection_views
from service.store.connection_tables import ConnectionRow
from service.store.connection_views import ConnectionFilter
from service.store.connections import ConnectionTokens
from service.store.tables import CalendarRow

pytestmark = pytest.mark.anyio
ADA = "ada@example.com"
TEAM = "Team"
_connections = ConnectionRow.metadata.tables["connections"]
_calendars = CalendarRow.metadata.tables["calendars"]


async def told(stage: Stage) -> list[tuple[str, str | None, str, str | None]]:
    """Each notice of a connection: its type, the statuses before and after, and the error's code."""
    return [
        (kind.removeprefix("integration."), data["previous_status"], data["status"], data["error_code"])
        for kind, data in await stage.messages()
        if kind.startswith("integration.")
    ]


async def connection_of(stage: Stage, calendar_id: UUID) -> UUID:
    found: UUID = (await stage.calendar(calendar_id)).connection_id
    return found


async def status(stage: Stage, calendar_id: UUID) -> str:
    async with stage.gateway.database.read() as conn:
        found = await connection_views.picture(conn, stage.project, await connection_of(stage, calendar_id))
    assert found is not None
    return connection_standing.judged(found.row, found.calendars).status


async def two_calendars(stage: Stage) -> tuple[UUID, UUID]:
    """Two calendars of one account, read, and somebody who listens."""
    await stage.subscribe("integration.*")
    credentials = stage.world.connect(ADA)
    team = stage.world.add_calendar(ADA, TEAM)
    first, _ = await stage.post(credentials)
    second, _ = await stage.post(credentials, raw_calendar_id=team)
    return first, second


async def test_a_connection_is_synced_when_all_of_it_was_read(stage: Stage) -> None:
    first, second = await two_calendars(stage)
    async with stage.gateway.database.write() as conn:
        await conn.execute(update(_calendars).where(_calendars.c.id == second).values(due_at=None))
    await stage.sync()
    assert await told(stage) == []
    async with stage.gateway.database.write() as conn:
        await conn.execute(update(_calendars).where(_calendars.c.id == second).values(due_at=stage.clock()))
    await stage.sync()
    assert await told(stage) == [("synced", None, "active", None)]
    for _ in range(3):
        await stage.sync_again(first)
    assert len(await told(stage)) == 1
    [(_, data)] = await stage.messages()
    assert data == {
        "connection_id": str(await connection_of(stage, first)),
        "user_id": None,
        "provider": "google",
        "email": ADA,
        "status": "active",
        "previous_status": None,
        "error_code": None,
        "error_message": None,
    }


async def test_only_those_who_name_it_are_told(stage: Stage) -> None:
    await stage.subscribe()
    await stage.connect()
    await stage.sync()
    assert await told(stage) == []
    assert await stage.messages() != []


async def test_a_grant_that_dies_is_told_once_and_its_renewal_once(stage: Stage) -> None:
    first, second = await two_calendars(stage)
    await stage.sync()
    stage.world.revoke_consent(ADA)
    stage.world.expire_access_tokens(ADA)
    for _ in range(3):
        for calendar_id in (first, second):
            await stage.sync_again(calendar_id) if (await stage.calendar(calendar_id)).due_at else None
        stage.clock.advance(70)
    assert [(await stage.calendar(each)).status for each in (first, second)] == [State.DISCONNECTED] * 2
    assert await status(stage, first) == "token_expired"
    lost = ("error", "active", "token_expired", "credentials_rejected")
    assert await told(stage) == [("synced", None, "active", None), lost]

    await stage.patch(first, stage.world.connect(ADA))
    assert len(await told(stage)) == 2, "not before all of it was read again"
    await stage.sync()
    assert (await told(stage))[2:] == [("synced", "token_expired", "active", None)]


async def test_an_error_that_turns_into_another_status(stage: Stage) -> None:
    await stage.subscribe("integration.*")
    calendar_id = await stage.connect()
    await stage.sync()
    stage.world.add_fault("backend_503", times=None)
    for _ in range(3):
        await stage.sync_again(calendar_id)
    stage.world.clear_faults()
    stage.world.revoke_consent(ADA)
    stage.world.expire_access_tokens(ADA)
    await stage.sync_again(calendar_id)
    assert (await stage.calendar(calendar_id)).status == State.ERROR, "the calendar stands as it stood"
    assert (await told(stage))[1:] == [
        ("error", "active", "error", "provider_unavailable"),
        ("error", "error", "token_expired", "credentials_rejected"),
    ]


async def test_one_calendar_that_was_deleted_is_no_matter_of_the_connection(stage: Stage) -> None:
    first, second = await two_calendars(stage)
    await stage.sync()
    stage.world.delete_calendar((await stage.calendar(second)).raw_calendar_id)
    for _ in range(2):
        await stage.sync_again(second)
        stage.clock.advance(70)
    assert (await stage.calendar(second)).status == State.DISCONNECTED
    assert await status(stage, first) == "active"
    assert (await told(stage))[1:] == [
        ("error", "active", "error", "calendar_not_found"),
        ("synced", "error", "active", None),
    ]


async def test_the_last_calendar_takes_the_connection_along(stage: Stage) -> None:
    first, second = await two_calendars(stage)
    await stage.sync()
    await stage.remove(first)
    assert len(await told(stage)) == 1
    await stage.remove(second)
    assert (await told(stage))[1:] == [("disconnected", "active", "disconnected", None)]
    assert await stage.count("connections") == 0


async def test_a_calendar_in_trouble_that_goes_leaves_the_others_well(stage: Stage) -> None:
    first, second = await two_calendars(stage)
    await stage.sync()
    stage.world.delete_calendar((await stage.calendar(second)).raw_calendar_id)
    await stage.sync_again(second)
    await stage.remove(second)
    assert (await told(stage))[2:] == [("synced", "error", "active", None)]
    assert await status(stage, first) == "active"


@pytest.mark.parametrize("fault", ["revoked", "client"])
async def test_a_refresh_tells_what_it_finds_and_a_renewed_token_takes_it_back(stage: Stage, fault: str) -> None:
    await stage.subscribe("integration.*")
    calendar_id = await stage.connect()
    await stage.sync()
    connection_id = await connection_of(stage, calendar_id)
    if fault == "client":
        stage.world.add_fault("invalid_client", endpoint="token", times=1)
        code, found = "client_rejected", "error"
    else:
        stage.world.add_fault("invalid_grant", endpoint="token", times=1)
        code, found = "credentials_rejected", "token_expired"
    await connect.refresh(stage.gateway, stage.project, connection_id)
    assert await status(stage, calendar_id) == found
    assert (await told(stage))[1:] == [("error", "active", found, code)]
    stage.clock.advance(hours=1)  # past the rest that a rejected client is given
    await stage.sync()  # in passing, whoever needs a token renews it
    assert await status(stage, calendar_id) == "active"
    assert (await told(stage))[2:] == [("synced", found, "active", None)]


async def test_a_refresh_that_is_granted_again_revives_what_was_lost(stage: Stage) -> None:
    await stage.subscribe("integration.*")
    calendar_id = await stage.connect()
    await stage.sync()
    stage.world.add_fault("invalid_grant", endpoint="token", times=None)
    stage.world.expire_access_tokens(ADA)
    for _ in range(2):
        await stage.sync_again(calendar_id)
        stage.clock.advance(70)
    assert (await stage.calendar(calendar_id)).status == State.DISCONNECTED
    stage.world.clear_faults()
    await connect.refresh(stage.gateway, stage.project, await connection_of(stage, calendar_id))
    assert (await stage.calendar(calendar_id)).status == State.SYNCING
    await stage.sync()
    assert [kind for kind, *_ in await told(stage)] == ["synced", "error", "synced"]


async def test_two_workers_tell_one_change_once(stage: Stage, rival: Stage) -> None:
    first, second = await two_calendars(stage)

    async def run() -> None:
        for worker in (stage, rival):
            async with worker.gateway.database.write() as conn:
                await conn.execute(update(_calendars).values(lease=None, leased_until=None, due_at=stage.clock()))
        for worker in (stage, rival):
            worker.syncer._most = 1  # one calendar each
        await asyncio.gather(stage.syncer.run_due(), rival.syncer.run_due())
        await asyncio.gather(stage.syncer.idle(), rival.syncer.idle())

    expected: list[str] = []
    for _ in range(4):
        await run()
        stage.world.add_fault("forbidden_403", times=None)
        await run()
        stage.world.clear_faults()
        expected += ["synced", "error"]
        kinds = [kind for kind, *_ in await told(stage)]
        assert kinds == expected
    assert [(await stage.calendar(each)).status for each in (first, second)] == [State.ERROR] * 2


async def test_who_judges_waits_for_who_has_turned_another_calendar(stage: Stage) -> None:
    """Each of two transactions heals one calendar: whoever comes second sees that all is well."""
    first, second = await two_calendars(stage)
    await stage.sync()
    connection_id = await connection_of(stage, first)
    database, now = stage.gateway.database, stage.clock()
    async with database.write() as conn:
        await conn.execute(update(_calendars).values(status="error", error_code="provider_unavailable"))
        await conn.execute(update(_connections).values(announced_status="error"))

    async def dial() -> None:
        async with database.write() as conn:
            await connection_standing.hold(conn, [uuid7()])
            await asyncio.sleep(0.3)

    await asyncio.gather(dial(), dial())  # so that neither has to do that when it matters

    async def heal(calendar_id: UUID) -> list[Any]:
        async with database.write() as conn:
            await connection_standing.hold(conn, [connection_id])
            mend = update(_calendars).where(_calendars.c.id == calendar_id)
            await conn.execute(mend.values(status="active", error_code=None))
            await asyncio.sleep(0.1)
            found = await connection_standing.news(conn, [connection_id], now)
            await asyncio.sleep(0.1)  # before the commit
            return found

    notices = await asyncio.gather(heal(first), heal(second))
    assert sorted(map(len, notices)) == [0, 1]


async def test_an_unchanged_calendar_asks_nothing_of_connections(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    calendar_id = await stage.connect()
    await stage.sync()
    asked: list[Any] = []

    async def judge(_conn: Any, ids: Any, *_: Any) -> list[Any]:
        asked.extend(ids)
        return []

    monkeypatch.setattr(connection_standing, "_hold", None)  # whoever would execute it, fails
    monkeypatch.setattr(connection_standing, "news", judge)
    await stage.sync_again(calendar_id)
    assert asked == []
    assert (await stage.calendar(calendar_id)).status == State.ACTIVE


async def test_the_list_filters_by_the_status_that_it_shows(stage: Stage) -> None:
    """`core.connection.status_of`, and its copy in SQL: every pair of calendars, with and without trouble of the account."""
    codes = {State.ERROR: ("provider_unavailable", "credentials_rejected"), State.DISCONNECTED: ("calendar_not_found",)}
    kinds = [(state.value, code) for state in State for code in codes.get(state, (None,))]
    wanted = dict.fromkeys(STATUSES, 0)
    calendar_id = await stage.connect()
    calendar = dict((await stage.calendar(calendar_id))._mapping)
    async with stage.gateway.database.write() as conn:
        row = dict((await conn.execute(select(_connections))).one()._mapping)
        await conn.execute(_calendars.delete())
        await conn.execute(_connections.delete())
        combinations = [(), *((each,) for each in kinds), *product(kinds, kinds)]
        for number, (members, own) in enumerate(product(combinations, (None, "client_rejected", "insufficient_scope"))):
            wanted[status_of(members, own)] += 1
            mine = row | {"id": uuid7(), "account": f"account {number}", "error_code": own}
            await conn.execute(_connections.insert().values(**mine))
            for index, (state, code) in enumerate(members):
                values = {"id": uuid7(), "connection_id": mine["id"], "raw_calendar_id": str(index)}
                await conn.execute(
                    _calendars.insert().values(**calendar | values | {"status": state, "error_code": code})
                )
    assert min(wanted.values()) > 0
    for name, count in wanted.items():
        async with stage.gateway.database.read() as conn:
            found = await connection_views.listed(conn, stage.project, ConnectionFilter(status=name), None, 10_000)
        assert len(found) == count, name
        assert {connection_standing.judged(each.row, each.calendars).status for each in found} == {name}


async def test_what_is_told_of_the_account_itself(stage: Stage) -> None:
    """An account without calendars, as Zoom's: only what is said of itself counts."""
    await stage.subscribe("integration.*")
    calendar_id = await stage.connect()
    connection_id = await connection_of(stage, calendar_id)
    patch = connect.ConnectionPatch(selected_calendars=[])
    await connect.change_connection(stage.gateway, stage.project, connection_id, patch)
    assert await told(stage) == [("synced", None, "active", None)]
    lost = Trouble("credentials_rejected", "sign in again")
    for _ in range(2):
        async with stage.gateway.database.write() as conn:
            notices = await connection_standing.mark(conn, connection_id, lost, stage.clock())
        assert len(notices) == (1 if _ == 0 else 0)
    tokens = ConnectionTokens(stage.gateway.database, stage.gateway.cipher)
    stored = await tokens.load(connection_id)
    assert stored is not None
    stage.gateway.tokens.forget(connection_id)
    await stage.gateway.tokens.access(connection_id, stage.clock(), rejected=stored.access_token)
    assert (await told(stage))[1:] == [("synced", "token_expired", "active", None)]
