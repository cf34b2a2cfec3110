"""The first thing that a newcomer runs, as a newcomer runs it: without a terminal, from any directory."""

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console
from standardwebhooks.webhooks import Webhook

from service.__main__ import main
from service.demo.cast import TITLE
from service.demo.receiver import receiving
from service.demo.screen import Screen
from service.demo.stage import CASTS


def environment(temporary: Path) -> dict[str, str]:
    """A newcomer's, without a terminal; `uv run` runs what is installed instead of installing."""
    tools = temporary / "bin"
    tools.mkdir()
    uv = tools / "uv"
    uv.write_text('#!/bin/sh\n[ "$1" = run ] || exit 2\nshift\nexec "$@"\n')
    uv.chmod(0o755)
    (temporary / "tmp").mkdir()
    path = os.pathsep.join([str(tools), str(Path(sys.executable).parent), os.environ["PATH"]])
    own = {"PATH": path, "TMPDIR": str(temporary / "tmp"), "PYTHONPATH": str(Path(__file__).parents[2])}
    return os.environ | own | {"CI": "true", "CALGATE_PORT": "not for the demo"}


STORIES = {
    "google": ("ada@example.com", "grace@example.com", ", status syncing", "need not poll"),
    "microsoft": ("barbara@contoso.example", "leslie@contoso.example", "Calendar, status syncing", "its handshake"),
    "caldav": ("ada@example.com", "grace@example.com", "a user name and a password", "CALGATE_POLL_SECONDS"),
    "ics": ("ada@example.com", "grace@example.com", "by the secret address of its feed", "is due at once"),
}
"""By provider: whose calendars are connected, and what the story says for this one alone."""


def left_behind(temporary: Path) -> list[Path]:
    """Files of the demo's, and processes that it started (on Linux, which shows their environment)."""
    found = list((temporary / "tmp").iterdir())
    for each in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if f"TMPDIR={temporary / 'tmp'}".encode() in each.read_bytes():
                found.append(each)
    return found


@pytest.mark.parametrize("providers", [("google", "ics"), ("microsoft", "caldav")], ids=" and ".join)
def test_demos_end_by_themselves_in_the_time_they_give_themselves_and_leave_nothing(
    tmp_path: Path, providers: tuple[str, str]
):
    env = environment(tmp_path)
    processes = [begun(env, tmp_path, "--provider", provider) for provider in providers]
    try:
        told = [process.communicate(timeout=60) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    for process, provider, (out, err) in zip(processes, providers, told, strict=True):
        assert (process.returncode, err) == (0, ""), provider
        judge(provider, out)
    assert left_behind(tmp_path) == []


def begun(env: dict[str, str], folder: Path, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "service", "demo", *options],
        env=env,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def judge(provider: str, told: str) -> None:
    """Whether a demo has told everything, of this provider."""
    accepts, guest, *own = STORIES[provider]
    answers = ("answer unknown", "answer unknown") if provider == "ics" else ("accepted", "needsAction")
    for expected in (
        *own,
        f"{accepts}, status syncing",
        "a bot should: schedule",
        "a bot should: move",
        "starts_at: ",
        "a bot should: cancel",
        "status: confirmed -> cancelled",
        "https://meet.google.com/" if provider != "microsoft" else "https://teams.microsoft.com/",
        "safelinks.protection.outlook.com/?url=https%3A%2F%2Fzoom.us%2Fj%2F81234567890",
        "meeting_url https://zoom.us/j/81234567890, platform zoom, meeting_id 81234567890, passcode 482913",
        f"copy of {accepts}, {answers[0]}  leads",
        f"copy of {guest}, {answers[1]}\n",
        "seconds before the start, and once",
        "every signature was right",
    ):
        assert expected in told
    listed = re.findall(r"webhook (\S+), signature verified, after [\d.]+ s: (.+)", told)
    assert f" {len(listed)} webhooks, and every signature was right" in told
    # A meeting of the week may happen to begin in these seconds; that is announced too.
    ours = [name for name, says in listed if name != "meeting.starting" or says.startswith(TITLE)]
    connected = ["calendar.created", "calendar.active", "calendar.sync_events"]
    seen = ["event.updated", "event.cancelled", *["calendar.sync_events"] * 2]
    assert sorted(ours) == sorted(
        [*connected * 2, *seen * 2, "event.created", "calendar.sync_events", "meeting.starting"]
    )
    tables = re.findall(r"GET /meetings\?within=\w+\n.*\n((?:     .*\n|   > .*\n)+)", told)
    assert len(tables) == 5
    assert [table.count("   > ") for table in tables] == [0, 1, 1, 1, 0]
    assert "https://" in tables[0]


def test_the_readme_shows_each_demo():
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    assert re.findall(r"`uv run calgate demo --provider (\w+)`", readme) == list(STORIES) == list(CASTS)


def test_without_radicale_the_demo_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setitem(sys.modules, "radicale", None)
    assert main(["demo", "--provider", "caldav"]) == 1
    assert re.fullmatch(r"calgate: .+ pip install radicale\n", capsys.readouterr().err)


@pytest.mark.skipif(not (shutil.which("bash") and shutil.which("curl")), reason="the lines need bash and curl")
@pytest.mark.parametrize("provider", ["google", "ics"])
def test_every_line_that_the_demo_invites_to_try_works_until_it_is_stopped(tmp_path: Path, provider: str):
    env = environment(tmp_path)
    process = begun(env, tmp_path, "--provider", provider, "--keep")
    try:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines += [line.strip()] if re.match(r"   (curl|echo) ", line) else []
            if line.endswith(" uv run calgate links\n"):
                break
        answers = [tried(line, env) for line in lines]
        until_surprised(lines[0], env)
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == 0
    assert left_behind(tmp_path) == []
    meetings, history, changes, sync, messages, project, *added, explained, found = answers
    assert meetings["data"]
    assert [change["kind"] for change in history["data"]] == ["cancelled", "updated", "created"]
    assert [change["seq"] for change in changes["data"]] == [1, 2, 3]
    assert sync["status"] == "active"
    assert "meeting.starting" in {message["type"] for message in messages["data"]}
    assert project["starting_lead_seconds"] == [60]
    assert explained == found
    assert (found["url"], found["passcode"]) == ("https://zoom.us/j/81234567890", "482913")
    if provider == "ics":
        put, feed, resync = added
        assert (put, resync["status"]) == ("", "active")
        assert "SUMMARY:Surprise" in feed
    else:
        surprise, operations = added
        assert "Surprise" in surprise["result"].values()
        assert operations


def tried(line: str, env: dict[str, str]) -> Any:
    """What one of the lines answers, from another terminal."""
    done = subprocess.run(["bash", "-c", line], env=env, capture_output=True, text=True, check=True, timeout=60)
    return json.loads(done.stdout) if done.stdout.startswith("{") else done.stdout


def until_surprised(line: str, env: dict[str, str]) -> None:
    deadline = time.monotonic() + 60
    while "Surprise" not in [row["title"] for row in tried(line, env)["data"]]:
        assert time.monotonic() < deadline
        time.sleep(0.1)


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
        assert (await receiver.wait_for("event.created", lambda data: data["seq"] == 1, 30)).data == {"seq": 1}
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


def test_the_screen_says_which_copy_of_a_meeting_leads():
    sink = io.StringIO()
    copies = [
        {"event_id": event_id, "calendar_id": event_id, "response_status": answer}
        for event_id, answer in (("1", None), ("2", "accepted"))
    ]
    whose = {"1": "ada@example.com", "2": "grace@example.com"}
    Screen(Console(file=sink)).copies({"lead": {"id": "2"}, "copies": copies}, whose)
    first, second = sink.getvalue().splitlines()
    assert "ada@example.com, answer unknown" in first
    assert "leads" not in first
    assert "grace@example.com, accepted  leads" in second
