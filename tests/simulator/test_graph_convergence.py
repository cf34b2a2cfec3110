"""Random histories: a consumer of deltas that knows Graph's gaps ends with exactly the truth."""

from datetime import timedelta
from random import Random

import pytest
from judged_graph import BARBARA, LESLIE, NOW, WINDOW, Copy, GraphCaller, all_day, guests, timed, truth, weekly

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday")
ACTIONS = ("add", "series", "day", "move", "edit", "cancel", "all", "cancel_all", "split", "respond", "rule", "delete")
TRAITS = [
    {},
    {"repeat_rows": True, "empty_pages": 2},
    {"masters_last": True, "stray_removals": True},
    {"repeat_rows": True, "masters_last": True, "case_twins": True, "preserve_declined": True},
]


def act(world, random: Random) -> None:
    """One thing that people do to calendars."""
    owner = random.choice([BARBARA, LESLIE])
    known = world.read_truth(owner, *WINDOW)
    own = [event for event in known if event["isOrganizer"] and not event["isCancelled"]]
    kind = random.choice(ACTIONS)
    if kind in {"add", "series", "day"} or not own:
        add(world, random, owner, kind)
        return
    event = random.choice(own)
    series = event["seriesMasterId"] or event["id"]
    match kind:
        case "move":
            world.move_event(owner, event["id"], by_minutes=random.choice([-1440, -30, 30, 1440, 60000]))
        case "edit":
            world.edit_event(owner, event["id"], {"subject": str(random.random())})
        case "cancel":
            world.cancel_event(owner, event["id"])
        case "all":
            world.edit_event(owner, series, {"subject": str(random.random())})
        case "cancel_all":
            world.cancel_event(owner, series)
        case "delete":
            world.delete_event(owner, random.choice(known)["id"])
        case "split" if event["seriesMasterId"]:
            days = [each["occurrenceId"] for each in world.read_truth(owner) if each["seriesMasterId"] == series]
            if event["occurrenceId"] > min(days):
                world.split_series(owner, event["id"], {"subject": "Split"})
        case "respond" if event["attendees"]:
            guest = random.choice(event["attendees"])["emailAddress"]["address"]
            world.respond(owner, event["id"], guest, random.choice(["accepted", "declined", "tentativelyAccepted"]))
        case "rule" if event["seriesMasterId"]:
            start = world.read_event(owner, series)["start"]["dateTime"][:10]
            pattern = {"type": "daily", "interval": random.randint(1, 4)}
            span = {"type": "numbered", "numberOfOccurrences": random.randint(1, 30), "startDate": start}
            world.edit_event(owner, series, {"recurrence": {"pattern": pattern, "range": span}})


def add(world, random: Random, owner: str, kind: str) -> None:
    start = (NOW + timedelta(days=random.randint(-2, 40), hours=random.randint(0, 9))).replace(tzinfo=None)
    other = LESLIE if owner == BARBARA else BARBARA
    more = {"attendees": guests(other, "else@where.example")} if random.random() < 0.5 else {}
    if kind == "series":
        days = tuple(random.sample(DAYS, random.randint(1, 3)))
        world.add_event(owner, weekly(start.isoformat(), random.choice([None, 5, 9]), days, **more))
    elif kind == "day":
        day = start.date()
        world.add_event(owner, all_day(day.isoformat(), (day + timedelta(days=1)).isoformat(), **more))
    else:
        world.add_event(owner, timed(start.isoformat(), isOnlineMeeting=random.random() < 0.3, **more))


@pytest.mark.parametrize("seed", range(24))
def test_deltas_and_series_read_anew_give_the_truth(microsoft, seed):
    random = Random(seed)
    microsoft.set(series_years=0.3, **TRAITS[seed % len(TRAITS)])
    copies = [Copy(GraphCaller(microsoft, email)) for email in (BARBARA, LESLIE)]
    for copy in copies:
        copy.caller.prefer = f'odata.maxpagesize={random.choice([2, 7, 50])}, IdType="ImmutableId"'
        copy.caller.judging = seed < 4
    for _ in range(12):
        for _ in range(random.randint(1, 3)):
            act(microsoft, random)
        for copy in copies:
            copy.pull()
            assert copy.etags() == truth(microsoft, copy.caller.email)
    assert Copy(copies[0].caller).etags() == truth(microsoft)


@pytest.mark.parametrize("seed", range(8))
def test_changes_between_the_pages_are_not_lost(microsoft, graph, seed):
    random = Random(seed)
    microsoft.set(series_years=0.3)
    for _ in range(12):
        act(microsoft, random)
    copy = Copy(graph)
    graph.prefer, graph.judging = 'odata.maxpagesize=3, IdType="ImmutableId"', False
    follow = graph.follow

    def disturbed(link: str):
        if random.random() < 0.3:
            act(microsoft, random)
        return follow(link)

    for _ in range(6):
        act(microsoft, random)
        graph.follow = disturbed
        copy.pull()
    graph.follow = follow
    copy.pull()
    assert copy.etags() == truth(microsoft)


def test_the_same_seed_tells_the_same_story(microsoft):
    def tell() -> list[dict]:
        microsoft.reset()
        for email in (BARBARA, LESLIE):
            microsoft.add_account(email)
        random = Random(3)
        for _ in range(40):
            act(microsoft, random)
        return microsoft.read_truth(BARBARA, *WINDOW)

    assert tell() == tell() != []
