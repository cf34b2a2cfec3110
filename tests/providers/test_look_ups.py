import asyncio
import subprocess
import sys
import threading
from ipaddress import ip_address

import pytest

from service.providers import look_ups
from service.providers.look_ups import LookUps, look_up, on_behalf_of

pytestmark = pytest.mark.anyio

PUBLIC = [ip_address("203.0.113.7")]


class Resolver:
    """Answers at once, but blocks the thread of those who ask for a name with `silent` in it, until it is let go."""

    def __init__(self):
        self.asked, self.let_go = [], threading.Event()

    def __call__(self, host):
        self.asked.append(host)
        if "silent" in host:
            self.let_go.wait(60)
        if "unknown" in host:
            raise OSError("no such name")
        if "broken" in host:
            raise UnicodeError("no name at all")
        return ["203.0.113.7", "203.0.113.7", "nonsense"]

    async def until(self, count):
        """So many names have been asked for, and no more."""
        async with asyncio.timeout(30):
            while len(self.asked) < count:
                await asyncio.sleep(0.005)
        await asyncio.sleep(0.02)
        assert len(self.asked) == count


async def none_at_work():
    while any(thread.name == "look-up" for thread in threading.enumerate()):
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.01)


@pytest.fixture
async def resolver(anyio_backend):
    resolver = Resolver()
    yield resolver
    resolver.let_go.set()
    await none_at_work()


async def test_names_are_looked_up_and_addresses_are_not(resolver):
    names = LookUps(resolver)
    assert await names.addresses("good.example") == PUBLIC
    assert await names.addresses("unknown.example") == await names.addresses("broken.example") == []
    assert await names.addresses("2001:db8::1") == [ip_address("2001:db8::1")]
    assert resolver.asked == ["good.example", "unknown.example", "broken.example"]


async def test_a_name_that_never_resolves_costs_a_moment(resolver):
    names = LookUps(resolver, seconds=0.5, refused_seconds=0.2)
    async with asyncio.timeout(30):
        assert await names.addresses("silent.example") == []
    for again in ("silent.example", "SILENT.example"):
        assert await names.addresses(again) == []
    assert resolver.asked == ["silent.example"], "it is refused without a look-up"
    resolver.let_go.set()
    await none_at_work()
    await asyncio.sleep(0.2)
    assert await names.addresses("silent.example") == PUBLIC, "and asked for again when it may be well"


async def test_silent_names_are_in_nobody_elses_way(resolver):
    names = LookUps(resolver, seconds=60)
    asking = [asyncio.create_task(names.addresses(f"silent{number}.bad{number % 7}.example")) for number in range(30)]
    await asyncio.sleep(0.05)
    async with asyncio.timeout(30):
        assert await names.addresses("good.org") == PUBLIC
    assert not any(task.done() for task in asking)
    resolver.let_go.set()
    await asyncio.gather(*asking)


async def test_the_look_up_of_guarded_clients_leaves_the_loops_threads_alone(resolver, monkeypatch):
    monkeypatch.setattr(look_ups, "ask_system", resolver)
    loop = asyncio.get_running_loop()
    asking = [asyncio.create_task(look_up(f"silent.bad{number}.example", 443)) for number in range(40)]
    await resolver.until(40)
    async with asyncio.timeout(30):
        assert await look_up("good.example", 443) == PUBLIC
        assert await loop.run_in_executor(None, len, "") == 0
    resolver.let_go.set()
    await asyncio.gather(*asking)


async def test_one_name_is_looked_up_once_at_a_time(resolver):
    names = LookUps(resolver)
    asking = [asyncio.create_task(names.addresses("silent.example")) for _ in range(20)]
    await resolver.until(1)
    asking[0].cancel()
    resolver.let_go.set()
    assert await asyncio.gather(*asking[1:]) == [PUBLIC] * 19
    assert resolver.asked == ["silent.example"]


@pytest.mark.parametrize("share", ["domain", "project"])
async def test_nobody_has_all_the_threads(resolver, share):
    names = LookUps(resolver, most=8, most_of_one=3)
    with on_behalf_of("mallory"):
        hosts = [f"silent{n}.bad.example" if share == "domain" else f"silent.bad{n}.example" for n in range(20)]
        asking = [asyncio.create_task(names.addresses(host)) for host in hosts]
    await resolver.until(3)
    async with asyncio.timeout(30):
        with on_behalf_of("alice"):
            assert await names.addresses("good.org") == PUBLIC
        assert await names.addresses("good.net") == PUBLIC
    resolver.let_go.set()
    assert await asyncio.gather(*asking) == [PUBLIC] * 20, "whoever waited has had a turn"


async def test_who_waited_in_vain_for_a_thread_is_not_to_blame(resolver):
    names = LookUps(resolver, most_of_one=1, seconds=0.5)
    asking = [asyncio.create_task(names.addresses(host)) for host in ("silent.bad.example", "good.bad.example")]
    assert await asyncio.gather(*asking) == [[], []]
    assert resolver.asked == ["silent.bad.example"]
    resolver.let_go.set()
    await none_at_work()
    assert await names.addresses("good.bad.example") == PUBLIC
    assert await names.addresses("silent.bad.example") == []


async def test_a_system_without_threads_has_no_answer(resolver, monkeypatch):
    def refuse(_thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert await LookUps(resolver).addresses("good.example") == []


def test_a_process_ends_while_threads_hang():
    program = """
import asyncio, time
from service.commands.session import run
from service.providers.look_ups import LookUps

async def main():
    names = LookUps(lambda host: time.sleep(3600), seconds=0.1)
    return len(await asyncio.gather(*(names.addresses(f"silent.bad{n}.example") for n in range(20))))

raise SystemExit(run(main()))
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (20, "")
