"""Reading in processes that may be killed: what hangs, dies or swells costs itself alone, and none is left behind."""

import asyncio
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from vevent_lists import MARCH, calendar, items, vevent

from service.core.sync import Listed, Malformed
from service.providers.vevent.expansion import MOST_KILLED, Expander, Expansion, Text
from service.providers.vevent.series import Reading

START = "DTSTART;TZID=Europe/Paris:20260302T100000"
GOOD = calendar(vevent(START, "RRULE:FREQ=WEEKLY;COUNT=4"))
READING = Reading(window=MARCH, time_zone="Europe/Paris")
HANGS = "RRULE:FREQ=HOURLY;BYMONTH=2,3;BYMONTHDAY=30;BYDAY=2MO;BYWEEKNO=20"
"""Never comes, and dateutil looks for it until the year 9999."""


both_loops = pytest.mark.parametrize(
    "anyio_backend",
    [
        pytest.param(("asyncio", {"use_uvloop": False}), id="asyncio"),
        pytest.param(("asyncio", {"use_uvloop": True}), id="uvloop"),
    ],
)


@pytest.fixture
async def expander(anyio_backend):
    async with Expander(unit_seconds=1) as expander:
        yield expander


def names(expansion: Expansion) -> list[str]:
    return sorted(each.event.provider_event_id for each in expansion.items if isinstance(each, Listed))


def reasons(expansion: Expansion) -> dict[str, str]:
    return {each.provider_event_id: each.reason for each in expansion.items if isinstance(each, Malformed)}


def processes(expander: Expander) -> set[int]:
    return {process.pid for process in expander._idle}


def surroundings(pid: int) -> bytes:
    return Path(f"/proc/{pid}/environ").read_bytes()


def is_alive(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


@pytest.mark.anyio
@both_loops
async def test_a_process_reads_what_this_one_would(expander):
    text = calendar(
        vevent(START, "RRULE:FREQ=WEEKLY", "SUMMARY:Grüße", "LOCATION:https://zoom.us/j/81234567890", "ATTENDEE:mailto:a@example.com"),
        vevent("DTSTART;VALUE=DATE:20260303", "STATUS:CANCELLED", uid="gone"),
        vevent("DTSTART;VALUE=DATE:20260304", uid="day"),
        vevent("SUMMARY:No start", uid="bad"),
    )  # fmt: skip

    feed, resource = await expander.expand([Text(text), Text(GOOD, "/a.ics")], READING)

    assert feed.items == items(text, time_zone="Europe/Paris")
    assert resource.items == items(GOOD, "/a.ics", time_zone="Europe/Paris")
    assert feed.document is not None
    assert feed.document.event_count == 4
    assert feed.spoilt is None


@pytest.mark.anyio
async def test_a_process_is_used_again(expander):
    await expander.expand([Text(GOOD)], READING)
    before = processes(expander)
    for _ in range(5):
        await expander.expand([Text(GOOD)], READING)

    assert len(before) == 1
    assert processes(expander) == before


@pytest.mark.anyio
async def test_nothing_to_read_is_nothing(expander):
    assert await expander.expand([], READING) == []
    assert not processes(expander)


@pytest.mark.anyio
@both_loops
async def test_what_hangs_is_set_aside_and_the_others_go_on(expander):
    text = calendar(
        vevent(START, uid="a"), vevent(START, HANGS, uid="b"), vevent(START, uid="c"), vevent(START, HANGS, uid="d")
    )

    feed, other = await expander.expand([Text(text), Text(GOOD)], READING)

    assert names(feed) == ["a", "c"]
    assert reasons(feed) == {"b": "takes longer than 1 s", "d": "takes longer than 1 s"}
    assert feed.spoilt is None
    assert len(other.items) == 4


@pytest.mark.anyio
async def test_hostile_calendars_do_not_stop_a_neighbour():
    hostile = calendar(*(vevent(START, HANGS, uid=str(number)) for number in range(30)))
    async with Expander(unit_seconds=0.3) as expander:
        await expander.expand([Text(GOOD)], READING)
        attacks = [asyncio.create_task(expander.expand([Text(hostile)], READING)) for _ in range(3)]
        await asyncio.sleep(0.1)

        for _ in range(2):
            [found] = await expander.expand([Text(GOOD)], READING)
            assert len(found.items) == 4
            assert not all(attack.done() for attack in attacks)
        spoilt = await asyncio.gather(*attacks)

    assert {each[0].spoilt for each in spoilt} == {
        f"{MOST_KILLED} of its events could not be read: the last takes longer than 0.3 s"
    }
    assert all(len(reasons(each[0])) == MOST_KILLED for each in spoilt)


@pytest.mark.anyio
async def test_a_text_has_so_much_time_and_no_more():
    hostile = calendar(*(vevent(START, HANGS, uid=str(number)) for number in range(30)))
    async with Expander(unit_seconds=0.3, job_seconds=0.7) as expander:
        [found] = await expander.expand([Text(hostile)], READING)
    assert found.spoilt == "takes longer than 0.7 s"


@pytest.mark.anyio
async def test_a_long_calendar_is_read_in_turns(expander):
    over = "DTSTART:20100104T090000Z\r\nDTEND:20100104T100000Z\r\nRRULE:FREQ=DAILY;COUNT=2000"
    long = calendar(*(vevent(over, uid=str(number)) for number in range(6000)))
    first = [asyncio.create_task(expander.expand([Text(long)], READING)) for _ in range(2)]
    await asyncio.sleep(0.05)  # as many as there are readers, and both at work
    later = asyncio.create_task(expander.expand([Text(GOOD)], READING))

    done, _ = await asyncio.wait([*first, later], return_when=asyncio.FIRST_COMPLETED)

    assert done == {later}
    assert len((await later)[0].items) == 4
    for task in first:
        task.cancel()
    await asyncio.wait(first)


@pytest.mark.anyio
async def test_a_turn_that_is_taken_away_is_gone_on_with(monkeypatch):
    long = calendar(*(vevent(START, uid=str(number)) for number in range(3000)))
    async with Expander(size=1) as expander:
        both = await asyncio.gather(*(expander.expand([Text(long), Text(GOOD)], READING) for _ in range(2)))

    for feed, other in both:
        assert sorted(map(int, names(feed))) == list(range(3000))
        assert len(other.items) == 4


@pytest.mark.anyio
@pytest.mark.skipif(sys.platform != "linux", reason="the limit of memory is Linux's")
async def test_what_needs_too_much_memory_is_set_aside():
    async with Expander(memory=60 * 1024 * 1024) as expander:
        huge, other = await expander.expand([Text(calendar("X-A:" + "x" * 40_000_000)), Text(GOOD, "/a.ics")], READING)

        assert huge.spoilt is not None
        assert len(other.items) == 4


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param(calendar(*(vevent(uid=str(number)) for number in range(1200))), "cannot be read", id="unreadable"),
        pytest.param(
            calendar(
                *(
                    vevent(START, "RRULE:FREQ=HOURLY", "DESCRIPTION:" + "x" * 60_000, uid=str(number))
                    for number in range(3)
                )
            ),
            "than can be kept",
            id="too much",
        ),
    ],
)
async def test_a_calendar_that_brings_too_much_is_spoilt_and_the_next_is_read(expander, text, reason):
    spoilt, unread = await expander.expand([Text(text), Text(b"")], READING)
    [good] = await expander.expand([Text(GOOD)], READING)

    assert reason in str(spoilt.spoilt)
    assert unread.items == []
    assert len(good.items) == 4


@pytest.mark.anyio
@both_loops
async def test_a_process_that_dies_is_replaced(expander):
    await expander.expand([Text(GOOD)], READING)
    [pid] = processes(expander)
    os.kill(pid, signal.SIGKILL)

    first, second = [(await expander.expand([Text(GOOD, "/a.ics")], READING))[0] for _ in range(2)]

    assert len(second.items) == 4
    assert first.spoilt is None
    assert len(first.items) == 4


@pytest.mark.anyio
@both_loops
async def test_a_call_that_is_cancelled_ends_its_process(expander):
    await expander.expand([Text(GOOD)], READING)
    [pid] = processes(expander)
    task = asyncio.create_task(expander.expand([Text(calendar(vevent(START, HANGS)))], READING))
    await asyncio.sleep(0.2)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task

    [found] = await expander.expand([Text(GOOD)], READING)

    assert len(found.items) == 4
    assert pid not in processes(expander)


@pytest.mark.anyio
@both_loops
async def test_closed_it_has_no_process_left(anyio_backend):
    expander = Expander()
    await asyncio.gather(*(expander.expand([Text(GOOD)], READING) for _ in range(3)))
    pids = processes(expander)
    running = asyncio.create_task(expander.expand([Text(calendar(vevent(START, HANGS)))], READING))
    await asyncio.sleep(0.2)

    await expander.aclose()

    assert pids
    assert not any(map(is_alive, pids))
    with pytest.raises(RuntimeError):
        await running
    with pytest.raises(RuntimeError):
        await expander.expand([Text(GOOD)], READING)


@pytest.mark.anyio
@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
async def test_a_process_knows_none_of_our_secrets(monkeypatch):
    monkeypatch.setenv("CALGATE_SECRET_KEYS", "k1:secret")
    async with Expander() as expander:
        await expander.expand([Text(GOOD)], READING)
        [pid] = processes(expander)
        assert b"CALGATE" not in surroundings(pid)


BOMBS = {
    "a rule that never comes": vevent(START, HANGS),
    "every second": vevent(START, "RRULE:FREQ=SECONDLY"),
    "no step": vevent(START, "RRULE:FREQ=DAILY;INTERVAL=0"),
    "a second of February the 30th": vevent(START, "RRULE:FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30"),
    "all hours, minutes and seconds": vevent(
        START, *["RRULE:FREQ=DAILY;" + ";".join(f"BY{unit}=" + ",".join(map(str, range(count))) for unit, count in (("HOUR", 24), ("MINUTE", 60), ("SECOND", 60)))]
    ),
    "a million dates": vevent(START, "RDATE:" + ",".join(["20260302T100000Z"] * 1_000_000)),
    "a million dates less": vevent(START, "RRULE:FREQ=DAILY", "EXDATE:" + ",".join(["20260302T100000Z"] * 1_000_000)),
    "a hundred thousand lines": vevent(START, *["EXDATE:20260302T100000Z"] * 100_000),
    "a hundred thousand rules": vevent(START, *["RRULE:FREQ=DAILY"] * 100_000),
    "a century each day": vevent(START.replace("2026", "1926"), "DURATION:P36500D", "RRULE:FREQ=DAILY"),
}  # fmt: skip


@pytest.mark.anyio
@pytest.mark.parametrize("name", BOMBS)
async def test_a_bomb_is_set_aside_with_its_reason_while_neighbours_are_read(expander, name):
    text = calendar(vevent(START, uid="before"), BOMBS[name], vevent(START, uid="after"))

    [bomb], [good] = await asyncio.gather(
        expander.expand([Text(text)], READING), expander.expand([Text(GOOD)], READING)
    )

    assert len(good.items) == 4
    assert list(reasons(bomb)) == ["u"]
    assert names(bomb) == ["after", "before"]


HARMLESS = {
    "alarms in alarms": calendar(vevent(START, *["BEGIN:VALARM"] * 200_000)),
    "folds": calendar(vevent(START, "DESCRIPTION:" + "\r\n x" * 300_000)),
    "brackets": calendar(vevent(START, "DESCRIPTION:" + "<" * 60_000 + "[" * 1000)),
    "colons": calendar(vevent(START, "DESCRIPTION" + ";A=" * 20_000 + ":x")),
    "quotes": calendar(vevent(START, "DESCRIPTION;A=" + '"' * 60_001 + ":x")),
    "backslashes": calendar(vevent(START, "DESCRIPTION:" + "\\" * 60_000)),
    "links": calendar(vevent(START, "DESCRIPTION:" + "https://zoom.us/j/1 " * 3_000)),
    "attendees": calendar(vevent(START, *[f"ATTENDEE;CN={'a' * 9}:mailto:{n}@example.com" for n in range(5_000)])),
    "a summary of a megabyte": calendar(vevent(START, "SUMMARY:" + "é" * 1_000_000)),
}


@pytest.mark.anyio
async def test_what_only_looks_bad_is_read(expander):
    found = await expander.expand([Text(text, name) for name, text in HARMLESS.items()], READING)

    assert [names(each) for each in found] == [[name] for name in HARMLESS]
