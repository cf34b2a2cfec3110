"""What Google refuses and how: the calendar's status, what its owner is told, when it is tried again, and that it heals."""

import json
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from flows.stage import Stage

from service.core.lifecycle import REMEDIES

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
