"""How many events a second are searched for their meeting, beside one `str.find("http")` over the same text."""

from collections.abc import AsyncIterator, Sequence
from typing import Final

import measure
from link_events import SHAPES, make_events
from measure import Options, Row, Spent

from service.core.meeting_links.evidence import Evidence
from service.core.meeting_links.finding import find

EVENTS: Final = 10_000


def look(texts: Sequence[Sequence[str]]) -> int:
    """The floor: where every `http` in every text is."""
    count = 0
    for pieces in texts:
        for text in pieces:
            at = text.find("http")
            while at >= 0:
                count += 1
                at = text.find("http", at + 4)
    return count


async def main(given: Options) -> AsyncIterator[Row]:
    """All shapes together, which is the figure, and each by itself."""
    events = make_events(EVENTS // 10 if given.quick else EVENTS)
    rounds = 1 if given.quick else measure.ROUNDS
    everything = [each for shape in events.values() for each in shape]
    yield await compare("all shapes", everything, rounds)
    for name, shape in events.items():
        found = sum(find(each).meeting is not None for each in shape)
        assert found == (0 if name == "no meeting" else len(shape)), f"{name}: {found} of {len(shape)}"
        yield await compare(f"{SHAPES[name][1]} % {name}", shape, rounds)


async def compare(what: str, events: list[Evidence], rounds: int) -> Row:
    """Product and floor over the same events; the ratio is how many times the floor's CPU the product takes."""
    texts = [[*(link.url for link in each.links), *(passage.text for passage in each.passages)] for each in events]

    async def product() -> Spent:
        return await measure.spend(lambda: search(events))

    async def floor() -> Spent:
        return await measure.spend(lambda: scan(texts))

    ours, bare = await measure.interleave(rounds, product, floor)
    size = sum(len(text) for pieces in texts for text in pieces) / len(events) / 1024
    return Row(
        "none",
        f"{what} ({size:.1f} KiB), events/s",
        f"{len(events) / ours.cpu:,.0f}",
        f"{len(events) / bare.cpu:,.0f}",
        ours.cpu / bare.cpu,
    )


async def search(events: list[Evidence]) -> None:
    for each in events:
        find(each)


async def scan(texts: list[list[str]]) -> None:
    look(texts)


if __name__ == "__main__":
    measure.run(main, __doc__)
