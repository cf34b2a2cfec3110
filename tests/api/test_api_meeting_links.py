"""`POST /meeting_links/explain`: the answer of `calgate links`, by the rules of the project, for whoever may read."""

from typing import Any
from uuid import UUID

import httpx
import pytest
from flows.stage import Stage
from sqlalchemy import update

from service.store.tables import ProjectRow

pytestmark = pytest.mark.anyio
PATH = "/meeting_links/explain"
MEET = "https://meet.google.com/abc-defg-hij"
QUESTION = {"source": "google", "event": {"hangoutLink": MEET, "summary": "Sync"}}


async def decide(stage: Stage, project_id: UUID, **choices: Any) -> None:
    async with stage.gateway.database.write() as conn:
        await conn.execute(update(ProjectRow).where(ProjectRow.id == project_id).values(**choices))


async def test_what_it_answers(call: httpx.AsyncClient) -> None:
    answer = await call.post(PATH, json=QUESTION)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json() == {
        "url": MEET,
        "platform": "google_meet",
        "meeting_id": "abc-defg-hij",
        "passcode": None,
        "found_in": "hangoutLink",
        "hint": None,
        "alternatives": [],
    }


@pytest.mark.parametrize(
    ("source", "event"),
    [
        pytest.param("microsoft", {"onlineMeeting": {"joinUrl": MEET}}, id="microsoft"),
        pytest.param("ics", {"X-GOOGLE-CONFERENCE": MEET}, id="ics"),
        pytest.param("ics", {"raw": f"BEGIN:VEVENT\r\nX-GOOGLE-CONFERENCE:{MEET}\r\nEND:VEVENT\r\n"}, id="ics-raw"),
        pytest.param("google", {"hangoutLink": MEET, "location": 5, "attendees": "none"}, id="wrong-types"),
    ],
)
async def test_every_source_has_its_own_shape(call: httpx.AsyncClient, source: str, event: Any) -> None:
    answer = await call.post(PATH, json={"source": source, "event": event})
    assert (answer.status_code, answer.json()["url"]) == (200, MEET)


async def test_an_event_without_a_meeting_has_nulls(call: httpx.AsyncClient) -> None:
    answer = await call.post(PATH, json={"source": "text", "event": {"text": "See you at the office"}})
    assert answer.status_code == 200
    found = answer.json()
    assert found.pop("alternatives") == []
    assert set(found.values()) == {None}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        pytest.param({"event": {}}, "source", id="no-source"),
        pytest.param({"source": "caldav", "event": {}}, "source", id="unknown-source"),
        pytest.param({"source": 5, "event": {}}, "source", id="source-of-wrong-type"),
        pytest.param({"source": "google"}, "event", id="no-event"),
        pytest.param({"source": "google", "event": [5]}, "event", id="event-a-list"),
        pytest.param({"source": "google", "event": None}, "event", id="event-null"),
        pytest.param(QUESTION | {"rules": {}}, "rules", id="unknown-field"),
    ],
)
async def test_a_wrong_question_is_told_which_field(call: httpx.AsyncClient, body: Any, field: str) -> None:
    answer = await call.post(PATH, json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")
    assert [wrong["field"] for wrong in answer.json()["errors"]] == [field]


async def test_it_takes_a_key_that_may_read_and_no_more(anybody: httpx.AsyncClient, keys: dict[str, str]) -> None:
    assert (await anybody.post(PATH, json=QUESTION)).status_code == 401
    answer = await anybody.post(PATH, json=QUESTION, headers={"x-api-key": keys["read"]})
    assert answer.status_code == 200


async def test_the_project_decides_what_comes_first(
    call: httpx.AsyncClient, stranger: httpx.AsyncClient, stage: Stage
) -> None:
    await decide(stage, stage.project, link_preference="typed")
    body = {"source": "google", "event": QUESTION["event"] | {"location": "https://zoom.us/j/98765432101"}}
    answers = [(await client.post(PATH, json=body)).json() for client in (call, stranger)]
    assert [answer["platform"] for answer in answers] == ["zoom", "google_meet"]
    assert [answer["alternatives"][0]["platform"] for answer in answers] == ["google_meet", "zoom"]


async def test_a_body_over_the_limit_is_refused(call: httpx.AsyncClient) -> None:
    body = {"source": "text", "event": {"text": "x" * 2**20}}
    assert (await call.post(PATH, json=body)).status_code == 413


@pytest.mark.timeout(60)
async def test_a_hard_question_is_answered(call: httpx.AsyncClient) -> None:
    said = "> https://zoom.us/j/12345678901\n" * 30_000
    answer = await call.post(PATH, json={"source": "text", "event": {"text": said}})
    assert answer.json()["meeting_id"] == "12345678901"
