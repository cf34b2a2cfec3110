"""The vendor's own client lives its calendar life against `calgate serve`, with nothing changed but `base_url`."""

import asyncio
import json
import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from journeys.gateway_process import GatewayProcess
from meeting_baas_schema import SUCCESSES, judge

from simulator.google.world import World
from simulator.server import serve

pytestmark = pytest.mark.anyio

CLIENT = "@meeting-baas/sdk@6.0.5"
LIFE = Path(__file__).with_name("meeting_baas_life.mjs")
INSTALL_SECONDS = 90
ADA = "ada@example.com"
WHERE = {
    "v1": {
        "raw": ("POST", "/calendars/raw"),
        "create": ("POST", "/calendars"),
        "list": ("GET", "/calendars"),
        "get": ("GET", "/calendars/{id}"),
        "events": ("GET", "/calendar_events"),
        "event": ("GET", "/calendar_events/{id}"),
        "schedule": ("POST", "/calendar_events/{id}/bot"),
        "patch": ("PATCH", "/calendar_events/{id}/bot"),
        "unschedule": ("DELETE", "/calendar_events/{id}/bot"),
        "scheduleAll": ("POST", "/calendar_events/{id}/bot"),
        "unscheduleAll": ("DELETE", "/calendar_events/{id}/bot"),
        "update": ("PATCH", "/calendars/{id}"),
        "resync": ("POST", "/calendars/resync_all"),
        "documentation": ("GET", "/bots/webhooks/calendar"),
    },
    "v2": {
        "raw": ("POST", "/v2/calendars/list-raw"),
        "create": ("POST", "/v2/calendars"),
        "list": ("GET", "/v2/calendars"),
        "get": ("GET", "/v2/calendars/{id}"),
        "events": ("GET", "/v2/calendars/{id}/events"),
        "series": ("GET", "/v2/calendars/{id}/series"),
        "event": ("GET", "/v2/calendars/{id}/events/{id}"),
        "schedule": ("POST", "/v2/calendars/{id}/bots"),
        "scheduled": ("GET", "/v2/calendars/{id}/events/{id}"),
        "patch": ("PATCH", "/v2/calendars/{id}/bots"),
        "unschedule": ("DELETE", "/v2/calendars/{id}/bots"),
        "unscheduled": ("GET", "/v2/calendars/{id}/events/{id}"),
        "scheduleAll": ("POST", "/v2/calendars/{id}/bots"),
        "unscheduleOne": ("DELETE", "/v2/calendars/{id}/bots"),
        "update": ("PATCH", "/v2/calendars/{id}"),
        "sync": ("POST", "/v2/calendars/{id}/sync"),
        "resubscribe": ("POST", "/v2/calendars/{id}/resubscribe"),
        "delete": ("DELETE", "/v2/calendars/{id}"),
    },
}


@pytest.fixture(scope="module")
def client_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The client as the registry has it, in a folder of its own; skipped, with the reason, where there is none."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("the vendor's client was not run: there is no Node.js with npm here")
    folder = tmp_path_factory.mktemp("client")

    async def install() -> tuple[int, bytes]:
        command = (
            npm,
            "install",
            "--no-audit",
            "--no-fund",
            "--ignore-scripts",
            "--cache",
            str(folder / "cache"),
            CLIENT,
        )
        process = await asyncio.create_subprocess_exec(
            *command, cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        try:
            said, _ = await asyncio.wait_for(process.communicate(), INSTALL_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()
            return 1, b"the registry did not answer in time"
        return process.returncode or 0, said

    code, said = asyncio.run(install())
    if code:
        last = said.decode(errors="replace").strip().splitlines()[-1:]
        pytest.skip(f"the vendor's client was not run: npm could not install {CLIENT} ({' '.join(last)})")
    module = folder / "node_modules" / "@meeting-baas" / "sdk" / "dist" / "index.mjs"
    yield module.as_uri()
    shutil.rmtree(folder, ignore_errors=True)


async def test_the_vendors_client_lives_its_calendar_life(client_module: str, tmp_path: Path) -> None:
    world = World(seed=3)
    given = world.connect(ADA)
    world.add_meeting(ADA, "Review", in_minutes=90)
    start = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    moments = {"start": start, "end": start + timedelta(minutes=15)}
    world.add_event(
        ADA,
        {
            "summary": "Standup",
            "location": "https://meet.google.com/abc-defg-hij",
            "recurrence": ["RRULE:FREQ=DAILY;COUNT=3"],
        }
        | {name: {"dateTime": moment.isoformat(), "timeZone": "UTC"} for name, moment in moments.items()},
    )
    async with serve(world) as google:
        gateway = GatewayProcess.beside(google, tmp_path, f"sqlite:///{tmp_path / 'calgate.db'}")
        await gateway.start()
        try:
            told = await live(
                client_module, {"base_url": f"{gateway.url}/meeting-baas", "api_key": gateway.key, **given}
            )
        finally:
            await gateway.stop()
    for version, calls in WHERE.items():
        for name, (method, path) in calls.items():
            assert told[version][name]["success"] is True, (version, name, told[version][name])
            answer = told[version][name]
            body = answer["data"] if version == "v1" else answer
            judge(method, path, SUCCESSES[method, path][0], json.dumps(body).encode())
    check_v1(told["v1"])
    check_v2(told["v2"])


def check_v1(told: dict[str, Any]) -> None:
    (scheduled,), (renamed,), (freed,) = (told[name]["data"] for name in ("schedule", "patch", "unschedule"))
    shown = scheduled["bot_param"]
    assert (shown["bot_name"], shown["extra"], shown["speech_to_text_provider"]) == (
        "Scribe",
        {"user": "42"},
        "Default",
    )
    assert (renamed["bot_param"]["bot_name"], renamed["bot_param"]["extra"]) == ("Renamed", {"user": "42"})
    assert freed["bot_param"] is None
    assert [bool(one["bot_param"]) for one in told["scheduleAll"]["data"]] == [True] * 3
    assert [bool(one["bot_param"]) for one in told["unscheduleAll"]["data"]] == [False] * 3
    assert told["delete"]["success"] is True
    assert told["gone"]["success"] is False
    assert "404" in told["gone"]["error"]


def check_v2(told: dict[str, Any]) -> None:
    calendar_id = told["create"]["data"]["calendar_id"]
    again = told["again"]
    assert (again["code"], again["statusCode"]) == ("FST_ERR_CALENDAR_CONNECTION_ALREADY_EXISTS", 409)
    assert again["details"] == calendar_id
    assert {one["event_type"]: len(one["events"]) for one in told["series"]["data"]} == {"one_off": 1, "recurring": 3}
    for name in ("schedule", "patch", "unschedule"):
        assert (len(told[name]["data"]), told[name]["errors"]) == (1, [])
    assert [told[name]["data"]["bot_scheduled"] for name in ("scheduled", "unscheduled")] == [True, False]
    assert len(told["scheduleAll"]["data"]) == 3
    assert told["gone"]["code"] == "FST_ERR_CALENDAR_NOT_FOUND"


async def live(module: str, wish: dict[str, Any]) -> dict[str, Any]:
    """What the client told of every call."""
    process = await asyncio.create_subprocess_exec(
        *("node", str(LIFE), module, json.dumps(wish)),
        env={**os.environ, "NO_PROXY": "127.0.0.1,localhost"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        said, complaint = await process.communicate()
    assert process.returncode == 0, complaint.decode()
    found: dict[str, Any] = json.loads(said)
    return found
