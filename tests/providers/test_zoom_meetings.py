"""Meetings at Zoom: made once for each key whatever is lost, followed, and gone; to the fake Zoom over real sockets."""

from datetime import UTC, date, datetime, timedelta

import msgspec
import pytest

from service.core.connection import ZoomSettings
from service.core.credentials import OAuthClient
from service.core.drafts import Draft
from service.errors import (
    AccessRejected,
    EventGone,
    GrantRejected,
    RequestRefused,
    ScopeMissing,
    Throttled,
    TransientFault,
)
from service.providers.guarded_http import Slots
from service.providers.protocol import Access
from service.providers.zoom.login import ZoomLogin
from service.providers.zoom.meetings import ZoomMeetings
from service.providers.zoom.tokens import ZoomTokens
from simulator.server import serve
from simulator.zoom.world import ZoomWorld

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
ADA = "ada@example.com"
KEY, OTHER = "0f" * 16, "1f" * 16
AT = NOW + timedelta(days=1)
LUNCH = Draft(
    title="Lunch", description="secret", starts_at=AT, ends_at=AT + timedelta(minutes=45), time_zone="Europe/Paris"
)
PLAIN = ZoomSettings()


class Office:
    """A user of Zoom, and who makes meetings in her name."""

    def __init__(self, world: ZoomWorld, url: str) -> None:
        self.world = world
        self.meetings = ZoomMeetings(f"{url}/v2", clock=lambda: NOW, wait=0)
        self.tokens = ZoomTokens(f"{url}/oauth/token")
        self.login = ZoomLogin(f"{url}/oauth/authorize", f"{url}/oauth/token", f"{url}/v2")
        self.access: Access

    async def let_in(self, http) -> None:
        known = self.world.connect(ADA)
        client = OAuthClient(client_id=known["client_id"], client_secret=known["client_secret"])
        grant = await self.tokens.refresh(http, client, known["refresh_token"], NOW)
        self.access = Access(http=http, token=grant.access_token, client_key="client", user_key="user")
        self.world.reset_counters()

    async def create(self, draft: Draft = LUNCH, key: str = KEY, settings: ZoomSettings = PLAIN, **more):
        return await self.meetings.create(self.access, draft, key=key, settings=settings, **more)

    def held(self) -> list[dict]:
        return self.world.read_meetings(ADA)


@pytest.fixture
async def office(anyio_backend):
    world = ZoomWorld(lambda: NOW, seed=3)
    slots = Slots(1)
    async with serve(world) as url, slots.borrow() as http:
        office = Office(world, url)
        await office.let_in(http)
        yield office
    await slots.aclose()


@pytest.mark.anyio
async def test_a_meeting_is_made_as_the_event_is(office: Office) -> None:
    made = await office.create(is_first=True)
    (held,) = office.held()
    assert (made.id, made.join_url, made.passcode) == (str(held["id"]), held["join_url"], held["password"])
    assert (held["topic"], held["type"], held["duration"], held["timezone"]) == ("Lunch", 2, 45, "Europe/Paris")
    assert held["start_time"] == "2026-03-03T09:00:00Z"
    assert "secret" not in str(held["agenda"])
    assert office.world.read_counters() == {"meetings.create": 1, "total": 1}
    assert "zak=" not in repr(made) + str(msgspec.to_builtins(made))


TIMES = [
    pytest.param({"time_zone": None}, {"start_time": "2026-03-03T09:00:00Z", "duration": 45}, id="utc"),
    pytest.param(
        {"time_zone": "Romance Standard Time"},
        {"start_time": "2026-03-03T09:00:00Z", "timezone": "Europe/Paris"},
        id="windows-zone",
    ),
    pytest.param({"time_zone": "Mars/Base"}, {"start_time": "2026-03-03T09:00:00Z"}, id="no-zone"),
    pytest.param({"ends_at": AT + timedelta(seconds=90)}, {"duration": 2}, id="a-minute-and-a-half"),
    pytest.param({"ends_at": AT}, {"duration": 1}, id="no-length"),
    pytest.param({"ends_at": AT + timedelta(days=9)}, {"duration": 1440}, id="days-long"),
    pytest.param(
        {"starts_at": None, "ends_at": None, "start_date": date(2026, 3, 5), "end_date": date(2026, 3, 6)},
        {"start_time": "2026-03-04T23:00:00Z", "duration": 1440},
        id="a-day",
    ),
    pytest.param({"title": None}, {"topic": "Meeting"}, id="no-title"),
    pytest.param({"title": "x" * 300}, {"topic": "x" * 200}, id="long-title"),
    pytest.param({"recurrence": ["RRULE:FREQ=WEEKLY"]}, {"type": 3}, id="series"),
]


@pytest.mark.anyio
@pytest.mark.parametrize(("fields", "expected"), TIMES)
async def test_times_and_names(office: Office, fields: dict, expected: dict) -> None:
    await office.create(msgspec.structs.replace(LUNCH, **fields))
    (held,) = office.held()
    assert {name: held[name] for name in expected} == expected


@pytest.mark.anyio
async def test_settings_are_asked_for_and_those_overridden_are_told(office: Office) -> None:
    wanted = ZoomSettings(join_before_host=True, waiting_room=False, mute_upon_entry=True, auto_recording="cloud")
    assert (await office.create(settings=wanted)).overridden == ()
    (held,) = office.held()
    assert {**held["settings"], **msgspec.structs.asdict(wanted)} == held["settings"]
    office.world.set_policy(ADA, waiting_room=True, auto_recording="none")
    made = await office.create(key=OTHER, settings=wanted)
    assert made.overridden == ("auto_recording", "waiting_room")


LOST = [
    pytest.param("lost_answer", False, id="connection-cut"),
    pytest.param("error_502", True, id="502-carried-out"),
    pytest.param("error_500", False, id="500-not-carried-out"),
    pytest.param("truncated_page", False, id="half-an-answer"),
]


@pytest.mark.anyio
@pytest.mark.parametrize(
    "draft",
    [
        pytest.param(LUNCH, id="single"),
        pytest.param(msgspec.structs.replace(LUNCH, recurrence=["RRULE:FREQ=DAILY"]), id="series"),
    ],
)
@pytest.mark.parametrize(("preset", "after"), LOST)
async def test_a_meeting_is_made_once_whatever_is_lost(office: Office, draft: Draft, preset: str, after: bool) -> None:
    for number in range(40):
        office.world.add_meeting(ADA, f"other {number}", "2026-03-04T10:00:00Z")
    office.world.settings.largest_page = 7
    office.world.add_fault(preset, endpoint="meetings.create", after=after)
    try:
        await office.create(draft, is_first=True)
    except TransientFault:
        assert preset == "truncated_page"
    made = await office.create(draft)
    assert [str(each["id"]) for each in office.held() if "calgate" in (each.get("agenda") or "")] == [made.id]
    assert made.passcode


@pytest.mark.anyio
async def test_while_nobody_can_say_whether_it_was_made_it_is_not_made_again(office: Office) -> None:
    office.world.add_fault("lost_answer", endpoint="meetings.list", times=None)
    office.world.add_fault("lost_answer", endpoint="meetings.create")
    with pytest.raises(TransientFault):
        await office.create(is_first=True)
    assert office.world.counters["meetings.create"] == 1


@pytest.mark.anyio
async def test_two_keys_are_two_meetings(office: Office) -> None:
    first, second = await office.create(), await office.create(key=OTHER)
    assert first.id != second.id
    assert await office.create() == first


@pytest.mark.anyio
async def test_a_change_follows_the_event(office: Office) -> None:
    made = await office.create()
    later = msgspec.structs.replace(
        LUNCH, title="Dinner", starts_at=AT + timedelta(hours=8), ends_at=AT + timedelta(hours=9)
    )
    await office.meetings.change(office.access, made.id, later, settings=ZoomSettings(waiting_room=False))
    (held,) = office.held()
    assert (held["topic"], held["start_time"], held["duration"]) == ("Dinner", "2026-03-03T17:00:00Z", 60)
    assert held["settings"]["waiting_room"] is False
    assert await office.create() == made


@pytest.mark.anyio
async def test_a_removed_meeting_is_gone_and_may_be_removed_again(office: Office) -> None:
    made = await office.create()
    for _ in range(2):
        await office.meetings.remove(office.access, made.id)
    assert office.held() == []
    with pytest.raises(EventGone):
        await office.meetings.change(office.access, made.id, LUNCH, settings=PLAIN)
    with pytest.raises(EventGone):
        await office.meetings.read(office.access, made.id)


@pytest.mark.anyio
async def test_withdrawing_removes_every_meeting_of_a_key(office: Office) -> None:
    for _ in range(2):
        await office.create(is_first=True)
    kept = await office.create(key=OTHER)
    assert len(office.held()) == 3
    assert await office.create() == await office.create()
    await office.meetings.withdraw(office.access, key=KEY)
    await office.meetings.withdraw(office.access, key=KEY)
    assert [str(each["id"]) for each in office.held()] == [kept.id]


@pytest.mark.anyio
async def test_a_days_share_is_told_with_its_end(office: Office) -> None:
    office.world.set(writes_per_day=1)
    await office.create(is_first=True)
    with pytest.raises(Throttled) as caught:
        await office.create(key=OTHER, is_first=True)
    assert caught.value.retry_at == datetime(2026, 3, 3, tzinfo=UTC)


@pytest.mark.anyio
async def test_a_seconds_share_is_waited_for_once(office: Office) -> None:
    office.world.add_fault("qps_429", endpoint="meetings.create")
    await office.create(is_first=True)
    office.world.add_fault("qps_429", endpoint="meetings.create", times=2)
    with pytest.raises(Throttled) as caught:
        await office.create(key=OTHER, is_first=True)
    assert caught.value.retry_at == NOW + timedelta(seconds=2)
    assert len(office.held()) == 1


REFUSALS = [
    pytest.param("unauthorized_401", AccessRejected, id="124"),
    pytest.param("scope_400", ScopeMissing, id="4711"),
    pytest.param("scope_401", ScopeMissing, id="4700"),
    pytest.param("validation_400", RequestRefused, id="300"),
    pytest.param("refused_400", RequestRefused, id="3000"),
    pytest.param("user_404", GrantRejected, id="1001"),
    pytest.param("meeting_404", EventGone, id="3001"),
    pytest.param("error_503", TransientFault, id="503"),
    pytest.param("html_200", TransientFault, id="a-web-page"),
]


@pytest.mark.anyio
@pytest.mark.parametrize(("preset", "kind"), REFUSALS)
async def test_each_refusal_is_told_for_what_it_is(office: Office, preset: str, kind: type[Exception]) -> None:
    office.world.add_fault(preset, times=None)
    with pytest.raises(kind) as caught:
        await office.meetings.read(office.access, "81234567890")
    assert type(caught.value) is kind
    with pytest.raises(kind):
        await office.create()


@pytest.mark.anyio
async def test_whose_account_it_is(office: Office) -> None:
    account = await office.login.account(office.access.http, office.access.token, NOW)
    assert (account.id, account.email) == (office.world.accounts[ADA].id, ADA)
    office.world.expire_access_tokens()
    with pytest.raises(AccessRejected):
        await office.login.account(office.access.http, office.access.token, NOW)
