"""Endpoints: made, paged, changed, disabled, deleted, and what becomes of their secrets."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from webhooks import endpoints
from webhooks.keyring import place
from webhooks.signing import unpacked

pytestmark = pytest.mark.anyio
STRANGER = uuid4()


async def test_create_shows_the_secret_and_stores_it_sealed(bench):
    calendars = [uuid4()]
    endpoint, secret = await bench.endpoint(
        "https://a.example/hook", event_types=["event.*"], calendar_ids=calendars, rate_limit=5, description="mine"
    )
    [row] = await bench.rows("endpoints")
    assert secret.encode() not in row.secret
    opened = bench.cipher.open(row.secret, f"{bench.project_id}|webhook_endpoints|secret|{endpoint.id}")
    assert [key.secret for key in unpacked(opened)] == [secret]
    assert (endpoint.id.version, endpoint.state, endpoint.version) == (7, "enabled", 1)
    async with bench.store.read() as conn:
        assert await endpoints.get(conn, bench.project_id, endpoint.id) == endpoint
        assert await endpoints.reveal(conn, bench.cipher, bench.project_id, endpoint.id) == secret
    assert (endpoint.event_types, endpoint.calendar_ids, endpoint.rate_limit) == (["event.*"], calendars, 5)


async def test_a_foreign_project_sees_and_changes_nothing(bench):
    endpoint, _ = await bench.endpoint("https://a.example")
    now = bench.clock()
    async with bench.store.write() as conn:
        assert await endpoints.get(conn, STRANGER, endpoint.id) is None
        assert await endpoints.page(conn, STRANGER) == []
        assert await endpoints.change(conn, STRANGER, endpoint.id, {"url": "https://b.example"}, now=now) is None
        assert await endpoints.disable(conn, STRANGER, endpoint.id, reason="manual", now=now) is None
        assert await endpoints.enable(conn, STRANGER, endpoint.id, now=now) is None
        assert await endpoints.delete(conn, STRANGER, endpoint.id, now=now) is False
        assert await endpoints.reveal(conn, bench.cipher, STRANGER, endpoint.id) is None
        assert await endpoints.rotate_secret(conn, bench.cipher, STRANGER, endpoint.id, now=now) is None
        assert await endpoints.get(conn, bench.project_id, endpoint.id) == endpoint


async def test_pages_follow_each_other(bench):
    made = [(await bench.endpoint(f"https://{n}.example"))[0].id for n in range(5)]
    seen: list[UUID] = []
    async with bench.store.read() as conn:
        while page := await endpoints.page(conn, bench.project_id, after=seen[-1] if seen else None, limit=2):
            seen += [endpoint.id for endpoint in page]
    assert seen == made


async def test_a_change_raises_the_version(bench):
    endpoint, _ = await bench.endpoint("https://a.example", event_types=["a.b"])
    later = bench.clock.advance(hours=1)
    changes = {"url": "https://b.example", "event_types": None, "calendar_ids": [STRANGER]}
    async with bench.store.write() as conn:
        changed = await endpoints.change(conn, bench.project_id, endpoint.id, changes, now=later)
        assert (changed.url, changed.event_types, changed.calendar_ids) == ("https://b.example", None, [STRANGER])
        assert (changed.version, changed.updated_at, changed.created_at) == (2, later, endpoint.created_at)
        with pytest.raises(ValueError, match="cannot change secret"):
            await endpoints.change(conn, bench.project_id, endpoint.id, {"secret": b""}, now=later)


async def test_rotation_keeps_the_old_secret_for_a_day_and_five_at_most(bench):
    endpoint, first = await bench.endpoint("https://a.example")
    now = bench.clock()
    newer = []
    for _ in range(7):
        async with bench.store.write() as conn:
            newer.append(await endpoints.rotate_secret(conn, bench.cipher, bench.project_id, endpoint.id, now=now))
    [row] = await bench.rows("endpoints")
    keys = unpacked(bench.cipher.open(row.secret, place(bench.project_id, endpoint.id)))
    assert [key.secret for key in keys] == newer[:0:-1]
    assert first not in [key.secret for key in keys]
    assert [key.expires_at for key in keys] == [None] + [now + timedelta(hours=24)] * 5
    bench.clock.advance(hours=25)
    async with bench.store.write() as conn:
        last = await endpoints.rotate_secret(conn, bench.cipher, bench.project_id, endpoint.id, now=bench.clock())
        assert await endpoints.reveal(conn, bench.cipher, bench.project_id, endpoint.id) == last
    [row] = await bench.rows("endpoints")
    keys = unpacked(bench.cipher.open(row.secret, place(bench.project_id, endpoint.id)))
    assert [key.secret for key in keys] == [last, newer[-1]]


async def test_disabling_parks_and_enabling_resumes(bench):
    endpoint, _ = await bench.endpoint("https://a.example")
    await bench.put(bench.notice())
    async with bench.store.write() as conn:
        disabled = await endpoints.disable(conn, bench.project_id, endpoint.id, reason="manual", now=bench.clock())
    assert (disabled.state, disabled.disabled_reason, disabled.disabled_at) == ("disabled", "manual", bench.clock())
    assert await bench.states() == ["parked"]
    await bench.put(bench.notice())
    assert await bench.states() == ["parked"]
    later = bench.clock.advance(days=1)
    async with bench.store.write() as conn:
        enabled = await endpoints.enable(conn, bench.project_id, endpoint.id, now=later)
    assert (enabled.state, enabled.disabled_reason, enabled.disabled_at) == ("enabled", None, None)
    [row] = await bench.rows("deliveries")
    assert (row.state, row.next_at) == ("pending", later)


async def test_deleting_forgets_the_secret_and_keeps_the_history(bench):
    endpoint, _secret = await bench.endpoint("https://a.example?token=x", description="mine")
    await bench.put(bench.notice())
    async with bench.store.write() as conn:
        assert await endpoints.delete(conn, bench.project_id, endpoint.id, now=bench.clock())
        assert not await endpoints.delete(conn, bench.project_id, endpoint.id, now=bench.clock())
        assert await endpoints.get(conn, bench.project_id, endpoint.id) is None
        assert await endpoints.page(conn, bench.project_id) == []
        assert await endpoints.reveal(conn, bench.cipher, bench.project_id, endpoint.id) is None
    [row] = await bench.rows("endpoints")
    assert (row.secret, row.url, row.description) == (b"", "", None)
    assert await bench.states() == ["cancelled"]
    assert await bench.put(bench.notice()) == []


async def test_resealing_goes_through_all_in_chunks(bench):
    for n in range(5):
        await bench.endpoint(f"https://{n}.example")
    rows = await bench.rows("endpoints")
    sealed, last, rounds = bench.cipher.opened, None, 0
    async with bench.store.write() as conn:
        while (last := await endpoints.reseal(conn, bench.cipher, after=last, limit=2)) is not None:
            rounds += 1
    assert (bench.cipher.opened - sealed, rounds) == (5, 3)
    assert await bench.rows("endpoints") == rows
