"""`calgate links` as a program in a pipe: one line out for each line in, whatever the line is."""

import io
import json
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from service.__main__ import main
from service.commands.links import LONGEST_LINE

MEET = "https://meet.google.com/abc-defg-hij"
FIELDS = ["url", "platform", "meeting_id", "passcode", "found_in", "hint", "alternatives"]


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> Any:
    """Runs the command over bytes; the exit code, the lines and what was complained of."""

    def run(given: bytes) -> SimpleNamespace:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
        code = main(["links"])
        out, err = capfdbinary.readouterr()
        return SimpleNamespace(code=code, answers=[json.loads(line) for line in out.splitlines()], err=err.decode())

    return run


def question(source: str, event: Any) -> bytes:
    return json.dumps({"source": source, "event": event}).encode() + b"\n"


def test_each_line_is_answered_in_order_and_blank_ones_are_none(ask: Any) -> None:
    done = ask(
        question("google", {"hangoutLink": MEET})
        + b"\n  \r\n"
        + question("text", {"text": ""})
        + question("ics", {"raw": f"BEGIN:VEVENT\nX-GOOGLE-CONFERENCE:{MEET}\nEND:VEVENT"})
        + question("microsoft", {"onlineMeeting": {"joinUrl": "https://teams.live.com/meet/9312345678901"}}).rstrip()
    )
    assert (done.code, done.err) == (0, "")
    assert [answer["found_in"] for answer in done.answers] == [
        "hangoutLink",
        None,
        "X-GOOGLE-CONFERENCE",
        "onlineMeeting",
    ]
    assert all(list(answer) == FIELDS for answer in done.answers)
    assert done.answers[0] == {
        "url": MEET,
        "platform": "google_meet",
        "meeting_id": "abc-defg-hij",
        "passcode": None,
        "found_in": "hangoutLink",
        "hint": None,
        "alternatives": [],
    }
    assert done.answers[1] == dict.fromkeys(FIELDS) | {"alternatives": []}


@pytest.mark.parametrize(
    ("line", "field", "message"),
    [
        pytest.param(b"{", "", "is not JSON", id="not-json"),
        pytest.param(b"[" * 100_000, "", "is not JSON", id="too-deep"),
        pytest.param(b'{"a":' + b"9" * 5000 + b"}x", "", "is not JSON", id="5000-digits"),
        pytest.param(b'["google"]', "", "is not an object", id="array"),
        pytest.param(b"{}", "source", "accepts google, microsoft, ics, text", id="empty"),
        pytest.param(b'{"source": ["google"], "event": {}}', "source", "accepts google, ", id="source-of-wrong-type"),
        pytest.param(b'{"source": "caldav", "event": {}}', "source", "accepts google, ", id="unknown-source"),
        pytest.param(b'{"source": "google"}', "event", "is required, as an object", id="no-event"),
        pytest.param(b'{"source": "google", "event": "x"}', "event", "is required, as an object", id="event-a-text"),
        pytest.param(b'"' + b"x" * (2 * LONGEST_LINE) + b'"', "", "is longer than 8388608 bytes", id="huge"),
    ],
)
def test_a_line_that_is_no_question_spoils_no_other(ask: Any, line: bytes, field: str, message: str) -> None:
    good = question("google", {"hangoutLink": MEET})
    done = ask(good + line + b"\n" + good)
    first, wrong, last = done.answers
    assert first == last
    assert first["url"] == MEET
    assert list(wrong) == [*FIELDS, "error"]
    assert wrong["url"] is None
    assert wrong["error"]["field"] == field
    assert wrong["error"]["message"].startswith(message)
    assert done.code == 1
    assert done.err.startswith("calgate: 1 of 3 lines could not be read; the first is line 2, ")
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b'{"source":"google","event":{"summary":"\\ud83d","hangoutLink":"%s"}}', id="half-an-emoji"),
        pytest.param(b'{"source":"google","event":{"summary":"\xff","hangoutLink":"%s"}}', id="not-utf-8"),
        pytest.param(b'{"source":"google","event":{"summary":"\\u0000","hangoutLink":"%s"}}', id="nul"),
        pytest.param(b'{"source":"google","event":{"location":5,"hangoutLink":"%s"}}', id="a-number-as-location"),
        pytest.param(b'{"id":7,"source":"google","event":{"hangoutLink":"%s"},"more":[]}', id="other-fields"),
    ],
)
def test_what_is_only_strange_is_answered(ask: Any, line: bytes) -> None:
    done = ask(line.replace(b"%s", MEET.encode()) + b"\n")
    assert (done.code, [answer["url"] for answer in done.answers]) == (0, [MEET])


def test_nothing_in_nothing_out(ask: Any) -> None:
    assert vars(ask(b"")) == {"code": 0, "answers": [], "err": ""}


def test_it_answers_while_it_is_still_being_asked() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "service", "links"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        for _ in range(3):
            process.stdin.write(question("google", {"hangoutLink": MEET}))
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["url"] == MEET
        process.stdin.close()
        assert process.wait(10) == 0


def test_it_loads_no_database_and_no_web_framework() -> None:
    program = (
        "import io, sys; sys.stdin = io.TextIOWrapper(io.BytesIO(b''));"
        "from service.__main__ import main; main(['links']);"
        "print(sorted({'sqlalchemy', 'httpx', 'litestar', 'icalendar', 'asyncio'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_mark_of_the_byte_order_before_the_first_line_is_none_of_it(ask: Any) -> None:
    done = ask(b"\xef\xbb\xbf" + question("google", {"hangoutLink": MEET}))
    assert (done.code, [answer["url"] for answer in done.answers]) == (0, [MEET])


@pytest.mark.parametrize("closed", ["<&-", ">&-", "> /dev/full"])
def test_what_cannot_be_read_or_written_is_one_line_of_reason(closed: str) -> None:
    line = question("google", {"hangoutLink": MEET})
    done = subprocess.run(
        ["sh", "-c", f'"$0" -m service links {closed}', sys.executable], input=line, capture_output=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith(b"calgate: ")
    assert done.stderr.count(b"\n") == 1
