"""What the desk tells of its callers' deeds: once each, in the transaction that does them, and not of repetitions."""

from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import update

from webhooks import tables
from webhooks.desk import Deed, OutdatedVersion
from webhooks.endpoints import EndpointDraft
from webhooks.local_desk import LocalDesk

pytestmark = pytest.mark.anyio
DAY = timedelta(days=1)


class Clerk:
    """Writes down what is told; with `refuses` it cannot, and the deed is not to be done."""

    def __init__(self):
        self.told = []
        self.refuses = False

    async def record(self, conn, project_id, deed):
        assert conn.in_transaction()
        if self.refuses:
            raise InterruptedError
        self.told.append((project_id, deed))


@pytest.fixture
def clerk():
    return Clerk()


@pytest.fixture
def desk(bench, clerk):
    return LocalDesk(bench.store, bench.cipher, None).telling(clerk.record)


async def test_a_repeated_creation_or_rotation_is_told_once(bench, desk, clerk):
    endpoint_id, rotation_id = uuid4(), uuid4()
    for _ in range(2):
        draft = EndpointDraft(url="https://a.example/")
        await desk.create(bench.project_id, draft, endpoint_id=endpoint_id, now=bench.clock())
    for _ in range(2):
        await desk.rotate(bench.project_id, endpoint_id, grace=DAY, rotation_id=rotation_id, now=bench.clock())
    assert [deed.action for _, deed in clerk.told] == ["endpoint.created", "endpoint.secret_rotated"]
    assert {project_id for project_id, _ in clerk.told} == {bench.project_id}


async def test_a_recovery_in_pieces_is_told_once(bench, desk, clerk, monkeypatch):
    endpoint, _ = await bench.endpoint("https://a.example/")
    await bench.put(*[bench.notice() for _ in range(25)])
    async with bench.store.write() as conn:
        await conn.execute(update(tables.deliveries).values(state="failed", attempts=10))
    monkeypatch.setattr("webhooks.redelivery.PIECE", 10)
    span = {"since": bench.clock() - DAY, "until": None, "event_types": None, "now": bench.clock()}
    for expected in (25, 0):
        assert await desk.recover(bench.project_id, endpoint.id, **span) == expected
    assert clerk.told == [(bench.project_id, Deed("endpoint.recovered", endpoint.id))] * 2


async def test_a_change_tells_what_is_another_now(bench, desk, clerk):
    endpoint, _ = await bench.endpoint("https://a.example/")
    same = {"url": endpoint.url, "rate_limit": None}
    for wish in (same, {"url": "https://b.example/", "rate_limit": 3}, {"state": "disabled"}, {}, {}):
        await desk.change(bench.project_id, endpoint.id, wish, version=None, now=bench.clock())
    assert [deed.fields for _, deed in clerk.told] == [("rate_limit", "url"), ("state",), ("state",)]
    with pytest.raises(OutdatedVersion):
        await desk.delete(bench.project_id, endpoint.id, version=1, now=bench.clock())
    assert len(clerk.told) == 3


async def test_what_cannot_be_recorded_is_not_done(bench, desk, clerk):
    endpoint, secret = await bench.endpoint("https://a.example/")
    clerk.refuses = True
    now = bench.clock()
    for doing in (
        desk.create(bench.project_id, EndpointDraft(url="https://b.example/"), endpoint_id=uuid4(), now=now),
        desk.change(bench.project_id, endpoint.id, {"rate_limit": 3}, version=None, now=now),
        desk.rotate(bench.project_id, endpoint.id, grace=DAY, rotation_id=uuid4(), now=now),
        desk.reveal(bench.project_id, endpoint.id),
        desk.test(bench.project_id, endpoint.id, now=now),
        desk.delete(bench.project_id, endpoint.id, version=None, now=now),
    ):
        with pytest.raises(InterruptedError):
            await doing
    plain = LocalDesk(bench.store, bench.cipher, None)
    (found,) = await plain.page(bench.project_id, after=None, limit=10, now=now)
    assert (found.id, found.version) == (endpoint.id, 1)
    assert await plain.reveal(bench.project_id, endpoint.id) == secret
    assert await bench.rows("messages") == []


async def test_one_callers_record_is_not_anothers(bench, desk, clerk):
    other = Clerk()
    endpoint, _ = await bench.endpoint("https://a.example/")
    await desk.telling(other.record).reveal(bench.project_id, endpoint.id)
    assert (clerk.told, len(other.told)) == ([], 1)
