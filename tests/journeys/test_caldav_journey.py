"""A CalDAV calendar over the whole gateway: connected by its password, read by its processes, and in step by polling."""

import asyncio
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path

import httpx
import pytest
from radicale_server import PASSWORD, USER, Hand, serve_radicale

from service.app import create_app
from service.settings import Settings
from service.store.api_keys import create_key
from service.store.cipher import generate_key
from service.store.database import Database
from service.store.projects import create_project

pytestmark = pytest.mark.anyio

LINK = "https://meet.google.com/abc-defg-hij"


async def new_key(url: str) -> str:
    async with Database.connect(url) as database, database.write() as conn:
        project_id = await create_project(conn, "acme", datetime.now(UTC))
        return await create_key(conn, project_id, "admin", datetime.now(UTC))


async def test_from_a_password_to_a_change(database_url: str, tmp_path: Path):
    key = await new_key(database_url)
    settings = Settings(
        database_url=database_url,
        secret_keys=generate_key() if database_url.startswith("postgresql") else None,
        allow_networks=(ip_network("127.0.0.0/8"),),
        poll_seconds=1,
    )
    (tmp_path / "server").mkdir()
    async with (
        serve_radicale(tmp_path / "server") as server,
        create_app(settings) as app,
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://127.0.0.1", headers={"authorization": f"Bearer {key}"}
        ) as http,
    ):
        hand = Hand(server, f"/{USER}/work/")
        address = server.add_calendar(hand.folder, "Work")
        path = hand.add("Kick-off", datetime.now(UTC) + timedelta(hours=1), lines=[f"LOCATION:{LINK}"])
        login = {"provider": "caldav", "server_url": server.url, "username": USER, "password": PASSWORD}
        listed = await http.post("/calendars/raw", json=login)
        assert [each["id"] for each in listed.json()["calendars"]] == [address], listed.text
        made = await http.post("/calendars", json=login)
        assert made.status_code == 201, made.text
        assert PASSWORD not in made.text

        async def titles() -> list[str]:
            return [row["title"] for row in (await http.get("/meetings")).json()["data"]]

        async with asyncio.timeout(120):
            while await titles() != ["Kick-off"]:
                await asyncio.sleep(0.05)
            assert (await http.get(f"/calendars/{made.json()['id']}/sync")).json()["status"] == "active"
            hand.rename(path, "Postponed")
            while await titles() != ["Postponed"]:
                await asyncio.sleep(0.05)
        wrong = await http.post("/calendars", json={**login, "password": "wrong"})
        assert (wrong.status_code, wrong.json()["code"]) == (422, "credentials_rejected")
        assert [each["field"] for each in wrong.json()["errors"]] == ["password"]
        away = await http.post("/calendars", json={**login, "server_url": "https://192.168.0.1/dav"})
        assert (away.status_code, away.json()["code"]) == (422, "blocked_url")
