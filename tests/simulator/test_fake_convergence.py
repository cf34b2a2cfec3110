"""Random histories: a consumer of deltas that knows Google's gaps ends with exactly the truth."""

from datetime import timedelta
from random import Random

import pytest
from judged_caller import ADA, GRACE, NOW, Caller, all_day, timed, weekly

WINDOW = ("2025-03-23T00:00:00Z", "2025-04-23T00:00:00Z")
RULES = ["FREQ=DAILY;COUNT=9", "FREQ=WEEKLY", "FREQ=WEEKLY;BYDAY=MO,FR;COUNT=7", "FREQ=MONTHLY"]


class Copy:
    """A consumer: applies rows, and reads a series anew when one of its instances is reported gone."""

    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        self.events: dict[str, dict] = {}
        rows, self.token = caller.all_pages(singleEvents="true", timeMin=WINDOW[0], timeMax=WINDOW[1], maxResults=7)
        self.apply(rows)

    def pull(self) -> None:
        rows, self.token = self.caller.all_pages(singleEvents="true", syncToken=self.token, maxResults=40)
        self.apply(rows)

    def apply(self, rows: list[dict]) -> None:
        touched = {self.series_of(row) for row in rows} - {None}
        for row in rows:
            if row["status"] == "cancelled":
                self.events.pop(row["id"], None)
            else:
                self.events[row["id"]] = row
        for series in touched:
            self.reconcile(series)

    def series_of(self, row: dict) -> str | None:
        known = self.events.get(row["id"], {})
        return row.get("recurringEventId") or known.get("recurringEventId")

    def reconcile(self, series: str) -> None:
        self.events = {each: row for each, row in self.events.items() if row.get("recurringEventId") != series}
        window = {"timeMin": WINDOW[0], "timeMax": WINDOW[1]}
        reply = self.caller.get(f"/calendars/primary/events/{series}/instances", maxResults=2500, **window)
        if reply.status == 200:
            self.events |= reply.rows

    def window(self) -> dict[str, str]:
        """Id and etag of what lies in the window; deltas bring more than that."""
        live = {item["id"] for item in self.caller.world.read_truth(self.caller.email, *WINDOW)}
        truth = {item["id"] for item in self.caller.world.read_truth(self.caller.email)}
        return {each: row["etag"] for each, row in self.events.items() if each in live or each not in truth}


def act(world, random: Random) -> None:
    """One thing that people do to calendars."""
    owner = random.choice([ADA, GRACE])
    own = [
        item
        for item in world.read_truth(owner, *WINDOW)
        if item["organizer"].get("self") and item["status"] != "cancelled"
    ]
    kind = random.choice(
        ["add", "series", "day", "move", "edit", "cancel", "all", "cancel_all", "split", "respond", "rule"]
    )
    if kind in {"add", "series", "day"} or not own:
        add(world, random, owner, kind)
        return
    event = random.choice(own)
    series = event.get("recurringEventId", event["id"])
    match kind:
        case "move":
            world.move_event(owner, event["id"], by_minutes=random.choice([-1440, -30, 30, 1440, 20000]))
        case "edit":
            world.edit_event(owner, event["id"], {"summary": str(random.random())})
        case "cancel":
            world.cancel_event(owner, event["id"])
        case "all":
            world.edit_event(owner, series, {"summary": str(random.random())})
        case "cancel_all":
            world.cancel_event(owner, series)
        case "split" if "recurringEventId" in event and event is not own[0]:
            first = min(item["id"] for item in world.read_truth(owner) if item.get("recurringEventId") == series)
            if first != event["id"]:
                world.split_series(owner, event["id"], {"summary": "Split"})
        case "respond" if "attendees" in event:
            world.respond(owner, event["id"], event["attendees"][0]["email"], random.choice(["accepted", "declined"]))
        case "rule" if "recurringEventId" in event:
            world.edit_event(owner, series, {"recurrence": [f"RRULE:{random.choice(RULES)}"]})


def add(world, random: Random, owner: str, kind: str) -> None:
    start = (NOW + timedelta(days=random.randint(-2, 40), hours=random.randint(0, 9))).isoformat()
    guests = {"attendees": [{"email": ADA}, {"email": GRACE}]} if random.random() < 0.5 else {}
    if kind == "series":
        world.add_event(owner, weekly(start, random.choice(RULES), **guests))
    elif kind == "day":
        day = (NOW + timedelta(days=random.randint(0, 30))).date()
        world.add_event(owner, all_day(day.isoformat(), (day + timedelta(days=1)).isoformat(), **guests))
    else:
        world.add_event(owner, timed(start, **guests))


@pytest.mark.parametrize("seed", range(20))
def test_deltas_and_reconciled_series_give_the_truth(world, seed):
    random = Random(seed)
    world.set(series_years=0.3, short_pages=bool(seed % 2))
    copies = [Copy(Caller(world, ADA)), Copy(Caller(world, GRACE))]
    for caller in copies:
        caller.caller.judging = False
    for _ in range(12):
        for _ in range(random.randint(1, 3)):
            act(world, random)
        for copy in copies:
            copy.pull()
            truth = {item["id"]: item["etag"] for item in world.read_truth(copy.caller.email, *WINDOW)}
            assert copy.window() == truth
            rows, _ = copy.caller.all_pages(singleEvents="true", timeMin=WINDOW[0], timeMax=WINDOW[1])
            assert {row["id"]: row["etag"] for row in rows} == truth
