"""What Google refuses and how: the calendar's status, what its owner is told, when it is tried again, and that it heals."""

import json
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from flows.stage import Stage

from service.core.lifecycle import REMEDIES
from service.errors import GatewayError

pytestmark = pytest.mark.anyio
ADA, GRACE = "ada@example.com", "grace@example.com"
TOKEN, LIST = "token", "events.list"


class Expected(NamedTuple):
    """After one failure: status, code, and the pause in seconds (lowest, highest); `announced` after it, if anything."""

    status: str
    code: str | None
    pause: tuple[float, float]
    announced: str | None = None


PATIENT = Expected("active", None, (3.75, 6.25))
THROTTLED = Expected("active", None, (15, 30))
ASKED = Expected("active", None, (90, 90))
USAGE = Expected("active", None, (3 * 3600, 3 * 3600))
MIDNIGHT = Expected("active", None, (0, 24 * 3600))
CLIENT = Expected("error", "client_rejected", (900, 990), "calendar.error")
GRANT = Expected("error", "credentials_rejected", (60, 66), "calendar.error")
SCOPE = Expected("error", "insufficient_scope", (60, 66), "calendar.error")
POLICY = Expected("error", "insufficient_scope", (3600, 3960), "calendar.error")
REFUSED = Expected("error", "calendar_refused", (3600, 3960), "calendar.error")
GONE = Expected("error", "calendar_not_found", (60, 66), "calendar.error")
FINE = Expected("active", None, (90, 300))

FAULTS: list[tuple[str, str, Expected]] = [
    ("invalid_grant", TOKEN, GRANT),
    ("invalid_grant_bad_request", TOKEN, GRANT),
    ("account_deleted", TOKEN, GRANT),
    ("invalid_rapt", TOKEN, GRANT),
    ("rapt_required", TOKEN, GRANT),
    ("invalid_client", TOKEN, CLIENT),
    ("invalid_client_secret", TOKEN, CLIENT),
    ("deleted_client", TOKEN, CLIENT),
    ("disabled_client", TOKEN, CLIENT),
    ("unauthorized_client", TOKEN, CLIENT),
    ("invalid_request", TOKEN, REFUSED),
    ("invalid_scope", TOKEN, POLICY),
    ("admin_policy_enforced", TOKEN, POLICY),
    ("org_internal", TOKEN, POLICY),
    ("internal_failure_400", TOKEN, PATIENT),
    ("server_error_400", TOKEN, PATIENT),
    ("temporarily_unavailable", TOKEN, PATIENT),
    ("token_429", TOKEN, THROTTLED),
    ("token_500", TOKEN, PATIENT),
    ("html_200", TOKEN, PATIENT),
    ("lost_answer", TOKEN, PATIENT),
    ("hang", TOKEN, PATIENT),
    ("unauthorized_401", LIST, PATIENT),
    ("rate_limit_403", LIST, THROTTLED),
    ("user_rate_limit_403", LIST, THROTTLED),
    ("rate_limit_429", LIST, THROTTLED),
    ("429_retry_after", LIST, ASKED),
    ("quota_403", LIST, USAGE),
    ("calendar_limits_403", LIST, USAGE),
    ("daily_limit_403", LIST, MIDNIGHT),
    ("scope_403", LIST, SCOPE),
    ("api_disabled_403", LIST, CLIENT),
    ("forbidden_403", LIST, REFUSED),
    ("required_access_403", LIST, REFUSED),
    ("non_organizer_403", LIST, REFUSED),
    ("service_account_403", LIST, REFUSED),
    ("not_a_calendar_user_403", LIST, POLICY),
    ("domain_policy_403", LIST, POLICY),
    ("not_found_404", LIST, PATIENT),
    ("time_range_empty_400", LIST, REFUSED),
    ("invalid_parameter_400", LIST, REFUSED),
    ("required_400", LIST, REFUSED),
    ("backend_500", LIST, PATIENT),
    ("backend_502", LIST, PATIENT),
    ("backend_503", LIST, PATIENT),
    ("backend_504", LIST, PATIENT),
    ("503_retry_after", LIST, ASKED),
    ("broken_page", LIST, PATIENT),
    ("truncated_page", LIST, PATIENT),
    ("lost_answer", LIST, PATIENT),
    ("html_200", LIST, PATIENT),
    ("huge_page", LIST, PATIENT),
    ("hang", LIST, PATIENT),
]
CASES = [pytest.param(*fault, id=f"{fault[1]} {fault[0]}") for fault in FAULTS]


async def settled(stage: Stage) -> UUID:
    """A connected, synced calendar with one event, and nothing in the outbox yet."""
    calendar_id = await stage.connect()
    stage.world.add_meeting(ADA, "known")
    await stage.sync()
    await stage.subscribe()
    return calendar_id


async def fail_once(stage: Stage, calendar_id: UUID, preset: str, endpoint: str) -> Any:
    """The calendar after a sync in which the fault struck, however often it was asked again within the sync."""
    stage.world.add_meeting(ADA, "new", in_minutes=300)
    stage.world.add_fault(preset, endpoint=endpoint, times=None, seconds=90)
    if endpoint == TOKEN:
        stage.clock.advance(hours=1)
    await stage.sync_again(calendar_id)
    return await stage.calendar(calendar_id)


@pytest.mark.parametrize(("preset", "endpoint", "expected"), CASES)
async def test_each_refusal_is_blamed_on_whoever_must_act(
    stage: Stage, preset: str, endpoint: str, expected: Expected
) -> None:
    calendar_id = await settled(stage)

    row = await fail_once(stage, calendar_id, preset, endpoint)

    assert (row.status, row.error_code) == (expected.status, expected.code)
    lowest, highest = expected.pause
    assert lowest <= (row.due_at - stage.clock()).total_seconds() <= highest
    assert row.retry_at == row.due_at
    assert row.lease is None
    if expected.code is None:
        assert row.error_message is None
    else:
        assert row.error_message.startswith(REMEDIES[expected.code])
    told = [(kind, data["error_code"], data["previous_status"]) for kind, data in await stage.messages()]
    assert told == ([(expected.announced, expected.code, "active")] if expected.announced else [])
    assert len(await stage.stored(calendar_id)) == 1, "a fault takes no event away"

    stage.world.clear_faults()
    stage.clock.now = row.due_at
    await stage.sync()

    healed = await stage.calendar(calendar_id)
    assert (healed.status, healed.error_code, healed.error_message, healed.retry_at) == ("active", None, None, None)
    assert (healed.failures, healed.throttles, healed.rate_limited_until, healed.suspicion) == (0, 0, None, None)
    assert await stage.stored(calendar_id) == stage.truth(ADA)
    kinds = [kind for kind, _ in await stage.messages()]
    again = ["calendar.error", "calendar.active"] if expected.announced else []
    assert kinds == [*again, "calendar.sync_events"]


CURSOR_FAULTS = ["full_sync_required_410", "updated_min_410", "invalid_sync_token_400"]


@pytest.mark.parametrize("preset", CURSOR_FAULTS)
async def test_a_lost_sync_token_costs_a_full_listing_and_no_false_news(stage: Stage, preset: str) -> None:
    calendar_id = await stage.connect()
    kept, gone = (stage.world.add_meeting(ADA, name, in_minutes=60) for name in ("kept", "gone"))
    await stage.sync()
    stage.world.cancel_event(ADA, gone["id"])
    stage.world.add_meeting(ADA, "new", in_minutes=90)
    stage.world.add_fault(preset, endpoint=LIST)

    await stage.sync_again(calendar_id)

    assert (await stage.calendar(calendar_id)).status == "active"
    assert await stage.stored(calendar_id) == stage.truth(ADA)
    news = [(change.kind, change.event.title, change.cause) for change in await stage.changes(2)]
    assert sorted(news) == [("cancelled", "gone", "resync"), ("created", "new", "resync")]
    assert kept["id"] in await stage.stored(calendar_id)


@pytest.mark.parametrize("preset", CURSOR_FAULTS)
async def test_a_sync_token_that_is_refused_for_ever_is_an_error_in_time(stage: Stage, preset: str) -> None:
    calendar_id = await settled(stage)
    stage.world.add_fault(preset, endpoint=LIST, times=None)
    for _ in range(3):
        await stage.sync_again(calendar_id)
        stage.clock.advance(minutes=2)

    assert (await stage.calendar(calendar_id)).error_code == "provider_unavailable"
    stage.world.clear_faults()
    await stage.sync_again(calendar_id)
    assert (await stage.calendar(calendar_id)).status == "active"


async def test_an_expired_access_token_is_renewed_within_the_sync(stage: Stage) -> None:
    calendar_id = await settled(stage)
    stage.world.expire_access_tokens()
    stage.world.add_meeting(ADA, "new", in_minutes=60)

    await stage.sync_again(calendar_id)

    assert (await stage.calendar(calendar_id)).failures == 0
    assert await stage.stored(calendar_id) == stage.truth(ADA)


@pytest.mark.parametrize("preset", ["broken_page", "truncated_page", "backend_500", "lost_answer", "huge_page"])
async def test_a_listing_that_breaks_off_changes_nothing_and_is_begun_anew(stage: Stage, preset: str) -> None:
    stage.world.set(largest_page=2)
    calendar_id = await stage.connect()
    for number in range(7):
        stage.world.add_meeting(ADA, f"{number}", in_minutes=60 + number)
    stage.world.add_fault(preset, endpoint=LIST, skip=2, times=2)
    await stage.sync()
    row = await stage.calendar(calendar_id)
    assert (row.status, row.cursor, row.failures) == ("syncing", None, 1)
    assert await stage.events(calendar_id) == []

    stage.clock.now = row.due_at
    stage.world.clear_faults()
    await stage.sync()

    assert await stage.stored(calendar_id) == stage.truth(ADA)
    assert [change.seq for change in await stage.changes()] == list(range(1, 8))


async def test_a_page_of_ten_megabytes_is_read(stage: Stage) -> None:
    calendar_id = await stage.connect()
    for number in range(10):
        stage.world.add_meeting(ADA, f"{number}", in_minutes=60 + number, description="x" * 1_000_000)

    await stage.sync()

    assert len(await stage.stored(calendar_id)) == 10


POISON: list[tuple[str, dict[str, Any]]] = [
    ("no start", {"id": "p1", "status": "confirmed"}),
    ("a start of nonsense", {"id": "p2", "start": {"dateTime": "yesterday"}, "end": {"dateTime": "tomorrow"}}),
    (
        "a number for a title",
        {"id": "p3", "summary": 3, "start": {"date": "2026-03-03"}, "end": {"date": "2026-03-04"}},
    ),
    ("attendees that are none", {"id": "p4", "attendees": "all", "start": {"date": "2026-03-03"}}),
    ("a month thirteen", {"id": "p5", "start": {"date": "2026-13-03"}, "end": {"date": "2026-13-04"}}),
    ("no id", {"summary": "who?"}),
    ("an endless id", {"id": "x" * 5000, "start": {"date": "2026-03-03"}}),
    ("a list", {"id": ["p"], "start": {"date": "2026-03-03"}}),
]


@pytest.mark.parametrize(("row",), [pytest.param(row, id=name) for name, row in POISON])  # noqa: PT006
@pytest.mark.parametrize("when", ["at first", "later"])
async def test_one_poisoned_event_is_set_aside_and_the_rest_goes_on(stage: Stage, row: dict, when: str) -> None:
    calendar_id = await stage.connect()
    stage.let_google_talk_nonsense()
    if when == "later":
        await stage.sync()
    stage.world.add_meeting(ADA, "good", in_minutes=60)
    stage.world.add_poison(ADA, json.loads(json.dumps(row)))
    stage.world.add_meeting(ADA, "good too", in_minutes=90)

    await stage.sync_again(calendar_id)

    assert (await stage.calendar(calendar_id)).status == "active"
    assert await stage.stored(calendar_id) == stage.truth(ADA)
    assert await stage.quarantined(calendar_id) == 1

    stage.world.clear_poison(ADA)
    stage.world.invalidate_sync_tokens(ADA)
    await stage.sync_again(calendar_id)

    assert await stage.quarantined(calendar_id) == 0


async def test_a_poisoned_version_of_a_known_event_leaves_the_known_one_and_is_cured_by_a_good_one(
    stage: Stage,
) -> None:
    calendar_id = await stage.connect()
    stage.let_google_talk_nonsense()
    event = stage.world.add_meeting(ADA, "good", in_minutes=60)
    await stage.sync()
    before = await stage.stored(calendar_id)
    stage.world.add_poison(ADA, {"id": event["id"], "status": "confirmed", "start": {}})
    await stage.sync_again(calendar_id)
    assert await stage.stored(calendar_id) == before
    assert await stage.quarantined(calendar_id) == 1
    stage.world.clear_poison(ADA)
    stage.world.edit_event(ADA, event["id"], {"summary": "better"})

    await stage.sync_again(calendar_id)

    assert await stage.stored(calendar_id) == stage.truth(ADA)
    assert await stage.quarantined(calendar_id) == 0


async def test_throttling_for_days_never_disconnects_and_hides_nothing(stage: Stage) -> None:
    calendar_id = await settled(stage)
    stage.world.add_fault("user_rate_limit_403", endpoint=LIST, times=None)
    for _ in range(60):
        stage.clock.now = (await stage.calendar(calendar_id)).due_at
        await stage.sync()

    row = await stage.calendar(calendar_id)
    assert (row.status, row.error_code, row.throttles) == ("active", None, 60)
    assert row.rate_limited_until == row.retry_at
    assert await stage.messages() == []


async def calls(stage: Stage) -> int:
    return stage.world.read_counters()["total"]


async def test_a_rejected_grant_is_looked_at_twice_and_then_left_alone(stage: Stage) -> None:
    calendar_id = await settled(stage)
    stage.world.revoke_consent(ADA)
    await stage.sync_again(calendar_id)
    row = await stage.calendar(calendar_id)
    assert (row.status, row.suspicion) == ("error", "grant")
    stage.clock.now = row.due_at
    await stage.sync()

    row = await stage.calendar(calendar_id)
    assert (row.status, row.error_code, row.due_at, row.retry_at) == (
        "disconnected",
        "credentials_rejected",
        None,
        None,
    )
    assert [kind for kind, _ in await stage.messages()] == ["calendar.error", "calendar.disconnected"]
    assert len(await stage.meetings()) == 1, "the bot still goes"

    stage.world.reset_counters()
    for _ in range(5):
        stage.clock.advance(days=1)
        assert await stage.sync() == 0
        await stage.renew_channels()
    with pytest.raises(GatewayError) as refused:
        await stage.resync(calendar_id)
    assert refused.value.status == 409
    assert await calls(stage) == 0
    assert len(await stage.messages()) == 2


async def test_new_credentials_bring_a_disconnected_calendar_back_under_its_id(stage: Stage) -> None:
    calendar_id = await settled(stage)
    stage.world.revoke_consent(ADA)
    for _ in range(2):
        await stage.sync_again(calendar_id)
        stage.clock.advance(seconds=70)
    assert (await stage.calendar(calendar_id)).status == "disconnected"
    stage.world.add_meeting(ADA, "meanwhile", in_minutes=60)

    await stage.patch(calendar_id, stage.world.connect(ADA))

    row = await stage.calendar(calendar_id)
    assert (row.status, row.error_code, row.error_message, row.due_at) == ("syncing", None, None, stage.clock())
    await stage.sync()
    assert (await stage.calendar(calendar_id)).status == "active"
    assert await stage.stored(calendar_id) == stage.truth(ADA)
    kinds = [kind for kind, _ in await stage.messages()]
    assert kinds == ["calendar.error", "calendar.disconnected", "calendar.active", "calendar.sync_events"]
    assert [change.cause for change in await stage.changes()] == ["initial", "resync"]


async def test_a_token_that_another_worker_has_just_rotated_disconnects_nobody(stage: Stage, rival: Stage) -> None:
    calendar_id = await stage.connect(rotates=True)
    await stage.sync()
    for one in (rival, stage, rival, stage):
        # The refresh token that this worker used last is dead by now: another has rotated it.
        stage.clock.advance(hours=2)
        await one.sync_again(calendar_id)
        row = await stage.calendar(calendar_id)
        assert (row.status, row.failures, row.error_code) == ("active", 0, None)


async def test_a_rotated_refresh_token_is_stored_before_its_access_token_is_used(stage: Stage, rival: Stage) -> None:
    calendar_id = await stage.connect(rotates=True)
    await stage.sync()
    stage.clock.advance(hours=2)
    stage.world.add_fault("backend_500", endpoint=LIST, times=None)
    await stage.sync_again(calendar_id)
    stage.world.clear_faults()
    stage.world.expire_access_tokens()
    # A process that knows only what was stored refreshes with the newest token.
    stage.clock.advance(minutes=2)

    await rival.sync_again(calendar_id)

    assert (await stage.calendar(calendar_id)).status == "active"


async def test_a_client_that_is_rejected_is_told_of_once_and_heals_in_silence(stage: Stage) -> None:
    people = [f"user{number}@example.com" for number in range(5)]
    ids = [await stage.connect(email) for email in people]
    await stage.sync()
    await stage.subscribe()
    client_id = next(iter(stage.world.clients))
    stage.world.set_client(client_id, client_secret="rotated")
    stage.clock.advance(hours=2)
    await stage.sync()

    rows = [await stage.calendar(each) for each in ids]
    assert {(row.status, row.error_code) for row in rows} == {("error", "client_rejected")}
    assert [kind for kind, _ in await stage.messages()] == ["calendar.error"]
    for _ in range(8):
        stage.clock.advance(minutes=17)
        await stage.sync()
    assert [kind for kind, _ in await stage.messages()] == ["calendar.error"]

    # A POST of any of its calendars with the new secret checks all of them again.
    await stage.post(stage.world.connect(people[2]))
    await stage.sync()

    rows = [await stage.calendar(each) for each in ids]
    assert {row.status for row in rows} == {"active"}
    told = [kind for kind, data in await stage.messages() if kind == "calendar.active"]
    assert len(told) <= 2, "those whose error was told, and the one that was posted"


@pytest.mark.parametrize(
    ("break_", "mend"),
    [
        pytest.param({"api_enabled": False}, {"api_enabled": True}, id="API switched off"),
        pytest.param("disabled", "ok", id="client disabled"),
    ],
)
async def test_a_client_that_fails_again_is_told_of_again(stage: Stage, break_: Any, mend: Any) -> None:
    calendar_id = await settled(stage)
    client_id = next(iter(stage.world.clients))
    for _ in range(2):
        for state in (break_, mend):
            if isinstance(state, dict):
                stage.world.set(**state)
            else:
                stage.world.set_client(client_id, status=state)
            stage.clock.advance(hours=2)
            await stage.sync_again(calendar_id)

    assert [kind for kind, _ in await stage.messages()] == ["calendar.error", "calendar.active"] * 2


async def test_a_token_of_another_client_is_told_of_for_each_calendar(stage: Stage) -> None:
    for email in (ADA, GRACE):
        await stage.connect(email)
    await stage.sync()
    await stage.subscribe()
    stage.clock.advance(hours=2)
    stage.world.add_fault("unauthorized_client", endpoint=TOKEN, times=None)

    await stage.sync()

    assert [kind for kind, _ in await stage.messages()] == ["calendar.error"] * 2


async def test_a_calendar_that_is_gone_is_looked_for_in_the_list_twice(stage: Stage) -> None:
    await stage.connect()
    second = stage.world.add_calendar(ADA, "Team")
    calendar_id, _ = await stage.post(stage.world.connect(ADA), raw_calendar_id=second)
    await stage.sync()
    await stage.subscribe()
    stage.world.delete_calendar(second)
    stage.world.reset_counters()
    await stage.sync_again(calendar_id)

    row = await stage.calendar(calendar_id)
    assert (row.status, row.error_code, row.suspicion) == ("error", "calendar_not_found", "gone")
    assert stage.world.read_counters()["calendarList.list"] == 1
    stage.clock.now = row.due_at
    await stage.sync()
    row = await stage.calendar(calendar_id)
    assert (row.status, row.due_at) == ("disconnected", None)
    assert [kind for kind, _ in await stage.messages()] == ["calendar.error", "calendar.disconnected"]


@pytest.mark.parametrize("preset", ["invalid_grant", "backend_503", "user_rate_limit_403", "hang"])
async def test_a_fault_of_one_calendar_is_nothing_to_the_others(stage: Stage, preset: str) -> None:
    ids = {email: await stage.connect(email) for email in (ADA, GRACE)}
    await stage.sync()
    for email in ids:
        stage.world.add_meeting(email, "new", in_minutes=60)
    stage.clock.advance(hours=2)
    endpoint = TOKEN if preset == "invalid_grant" else LIST
    stage.world.add_fault(preset, endpoint=endpoint, account=ADA, times=None)

    await stage.sync()

    assert await stage.stored(ids[GRACE]) == stage.truth(GRACE)
    assert (await stage.calendar(ids[GRACE])).failures == 0
    assert (await stage.calendar(ids[ADA])).last_synced_at < stage.clock()


async def test_a_long_outage_is_told_of_once_and_retried_ever_more_slowly(stage: Stage) -> None:
    calendar_id = await settled(stage)
    stage.world.add_fault("backend_503", endpoint=LIST, times=None)
    pauses = []
    for _ in range(14):
        await stage.sync_again(calendar_id)
        row = await stage.calendar(calendar_id)
        pauses.append(row.due_at - stage.clock())
        stage.clock.now = row.due_at

    assert row.status == "error"
    assert max(pauses) <= timedelta(hours=1)
    assert pauses[-1] == timedelta(minutes=30)
    assert [kind for kind, _ in await stage.messages()] == ["calendar.error"]
    stage.world.clear_faults()
    await stage.sync()
    assert [kind for kind, _ in await stage.messages()] == ["calendar.error", "calendar.active"]
