import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import msgspec
import pytest

from service.core.credentials import OAuthClient, StoredTokens, TokenGrant
from service.errors import ClientRejected, GrantRejected, Throttled, TransientFault
from service.providers import tokens as tokens_module
from service.providers.guarded_http import Slots
from service.providers.tokens import LEASE, Tokens

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
CLIENT = OAuthClient(client_id="one", client_secret="hush")
HOUR = timedelta(hours=1)


class MemoryStore:
    """A token store with the semantics of the real one; `log` tells what happened in which order."""

    def __init__(self, *refresh_tokens: str) -> None:
        self.log: list[str] = []
        self.loads = 0
        self.leases: dict[UUID, tuple[UUID, datetime]] = {}
        self.rows: dict[UUID, StoredTokens] = {}
        for refresh_token in refresh_tokens or ("1//first",):
            self.add(refresh_token)

    def add(self, refresh_token: str) -> UUID:
        connection_id = uuid4()
        self.rows[connection_id] = StoredTokens(
            provider="fake",
            client=CLIENT,
            client_key="one",
            user_key=refresh_token,
            refresh_token=refresh_token,
            version=1,
        )
        return connection_id

    @property
    def only(self) -> UUID:
        return next(iter(self.rows))

    def change(self, connection_id: UUID, **fields) -> None:
        row = self.rows[connection_id]
        self.rows[connection_id] = msgspec.structs.replace(row, version=row.version + 1, **fields)

    async def load(self, connection_id: UUID) -> StoredTokens | None:
        self.loads += 1
        await asyncio.sleep(0)
        return self.rows.get(connection_id)

    async def lease(self, connection_id: UUID, owner: UUID, now: datetime, until: datetime) -> bool:
        await asyncio.sleep(0)
        held = self.leases.get(connection_id)
        if held is not None and held[1] > now and held[0] != owner:
            return False
        self.leases[connection_id] = (owner, until)
        return True

    async def save(self, connection_id: UUID, version: int, grant: TokenGrant, now: datetime) -> bool:
        await asyncio.sleep(0)
        row = self.rows[connection_id]
        if row.version != version:
            return False
        self.log.append(f"saved {grant.access_token}")
        self.change(
            connection_id,
            access_token=grant.access_token,
            access_expires_at=grant.expires_at,
            refresh_token=grant.refresh_token or row.refresh_token,
        )
        self.leases.pop(connection_id, None)
        return True

    async def release(self, connection_id: UUID, owner: UUID) -> None:
        await asyncio.sleep(0)
        if self.leases.get(connection_id, (None,))[0] == owner:
            del self.leases[connection_id]

    async def client_rejected(self, connection_id: UUID, reason: str, until: datetime) -> None:
        for each, row in self.rows.items():
            self.rows[each] = msgspec.structs.replace(row, client_rejected_until=until, client_rejected_reason=reason)

    async def client_accepted(self, connection_id: UUID) -> None:
        for each, row in self.rows.items():
            self.rows[each] = msgspec.structs.replace(row, client_rejected_until=None, client_rejected_reason=None)


class Endpoint:
    """A token endpoint that takes its time; `rotates` makes every refresh token good for one use."""

    def __init__(self, store: MemoryStore, *, rotates: bool = False) -> None:
        self.store = store
        self.rotates = rotates
        self.calls: list[str] = []
        self.error: Exception | None = None
        self.life = HOUR
        self.live = {row.refresh_token for row in store.rows.values()}
        self.asked = asyncio.Event()
        self.gate: asyncio.Event | None = None

    async def refresh(self, http, client: OAuthClient, refresh_token: str, now: datetime) -> TokenGrant:
        self.calls.append(refresh_token)
        self.asked.set()
        number = len(self.calls)
        await (self.gate.wait() if self.gate else asyncio.sleep(0.01))
        if self.error is not None:
            raise self.error
        if refresh_token not in self.live:
            raise GrantRejected("invalid_grant")
        rotated = f"1//rotated{number}" if self.rotates else None
        if rotated:
            self.live = {rotated}
        return TokenGrant(access_token=f"ya29.{number}", expires_at=now + self.life, refresh_token=rotated)


class Rig:
    def __init__(self, store: MemoryStore, endpoint: Endpoint) -> None:
        self.store = store
        self.endpoint = endpoint
        self.slots = Slots(4)

    def process(self, patience: float = 30.0) -> Tokens:
        return Tokens(self.store, {"fake": self.endpoint}, self.slots, patience=patience, pause=0.005)


@pytest.fixture
async def rig(anyio_backend):
    store = MemoryStore()
    rig = Rig(store, Endpoint(store))
    yield rig
    await rig.slots.aclose()


async def test_an_unchanged_token_costs_neither_sql_nor_a_call(rig):
    tokens = rig.process()
    first = await tokens.access(rig.store.only, NOW)
    loads = rig.store.loads
    assert await tokens.access(rig.store.only, NOW + timedelta(minutes=50)) == first
    assert (first.token, first.client_key, first.user_key) == ("ya29.1", "one", "1//first")
    assert (rig.store.loads, rig.endpoint.calls) == (loads, ["1//first"])
    assert not rig.store.leases


async def test_a_stored_token_is_used_without_a_call(rig):
    rig.store.change(rig.store.only, access_token="ya29.stored", access_expires_at=NOW + HOUR)
    assert (await rig.process().access(rig.store.only, NOW)).token == "ya29.stored"
    assert rig.endpoint.calls == []


async def test_a_token_is_refreshed_one_to_five_minutes_before_its_end():
    early = []
    for _ in range(40):
        store = MemoryStore()
        store.change(store.only, access_token="ya29.stored", access_expires_at=NOW + HOUR)
        rig = Rig(store, Endpoint(store))
        tokens = rig.process()
        await tokens.access(store.only, NOW + HOUR - timedelta(seconds=301))
        assert rig.endpoint.calls == []
        early.append((tokens._held[store.only].refresh_at - (NOW + HOUR)).total_seconds())
        assert (await tokens.access(store.only, NOW + HOUR - timedelta(seconds=59))).token == "ya29.1"
    assert all(-300 <= seconds <= -60 for seconds in early)
    assert len(set(early)) > 10


async def test_a_token_with_a_short_life_is_used_for_half_of_it(rig):
    rig.endpoint.life = timedelta(seconds=60)
    tokens = rig.process()
    await tokens.access(rig.store.only, NOW)
    await tokens.access(rig.store.only, NOW + timedelta(seconds=29))
    assert len(rig.endpoint.calls) == 1
    await tokens.access(rig.store.only, NOW + timedelta(seconds=31))
    assert len(rig.endpoint.calls) == 2


async def test_fifty_askers_in_one_process_are_one_call(rig):
    tokens = rig.process()
    got = await asyncio.gather(*(tokens.access(rig.store.only, NOW) for _ in range(50)))
    assert {each.token for each in got} == {"ya29.1"}
    assert len(rig.endpoint.calls) == 1


async def test_two_processes_with_a_rotating_token_are_one_call():
    store = MemoryStore()
    rig = Rig(store, Endpoint(store, rotates=True))
    one, two = rig.process(), rig.process()
    got = await asyncio.gather(
        *(one.access(store.only, NOW) for _ in range(5)), *(two.access(store.only, NOW) for _ in range(5))
    )
    assert {each.token for each in got} == {"ya29.1"}
    assert rig.endpoint.calls == ["1//first"]
    assert store.rows[store.only].refresh_token == "1//rotated1"
    assert not store.leases


async def test_a_rotated_token_is_stored_before_the_access_token_is_handed_out():
    store = MemoryStore()
    tokens = Rig(store, Endpoint(store, rotates=True)).process()
    store.log.append(f"used {(await tokens.access(store.only, NOW)).token}")
    assert store.log == ["saved ya29.1", "used ya29.1"]


async def test_a_cancelled_asker_does_not_lose_the_rotated_token():
    store = MemoryStore()
    rig = Rig(store, Endpoint(store, rotates=True))
    rig.endpoint.gate = asyncio.Event()
    tokens = rig.process()
    asker = asyncio.create_task(tokens.access(store.only, NOW))
    await rig.endpoint.asked.wait()
    asker.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asker
    rig.endpoint.gate.set()
    await tokens.drain()
    assert store.rows[store.only].refresh_token == "1//rotated1"


async def test_a_token_rotated_by_another_worker_meanwhile_is_tried_before_the_grant_is_given_up():
    store = MemoryStore()
    rig = Rig(store, Endpoint(store))
    rig.endpoint.gate = asyncio.Event()
    asker = asyncio.create_task(rig.process().access(store.only, NOW))
    await rig.endpoint.asked.wait()
    rig.endpoint.live = {"1//newer"}
    store.change(store.only, refresh_token="1//newer")
    rig.endpoint.gate.set()
    assert (await asker).token == "ya29.2"
    assert rig.endpoint.calls == ["1//first", "1//newer"]


async def test_an_access_token_stored_by_another_worker_meanwhile_is_used():
    store = MemoryStore()
    rig = Rig(store, Endpoint(store))
    rig.endpoint.gate = asyncio.Event()
    asker = asyncio.create_task(rig.process().access(store.only, NOW))
    await rig.endpoint.asked.wait()
    rig.endpoint.live = set()
    store.change(store.only, refresh_token="1//n", access_token="ya29.theirs", access_expires_at=NOW + HOUR)
    rig.endpoint.gate.set()
    assert (await asker).token == "ya29.theirs"
    assert rig.endpoint.calls == ["1//first"]


async def test_credentials_replaced_during_a_good_refresh_win():
    store = MemoryStore()
    rig = Rig(store, Endpoint(store))
    rig.endpoint.gate = asyncio.Event()
    asker = asyncio.create_task(rig.process().access(store.only, NOW))
    await rig.endpoint.asked.wait()
    store.change(store.only, refresh_token="1//reconnected")
    rig.endpoint.live.add("1//reconnected")
    rig.endpoint.gate.set()
    await asker
    assert rig.endpoint.calls == ["1//first", "1//reconnected"]
    assert store.rows[store.only].refresh_token == "1//reconnected"


async def test_a_dead_grant_is_one_call_and_leaves_no_lease(rig):
    rig.endpoint.live.clear()
    tokens = rig.process()
    with pytest.raises(GrantRejected):
        await tokens.access(rig.store.only, NOW)
    assert (rig.endpoint.calls, rig.store.leases) == (["1//first"], {})


@pytest.mark.parametrize(
    "error", [TransientFault("outage"), Throttled("slow down", NOW + HOUR)], ids=["outage", "throttled"]
)
async def test_a_bad_minute_of_the_endpoint_costs_nothing_while_the_old_token_lasts(rig, error):
    rig.store.change(rig.store.only, access_token="ya29.old", access_expires_at=NOW + timedelta(seconds=50))
    rig.endpoint.error = error
    tokens = rig.process()
    assert (await tokens.access(rig.store.only, NOW)).token == "ya29.old"
    assert (await tokens.access(rig.store.only, NOW + timedelta(seconds=10))).token == "ya29.old"
    assert len(rig.endpoint.calls) == 1
    with pytest.raises(type(error)):
        await tokens.access(rig.store.only, NOW + timedelta(seconds=31))
    assert not rig.store.leases


async def test_a_refused_client_is_not_asked_again_for_any_connection():
    store = MemoryStore("1//a", "1//b")
    rig = Rig(store, Endpoint(store))
    rig.endpoint.error = ClientRejected("invalid_client")
    first, second = store.rows
    tokens = rig.process()
    for connection_id in (first, second, first):
        with pytest.raises(ClientRejected, match="invalid_client"):
            await tokens.access(connection_id, NOW)
    assert len(rig.endpoint.calls) == 1
    rig.endpoint.error = None
    assert (await tokens.access(second, NOW + timedelta(minutes=16))).token == "ya29.2"
    assert store.rows[first].client_rejected_until is None
    assert (await tokens.access(first, NOW)).token == "ya29.3"


async def test_one_mispaired_token_does_not_refuse_the_client():
    store = MemoryStore("1//other-clients", "1//fine")
    rig = Rig(store, Endpoint(store))
    mispaired, fine = store.rows
    rig.endpoint.error = ClientRejected("unauthorized_client")
    with pytest.raises(ClientRejected):
        await rig.process().access(mispaired, NOW)
    rig.endpoint.error = None
    assert await rig.process().access(fine, NOW)


async def test_a_rejected_access_token_is_replaced_once(rig):
    tokens = rig.process()
    old = (await tokens.access(rig.store.only, NOW)).token
    got = await asyncio.gather(*(tokens.access(rig.store.only, NOW, rejected=old) for _ in range(5)))
    assert {each.token for each in got} == {"ya29.2"}
    assert len(rig.endpoint.calls) == 2


async def test_a_rejected_token_that_is_no_longer_current_costs_no_call(rig):
    tokens = rig.process()
    await tokens.access(rig.store.only, NOW)
    assert (await tokens.access(rig.store.only, NOW, rejected="ya29.ancient")).token == "ya29.1"
    rig.store.change(rig.store.only, access_token="ya29.theirs", access_expires_at=NOW + HOUR)
    assert (await tokens.access(rig.store.only, NOW, rejected="ya29.1")).token == "ya29.theirs"
    assert len(rig.endpoint.calls) == 1


async def test_a_flight_that_began_before_the_401_does_not_answer_it(rig):
    rig.store.change(rig.store.only, access_token="ya29.dead", access_expires_at=NOW + HOUR)
    tokens = rig.process()
    unaware, aware = await asyncio.gather(
        tokens.access(rig.store.only, NOW), tokens.access(rig.store.only, NOW, rejected="ya29.dead")
    )
    assert (unaware.token, aware.token) == ("ya29.dead", "ya29.1")


async def test_a_lease_held_elsewhere_is_waited_for_with_an_end(rig):
    rig.store.leases[rig.store.only] = (uuid4(), NOW + LEASE)
    with pytest.raises(TransientFault, match="another process"):
        await rig.process(patience=0.03).access(rig.store.only, NOW)
    assert rig.endpoint.calls == []


async def test_the_lease_of_a_dead_process_runs_out(rig):
    rig.store.leases[rig.store.only] = (uuid4(), NOW)
    assert await rig.process().access(rig.store.only, NOW)


async def test_what_is_forgotten_is_read_again(rig):
    tokens = rig.process()
    await tokens.access(rig.store.only, NOW)
    rig.store.change(rig.store.only, access_token="ya29.reconnected", access_expires_at=NOW + HOUR)
    tokens.forget(rig.store.only)
    assert (await tokens.access(rig.store.only, NOW)).token == "ya29.reconnected"


async def test_what_is_forgotten_during_a_flight_is_not_held_by_it(rig):
    rig.endpoint.gate = asyncio.Event()
    tokens = rig.process()
    asker = asyncio.create_task(tokens.access(rig.store.only, NOW))
    await rig.endpoint.asked.wait()
    tokens.forget(rig.store.only)
    rig.endpoint.gate.set()
    await asker
    assert rig.store.only not in tokens._held


async def test_a_connection_that_is_gone_is_no_crash(rig):
    with pytest.raises(TransientFault, match="gone"):
        await rig.process().access(uuid4(), NOW)


async def test_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(tokens_module, "MOST_HELD", 3)
    store = MemoryStore("1//a", "1//b", "1//c", "1//d", "1//e")
    tokens = Rig(store, Endpoint(store)).process()
    for connection_id in store.rows:
        await tokens.access(connection_id, NOW)
    assert list(tokens._held) == list(store.rows)[2:]
    assert not tokens._flights


async def test_no_secret_shows_in_a_repr(rig):
    access = await rig.process().access(rig.store.only, NOW)
    assert "ya29" not in repr(access)
    assert "1//" not in repr(msgspec.structs.replace(rig.store.rows[rig.store.only], user_key="ada"))
