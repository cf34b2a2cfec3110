"""`calgate import meeting-baas` against a server that speaks the vendor's two lists."""

import asyncio
import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest
from sqlalchemy import insert, select
from uuid_utils.compat import uuid7

from service.__main__ import main
from service.store.connection_tables import ConnectionRow, OAuthClientRow
from service.store.database import Database
from service.store.tables import CalendarRow, ProjectRow, Table

KEY = "mb-canary-key"
TABLES = Table.metadata.tables
V2 = [
    {
        "calendar_id": str(UUID(int=number)),
        "calendar_platform": platform,
        "account_email": email,
        "status": "active",
        "synced_at": None,
        "created_at": "2026-01-01T00:00:00Z",
    }
    for number, (platform, email) in enumerate(
        [("google", "ada@example.com"), ("microsoft", "lin@example.com"), ("google", "grace@example.com")], 1
    )
]
V1 = [
    {"uuid": V2[0]["calendar_id"], "name": "Ada", "email": "ada@example.com", "google_id": "team@group.example.com"},
    {"uuid": str(UUID(int=9)), "name": "Old", "email": "old@example.com", "google_id": "old@example.com"},
]


class Vendor(ThreadingHTTPServer):
    """Answers by path; `answers` replaces what a path says with a status and bytes."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, tuple[int, bytes]] = {}
        self.keys: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Vendor

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        self.server.keys.append(self.headers["x-meeting-baas-api-key"])
        status, body = self.server.answers.get(parts.path) or (200, self.page(parts.path, parse_qs(parts.query)))
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def page(self, path: str, query: dict[str, list[str]]) -> bytes:
        if path == "/calendars/":
            return json.dumps(V1).encode()
        start = int(query.get("cursor", ["0"])[0])
        cursor = str(start + 2) if start + 2 < len(V2) else None
        page = {"success": True, "data": V2[start : start + 2], "cursor": cursor, "prev_cursor": None}
        return json.dumps(page).encode()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    server = Vendor()
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vendor: Vendor) -> Callable[..., int]:
    for name in [name for name in os.environ if name.startswith("CALGATE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    assert main(["keys", "create", "--project", "default"]) == 0
    return lambda *more: main(["import", "meeting-baas", "--api-key", KEY, "--url", vendor.url, *more])


def connect_here(provider: str, email: str, raw_calendar_id: str) -> UUID:
    """A calendar in the table, as `POST /calendars` would leave it."""

    async def write() -> UUID:
        ids = [uuid7() for _ in range(3)]
        times = dict.fromkeys(("created_at", "updated_at"), datetime(2026, 11, 1, tzinfo=UTC))
        async with Database.connect("sqlite:///calgate.db") as database, database.write() as conn:
            project = (await conn.execute(select(TABLES[str(ProjectRow.__tablename__)].c.id))).scalar_one()
            client = OAuthClientRow(
                id=ids[0], project_id=project, provider=provider, client_id="c", client_secret=b"", **times
            )
            connection = ConnectionRow(
                id=ids[1],
                project_id=project,
                oauth_client_id=ids[0],
                provider=provider,
                account=email,
                email=email,
                refresh_token=b"",
                **times,
            )
            calendar = CalendarRow(
                id=ids[2],
                project_id=project,
                connection_id=ids[1],
                oauth_client_id=ids[0],
                provider=provider,
                email=email,
                account=email,
                raw_calendar_id=raw_calendar_id,
                calendar_name=email,
                horizon_days=30,
                status="active",
                announced_status="active",
                due_at=None,
                **times,
            )
            for row in (client, connection, calendar):
                values = row.model_dump()
                values |= {"metadata": values.pop("custom")} if "custom" in values else {}
                await conn.execute(insert(TABLES[str(row.__tablename__)]).values(**values))
        return ids[2]

    return asyncio.run(write())


def test_every_calendar_of_both_lists_stands_beside_ours(
    run: Callable[..., int], vendor: Vendor, capsys: pytest.CaptureFixture[str]
):
    ours = connect_here("microsoft", "LIN@example.com", "AQMk")
    connect_here("google", "ada@example.com", "ada@example.com")  # another calendar of hers than the one there
    capsys.readouterr()
    assert run("--json") == 0
    told = {line["email"]: line for line in map(json.loads, capsys.readouterr().out.splitlines())}
    assert list(told) == ["ada@example.com", "lin@example.com", "grace@example.com", "old@example.com"]
    assert told["lin@example.com"]["connected_as"] == [str(ours)]
    assert told["lin@example.com"]["to_do"] is None
    assert "refresh_token" in told["ada@example.com"]["to_do"]
    assert told["ada@example.com"]["raw_calendar_id"] == "team@group.example.com"
    assert told["old@example.com"]["provider"] == ""
    assert set(vendor.keys) == {KEY}


def test_the_table_names_whose_credentials_are_to_be_posted(
    run: Callable[..., int], capsys: pytest.CaptureFixture[str]
):
    connect_here("google", "grace@example.com", "grace@example.com")
    capsys.readouterr()
    assert run() == 0
    said = capsys.readouterr().out
    assert "4 calendars at Meeting BaaS, 1 of them connected in project default." in said
    to_post = said.partition("post these again")[2]
    assert "ada@example.com  (google)" in to_post
    assert "old@example.com  (google or microsoft)" in to_post
    assert "grace@example.com" not in to_post


@pytest.mark.parametrize("refusing", ["/v2/calendars", "/calendars/"])
def test_an_account_may_have_but_one_of_the_two_lists(
    run: Callable[..., int], vendor: Vendor, capsys: pytest.CaptureFixture[str], refusing: str
):
    vendor.answers[refusing] = (403, b"{}")
    assert run("--json") == 0
    assert len(capsys.readouterr().out.splitlines()) == (2 if refusing == "/v2/calendars" else 3)


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        pytest.param(401, b"{}", "refuses the API key (401)", id="key"),
        pytest.param(500, b"<html>", "answered 500: try again later", id="down"),
        pytest.param(302, b"", "answered 302", id="redirect-is-not-followed"),
        pytest.param(200, b"<html>", "did not answer with a list of calendars", id="no-json"),
        pytest.param(200, b'{"data": [{"calendar_id": 7}]}', "did not answer with a list", id="other-shape"),
        pytest.param(200, b"\xff", "did not answer with a list", id="no-utf8"),
        pytest.param(200, b"[" * 100_000, "did not answer with a list", id="deep"),
        pytest.param(200, b" " * (17 * 1024 * 1024), "more than 16777216 bytes", id="huge"),
    ],
)
def test_an_answer_that_is_none_is_one_line_without_the_key(
    run: Callable[..., int], vendor: Vendor, capsys: pytest.CaptureFixture[str], status: int, body: bytes, reason: str
):
    vendor.answers = dict.fromkeys(("/v2/calendars", "/calendars/"), (status, body))
    assert run() == 1
    said = capsys.readouterr().err
    assert reason in said
    assert said.count("\n") == 1
    assert KEY not in said


def test_what_cannot_be_asked_is_said_before_anything_is(run: Callable[..., int], capsys: pytest.CaptureFixture[str]):
    assert run("--url", "file:///etc/passwd") == 1
    assert "--url is an http(s) address" in capsys.readouterr().err
    assert run("--project", "nobody") == 1
    assert "there is no project nobody" in capsys.readouterr().err
    assert run("--api-key", " ") == 1
    assert "--api-key is the key" in capsys.readouterr().err
    assert run("--url", "http://127.0.0.1:1") == 1
    assert "cannot be read (ConnectError)" in capsys.readouterr().err


def test_names_from_elsewhere_cannot_move_the_cursor(
    run: Callable[..., int], vendor: Vendor, capsys: pytest.CaptureFixture[str]
):
    vendor.answers["/calendars/"] = (200, json.dumps([{"uuid": "u", "email": "\x1b[2Jx@example.com"}]).encode())
    assert run() == 0
    assert "\x1b" not in capsys.readouterr().out
