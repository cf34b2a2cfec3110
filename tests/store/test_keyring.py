"""The ring and its database: proved at the start, rotated while running."""

import asyncio
import itertools
from datetime import datetime
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert, select, update

from service.store.cipher import Cipher, KeyRing, KeyRingError, Unreadable, generate_key, place_of
from service.store.connections import stored_credentials
from service.store.database import Database, DatabaseUnavailable
from service.store.idempotency import Name, Replay, begin, finish
from service.store.keyring import Rotated, check, is_proved, prove, rotate, unlock
from service.store.tables import Table
from webhooks import endpoints as webhook_endpoints
from webhooks.tables import endpoints

pytestmark = pytest.mark.anyio
CLIENTS = Table.metadata.tables["oauth_clients"]
CONNECTIONS = Table.metadata.tables["connections"]
OLD, NEW = generate_key(), generate_key()


async def add_client(database: Database, cipher: Cipher, project: UUID, now: datetime, number: int) -> UUID:
    client = uuid4()
    row = {"id": client, "project_id": project, "provider": "google", "client_id": f"c{number}", "tenant": ""}
    row["client_secret"] = cipher.seal(b"secret", place_of(project, "oauth_clients", "client_secret", client))
    row |= {"created_at": now, "updated_at": now, "rejection_announced": False}
    async with database.write() as conn:
        await conn.execute(insert(CLIENTS), row)
    return client


async def add_connection(database: Database, cipher: Cipher, project: UUID, now: datetime, client: UUID) -> UUID:
    connection = uuid4()
    row = {"id": connection, "project_id": project, "oauth_client_id": client, "provider": "google"}
    row["account"] = f"account of {client}"
    for column in ("refresh_token", "access_token"):
        row[column] = cipher.seal(column.encode(), place_of(project, "connections", column, connection))
    async with database.write() as conn:
        await conn.execute(insert(CONNECTIONS), row | {"token_version": 1, "created_at": now, "updated_at": now})
    return connection


async def add_endpoint(database: Database, cipher: Cipher, project: UUID, now: datetime) -> UUID:
    endpoint = uuid4()
    row = {"id": endpoint, "project_id": project, "url": "https://example.com", "ordering": "best_effort"}
    row |= {"format": "standard", "state": "enabled", "version": 1, "failed_messages": 0}
    row["secret"] = cipher.seal(b"[]", place_of(project, "webhook_endpoints", "secret", endpoint))
    async with database.write() as conn:
        await conn.execute(insert(endpoints), row | {"created_at": now, "updated_at": now})
    return endpoint


async def test_the_first_ring_is_remembered_and_another_refused(database: Database) -> None:
    await unlock(database, OLD)
    await unlock(database, f"{NEW},{OLD}")
    with pytest.raises(KeyRingError, match="not the key ring of this database"):
        await unlock(database, NEW)
    async with database.read() as conn:
        assert await is_proved(conn, Cipher(KeyRing.parse(OLD)))
        assert not await is_proved(conn, Cipher(KeyRing.parse(NEW)))


async def test_a_ring_of_the_same_name_with_another_key_is_refused(database: Database) -> None:
    await unlock(database, f"a:{OLD.partition(':')[2]}")
    with pytest.raises(KeyRingError):
        await unlock(database, f"a:{NEW.partition(':')[2]}")


async def test_sqlite_gets_a_key_file_and_is_not_given_another(sqlite_url: str) -> None:
    async with Database.connect(sqlite_url) as database:
        assert database.path is not None
        key_file = database.path.with_name("calgate.db.key")
        assert (await unlock(database, None)).made_key_file
        assert not (await unlock(database, None)).made_key_file
        key_file.rename(key_file.with_name("lost"))
        with pytest.raises(KeyRingError, match=r"calgate\.db\.key is missing"):
            await unlock(database, None)
        assert not key_file.exists()


async def test_postgresql_does_not_start_without_keys(postgresql_url: str) -> None:
    async with Database.connect(postgresql_url) as database:
        with pytest.raises(KeyRingError, match="required with PostgreSQL"):
            await unlock(database, None)


async def test_looking_at_a_ring_makes_and_writes_nothing(sqlite_url: str) -> None:
    async with Database.connect(sqlite_url) as database:
        assert database.path is not None
        await check(database, None)
        await check(database, OLD)
        assert not database.path.with_name("calgate.db.key").exists()
        await unlock(database, NEW)
        await check(database, f"{OLD},{NEW}")
        for wrong, reason in ((OLD, "not the key ring"), (None, r"calgate\.db\.key is missing"), ("a", "has no id")):
            with pytest.raises(KeyRingError, match=reason):
                await check(database, wrong)


async def test_rotation_reaches_every_secret(database: Database, project: UUID, clock) -> None:
    old, both, new = (Cipher(KeyRing.parse(text)) for text in (OLD, f"{NEW},{OLD}", NEW))
    clients = [await add_client(database, old, project, clock(), number) for number in range(3)]
    connection = await add_connection(database, old, project, clock(), clients[0])
    endpoint = await add_endpoint(database, old, project, clock())
    name = Name(project, "POST /calendars", "k|1")
    async with database.write() as conn:
        await prove(conn, old)
        await begin(conn, old, name, fingerprint=b"f", now=clock(), new_object_id=uuid4())
        await finish(conn, old, name, status=201, headers={}, body=b"{}")

    assert await rotate(database, both) == Rotated(resealed=8, unreadable=0)
    assert await rotate(database, both) == Rotated(resealed=0, unreadable=0)

    async with database.write() as conn:
        await prove(conn, new)
        for row in await conn.execute(select(CLIENTS)):
            place = place_of(project, "oauth_clients", "client_secret", row.id)
            assert new.open(row.client_secret, place) == b"secret"
        row = (await conn.execute(select(CONNECTIONS))).one()
        for column in ("refresh_token", "access_token"):
            place = place_of(project, "connections", column, connection)
            assert new.open(getattr(row, column), place) == column.encode()
        secret = (await conn.execute(select(endpoints.c.secret))).scalar_one()
        assert new.open(secret, place_of(project, "webhook_endpoints", "secret", endpoint)) == b"[]"
        replay = await begin(conn, new, name, fingerprint=b"f", now=clock(), new_object_id=uuid4())
        assert replay == Replay(201, {}, b"{}")


async def test_rotation_goes_past_one_chunk_and_past_what_nobody_can_open(
    database: Database, project: UUID, clock, monkeypatch
) -> None:
    monkeypatch.setattr("service.store.keyring.CHUNK", 2)
    old, both = Cipher(KeyRing.parse(OLD)), Cipher(KeyRing.parse(f"{NEW},{OLD}"))
    clients = [await add_client(database, old, project, clock(), number) for number in range(7)]
    async with database.write() as conn:
        await prove(conn, old)
        await conn.execute(update(CLIENTS).where(CLIENTS.c.id == clients[3]).values(client_secret=b"damaged"))
    assert await rotate(database, both) == Rotated(resealed=6, unreadable=1)
    async with database.write() as conn:
        await prove(conn, old)  # the canary waits until nothing is left behind


async def test_a_deleted_endpoint_does_not_hold_a_rotation_up(database: Database, project: UUID, clock):
    old, both = Cipher(KeyRing.parse(OLD)), Cipher(KeyRing.parse(f"{NEW},{OLD}"))
    async with database.write() as conn:
        await prove(conn, old)
        draft = webhook_endpoints.EndpointDraft(url="https://receiver.example.com/hook")
        endpoint, _ = await webhook_endpoints.create(conn, old, project, draft, now=clock())
        await webhook_endpoints.delete(conn, project, endpoint.id, now=clock())

    assert (await rotate(database, both)).unreadable == 0

    async with database.read() as conn:
        assert await is_proved(conn, Cipher(KeyRing.parse(NEW)))


async def test_no_read_fails_while_a_rotation_runs(database: Database, project: UUID, clock, monkeypatch) -> None:
    """Each reader is a process of its own that has the new key already, first in its ring or last."""
    monkeypatch.setattr("service.store.keyring.CHUNK", 2)
    old, both = Cipher(KeyRing.parse(OLD)), Cipher(KeyRing.parse(f"{NEW},{OLD}"))
    clients = [await add_client(database, old, project, clock(), number) for number in range(30)]
    connections = [await add_connection(database, old, project, clock(), client) for client in clients]
    async with database.write() as conn:
        await prove(conn, old)
        draft = webhook_endpoints.EndpointDraft(url="https://receiver.example.com/hook")
        endpoint, secret = await webhook_endpoints.create(conn, old, project, draft, now=clock())
    reads, failures, is_over = 0, [], False

    async def read(ring: str) -> None:
        nonlocal reads
        cipher = Cipher(KeyRing.parse(ring))
        for connection in itertools.cycle(connections):
            if is_over:
                return
            try:
                async with database.read() as conn:
                    assert await is_proved(conn, cipher)
                    found = await stored_credentials(conn, cipher, connection)
                    assert found is not None
                    assert (found[0].client_secret, found[1]) == ("secret", "refresh_token")
                    assert await webhook_endpoints.reveal(conn, cipher, project, endpoint.id) == secret
                reads += 1
            except (Unreadable, DatabaseUnavailable) as error:
                failures.append(error)

    async with asyncio.TaskGroup() as tasks:
        for ring in (f"{NEW},{OLD}", f"{OLD},{NEW}"):
            tasks.create_task(read(ring))
        done = await rotate(database, both)
        is_over = True

    assert failures == []
    assert reads > 20
    assert done == Rotated(resealed=92, unreadable=0)
