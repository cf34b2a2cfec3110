"""Bots in both dialects: configurations as they came, one event or a whole series, and what cannot have one."""

import asyncio
from typing import Any
from uuid import UUID

import pytest
from api.judged_client import JudgedClient
from flows.stage import Stage

from service.core.meeting_baas.bot_param import bot_param
from service.flows.bots import planning

pytestmark = pytest.mark.anyio

ADA, GRACE = "ada@example.com", "grace@example.com"
UNKNOWN, NIL = "b3f1c2d4-1111-4222-8333-444455556666", "00000000-0000-0000-0000-000000000000"
DAILY = {
    "summary": "Standup",
    "location": "https://meet.google.com/abc-defg-hij",
    "start": {"dateTime": "2026-03-03T09:00:00Z", "timeZone": "UTC"},
    "end": {"dateTime": "2026-03-03T09:15:00Z", "timeZone": "UTC"},
    "recurrence": ["RRULE:FREQ=DAILY;COUNT=3"],
}
WISH = {
    "bot_name": "Scribe",
    "extra": {"user": "42"},
    "silence_timeout": 300,
    "waiting_room_timeout": 600,
    "speech_to_text": {"provider": "Gladia", "api_key": "k"},
    "new_next_week": {"deep": [1, None]},
}


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


class Diary:
    """A calendar with a single meeting and a series, and what the dialects call them."""

    def __init__(self, vendor: JudgedClient, stage: Stage) -> None:
        self.vendor, self.stage = vendor, stage
        self.calendar = self.single = self.single_series = self.series = ""
        self.daily: list[str] = []

    @property
    def bots(self) -> str:
        return f"/v2/calendars/{self.calendar}/bots"

    async def read(self) -> None:
        listed = (await self.vendor.ask("GET", f"/v2/calendars/{self.calendar}/events")).data
        daily = [one for one in listed if one.title == "Standup"]
        (single,) = [one for one in listed if one.title == "Review"]
        self.single, self.single_series = single.event_id, single.series_id
        self.daily, self.series = [one.event_id for one in daily], daily[0].series_id

    async def scheduled(self) -> set[str]:
        listed = (await self.vendor.ask("GET", f"/v2/calendars/{self.calendar}/events")).data
        return {one.event_id for one in listed if one.bot_scheduled}

    async def config(self, event_id: str) -> Any:
        plan = await planning.show_event(self.stage.gateway, self.stage.project, UUID(event_id))
        return None if plan is None else plan.config

    async def sync(self) -> None:
        await self.stage.sync_again(UUID(self.calendar))


@pytest.fixture
async def diary(vendor: JudgedClient, stage: Stage, given_v2: dict[str, Any]) -> Diary:
    stage.world.add_meeting(ADA, "Review", in_minutes=90)
    stage.world.add_event(ADA, DAILY)
    found = Diary(vendor, stage)
    found.calendar = (await vendor.ask("POST", "/v2/calendars", given_v2)).data.calendar_id
    await stage.sync()
    await found.read()
    return found


async def test_v1_keeps_a_configuration_as_it_came_and_shows_it_flattened(vendor: JudgedClient, diary: Diary) -> None:
    (event,) = await vendor.ask("POST", f"/calendar_events/{diary.single}/bot", WISH)
    assert await diary.config(diary.single) == WISH
    shown = event.bot_param
    assert (shown.bot_name, shown.extra, shown.waiting_room_timeout) == ("Scribe", {"user": "42"}, 600)
    assert (shown.speech_to_text_provider, shown.speech_to_text_api_key) == ("Gladia", "k")
    assert (shown.webhook_url, shown.transcription_custom_parameters) == ("", None)
    assert "silence_timeout" not in vendor.last.text
    assert (await vendor.ask("GET", f"/calendar_events/{diary.single}")).bot_param == shown
    assert await diary.scheduled() == {diary.single}


async def test_v1_patch_leaves_what_is_absent_and_clears_what_is_null(vendor: JudgedClient, diary: Diary) -> None:
    path = f"/calendar_events/{diary.single}/bot"
    assert await vendor.refused(404, "PATCH", path, {"bot_name": "B"}) == "BotNotFound"
    await vendor.ask("POST", path, WISH)
    changes = {"bot_name": None, "extra": None, "enter_message": "Hello", "later": {"a": None}}
    (event,) = await vendor.ask("PATCH", path, changes)
    kept = {name: value for name, value in WISH.items() if name != "extra"}
    assert await diary.config(diary.single) == kept | {"enter_message": "Hello", "later": {"a": None}}
    assert (event.bot_param.bot_name, event.bot_param.enter_message, event.bot_param.extra) == ("Scribe", "Hello", None)


@pytest.mark.parametrize("all_occurrences", ["false", "true"])
async def test_changes_at_the_same_time_are_all_kept(vendor: JudgedClient, diary: Diary, all_occurrences: str) -> None:
    path = f"/calendar_events/{diary.daily[0]}/bot?all_occurrences={all_occurrences}"
    await vendor.ask("POST", path, {"bot_name": "B"})
    changes = [{f"field_{number}": number} for number in range(5)]
    answers = await asyncio.gather(*(vendor.http.patch(path, json=change) for change in changes))
    assert [answer.status_code for answer in answers] == [200] * 5
    config = await diary.config(diary.daily[0])
    assert config == {"bot_name": "B"} | {name: value for change in changes for name, value in change.items()}


async def test_v1_takes_a_bot_back_again_and_again(vendor: JudgedClient, diary: Diary) -> None:
    path = f"/calendar_events/{diary.single}/bot"
    await vendor.ask("POST", path, WISH)
    for _ in range(2):
        (event,) = await vendor.ask("DELETE", path)
        assert event.bot_param is None
    assert await diary.scheduled() == set()


async def test_v1_means_all_occurrences_those_to_come_too(vendor: JudgedClient, diary: Diary) -> None:
    second = f"/calendar_events/{diary.daily[1]}/bot"
    found = await vendor.ask("POST", f"{second}?all_occurrences=true", WISH)
    assert [one.uuid for one in found] == diary.daily
    assert all(one.bot_param.bot_name == "Scribe" for one in found)

    master = diary.stage.world.read_truth(ADA)
    (recurring,) = {row["recurringEventId"] for row in master if "recurringEventId" in row}
    diary.stage.world.edit_event(ADA, recurring, {"recurrence": ["RRULE:FREQ=DAILY;COUNT=5"]})
    await diary.sync()
    await diary.read()
    assert len(diary.daily) == 5
    assert await diary.scheduled() == set(diary.daily)

    (alone,) = await vendor.ask("DELETE", second)
    assert alone.bot_param is None
    assert await diary.scheduled() == set(diary.daily) - {alone.uuid}
    (own,) = await vendor.ask("PATCH", f"/calendar_events/{diary.daily[2]}/bot", {"bot_name": "Own"})
    assert own.bot_param.bot_name == "Own"
    renamed = await vendor.ask("PATCH", f"{second}?all_occurrences=true", {"extra": {"user": "43"}})
    assert {one.bot_param.bot_name for one in renamed if one.bot_param} == {"Scribe", "Own"}
    assert all(one.bot_param.extra == {"user": "43"} for one in renamed if one.bot_param)

    again = await vendor.ask("POST", f"{second}?all_occurrences=true", {"bot_name": "Fresh"})
    assert [one.bot_param.bot_name for one in again] == ["Fresh"] * 5
    freed = await vendor.ask("DELETE", f"{second}?all_occurrences=true")
    assert [one.bot_param for one in freed] == [None] * 5
    assert await diary.scheduled() == set()


async def test_all_occurrences_of_what_does_not_recur_is_the_one(vendor: JudgedClient, diary: Diary) -> None:
    found = await vendor.ask("POST", f"/calendar_events/{diary.single}/bot?all_occurrences=true", WISH)
    assert [one.uuid for one in found] == [diary.single]
    assert await diary.scheduled() == {diary.single}


async def test_the_older_guides_path_records(vendor: JudgedClient, diary: Diary) -> None:
    path = f"/calendars/{diary.calendar}/events/{diary.single}/record"
    (event,) = await vendor.ask(
        "POST", path, {"bot_name": "B", "entry_message": "Hi", "bot_avatar_url": "https://x.io/a"}
    )
    assert (event.bot_param.enter_message, event.bot_param.bot_image) == ("Hi", "https://x.io/a")
    (event,) = await vendor.ask("PATCH", path, {"bot_name": "C"})
    assert event.bot_param.bot_name == "C"
    (event,) = await vendor.ask("DELETE", path)
    assert event.bot_param is None
    foreign = f"/calendars/{UNKNOWN}/events/{diary.single}/record"
    assert await vendor.refused(404, "POST", foreign, {"bot_name": "B"}) == "EventNotFound"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({}, id="no-name"),
        pytest.param({"bot_name": None}, id="null"),
        pytest.param({"bot_name": ""}, id="empty"),
        pytest.param({"bot_name": 7}, id="number"),
        pytest.param({"bot_name": "x" * 256}, id="long"),
        pytest.param({"bot_name": "B", "extra": "x" * 70_000}, id="huge"),
        pytest.param({"botName": "B"}, id="camel-case"),
    ],
)
async def test_a_bot_needs_a_name_and_a_bounded_configuration(
    vendor: JudgedClient, diary: Diary, body: dict[str, Any]
) -> None:
    code = await vendor.refused(422, "POST", f"/calendar_events/{diary.single}/bot", body)
    assert code == "ValidationFailed"
    code = await vendor.refused(400, "POST", diary.bots, {**body, "event_id": diary.single})
    assert code == "FST_ERR_VALIDATION"
    assert await diary.scheduled() == set()


async def test_what_is_over_or_cancelled_has_no_bot(vendor: JudgedClient, diary: Diary) -> None:
    truth = {row["summary"]: row["id"] for row in diary.stage.world.read_truth(ADA)}
    diary.stage.world.cancel_event(ADA, truth["Review"])
    await diary.sync()
    assert await vendor.refused(422, "POST", f"/calendar_events/{diary.single}/bot", WISH) == "EventCancelled"
    refused = await vendor.ask("POST", diary.bots, {"event_id": diary.single, **WISH})
    assert (refused.data, [one.code for one in refused.errors]) == ([], ["FST_ERR_CALENDAR_EVENT_CANCELLED"])
    diary.stage.clock.advance(7 * 86_400)
    assert await vendor.refused(422, "POST", f"/calendar_events/{diary.daily[0]}/bot", WISH) == "EventOver"
    body = {"event_id": diary.daily[0], **WISH}
    assert await vendor.refused(400, "POST", diary.bots, body) == "FST_ERR_CALENDAR_EVENT_OVER"
    body = {"series_id": diary.series, "all_occurrences": True, **WISH}
    assert await vendor.refused(400, "POST", diary.bots, body) == "FST_ERR_CALENDAR_EVENT_OVER"
    assert (await vendor.ask("DELETE", diary.bots, body)).data == []


@pytest.mark.parametrize("series_id", ["its own", "another", NIL, None, "missing"])
async def test_v2_one_event_is_meant_whatever_series_is_named(
    vendor: JudgedClient, diary: Diary, series_id: str | None
) -> None:
    names = {"its own": diary.series, "another": diary.single_series}
    target: dict[str, Any] = {"event_id": diary.daily[0], "all_occurrences": False}
    if series_id != "missing":
        target["series_id"] = names.get(series_id or "", series_id)
    made = await vendor.ask("POST", diary.bots, target | WISH)
    assert ([one.event_id for one in made.data], made.errors) == ([diary.daily[0]], [])
    assert await diary.config(diary.daily[0]) == WISH
    assert await diary.scheduled() == {diary.daily[0]}
    changed = await vendor.ask("PATCH", diary.bots, target | {"bot_name": "New"})
    assert [one.event_id for one in changed.data] == [diary.daily[0]]
    assert await diary.config(diary.daily[0]) == WISH | {"bot_name": "New"}
    for _ in range(2):
        freed = await vendor.ask("DELETE", diary.bots, target)
        assert [one.event_id for one in freed.data] == [diary.daily[0]]
    assert await diary.scheduled() == set()


@pytest.mark.parametrize("by", ["series_id", "event_id", "event_id and nil"])
async def test_v2_a_series_is_scheduled_changed_and_taken_back(vendor: JudgedClient, diary: Diary, by: str) -> None:
    target: dict[str, Any] = {"all_occurrences": True}
    if by == "series_id":
        # An event_id beside it is ignored then.
        target |= {"series_id": diary.series, "event_id": diary.single}
    else:
        target |= {"event_id": diary.daily[1]} | ({"series_id": NIL} if "nil" in by else {})
    made = await vendor.ask("POST", diary.bots, target | WISH)
    assert ([one.event_id for one in made.data], made.errors) == (diary.daily, [])
    series = (await vendor.ask("GET", f"/v2/calendars/{diary.calendar}/series?event_type=recurring")).data
    assert [one.bot_scheduled for one in series[0].events] == [True] * 3
    await vendor.ask("PATCH", diary.bots, target | {"bot_name": "New"})
    assert [(await diary.config(one))["bot_name"] for one in diary.daily] == ["New"] * 3
    freed = await vendor.ask("DELETE", diary.bots, target)
    assert [one.event_id for one in freed.data] == diary.daily
    assert await diary.scheduled() == set()
    assert await vendor.refused(404, "PATCH", diary.bots, target | {"bot_name": "New"}) == "FST_ERR_BOT_NOT_FOUND"


async def test_v2_a_single_events_series_is_that_event(vendor: JudgedClient, diary: Diary) -> None:
    target = {"series_id": diary.single_series, "all_occurrences": True}
    made = await vendor.ask("POST", diary.bots, target | WISH)
    assert [one.event_id for one in made.data] == [diary.single]
    assert await diary.scheduled() == {diary.single}


async def test_v2_what_cannot_have_a_bot_is_told_beside_what_can(vendor: JudgedClient, diary: Diary) -> None:
    world = diary.stage.world
    world.add_account(GRACE)
    unlinked = world.add_meeting(ADA, "unlinked", in_minutes=120, meet=False)
    declined = world.add_meeting(GRACE, "declined", in_minutes=150, attendees=[ADA])
    world.respond(GRACE, declined["id"], ADA, "declined")
    rows = [row for row in world.read_truth(ADA) if row["summary"] == "Standup"]
    world.edit_event(ADA, rows[1]["id"], {"location": None})
    assert unlinked
    await diary.sync()
    await diary.read()
    listed = (await vendor.ask("GET", f"/v2/calendars/{diary.calendar}/events")).data
    ids = {one.title: one.event_id for one in listed}

    for title, code in [
        ("unlinked", "FST_ERR_CALENDAR_EVENT_NO_MEETING_URL"),
        ("declined", "FST_ERR_CALENDAR_EVENT_CANCELLED"),
    ]:
        made = await vendor.ask("POST", diary.bots, {"event_id": ids[title], **WISH})
        assert vendor.last.status_code == 201
        assert (made.data, [(one.event_id, one.code) for one in made.errors]) == ([], [(ids[title], code)])
    assert await diary.scheduled() == set()

    made = await vendor.ask("POST", diary.bots, {"series_id": diary.series, "all_occurrences": True, **WISH})
    assert [one.event_id for one in made.data] == [diary.daily[0], diary.daily[2]]
    (fault,) = made.errors
    assert (fault.event_id, fault.code) == (diary.daily[1], "FST_ERR_CALENDAR_EVENT_NO_MEETING_URL")


async def test_v2_a_patch_replaces_fields_and_switches_drop_their_settings(vendor: JudgedClient, diary: Diary) -> None:
    target = {"series_id": NIL, "event_id": diary.single, "all_occurrences": False}
    wish = {
        "bot_name": "B",
        "timeout_config": {"silence_timeout": 900, "grace_period": 5},
        "streaming_enabled": True,
        "streaming_config": {"input_url": "wss://x.io"},
        "extra": {"a": 1},
    }
    await vendor.ask("POST", diary.bots, target | wish)
    await vendor.ask("PATCH", diary.bots, target | {"timeout_config": {"silence_timeout": 600}, "extra": None})
    assert await diary.config(diary.single) == wish | {"timeout_config": {"silence_timeout": 600}, "extra": None}
    await vendor.ask("PATCH", diary.bots, target | {"streaming_enabled": False})
    config = await diary.config(diary.single)
    assert (config["streaming_enabled"], "streaming_config" in config) == (False, False)
    for wrong in (
        {"streaming_enabled": True},
        {"callback_enabled": False, "callback_config": {"url": "https://x.io"}},
        {"transcription_enabled": True, "transcription_config": None},
    ):
        assert await vendor.refused(400, "PATCH", diary.bots, target | wrong) == "FST_ERR_VALIDATION"


async def test_a_bot_on_its_way_is_not_changed(vendor: JudgedClient, diary: Diary) -> None:
    target = {"series_id": NIL, "event_id": diary.single}
    await vendor.ask("POST", diary.bots, target | WISH)
    diary.stage.clock.advance(90 * 60 - 30)
    await vendor.ask("POST", diary.bots, target | WISH)  # half a minute before: launched at once
    assert await vendor.refused(409, "PATCH", diary.bots, target | {"bot_name": "B"}) == "FST_ERR_BOT_STATUS"
    path = f"/calendar_events/{diary.single}/bot"
    assert await vendor.refused(409, "PATCH", path, {"bot_name": "B"}) == "BotStatus"
    assert [one.event_id for one in (await vendor.ask("DELETE", diary.bots, target)).data] == [diary.single]


@pytest.mark.parametrize(
    ("target", "status", "code"),
    [
        pytest.param({}, 400, "FST_ERR_VALIDATION", id="nothing"),
        pytest.param({"series_id": UNKNOWN}, 400, "FST_ERR_VALIDATION", id="series-without-all"),
        pytest.param({"all_occurrences": True}, 400, "FST_ERR_VALIDATION", id="all-of-nothing"),
        pytest.param({"all_occurrences": True, "series_id": NIL}, 400, "FST_ERR_VALIDATION", id="all-of-nil"),
        pytest.param({"all_occurrences": "yes", "event_id": UNKNOWN}, 400, "FST_ERR_VALIDATION", id="not-a-flag"),
        pytest.param({"event_id": "x"}, 400, "FST_ERR_VALIDATION", id="not-an-id"),
        pytest.param({"event_id": 7}, 400, "FST_ERR_VALIDATION", id="number"),
        pytest.param({"event_id": UNKNOWN, "series_id": []}, 400, "FST_ERR_VALIDATION", id="list"),
        pytest.param({"event_id": UNKNOWN}, 404, "FST_ERR_CALENDAR_EVENT_NOT_FOUND", id="unknown-event"),
        pytest.param(
            {"series_id": UNKNOWN, "all_occurrences": True},
            404,
            "FST_ERR_CALENDAR_SERIES_NOT_FOUND",
            id="unknown-series",
        ),
    ],
)
async def test_v2_targets_are_checked(
    vendor: JudgedClient, diary: Diary, target: dict[str, Any], status: int, code: str
) -> None:
    for method in ("POST", "PATCH", "DELETE"):
        assert await vendor.refused(status, method, diary.bots, target | {"bot_name": "B"}) == code
    elsewhere = f"/v2/calendars/{UNKNOWN}/bots"
    known = target | {"bot_name": "B", "event_id": diary.single, "all_occurrences": False, "series_id": NIL}
    assert await vendor.refused(404, "POST", elsewhere, known) == "FST_ERR_CALENDAR_NOT_FOUND"


async def test_a_bot_of_one_dialect_is_seen_in_the_other(vendor: JudgedClient, diary: Diary) -> None:
    wish = {
        "bot_name": "B",
        "entry_message": "Hello",
        "bot_image": ["https://x.io/1.jpg"],
        "timeout_config": {"waiting_room_timeout": 300, "no_one_joined_timeout": 200},
        "callback_config": {"url": "https://x.io/done"},
        "streaming_config": {"input_url": "wss://x.io/in", "audio_frequency": 16000},
        "recording_mode": "audio_and_video",
    }
    await vendor.ask("POST", diary.bots, {"event_id": diary.single, **wish})
    shown = (await vendor.ask("GET", f"/calendar_events/{diary.single}")).bot_param
    assert (shown.bot_name, shown.enter_message, shown.bot_image) == ("B", "Hello", None)
    assert (shown.waiting_room_timeout, shown.noone_joined_timeout) == (300, 200)
    assert (shown.webhook_url, shown.streaming_input) == ("https://x.io/done", "wss://x.io/in")
    assert (shown.streaming_audio_frequency, shown.recording_mode) == ("16khz", None)
    assert await diary.config(diary.single) == wish


@pytest.mark.parametrize("config", [{}, {"timeout_config": 1, "callback_config": None, "streaming_config": {"audio_frequency": True}},
    {"bot_name": [], "noone_joined_timeout": 2**40, "webhook_url": None, "speech_to_text": 5}, {"extra": False}])  # fmt: skip
def test_whatever_a_configuration_is_v1_can_show_it(config: dict[str, Any]) -> None:
    shown = bot_param(config)
    assert (shown.bot_name, shown.webhook_url, shown.noone_joined_timeout) == ("", "", None)
