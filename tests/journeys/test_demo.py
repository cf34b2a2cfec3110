"""The first thing that a newcomer runs, as a newcomer runs it: without a terminal, from any directory."""

import io
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from rich.console import Console
from standardwebhooks.webhooks import Webhook

from service.demo.receiver import receiving
from service.demo.screen import Screen


def test_the_demo_ends_by_itself_in_the_time_it_gives_itself_and_leaves_nothing(tmp_path: Path):
    environment = os.environ | {"TMPDIR": str(tmp_path), "CI": "true", "CALGATE_PORT": "not for the demo"}
    told = subprocess.run(
        [sys.executable, "-m", "service", "demo"],
        env=environment | {"PYTHONPATH": str(Path(__file__).parents[2])},
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (told.returncode, told.stderr) == (0, "")
    for expected in (
        "status syncing",
        "calendar.active, signature verified",
        "calendar.sync_events, signature verified",
        "event.created, signature verified",
        "a bot should: schedule",
        "event.updated, signature verified",
        "a bot should: move",
        "starts_at: ",
        "event.cancelled, signature verified",
        "status: confirmed -> cancelled",
        "https://meet.google.com/",
        "every signature was right",
    ):
        assert expected in told.stdout
    listed = re.findall(r"webhook (\S+), signature verified", told.stdout)
    assert f" {len(listed)} webhooks, and every signature was right" in told.stdout
    changes = ["event.created", "event.updated", "event.cancelled"]
    assert sorted(listed) == sorted(["calendar.created", "calendar.active", *["calendar.sync_events"] * 4, *changes])
    tables = re.findall(r"GET /meetings\?within=\w+\n.*\n(.*)\n", told.stdout)
    assert len(tables) == 4
    assert all("https://" in first_row for first_row in tables), tables
    assert list(tmp_path.iterdir()) == []


SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"
BODY = '{"type":"event.created","timestamp":"2026-03-02T09:00:00Z","data":{"seq":1}}'


@pytest.mark.anyio
async def test_the_demos_receiver_believes_nothing_but_a_right_signature():
    now = datetime.now(UTC)
    signature = Webhook(SECRET).sign("msg_1", now, BODY)
    headers = {"webhook-id": "msg_1", "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature}
    async with receiving() as receiver, httpx.AsyncClient() as http:
        receiver.secret = SECRET
        assert (await http.post(receiver.url, content=BODY.replace("1}", "2}"), headers=headers)).status_code == 400
        with pytest.raises(TimeoutError):
            await receiver.wait_for("event.created", lambda data: True, 0.01)
        assert (await http.post(receiver.url, content=BODY, headers=headers)).status_code == 204
        assert (await receiver.wait_for("event.created", lambda data: data["seq"] == 1, 1)).data == {"seq": 1}
        assert (receiver.refused, len(receiver.verified)) == (1, 1)


def test_the_screen_shows_what_changed_and_takes_no_title_for_a_colour():
    sink = io.StringIO()
    screen = Screen(Console(file=sink))
    screen.changes({"starts_at": {"old": "2026-03-02T09:00:00Z", "new": None}, "etag": {"old": "1", "new": "2"}})
    row = {"title": "[red]Budget", "starts_at": "2026-03-02T09:00:00Z", "platform": None, "meeting_url": None}
    screen.meetings("GET /meetings", [row], "[red]Budget")
    told = sink.getvalue()
    assert "starts_at: Mon 02 09:00 -> nothing" in told
    assert "etag" not in told
    assert "> Mon 02 09:00" in told
    assert "[red]Budget" in told
