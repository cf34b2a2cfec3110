"""`calgate serve` from its first start to its clean end."""

import asyncio
import json
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select

from service.__main__ import main
from service.app import create_app
from service.settings import Settings
from service.store.api_keys import create_key
from service.store.database import Database
from service.store.projects import create_project
from service.store.tables import CalendarRow
from simulator.google.world import World
from simulator.server import serve as serve_world

CALENDARS = CalendarRow.metadata.tables["calendars"]


class Running:
    """A gateway in a process of its own; `said` is its standard output up to the line that says where it listens."""

    def __init__(self, process: asyncio.subprocess.Process, said: str) -> None:
        self.process = process
        self.said = said
        self.url = re.search(r"http://\S+", said)[0]

    @property
    def key(self) -> str | None:
        found = re.search(r"cgk_\S+", self.said)
        return found[0] if found else None

    async def stop(self) -> tuple[int, str]:
        """The exit code after SIGTERM, and everything that was logged."""
        self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(120):
            _, logged = await self.process.communicate()
        return self.process.returncode, logged.decode()


@asynccontextmanager
async def serving(folder: Path, *arguments: str) -> AsyncIterator[Running]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "service", "serve", "--port", "0", *arguments),
        cwd=folder,
        env={name: value for name, value in os.environ.items() if not name.startswith("CALGATE_")},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        said = ""
        async with asyncio.timeout(120):
            while "listens on" not in said:
                line = await process.stdout.readline()
                assert line, (await process.stderr.read()).decode()
                said += line.decode()
        yield Running(process, said)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


@pytest.mark.anyio
async def test_the_first_start_prints_a_key_that_works_and_no_later_one_does(tmp_path: Path):
    async with serving(tmp_path) as gateway, httpx.AsyncClient(base_url=gateway.url) as http:
        assert gateway.key is not None
        answer = await http.get("/calendars", headers={"authorization": f"Bearer {gateway.key}"})
        assert answer.json() == {"data": [], "next_cursor": None}
        assert "server" not in answer.headers
        assert (await http.get("/health/ready")).status_code == 200
        code, logged = await gateway.stop()
        assert code == 0
        lines = [json.loads(line) for line in logged.splitlines()]
        assert [line["message"] for line in lines if line["logger"] == "calgate.access"] == ["GET /calendars 200"]
        assert lines[-1]["message"] == "stopped"
        assert gateway.key not in logged
    async with serving(tmp_path, "--role", "worker", "--no-migrate") as worker:
        assert worker.key is None
        async with httpx.AsyncClient(base_url=worker.url) as http:
            assert (await http.get("/health/live")).status_code == 200
            assert 'calgate_build_info{version="' in (await http.get("/metrics")).text
        assert (await worker.stop())[0] == 0


@pytest.mark.usefixtures("logging_restored")
class TestRefusals:
    @pytest.fixture(autouse=True)
    def folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.chdir(tmp_path)
        return tmp_path

    def test_a_port_that_is_taken_is_told_before_anything_is_made(
        self, folder: Path, capsys: pytest.CaptureFixture[str]
    ):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            assert main(["serve", "--port", str(port)]) == 1
        assert capsys.readouterr().err == f"calgate: cannot listen on 127.0.0.1:{port}: Address already in use\n"
        assert list(folder.iterdir()) == []

    def test_a_database_that_is_behind_is_not_touched_without_leave(self, capsys: pytest.CaptureFixture[str]):
        assert main(["serve", "--port", "0", "--no-migrate"]) == 1
        assert "run `calgate migrate`" in capsys.readouterr().err

    def test_a_database_that_is_away_is_one_line(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ):
        monkeypatch.setenv("CALGATE_DATABASE_URL", "postgresql://calgate:hunter2@127.0.0.1:1/calgate")
        monkeypatch.setenv("CALGATE_SECRET_KEYS", "k1:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")
        assert main(["serve", "--port", "0"]) == 1
        told = capsys.readouterr().err
        assert "calgate: the database is unavailable" in told
        assert "hunter2" not in told
        assert "Traceback" not in told

    def test_a_wrong_key_ring_is_one_line(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
        assert main(["migrate"]) == 0
        assert main(["secrets", "rotate"]) == 0
        monkeypatch.setenv("CALGATE_SECRET_KEYS", "other:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")
        assert main(["serve", "--port", "0"]) == 1
        assert "CALGATE_SECRET_KEYS is not the key ring of this database" in capsys.readouterr().err

    def test_a_wrong_key_ring_is_told_before_a_key_is_made(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ):
        assert main(["migrate"]) == 0
        assert main(["secrets", "rotate"]) == 0  # binds a ring to the database, which has no project yet
        with monkeypatch.context() as patch:
            patch.setenv("CALGATE_SECRET_KEYS", "other:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")
            assert main(["serve", "--port", "0"]) == 1
        assert "cgk_" not in capsys.readouterr().out
        assert main(["keys", "list"]) == 0
        assert "cgk_" not in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("keys", "reason"),
        [
            pytest.param(None, "CALGATE_SECRET_KEYS is required with PostgreSQL", id="missing"),
            pytest.param("k1:c2hvcnQ=", "CALGATE_SECRET_KEYS: the key 'k1' has 5 bytes", id="too-short"),
        ],
    )
    def test_keys_are_looked_at_before_the_database_is_migrated(
        self,
        keys: str | None,
        reason: str,
        bare_postgresql_url: str,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ):
        monkeypatch.setenv("CALGATE_DATABASE_URL", bare_postgresql_url)
        if keys:
            monkeypatch.setenv("CALGATE_SECRET_KEYS", keys)
        assert main(["serve", "--port", "0"]) == 1
        told = capsys.readouterr()
        assert told.err.splitlines()[-1].startswith(f"calgate: {reason}")
        assert "cgk_" not in told.out
        assert main(["keys", "list"]) == 1
        assert "run `calgate migrate` first" in capsys.readouterr().err


@pytest.fixture
async def google(anyio_backend: str) -> AsyncIterator[tuple[World, str]]:
    world = World(seed=5)
    async with serve_world(world) as url:
        yield world, url


async def new_key(url: str) -> str:
    async with Database.connect(url) as database, database.write() as conn:
        project_id = await create_project(conn, "acme", datetime.now(UTC))
        return await create_key(conn, project_id, "admin", datetime.now(UTC))


async def rows_of(url: str) -> list[tuple[str, object]]:
    async with Database.connect(url) as database, database.read() as conn:
        return [tuple(row) for row in await conn.execute(select(CALENDARS.c.status, CALENDARS.c.lease))]


def inside(app: object, key: str) -> httpx.AsyncClient:
    headers = {"authorization": f"Bearer {key}"}
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway.test", headers=headers)


async def connect_slowly(http: httpx.AsyncClient, world: World, seconds: float) -> None:
    """Connect a calendar whose first listing takes so many seconds, and wait until that has begun."""
    credentials = world.connect("ada@example.com")
    world.add_meeting("ada@example.com", "Kick-off")
    world.add_fault("latency", endpoint="events.list", seconds=seconds)
    wanted = {name: credentials[name] for name in ("client_id", "client_secret", "refresh_token")}
    assert (await http.post("/calendars", json={"provider": "google", **wanted})).status_code == 201
    async with asyncio.timeout(120):
        while not any(call.endpoint == "events.list" for call in world.calls):
            await asyncio.sleep(0.01)


def settings_of(url: str, google_url: str) -> Settings:
    return Settings(
        database_url=url, google_api_url=f"{google_url}/calendar/v3", google_token_url=f"{google_url}/token"
    )


@pytest.mark.anyio
async def test_draining_turns_readiness_off_lets_a_sync_end_and_keeps_no_lease(
    sqlite_url: str, google: tuple[World, str]
):
    world, google_url = google
    key = await new_key(sqlite_url)
    async with create_app(settings_of(sqlite_url, google_url)) as app, inside(app, key) as http:
        assert (await http.get("/health/ready")).status_code == 200
        await connect_slowly(http, world, 0.6)
        assert await rows_of(sqlite_url) != [("syncing", None)]
        draining = asyncio.create_task(app.drain())
        await asyncio.sleep(0.05)
        refused = await http.get("/health/ready")
        assert refused.status_code == 503
        assert "draining" in refused.text
        assert (await http.get("/health/live")).status_code == 200
        await draining
    assert await rows_of(sqlite_url) == [("active", None)]


@pytest.mark.anyio
async def test_a_sync_that_does_not_end_in_time_gives_its_lease_back(sqlite_url: str, google: tuple[World, str]):
    world, google_url = google
    key = await new_key(sqlite_url)
    async with create_app(settings_of(sqlite_url, google_url)) as app, inside(app, key) as http:
        await connect_slowly(http, world, 5)
        await app.drain(grace=0.1)
    assert await rows_of(sqlite_url) == [("syncing", None)]


@pytest.mark.anyio
async def test_a_process_with_the_role_api_leaves_the_work_to_others(sqlite_url: str, google: tuple[World, str]):
    world, google_url = google
    key = await new_key(sqlite_url)
    settings = settings_of(sqlite_url, google_url)
    async with create_app(settings, role="api") as app, inside(app, key) as http:
        credentials = world.connect("ada@example.com")
        wanted = {name: credentials[name] for name in ("client_id", "client_secret", "refresh_token")}
        await http.post("/calendars", json={"provider": "google", **wanted})
        await asyncio.sleep(0.3)
        assert await rows_of(sqlite_url) == [("syncing", None)]
    async with create_app(settings, role="worker"), asyncio.timeout(120):
        while await rows_of(sqlite_url) != [("active", None)]:
            await asyncio.sleep(0.02)


@pytest.mark.anyio
async def test_an_application_that_is_not_open_says_how_to_open_it():
    app = create_app(Settings())
    with pytest.raises(RuntimeError, match="async with"):
        await app({"type": "http"}, None, None)
