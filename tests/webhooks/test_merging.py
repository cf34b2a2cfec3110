"""News that takes in news: the table of what a merged body says, races with claims, and consumers who miss nothing."""

import asyncio
import os
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import update
from webhook_receivers import answers, hangs

from service.core.announcements import ChangeCounts, SyncNotice
from webhooks import endpoints, tables
from webhooks.merging import MOST_IDS, SyncData, merged

EXAMPLES = int(os.environ.get("MERGING_EXAMPLES", "200"))
SYNC = "calendar.sync_events"
CALENDAR = UUID(int=1)
START = datetime(2026, 3, 2, 9, tzinfo=UTC)


def said(first, last, *, ids=(), initial=False, truncated=False, at=0, counts=(0, 0, 0), calendar=CALENDAR):
    return SyncNotice(
        calendar_id=calendar,
        last_updated_ts=START + timedelta(seconds=at),
        initial=initial,
        first_seq=first,
        last_seq=last,
        change_count=sum(counts) or last - first + 1,
        affected_event_ids=[UUID(int=number) for number in ids],
        truncated=truncated,
        counts=ChangeCounts(*counts),
    )


def body(notice):
    return msgspec.json.encode(
        {"type": SYNC, "timestamp": notice.last_updated_ts + timedelta(seconds=1), "data": notice}
    )


def test_the_fields_are_those_of_the_catalogue():
    assert SyncData.__struct_fields__ == SyncNotice.__struct_fields__
    alone = body(said(3, 4, ids=[1]))
    assert merged([], alone) == alone


@pytest.mark.parametrize(
    ("older", "newer", "expected"),
    [
        pytest.param(
            [said(1, 2, ids=[1, 2], counts=(2, 0, 0))],
            said(3, 3, ids=[3], at=5, counts=(0, 1, 0)),
            said(1, 3, ids=[1, 2, 3], counts=(2, 1, 0)),
            id="two",
        ),
        pytest.param(
            [said(4, 4, ids=[1], counts=(0, 0, 1)), said(9, 12, ids=[2, 1], at=3, counts=(1, 2, 1))],
            said(20, 20, ids=[1], at=9, counts=(0, 1, 0)),
            said(4, 20, ids=[1, 2], counts=(1, 3, 2)),
            id="the same event, and numbers of other calendars between",
        ),
        pytest.param(
            [said(1, 0, initial=True)],
            said(1, 1, ids=[1], at=5, counts=(1, 0, 0)),
            said(1, 1, ids=[1], initial=True, counts=(1, 0, 0)),
            id="an empty first sync",
        ),
        pytest.param(
            [said(1, 60, ids=range(60), counts=(60, 0, 0))],
            said(61, 120, ids=range(40, 100), at=5, counts=(0, 60, 0)),
            said(1, 120, ids=range(100), counts=(60, 60, 0)),
            id="a hundred ids",
        ),
        pytest.param(
            [said(1, 60, ids=range(60), counts=(60, 0, 0))],
            said(61, 120, ids=range(60, 120), at=5, counts=(60, 0, 0)),
            said(1, 120, ids=range(100), truncated=True, counts=(120, 0, 0)),
            id="more than a hundred ids",
        ),
        pytest.param(
            [said(1, 500, ids=range(100), truncated=True, counts=(500, 0, 0))],
            said(501, 501, ids=[0], at=5, counts=(0, 1, 0)),
            said(1, 501, ids=range(100), truncated=True, counts=(500, 1, 0)),
            id="truncated before",
        ),
    ],
)
def test_what_a_merged_body_says(older, newer, expected):
    found = msgspec.json.decode(merged([body(each) for each in older], body(newer)))
    assert found["timestamp"] == msgspec.json.decode(body(newer))["timestamp"]
    assert msgspec.convert(found["data"], SyncNotice) == expected
    assert len(found["data"]["affected_event_ids"]) <= MOST_IDS


@pytest.mark.parametrize("strange", [b"{}", b"nonsense", b'{"type":"x","timestamp":"2026-03-02T09:00:00Z","data":{}}'])
def test_what_cannot_be_read_is_left_alone(strange):
    assert merged([strange], body(said(1, 1))) is None


Sizes = st.lists(st.tuples(st.integers(1, 3), st.integers(0, 4)), min_size=1, max_size=12)


@settings(derandomize=True, database=None, deadline=None, max_examples=EXAMPLES)
@given(Sizes, st.data())
def test_who_applies_what_arrives_has_what_is_there(rounds, data):
    """Syncs of three calendars write one log; what waits merges at random; a consumer reads each range it is told."""
    log, waiting, delivered = [], {}, []
    for calendar, size in rounds:
        first = len(log) + 1
        changes = [(calendar, data.draw(st.integers(0, 5)), len(log) + n) for n in range(size)]
        log += changes
        affected = list(dict.fromkeys(event for _, event, _ in changes))
        news = body(said(first, len(log), ids=affected, counts=(size, 0, 0), at=len(log)))
        before = waiting.pop(calendar, None)
        news = merged([before], news) if before else news
        (delivered.append if data.draw(st.booleans()) else lambda late, c=calendar: waiting.update({c: late}))(news)
    copy = {}
    for message in (*delivered, *waiting.values()):
        sync = msgspec.json.decode(message)["data"]
        for calendar, event, value in log[sync["first_seq"] - 1 : sync["last_seq"]]:
            copy[calendar, event] = max(value, copy.get((calendar, event), -1))
    truth = {}
    for calendar, event, value in log:
        truth[calendar, event] = value
    assert copy == truth


def news(bench, first, last=None, *, calendar=CALENDAR, **fields):
    return bench.notice(SYNC, said(first, last or first, calendar=calendar, **fields), calendar_id=calendar)


async def told(bench):
    """Each delivery: its state, and from where to where its message speaks."""
    spans = {row.id: msgspec.json.decode(row.body)["data"] for row in await bench.rows("messages")}
    return [
        (row.state, spans[row.message_id]["first_seq"], spans[row.message_id]["last_seq"])
        for row in await bench.rows("deliveries")
    ]


@pytest.mark.anyio
async def test_what_waits_is_taken_in_and_its_history_says_so(bench):
    await bench.endpoint("https://a.example/")
    for seq in (1, 2, 3):
        await bench.put(news(bench, seq, ids=[seq]))
    assert await told(bench) == [("merged", 1, 1), ("merged", 1, 2), ("pending", 1, 3)]
    rows = await bench.rows("deliveries")
    assert [row.merged_into for row in rows] == [rows[1].message_id, rows[2].message_id, None]


@pytest.mark.anyio
async def test_only_the_same_calendar_and_endpoint_and_kind_merge(bench):
    other = UUID(int=2)
    one, _ = await bench.endpoint("https://a.example/", calendar_ids=[CALENDAR])
    await bench.put(news(bench, 1), news(bench, 2, calendar=other), bench.notice("event.created", calendar_id=CALENDAR))
    two, _ = await bench.endpoint("https://b.example/", event_types=["*"])
    await bench.put(bench.notice("event.created", calendar_id=CALENDAR), bench.notice("event.created"))
    await bench.put(news(bench, 3, calendar=other))
    assert set(await bench.states()) == {"pending"}
    await bench.put(news(bench, 4))
    merged_ones = [row for row in await bench.rows("deliveries") if row.state == "merged"]
    assert [row.endpoint_id for row in merged_ones] == [one.id]
    # Two endpoints, two stories: each has a message that says what it has missed.
    last = [row for row in await bench.rows("deliveries") if row.merge_key == CALENDAR and row.state == "pending"]
    assert {row.endpoint_id for row in last} == {one.id, two.id}
    assert len({row.message_id for row in last}) == 2


@pytest.mark.anyio
async def test_endpoints_that_missed_the_same_share_a_message(bench):
    for host in "abc":
        await bench.endpoint(f"https://{host}.example/")
    await bench.put(news(bench, 1))
    await bench.put(news(bench, 2))
    assert len(await bench.rows("messages")) == 2
    assert sorted(await told(bench)) == [("merged", 1, 1)] * 3 + [("pending", 1, 2)] * 3


@pytest.mark.anyio
@pytest.mark.parametrize(
    "values", [{"attempts": 1}, {"lease": uuid4()}, {"state": "parked"}, {"state": "failed"}, {"state": "delivered"}]
)
async def test_what_may_have_been_seen_keeps_its_bytes(bench, values):
    await bench.endpoint("https://a.example/")
    await bench.put(news(bench, 1))
    async with bench.store.write() as conn:
        await conn.execute(update(tables.deliveries).values(**values))
    await bench.put(news(bench, 2))
    assert [spans[1:] for spans in await told(bench)] == [(1, 1), (2, 2)]
    assert "merged" not in await bench.states()


@pytest.mark.anyio
async def test_claims_and_news_at_once_lose_nothing(bench):
    """Whatever wins, each number is told, and what was merged was never sent."""
    receiver = await bench.receiver()
    await bench.endpoint(receiver.url)
    rivals = [bench.deliverer() for _ in range(2)]

    async def publish():
        for seq in range(1, 41):
            await bench.put(news(bench, seq))
            await asyncio.sleep(0)

    async def claim(deliverer):
        while not publishing.done() or "pending" in await bench.states():
            await deliverer.claim_due()
            await asyncio.sleep(0.002)

    publishing = asyncio.create_task(publish())
    await asyncio.gather(publishing, *(claim(rival) for rival in rivals))
    spans = [msgspec.json.decode(request.body)["data"] for request in receiver.requests]
    told_ = sorted(number for span in spans for number in range(span["first_seq"], span["last_seq"] + 1))
    assert told_ == list(range(1, 41))
    unsent = {str(row.message_id) for row in await bench.rows("deliveries") if row.state == "merged"}
    assert not unsent & set(receiver.ids())


@pytest.mark.anyio
@pytest.mark.parametrize("fields", [{}, {"rate_limit": 2}, {"ordering": "fifo"}])
async def test_what_waits_behind_a_busy_endpoint_merges_too(bench, fields):
    """Born leased to this process and without room here, it goes back, and the next news finds it."""
    receiver = await bench.receiver(hangs)
    await bench.endpoint(receiver.url, **fields)
    deliverer = bench.deliverer(endpoint_concurrency=1, tick=0.05)
    running = asyncio.create_task(deliverer.run())
    for seq in range(1, 31):
        deliverer.submit(await bench.put(news(bench, seq), lease=deliverer.lease()))
        await asyncio.sleep(0.01)
    found = await told(bench)
    assert sum(state == "pending" for state, *_ in found) <= 4
    assert max(last for _, _, last in found) == 30
    await deliverer.drain(0)
    await running


@pytest.mark.anyio
async def test_a_backlog_of_a_hanging_endpoint_is_one_message_when_it_is_well(bench):
    receiver = await bench.receiver(answers(500))
    endpoint, _ = await bench.endpoint(receiver.url)
    deliverer = bench.deliverer()
    async with bench.store.write() as conn:
        await endpoints.disable(conn, bench.project_id, endpoint.id, reason="manual", now=bench.clock())
        await endpoints.enable(conn, bench.project_id, endpoint.id, now=bench.clock())
    for seq in range(1, 200):
        await bench.put(news(bench, seq, ids=[seq % 7]))
    receiver.behaviour = answers(200)
    assert await deliverer.claim_due() == 1
    [request] = await receiver.until(1)
    data = msgspec.json.decode(request.body)["data"]
    assert (data["first_seq"], data["last_seq"], data["change_count"]) == (1, 199, 199)
    assert len(data["affected_event_ids"]) == 7
