"""What feeds that want to cost much do cost a gateway, each by name; at most 2 s and 200 MB.

Each is read through the port by a process of its own, from a publisher in this one. Seconds are from the request to the page;
megabytes are what the gateway's process has grown at most, and what its reading process has had at most.
"""

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Final, Self

sys.path.append(str(Path(__file__).parent.parent / "tests"))

from feed_server import LOOPBACK, SECRET
from hostile_feeds import FEEDS, NOW, feed
from providers.loopback import answering, response, serve_script

from service.core.schedule import Window
from service.core.sync import Listed, Malformed
from service.errors import ProviderError
from service.providers.guarded_http import Slots
from service.providers.ics.client import FEED, IcsFeed
from service.providers.protocol import Access
from service.providers.vevent.expansion import Expander

WINDOW: Final = Window(NOW - timedelta(days=1), NOW + timedelta(days=30))
MOST_SECONDS: Final = 2.0
MOST_MEGABYTES: Final = 200


async def read(url: str) -> dict[str, object]:
    """Read a feed as a gateway does, and what it cost."""
    slots = Slots(1, LOOPBACK)
    async with Expander(size=1) as expander, slots.borrow() as http:
        provider = IcsFeed(expander, LOOPBACK, clock=lambda: NOW)
        # Warm: a process that is running, and everything imported.
        access = Access(http=http, token=f"{url}/warm", client_key="", user_key="")
        await anext(provider.pages(access, FEED, token=None, window=WINDOW, time_zone=None))
        with Watch() as watch:
            outcome = await outcome_of(provider, Access(http=http, token=url, client_key="", user_key=""))
    await slots.aclose()
    return {"outcome": outcome, "seconds": watch.seconds, "grown": watch.grown, "reader": watch.reader}


async def outcome_of(provider: IcsFeed, access: Access) -> str:
    try:
        page = await anext(provider.pages(access, FEED, token=None, window=WINDOW, time_zone=None))
    except ProviderError as error:
        return f"refused: {error.reason}"
    listed = sum(isinstance(item, Listed) for item in page.items)
    bad = [item for item in page.items if isinstance(item, Malformed)]
    reasons = sorted({item.reason for item in bad})
    return f"{listed:,} listed, {len(bad):,} set aside{': ' + '; '.join(reasons) if bad else ''}"


class Watch:
    """What this process has grown by, and what the largest of its children has had, in megabytes, looked at all the time."""

    def __enter__(self) -> Self:
        self.before = resident(os.getpid())
        self.peak = self.reader = 0.0
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self.look)
        self.thread.start()
        self.began = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self.began
        self.is_over.set()
        self.thread.join()
        self.grown = self.peak - self.before

    def look(self) -> None:
        is_over = False
        while not is_over:
            self.peak = max(self.peak, resident(os.getpid()))
            self.reader = max([self.reader, *map(resident, children())])
            is_over = self.is_over.wait(0.005)


def children() -> list[int]:
    try:
        return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]
    except OSError:
        return []


def resident(pid: int) -> float:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6
    except OSError:
        return 0.0


async def publish(name: str) -> dict[str, object]:
    """Publish a feed, and have it read by another process."""
    body = FEEDS[name]()
    packed = {"content_encoding": "gzip"} if name == "a gzip bomb" else {}
    warm = response(feed())
    async with serve_script(answering(warm, response(body, **packed))) as served:
        command = [sys.executable, __file__, f"{served.url}/{SECRET}"]
        told = await asyncio.to_thread(subprocess.run, command, stdout=subprocess.PIPE, check=True)
    found: dict[str, object] = json.loads(told.stdout)
    return found


async def main() -> int:
    print(f"{'feed':38} {'seconds':>7} {'gateway':>8} {'reader':>8}  outcome")
    missed = 0
    for name in FEEDS if len(sys.argv) < 2 else [each for each in FEEDS if sys.argv[1] in each]:
        told = await publish(name)
        is_met = told["seconds"] <= MOST_SECONDS and max(told["grown"], told["reader"]) <= MOST_MEGABYTES  # type: ignore[operator, type-var]
        missed += not is_met
        print(
            f"{name:38} {told['seconds']:7.2f} {told['grown']:5.0f} MB {told['reader']:5.0f} MB "
            f" {str(told['outcome'])[:90]}{'' if is_met else '  MISSED'}",
            flush=True,
        )
    return missed


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1].startswith("http"):
        print(json.dumps(asyncio.run(read(sys.argv[1]))))
    else:
        sys.exit(1 if asyncio.run(main()) else 0)
