"""A backup is made while the gateway works, and put back: nothing is given out twice, and the next sync heals the rest."""

import asyncio
import os
import stat
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from flows.stage import Stage, set_stage
from journeys.written_commands import blocks
from own_postgresql import PostgreSQL
from sqlalchemy import select, text

from service.__main__ import main
from service.store import changes, keyring, restores, workers
from service.store.changes import Place
from service.store.cipher import Cipher
from service.store.database import Database
from service.store.tables import Table
from simulator.google.world import World
from webhooks import tables

pytestmark = pytest.mark.anyio
ADA = "ada@example.com"
PROJECTS = Table.metadata.tables["projects"]


class Copies:
    """Makes a backup of a test's database as operators do, and puts it back as another one."""

    def __init__(self, url: str, folder: Path, environment: pytest.MonkeyPatch, server: PostgreSQL | None) -> None:
        self.url, self.server, self.environment = url, server, environment
        self.file = folder / "backup"
        self.restored_url = f"sqlite:///{self.file}"

    async def make(self) -> None:
        if self.server is None:
            await self.run("backup", str(self.file))
        else:
            await self.type("pg_dump ", self.url)

    async def put_back(self) -> str:
        """The address of the database that was put back, by those who only look: what it was is known to it."""
        if self.server is not None:
            name = f"calgate_{uuid4().hex}"
            await self.server.run(f"CREATE DATABASE {name}")
            self.restored_url = self.server.url_of(name)
            await self.type("pg_restore ", self.restored_url)
            await self.run("restored")
        return self.restored_url

    async def run(self, *arguments: str, code: int = 0) -> None:
        self.environment.setenv("CALGATE_DATABASE_URL", self.restored_url if arguments[0] == "restored" else self.url)
        assert await asyncio.to_thread(main, arguments) == code

    async def type(self, begins: str, url: str) -> None:
        """Type the line that docs/operations.md has for it."""
        assert self.server is not None
        [line] = [
            line
            for block in blocks("docs/operations.md")
            for line in block.text.splitlines()
            if line.startswith(begins)
        ]
        path = f"{self.server.server.bin_path}:{os.environ['PATH']}"
        environment = os.environ | {"PATH": path, "CALGATE_DATABASE_URL": url}
        typed = line.replace("calgate.dump", str(self.file))
        await asyncio.to_thread(subprocess.run, ["sh", "-c", typed], check=True, capture_output=True, env=environment)


@pytest.fixture
def copies(
    database: Database,
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> Copies:
    server = request.getfixturevalue("postgresql_server") if database.dialect == "postgresql" else None
    monkeypatch.setenv("CALGATE_SECRET_KEYS", "k1:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")
    return Copies(database_url, tmp_path, monkeypatch, server)


@pytest.fixture
async def put_back(
    copies: Copies, cipher: Cipher, clock: Any, project: UUID, world: World
) -> AsyncIterator[Callable[[], Awaitable[Stage]]]:
    """Opens the gateway on the database that was put back."""

    @asynccontextmanager
    async def open_stage() -> AsyncIterator[Stage]:
        async with Database.connect(await copies.put_back()) as database:
            async with database.write() as conn:
                if await restores.claim_copy(conn):  # as a gateway does when it opens
                    await restores.carry_on(conn, clock())
            async with set_stage(database, cipher, clock, project, world) as stage:
                yield stage

    opened = []

    async def enter() -> Stage:
        opened.append(open_stage())
        return await opened[-1].__aenter__()

    yield enter
    for each in opened:
        await each.__aexit__(None, None, None)
    if copies.server is not None:
        name = copies.restored_url.partition("/calgate_")[2].partition("?")[0]
        await copies.server.run(f"DROP DATABASE IF EXISTS calgate_{name} WITH (FORCE)")


async def place(stage: Stage, after: int) -> Place:
    async with stage.gateway.database.read() as conn:
        return await changes.place(conn, stage.project, after)


async def undone(stage: Stage) -> list[UUID]:
    query = select(tables.deliveries.c.message_id).where(tables.deliveries.c.state == "pending")
    async with stage.gateway.database.read() as conn:
        return sorted((await conn.execute(query)).scalars())


async def test_a_gateway_goes_on_from_a_backup(
    stage: Stage, copies: Copies, put_back: Callable[[], Awaitable[Stage]]
) -> None:
    stage.clock.now = datetime.now(UTC)  # which the commands go by
    async with stage.gateway.database.write() as conn:
        await keyring.prove(conn, stage.gateway.cipher)
    await stage.subscribe("event.*")
    calendar_id = await stage.connect()
    kept = stage.world.add_meeting(ADA, "kept", in_minutes=60)
    moved = stage.world.add_meeting(ADA, "moved", in_minutes=90)
    await stage.sync()
    await stage.renew_channels()
    await stage.sync()
    stage.world.add_meeting(ADA, "news of then", in_minutes=120)
    await stage.sync_again(calendar_id)
    before, waiting = await stage.last_seq(), await undone(stage)
    await copies.make()

    stage.world.add_meeting(ADA, "made after the backup", in_minutes=180)
    stage.world.edit_event(ADA, moved["id"], {"summary": "moved, after the backup"})
    stage.world.cancel_event(ADA, kept["id"])
    await stage.sync_again(calendar_id)
    ahead = await stage.last_seq()
    assert ahead > before
    stage.clock.advance(minutes=1)

    restored = await put_back()
    assert await stage.stored(calendar_id) == stage.truth(ADA)
    assert await restored.stored(calendar_id) != stage.truth(ADA)
    assert await undone(restored) == waiting, "what was not sent then is sent again, under the same id"
    assert (await restored.calendar(calendar_id)).push_until is None

    assert await restored.sync() == 1, "nobody has to ask for it"

    assert await restored.stored(calendar_id) == restored.truth(ADA)
    beyond = before + restores.JUMP
    told = await restored.changes(beyond)
    assert [change.seq for change in told] == list(range(beyond + 1, beyond + len(told) + 1))
    assert {change.event.title for change in told} >= {"made after the backup", "moved, after the backup"}
    # Who has read exactly what the backup knows goes on; who has read more is told, for ever.
    assert await place(restored, before) == Place(beyond, beyond + len(told), None)
    assert await place(restored, before - 1) == Place(before - 1, beyond + len(told), None)
    assert (await place(restored, ahead)).lost_until == beyond
    assert (await place(restored, beyond + 1)).lost_until is None
    assert (await place(restored, beyond + 99)).lost_until == beyond + len(told)
    await restored.renew_channels()
    assert (await restored.calendar(calendar_id)).push_until is not None


async def test_it_can_be_put_back_twice(stage: Stage, project: UUID) -> None:
    database, now = stage.gateway.database, stage.clock()
    for _ in range(2):
        async with database.write() as conn:
            assert await restores.carry_on(conn, now) == 1
    async with database.read() as conn:
        row = (await conn.execute(select(PROJECTS.c.seq, PROJECTS.c.gaps))).one()
    assert (row.seq, row.gaps) == (2 * restores.JUMP, [[0, restores.JUMP], [restores.JUMP, 2 * restores.JUMP]])
    assert (await place(stage, 0)).after == 2 * restores.JUMP
    assert (await place(stage, 5)).lost_until == restores.JUMP


async def test_a_copy_is_known_as_one_by_the_first_who_works_with_it(stage: Stage) -> None:
    database = stage.gateway.database
    async with database.write() as conn:
        assert await restores.claim_copy(conn) is None
        await conn.execute(
            text("INSERT INTO keyring (id, canary, copied_at) VALUES (1, :x, :at)").bindparams(
                x=b"x", at=stage.clock() if database.dialect == "postgresql" else "2026-03-02 09:00:00.000000"
            )
        )
    found = []
    for _ in range(2):
        async with database.write() as conn:
            found.append(await restores.claim_copy(conn))
    assert found == [stage.clock(), None]


async def test_nothing_is_put_right_under_a_running_gateway(
    stage: Stage, copies: Copies, capsys: pytest.CaptureFixture[str]
) -> None:
    copies.restored_url = copies.url
    now = datetime.now(UTC)
    async with stage.gateway.database.write() as conn:
        await workers.report(conn, uuid4(), now, now)
    await copies.run("restored", code=1)
    assert "stop all of them first" in capsys.readouterr().err
    assert await stage.last_seq() == 0


class TestTheCommand:
    @pytest.fixture
    def source(self, sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv("CALGATE_SECRET_KEYS", raising=False)
        monkeypatch.setenv("CALGATE_DATABASE_URL", sqlite_url)
        path = Path(sqlite_url.removeprefix("sqlite:///"))
        path.with_name(f"{path.name}.key").write_text("k1:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")
        return path

    def test_the_key_file_goes_with_it_and_only_the_owner_reads_both(
        self, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        target = tmp_path / "copy.db"
        assert main(["backup", str(target)]) == 0
        key = tmp_path / "copy.db.key"
        assert capsys.readouterr().out == f"copied to {target} and {key}\n"
        assert [stat.S_IMODE(path.stat().st_mode) for path in (target, key)] == [0o600, 0o600]
        assert key.read_text() == source.with_name(f"{source.name}.key").read_text()

    def test_it_overwrites_nothing(self, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        target = tmp_path / "copy.db"
        target.write_text("dear to somebody")
        assert main(["backup", str(target)]) == 1
        assert "a backup overwrites nothing" in capsys.readouterr().err
        assert target.read_text() == "dear to somebody"

    def test_what_fails_leaves_nothing_behind(self, source: Path, tmp_path: Path) -> None:
        source.write_bytes(b"not a database" * 1000)
        assert main(["backup", str(tmp_path / "copy.db")]) == 1
        assert not list(tmp_path.glob("copy.db*"))

    def test_postgresql_has_its_own(self, source: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
        monkeypatch.setenv("CALGATE_DATABASE_URL", "postgresql://localhost/calgate")
        assert main(["backup", "copy.db"]) == 1
        assert "pg_dump" in capsys.readouterr().err
